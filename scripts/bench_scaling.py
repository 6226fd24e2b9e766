"""Runs per hour against the number of runs in the stack and of devices: the stack, one after another, and PyTorch.

    python -m scripts.bench_scaling [--network LSTM] [--runs 1 8 64 512] [--devices 1 2] [--out TABLE.md]

and on a GPU, with the calls of a real study in place of short ones:

    python -m scripts.bench_scaling --runs 1 8 64 240 512 --stack-size 512 --stackings vmap --steps 44 --run-steps 99999

The study that this stands for is leave-one-speaker-out × 10 seeds on RAVDESS: 240 runs. Each trains on 1 380 pictures
of 108 frames × 20 MFCC (here noise) in 8 classes, the clips of 23 of 24 speakers. That is 44 steps of 32 clips per
epoch. None is left to validate on, as with `--refit`. Networks, and their training in PyTorch, are those of
`scripts/bench_train.py`.

Ours is `train_stack` as experiments call it, from fresh parameters to history and best parameters on the disk, less
the checkpoints on the way: in stacks as `--stack-size` cuts them, mapped and batched. Of stacks equally large one is
trained and counts for all. *One by one* is a stack of one run after another, on one device or with its batch split
over all. PyTorch trains one network after another, on as many threads as it chooses, or on the GPU where JAX has one,
with Adam as it comes and as one kernel; it keeps no best parameters. Ratios are to the faster of each two.

In a turn each of these trains for two calls of its compiled program, each of one long epoch. The second gives the time
of a step. The rest is
what comes around the calls; in the first turn also compiling (and what PyTorch loads at first), which has a column and
counts in no other. From these follow `--epochs` of a run. Everything takes turns in one process; the table gives
medians, and medians of the turns' ratios. Each number of devices has a process of its own, one after another, for CPU
devices are made before JAX first computes: `multiprocessing` spawns it, and it hands back its clock readings.
"""

import math
import multiprocessing
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import tyro

from scripts import bench_train
from scripts.bench_train import FRAMES, N_CLASSES, N_CLIPS, N_MFCC, NETWORKS, Call, Name
from scripts.scaling_times import HEADER, Measured, Measurement, Spent, Way
from serjax.figures.markdown import markdown_table
from serjax.figures.tables import print_table
from serjax.provenance import program
from serjax.study.checks import check_positive
from serjax.study.flags import SupervisedTraining
from serjax.study.trainer import stacks
from serjax.train.loop import Schedule, train_stack
from serjax.train.parallel import Layout, Stacking, request_devices
from serjax.train.record import History
from serjax.train.runs import Run, init_params
from serjax.train.shares import Stage
from serjax.train.state import Dataset

N_SPEAKERS = 24
CLIPS_A_SPEAKER = N_CLIPS // N_SPEAKERS
BATCH_SIZE = bench_train.SCHEDULE.batch_size
STEPS_AN_EPOCH = math.ceil((N_CLIPS - CLIPS_A_SPEAKER) / BATCH_SIZE)
CALLS = 2  # in a turn, of one epoch each
Place = tuple[Way, int]  # in which way, and how many runs in the stack
Tick = Callable[[], None]
Train = Callable[[Tick], None]  # ticks after each call


@dataclass(frozen=True)
class Settings:
    """What is measured; every field is a flag."""

    network: Name = "LSTM"
    """LSTM (64, then 32, dense 64), VAE, CNN or dense."""
    runs: tuple[int, ...] = (1, 8, 64, 512)
    """Numbers of runs; 1 is measured in any case."""
    devices: tuple[int, ...] = ()
    """Numbers of devices, each in a process of its own; default: all there are, on CPU one per core."""
    stackings: tuple[Stacking, ...] = ("map", "vmap")
    """The runs of one device one after another, or as one batched program."""
    stack_size: int = 48
    """Models trained at a time, as the flag of experiments."""
    steps: int = 8
    """Steps that a call has at least."""
    run_steps: int = 128
    """Steps per call of all runs together, as near as multiples of `--steps` come; at most 4 times the study's 44 per
    run."""
    epochs: int = SupervisedTraining.epochs
    """Epochs of a run in the study, to which times are scaled."""
    repeats: int = 2
    """Turns after the one that compiles."""
    out: Path | None = None
    """Write the table here too, as Markdown."""

    @property
    def n_steps(self) -> int:
        """Steps of a run of the study."""
        return self.epochs * STEPS_AN_EPOCH

    @property
    def sizes(self) -> list[Counter[int]]:
        """How many stacks of which size each number of runs is cut into; a single run is no stack."""
        return [Counter(len(rows) for rows in stacks(n, self.stack_size)) for n in self.runs if n > 1]

    def schedule(self, size: int) -> Schedule:
        """Return how a stack of so many runs is trained in a turn."""
        return replace(bench_train.SCHEDULE, steps=self.steps_a_call(size))

    def steps_a_call(self, size: int) -> int:
        """Return how many steps a call trains each of so many runs."""
        most = 4 * STEPS_AN_EPOCH // self.steps
        return self.steps * max(1, min(self.run_steps // (size * self.steps), most))


def make_runs(n: int, epochs: int) -> list[Run]:
    """Return the first runs of the study: each leaves one speaker out; after the last speaker comes the next seed."""
    numbers = (np.zeros(N_MFCC, np.float32), np.ones(N_MFCC, np.float32), 1e-3, 0.1, epochs, epochs)
    speaker_N = np.arange(N_CLIPS) // CLIPS_A_SPEAKER
    runs = []
    for r in range(n):
        seed, speaker = divmod(r, N_SPEAKERS)
        train = np.flatnonzero(speaker_N != speaker).astype(np.int32)
        runs.append(Run(seed, f"{speaker}", "all", train, train[:0], *numbers, np.ones(N_CLASSES, np.float32)))
    return runs


def train_ours(settings: Settings, layout: Layout, size: int, dataset: Dataset, tick: Tick) -> None:
    """Train a stack of so many runs."""

    def report(epoch: int, loss: float) -> None:
        tick()

    schedule, objective = settings.schedule(size), NETWORKS[settings.network].objective
    runs = make_runs(size, CALLS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage = Stage("train", folder, History(folder / "history.jsonl"), "bench", math.inf, report)
        params_R = init_params(runs, objective)
        train_stack(runs, params_R, objective, dataset, schedule, layout, stage)


def train_peer(settings: Settings, fused: bool, device: str, dataset: Dataset, tick: Tick) -> None:
    """Train a network in PyTorch for as many steps as a stack of one run."""
    from scripts.torch_peers import Training

    x_NTC, label_N = np.asarray(dataset.x_NTC), np.asarray(dataset.label_N)
    peer = Training(settings.network, x_NTC, label_N, bench_train.CLIP_NORM, fused, device)
    rows_SB = np.random.default_rng(1).integers(0, N_CLIPS, (settings.steps_a_call(1), BATCH_SIZE))
    call = peer.steps(rows_SB)
    for _ in range(CALLS):
        call()
        tick()


def torch_device(platform: str) -> str | None:
    """Return PyTorch's name of what JAX computes on; None where PyTorch does not, or is not installed."""
    if not find_spec("torch"):
        return None
    import torch

    return {"cpu": "cpu", "gpu": "cuda" if torch.cuda.is_available() else None}.get(platform)


def make_contestants(settings: Settings, devices: Sequence[jax.Device]) -> dict[Place, Train]:
    """Return what takes turns."""
    dataset, everywhere = bench_train.make_dataset(*NETWORKS[settings.network].picture), tuple(devices)
    layouts: dict[Place, Layout] = {("alone", 1): Layout(everywhere[:1])}
    if len(devices) > 1:
        layouts["split", 1] = Layout(everywhere, shard="data")
    for size in sorted({size for counts in settings.sizes for size in counts}):
        layouts |= {(way, size): Layout(everywhere, stacking=way) for way in settings.stackings}
    found: dict[Place, Train] = {
        (way, size): partial(train_ours, settings, layout, size, dataset) for (way, size), layout in layouts.items()
    }
    if (device := torch_device(devices[0].platform)) is not None:
        found["PyTorch", 1] = partial(train_peer, settings, False, device, dataset)
        found["fused", 1] = partial(train_peer, settings, True, device, dataset)
    return found


def noting(train: Train, spent: list[Spent]) -> Call:
    """Return a call that trains and notes what was spent."""

    def call() -> None:
        ticks_s: list[float] = []
        started_s = time.perf_counter()
        train(lambda: ticks_s.append(time.perf_counter()))
        spent.append(Spent.of(started_s, ticks_s, time.perf_counter()))

    return call


def measure(settings: Settings, n_devices: int | None) -> Measurement:
    """Measure with one number of devices; nothing may have computed in this process, unless it has enough of them."""
    devices = request_devices(n_devices)
    contestants = make_contestants(settings, devices)
    spent: dict[Place, list[Spent]] = {place: [] for place in contestants}
    calls = {f"{place}": noting(train, spent[place]) for place, train in contestants.items()}
    bench_train.take_turns(calls, settings.repeats)
    measured = {place: Measured(place[1], settings.steps_a_call(place[1]), tuple(s)) for place, s in spent.items()}
    return Measurement(len(devices), bench_train.describe(devices), measured)


def measure_apart(settings: Settings, n_devices: int | None) -> Measurement:
    """Measure in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, settings, n_devices).result()


def main(settings: Settings) -> None:
    """Print runs per hour, and ratios."""
    for flag in ("stack_size", "steps", "run_steps", "epochs", "repeats"):
        check_positive(f"--{flag.replace('_', '-')}", getattr(settings, flag))
    found = [measure_apart(settings, n) for n in settings.devices or (None,)]
    rows = [line for one in found for line in one.lines(one.rows(settings.sizes, settings.n_steps), settings.n_steps)]
    title = (
        f"{settings.network}, {FRAMES} frames × {N_MFCC} MFCC, batch {BATCH_SIZE}, {settings.epochs} epochs of "
        f"{STEPS_AN_EPOCH} steps per run, measured on calls of {settings.steps} steps or more; "
        f"{'; '.join(one.machine for one in found)}"
    )
    print_table(title, HEADER, rows)
    if settings.out is not None:
        settings.out.write_text(f"{title}\n\n{markdown_table(HEADER, rows)}\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Settings, prog=shlex.join(program()), description=__doc__))
