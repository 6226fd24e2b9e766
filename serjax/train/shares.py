"""What studies have in a stack: a share is its runs, where they start or go on from, and what is written of them.

Of several processes the first writes, and decides by what it finds on the disk where a share goes on.
"""

import itertools
import operator
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import chex
import jax
import numpy as np
import optax
from jaxtyping import Float, Int

from serjax.errors import SerjaxError
from serjax.train.checkpoint import CheckpointError, Checkpoints
from serjax.train.processes import is_first
from serjax.train.record import History
from serjax.train.runs import Run, n_epochs, stack_states
from serjax.train.state import Best, TrainState


class DivergedError(SerjaxError):
    """A run met losses or scores that are not finite, and nothing can be told from it."""

    exit_code = 1


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


@dataclass(frozen=True)
class Share:
    """The runs that one study has in a stack, the parameters they start from, and where their training writes."""

    runs: list[Run]
    params: chex.ArrayTree
    stage: Stage


@dataclass(frozen=True)
class Start:
    """A share about to be trained from `epoch` on; `iterator` is where its index stream stands, None at its start."""

    share: Share
    epoch: int
    state: TrainState
    iterator: object
    running: Checkpoints
    finished: Checkpoints


def begin(share: Share, fingerprint: str, optimizer: optax.GradientTransformation) -> Trained | Start:
    """Return what a share has been trained to, else its newest saved state, its history cut to it; else its first.

    A stack is saved as a whole: what of it had done its epochs is finished now. The same in all processes: what the
    first finds. `fingerprint` is that of the stage and of the index stream.
    """
    stage = share.stage
    running, finished = (Checkpoints(stage.folder / name, fingerprint) for name in ("state", "best"))
    state = stack_states(share.runs, share.params, optimizer)
    best = finished.load(state.best)
    found = running.load(state) if best is None else best
    if is_first():
        stage.history.keep(stage.name, None if found is None else found[2].get("history", {}))
    if best is not None:
        return Trained.of(best[1])
    epoch, state, iterator = (0, state, None) if found is None else (*found[:2], found[2].get("iterator"))
    start = Start(share, epoch, state, iterator, running, finished)
    return start if epoch < n_epochs(share.runs) else finish(start, state)


def check_iterator(start: Start) -> None:
    """Raise CheckpointError unless a share that goes on stands in its index stream where its epoch says."""
    expected = {"next_index": start.epoch}
    if start.epoch and start.iterator != expected:
        raise CheckpointError(
            f"{start.running.folder}: the checkpoint of epoch {start.epoch} says that the index stream is at "
            f"{start.iterator}, expected {expected}. Remove it to train anew."
        )


def finish(start: Start, state: TrainState) -> Trained:
    """Write what a share has been trained to, and drop the checkpoints on the way; return its best.

    Raises:
      DivergedError: a run ended with a loss that is not finite: the best of its epochs is one from before it broke.
    """
    _check_finite_end(start.share, np.asarray(state.rejected))
    stage = start.share.stage
    start.finished.save(n_epochs(start.share.runs), state.best, {"history": stage.history.mark(stage.name)})
    if is_first():
        shutil.rmtree(start.running.folder, ignore_errors=True)
    return Trained.of(state.best)


def _check_finite_end(share: Share, rejected_R: Int[np.ndarray, " R"]) -> None:
    broken = [run for run, rejected in zip(share.runs, rejected_R, strict=True) if rejected]
    if broken:
        others = f" (and of {len(broken) - 1} more of {len(share.runs)} runs)" if len(broken) > 1 else ""
        raise DivergedError(
            f"{share.stage.name}: the run of {broken[0].title}{others} diverged: its last loss, in training or on "
            f"validation rows, is not finite, at learning rate {broken[0].learning_rate:g}. Give a smaller "
            "--learning-rate or --clip-norm, and where --out was given another."
        )


def cut(tree_R: chex.ArrayTree, stack: list[Start]) -> list:
    """Cut a stack into its shares."""
    ends = np.cumsum([len(start.share.runs) for start in stack]).tolist()
    parts = [slice(first, last) for first, last in itertools.pairwise([0, *ends])]
    return [jax.tree.map(operator.itemgetter(part), tree_R) for part in parts]


def save(stack: list[Start], state_R: TrainState, epoch: int, iterator: object) -> None:
    """Write a checkpoint of each share; `iterator` says where the index stream of the stack stands."""
    for start, state in zip(stack, cut(state_R, stack), strict=True):
        stage = start.share.stage
        progress = {"epoch": epoch, "iterator": iterator, "history": stage.history.mark(stage.name)}
        start.running.save(epoch, state, progress)


class Saving:
    """When a stack is saved: every so many seconds, a large one less often: saving takes a twentieth at most."""

    def __init__(self, stack: list[Start]) -> None:
        self._stack = stack
        self._every_s = self._pause_s = stack[0].share.stage.save_every_s
        self._at_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._at_s > self._pause_s

    def save(self, state: TrainState, epoch: int, iterator: object) -> None:
        """Save, and note how long that takes."""
        started_s = time.monotonic()
        save(self._stack, state, epoch, iterator)
        self._at_s = time.monotonic()
        if self._every_s:
            self._pause_s = max(self._every_s, 20 * (self._at_s - started_s))


def record(
    stack: list[Start],
    metrics_RE: dict[str, Float[np.ndarray, "R E"]],
    first_epoch: int,
    epoch_R: Int[np.ndarray, " R"],
) -> None:
    """Write the epochs of a call, after which each run has done `epoch_R`, to the histories if this process writes."""
    if not is_first():
        return
    for start, (own_RE, own_R) in zip(stack, cut((metrics_RE, epoch_R), stack), strict=True):
        stage = start.share.stage
        stage.history.append(stage.name, _history_rows(stage.name, start.share.runs, own_RE, first_epoch, own_R))


def _history_rows(
    stage: str,
    runs: list[Run],
    metrics_RE: dict[str, Float[np.ndarray, "R E"]],
    first_epoch: int,
    epoch_R: Int[np.ndarray, " R"],
) -> Iterator[dict[str, str | int | float]]:
    for e in range(metrics_RE["loss"].shape[1]):
        for r, run in enumerate(runs):
            if first_epoch + e < epoch_R[r]:
                values = {name: float(f"{values_RE[r, e]:.6g}") for name, values_RE in metrics_RE.items()}
                yield {"stage": stage, **run.name, "epoch": first_epoch + e + 1, **values}
