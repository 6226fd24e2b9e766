"""Time clips that stay on the disk beside clips in memory: the pass that reads them, and an epoch of one VAE.

    python -m scripts.bench_stream --root RAVDESS [--clips 100000] [--devices 2] [--workers 0 2]

The clips are the audio files below the folder, each named as often as it takes. The pass that reads them finds the
normaliser; in memory it keeps all features. The epoch is one of a VAE on 20 MFCCs of 108 frames, batch 32. Each row is
a process of its own. Its peak of memory counts the processes that decode too. A tenth of the clips comes first: what
is streamed may need no more memory for all of them.
"""

import multiprocessing
import resource
import shlex
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from serjax.data.corpora.corpus import FileSource, Window
from serjax.data.corpora.files import find_audio
from serjax.data.stream import ClipStream, in_blocks, survey
from serjax.dsp import Mfcc
from serjax.models.vae import VAE
from serjax.provenance import program
from serjax.train.loop import Schedule, train_stack
from serjax.train.objectives import PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout, request_devices
from serjax.train.programs import Streamed
from serjax.train.record import History
from serjax.train.runs import Run, fit_normaliser, init_params
from serjax.train.shares import Stage
from serjax.train.state import Dataset

OFFSET_S = 0.5
BATCH_SIZE = 32
N_VALIDATION = 512
MIB = 1024  # KiB, as the system counts the peak of memory


@dataclass(frozen=True)
class Case:
    """How many clips, streamed by so many workers, or held in memory (None)."""

    root: Path
    n_clips: int
    n_workers: int | None
    devices: int | None

    @property
    def name(self) -> str:
        """What the table calls it."""
        if self.n_workers is None:
            return "in memory"
        return f"streamed, {self.n_workers} workers" if self.n_workers else "streamed, one thread"


@dataclass(frozen=True)
class Cost:
    """What a case took: seconds, and MiB of memory at its peak."""

    reading_s: float
    epoch_s: float
    peak_mib: float


def measure(case: Case) -> Cost:
    """Read the clips and train a VAE on them for an epoch."""
    layout = Layout(tuple(request_devices(case.devices)))
    stream, labels = open_stream(case), np.zeros(case.n_clips, np.int32)
    rows = np.arange(case.n_clips)
    train, validation = rows[N_VALIDATION:], rows[:N_VALIDATION]
    started_s = time.monotonic()
    if case.n_workers is None:
        clips: Dataset | Streamed = hold(stream, labels)
        normaliser = fit_normaliser(np.asarray(clips.x_NTC), np.asarray(clips.mask_NT), train)  # type: ignore[union-attr]
    else:
        clips = Streamed(stream, labels)
        normaliser = survey(stream, lambda done, total: None).normaliser(train)
    reading_s = time.monotonic() - started_s
    run = Run(0, "bench", "all", train, validation, *normaliser, 1e-3, 1.0, 1, 1, np.ones(1, np.float32))
    schedule = Schedule(BATCH_SIZE, steps=-(-len(train) // BATCH_SIZE), warmup_steps=20, clip_norm=1.0, max_rejected=20)
    frontend = stream.frontend
    objective = VaeObjective(VAE(frontend.n_frames, frontend.n_features, 128, (256,)), PictureAugmentation())
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.jsonl")
        stage = Stage("train", Path(folder), history, "bench", 1e9, lambda epoch, loss: None)
        started_s = time.monotonic()
        train_stack([run], init_params([run], objective), objective, clips, schedule, layout, stage)
        epoch_s = time.monotonic() - started_s
    return Cost(reading_s, epoch_s, peak_mib(case.n_workers or 0))


def open_stream(case: Case) -> ClipStream:
    """Return the stream of all clips, each file named as often as it takes."""
    frontend, paths = Mfcc(), find_audio(case.root, "bench").paths
    repeated = tuple(paths[row % len(paths)] for row in range(case.n_clips))
    window = Window(frontend.sample_rate_hz, frontend.n_samples, OFFSET_S)
    return ClipStream(FileSource(case.root), repeated, window, frontend, case.n_workers or 0)


def hold(stream: ClipStream, labels: np.ndarray) -> Dataset:
    """Return the features of all clips, in memory."""
    frontend, n_clips = stream.frontend, len(stream.paths)
    x_NTC = np.empty((n_clips, frontend.n_frames, frontend.n_features), np.float32)
    mask_NT = np.empty(x_NTC.shape[:2], np.float32)
    for rows, block in stream.blocks(in_blocks(np.arange(n_clips))):
        x_NTC[rows], mask_NT[rows] = stream.features(block)
    return Dataset(x_NTC, mask_NT, labels)


def peak_mib(n_workers: int) -> float:
    """Return the most memory that this process had, and that each of its workers had at most."""
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + n_workers * largest) / MIB


def main(root: Path, clips: int = 100_000, devices: int | None = None, workers: tuple[int, ...] = (0, 2)) -> None:
    """Print clips per second and the peak of memory of each way, for a tenth of the clips and all of them."""
    table = Table("", "clips", "reading, clips per second", "an epoch, clips per second", "peak memory, MiB")
    for n_workers in (*workers, None):
        for n_clips in (clips // 10, clips):
            case = Case(root, n_clips, n_workers, devices)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                cost = alone.submit(measure, case).result()
            speeds = (f"{n_clips / seconds:.0f}" for seconds in (cost.reading_s, cost.epoch_s))
            table.add_row(case.name, f"{n_clips}", *speeds, f"{cost.peak_mib:.0f}")
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main, prog=shlex.join(program()), description=__doc__)
