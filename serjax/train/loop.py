"""The host loop: feeds index blocks to the compiled stack, records, saves, and stops cleanly when told to."""

import contextlib
import functools
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import chex
import grain
import jax
import numpy as np
import optax
from jaxtyping import Float, Int

from serjax.data.batches import IndexBlocks
from serjax.errors import SerjaxError
from serjax.train.checkpoint import Checkpoints
from serjax.train.parallel import Layout
from serjax.train.record import History
from serjax.train.runs import Run, stack_inputs, stack_states
from serjax.train.state import Best, Dataset, TrainState
from serjax.train.step import Objective, OptimizerName, make_optimizer, make_train_epochs, make_train_step
from serjax.train.waveforms import AugmentedFeatures


class DivergedError(SerjaxError):
    """A run met non-finite losses again and again."""

    exit_code = 1


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """A signal asked the training to stop; what was done is saved."""

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(f"{signal.Signals(signum).name}: {where}")
        self.signum = signum


@dataclass(frozen=True)
class Schedule:
    """How runs are trained, the same for all: an epoch is `steps` batches; `momentum` is that of SGD."""

    batch_size: int
    steps: int
    epochs: int
    warmup_steps: int
    clip_norm: float
    epochs_per_call: int
    max_rejected: int
    optimizer: OptimizerName = "adam"
    momentum: float = 0.9


@dataclass(frozen=True)
class Stage:
    """Where one stack's training writes, and whom it tells; `report(epoch, loss)` follows every compiled call.

    `fingerprint` names the configuration and corpus that the checkpoints belong to.
    """

    name: str
    folder: Path
    history: History
    fingerprint: str
    save_every_s: float
    report: Callable[[int, float], None]


@dataclass(frozen=True)
class Trained:
    """The best parameters of every run, stacked on the host, with their epochs and validation losses."""

    params: chex.ArrayTree
    epoch_R: Int[np.ndarray, " R"]
    loss_R: Float[np.ndarray, " R"]

    @classmethod
    def of(cls, best: Best) -> "Trained":
        """Return what a stack remembered as best, as host arrays."""
        return cls(jax.tree.map(np.asarray, best.params), np.asarray(best.epoch), np.asarray(best.loss))


def train_stack(
    runs: list[Run],
    params_R: chex.ArrayTree,
    objective: Objective,
    dataset: Dataset,
    schedule: Schedule,
    layout: Layout,
    stage: Stage,
    augmented: AugmentedFeatures | None = None,
) -> Trained:
    """Train `runs` as one stack from the parameters `params_R`, or from the newest checkpoint of `stage`.

    With `augmented`, the waveforms of the data set are changed at random and their features computed in each step.
    The result depends on configuration and device count, never on when the training was saved, killed or resumed.

    Raises:
      Interrupted: SIGINT or SIGTERM came; the state is saved and the same call goes on from it.
      DivergedError: a run refused `max_rejected` non-finite steps in a row.
      CheckpointError: the checkpoints of the stage are of another training, or cannot be written.
    """
    blocks = index_blocks(runs, schedule)
    optimizer, train = compile_training(objective, schedule, layout, augmented)
    state = stack_states(runs, params_R, optimizer)
    fingerprint = f"{stage.fingerprint}-{blocks.fingerprint()}"
    finished = Checkpoints(stage.folder / "best", fingerprint)
    if (found := finished.load(state.best)) is not None:
        return Trained.of(found[1])
    running = Checkpoints(stage.folder / "state", fingerprint)
    state = _train_blocks(state, train, runs, dataset, blocks, schedule, layout, stage, running)
    finished.save(schedule.epochs, state.best, {})
    shutil.rmtree(running.folder, ignore_errors=True)
    return Trained.of(state.best)


@functools.cache
def compile_training(
    objective: Objective, schedule: Schedule, layout: Layout, augmented: AugmentedFeatures | None = None
) -> tuple[optax.GradientTransformation, Callable]:
    """Return the optimiser and the compiled stack of epochs; the same objects for the same arguments."""
    total_steps = schedule.epochs * schedule.steps
    optimizer = make_optimizer(
        total_steps, schedule.warmup_steps, schedule.clip_norm, schedule.optimizer, schedule.momentum
    )
    return optimizer, layout.train(make_train_epochs(objective, make_train_step(objective, optimizer), augmented))


def index_blocks(runs: list[Run], schedule: Schedule) -> IndexBlocks:
    """Return the index stream of a stack: of all its runs balanced, or of none."""
    classes = [run.train_class_n for run in runs if run.train_class_n is not None]
    assert len(classes) in (0, len(runs)), "some runs of a stack say the class of their rows, others do not"
    return IndexBlocks(
        rows=[run.train for run in runs],
        seeds=[run.entropy for run in runs],
        batch_size=schedule.batch_size,
        steps=schedule.steps,
        epochs=schedule.epochs_per_call,
        n_chunks=-(-schedule.epochs // schedule.epochs_per_call),
        classes=classes or None,
    )


def _train_blocks(
    state: TrainState,
    train: Callable,
    runs: list[Run],
    dataset: Dataset,
    blocks: IndexBlocks,
    schedule: Schedule,
    layout: Layout,
    stage: Stage,
    checkpoints: Checkpoints,
) -> TrainState:
    """Run the compiled `train` over all index blocks that are left; return the last state, on the host."""
    iterator = blocks.iterator()
    state = _restore(state, checkpoints, iterator, stage)
    shared, inputs, state = layout.put_shared(dataset), layout.put_runs(stack_inputs(runs)), layout.put_runs(state)
    saved_at, pause_s = time.monotonic(), stage.save_every_s
    with contextlib.closing(iterator), stop_requests() as requests:
        for rows in iterator:
            # Waiting for each call keeps devices that share cores from drifting apart until a collective times out.
            state, metrics = jax.block_until_ready(train(state, inputs, layout.put_rows(rows), shared))
            metrics_RE = layout.get_runs(metrics, len(runs))
            done = iterator.get_state()["next_index"]
            epoch = min(done * blocks.epochs, schedule.epochs)
            stage.history.append(_history_rows(stage.name, runs, metrics_RE, (done - 1) * blocks.epochs))
            _stop_if_diverged(layout.get_runs(state.rejected, len(runs)), runs, schedule)
            stage.report(epoch, _last_mean(metrics_RE["loss"]))
            stop = bool(requests)  # asked once: a signal during what follows is answered after the next call
            if stop or time.monotonic() - saved_at > pause_s:
                started = time.monotonic()
                progress = {"epoch": epoch, "iterator": iterator.get_state()}
                checkpoints.save(epoch, layout.get_runs(state, len(runs)), progress)
                saved_at = time.monotonic()
                if pause_s:  # a large stack is saved less often: saving takes a twentieth of the time at most
                    pause_s = max(stage.save_every_s, 20 * (saved_at - started))
            if stop:
                raise Interrupted(requests[0], f"saved after epoch {epoch} of {schedule.epochs} ({stage.name})")
    return layout.get_runs(state, len(runs))


def _restore(state: TrainState, checkpoints: Checkpoints, iterator: grain.DatasetIterator, stage: Stage) -> TrainState:
    """Return the newest saved state, the iterator and the history set to it; else the state as it is."""
    found = checkpoints.load(state)
    if found is None:
        stage.history.cut(stage.name, 0)
        return state
    epoch, state, progress = found
    iterator.set_state(progress["iterator"])
    stage.history.cut(stage.name, epoch)
    return state


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second SIGINT interrupts at once."""
    requests: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if signum in requests and signum == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(signum)

    previous = {}
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        previous = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _history_rows(
    stage: str, runs: list[Run], metrics_RE: dict[str, Float[np.ndarray, "R E"]], first_epoch: int
) -> Iterator[dict[str, str | int | float]]:
    n_epochs = metrics_RE["loss"].shape[1]
    for e in range(n_epochs):
        for r, run in enumerate(runs):
            if first_epoch + e < run.epochs:
                values = {name: float(f"{values_RE[r, e]:.6g}") for name, values_RE in metrics_RE.items()}
                yield {"stage": stage, **run.name, "epoch": first_epoch + e + 1, **values}


def _stop_if_diverged(rejected_R: Int[np.ndarray, " R"], runs: list[Run], schedule: Schedule) -> None:
    worst = int(np.argmax(rejected_R))
    if rejected_R[worst] >= schedule.max_rejected:
        raise DivergedError(
            f"The run {runs[worst].name} gave {rejected_R[worst]} non-finite losses or gradients in a row. "
            f"Its parameters are those before the first of them; lower --learning-rate or --clip-norm."
        )


def _last_mean(loss_RE: Float[np.ndarray, "R E"]) -> float:
    """Return the mean loss of the last epoch that any run trained in."""
    trained = loss_RE[:, np.isfinite(loss_RE).any(axis=0)]
    return float(np.nanmean(trained[:, -1])) if trained.size else float("nan")
