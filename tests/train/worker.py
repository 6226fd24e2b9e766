"""A program for several processes: trains three linear models on the tiny problem and writes what each got."""

import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from serjax.experiments.command import run_command
from serjax.models.linear import LogisticRegression
from serjax.train.loop import train_stack
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.parallel import Layout, Shard, request_devices
from serjax.train.processes import join_processes, watch_processes


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
    watch_processes()
    from tests.train import tiny  # computes, so only after joining

    augmentation = PictureAugmentation(roll_frames=2, noise=0.1)
    objective = ClassifierObjective(LogisticRegression(3, "flatten"), augmentation, tiny.T, tiny.C)
    runs = tiny.make_runs(3, epochs=8, learning_rate=flags.learning_rate)
    schedule = dataclasses.replace(tiny.SCHEDULE, epochs=8, epochs_per_call=1)
    stage = dataclasses.replace(tiny.make_stage(flags.out), report=lambda epoch, loss: time.sleep(flags.pause))
    params_R = tiny.make_params(runs, objective)
    trained = train_stack(runs, params_R, objective, tiny.DATASET, schedule, layout, stage)
    result = {
        "params": [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(trained.params)],
        "loss": trained.loss_R.tolist(),
        "epoch": trained.epoch_R.tolist(),
        "history": hashlib.sha256((flags.out / "history.jsonl").read_bytes()).hexdigest(),
    }
    (flags.out / f"result-{jax.process_index()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    run_command(Flags, run, __doc__)
