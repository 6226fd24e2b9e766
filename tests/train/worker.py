"""A program for several processes: trains three linear models as two shares of a stack, and writes what each got."""

import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from serjax.main import train_command
from serjax.models.linear import LogisticRegression
from serjax.train.loop import train_shares
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.parallel import Layout, Shard, request_devices
from serjax.train.processes import check_same, join_processes, start_together
from serjax.train.runs import Run
from serjax.train.shares import Share


@dataclass(frozen=True)
class Flags:
    """Where, with whom, and how slowly: `pause` seconds follow every compiled call."""

    out: Path
    devices: int = 1
    shard: Shard = "runs"
    pause: float = 0.0
    learning_rate: float = 3e-3
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def run(flags: Flags) -> None:
    """Train from the newest checkpoint of `out` and write `result-RANK.json`."""
    join_processes(flags.coordinator, flags.num_processes, flags.process_id)
    layout = Layout(tuple(request_devices(flags.devices)), flags.shard)
    start_together()
    check_same("--out", str(flags.out))
    from tests.train import tiny  # computes, so only after joining

    augmentation = PictureAugmentation(roll_frames=2, noise=0.1)
    objective = ClassifierObjective(LogisticRegression(3, "flatten"), augmentation, tiny.T, tiny.C)
    runs = tiny.make_runs(3, epochs=8, learning_rate=flags.learning_rate)

    def share(name: str, own: list[Run]) -> Share:
        stage = tiny.make_stage(flags.out / name)
        if name == "a":
            stage = dataclasses.replace(stage, report=lambda epoch, loss: time.sleep(flags.pause))
        return Share(own, tiny.make_params(own, objective), stage)

    shares = [share("a", runs[:2]), share("b", runs[2:])]
    trained = train_shares(shares, objective, tiny.DATASET, tiny.SCHEDULE, layout)
    histories = [(flags.out / name / "history.jsonl").read_bytes() for name in ("a", "b")]
    result = {
        "params": [np.asarray(leaf).tolist() for one in trained for leaf in jax.tree.leaves(one.params)],
        "loss": [one.loss_R.tolist() for one in trained],
        "epoch": [one.epoch_R.tolist() for one in trained],
        "history": [hashlib.sha256(history).hexdigest() for history in histories],
    }
    (flags.out / f"result-{jax.process_index()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    train_command(Flags, run, __doc__)
