"""The host loop: feeds index blocks to the compiled stack, records, saves, and stops cleanly when told to."""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import chex
import jax
import numpy as np
import optax
from jaxtyping import Float

from serjax.data.batches import IndexBlocks
from serjax.signals import Interrupted, stop_requests
from serjax.train.optimizer import OptimizerName, make_optimizer
from serjax.train.parallel import Layout
from serjax.train.processes import check_same, exchange
from serjax.train.programs import HostMetrics, Rows, Streamed, StreamedProgram
from serjax.train.runs import Run, n_epochs, stack_inputs
from serjax.train.shares import (
    DivergedError,
    Saving,
    Share,
    Stage,
    Start,
    Trained,
    begin,
    check_iterator,
    cut,
    finish,
    record,
    save,
)
from serjax.train.state import Dataset, RunInputs, TrainState
from serjax.train.step import Objective, TrainEpochs, TrainPart, make_train_epochs, make_train_part, make_train_step
from serjax.train.too_large import check_fits, naming_flags
from serjax.train.waveforms import AugmentedFeatures

MOST_EPOCHS = 16  # that a call can have: the program's block of indices has room for so many
CALL_S = 5.0  # a call is made twice as long as long as that should take less


@dataclass(frozen=True)
class Schedule:
    """How runs are trained, the same for all: an epoch is `steps` batches; `momentum` is that of SGD."""

    batch_size: int
    steps: int
    warmup_steps: int
    clip_norm: float | None
    max_rejected: int
    optimizer: OptimizerName = "adam"
    momentum: float = 0.9


def train_stack(
    runs: list[Run],
    params_R: chex.ArrayTree,
    objective: Objective,
    clips: Dataset | Streamed,
    schedule: Schedule,
    layout: Layout,
    stage: Stage,
    augmented: AugmentedFeatures | None = None,
) -> Trained:
    """Train `runs` as one stack from the parameters `params_R`, or from the newest checkpoint of `stage`.

    With `augmented`, the waveforms of the clips are changed at random and their features computed in each step. Clips
    that do not fit in memory are `Streamed`. The result depends on configuration, stacking and device count. It never
    depends on how long calls are, on when the training was saved, killed or resumed, or on how many processes the
    devices belong to. Each process gets all of it, process 0 writes.

    Raises:
      ProcessesError: the processes do not train the same.
      Interrupted: SIGINT or SIGTERM came; the state is saved and the same call goes on from it.
      DivergedError: a run refused `max_rejected` non-finite steps in a row, or ended by a loss that is not finite.
      CheckpointError: the checkpoints of the stage are of another training, or cannot be written.
      TooLargeError: memory cannot hold the stack.
    """
    return train_shares([Share(runs, params_R, stage)], objective, clips, schedule, layout, augmented)[0]


def train_shares(
    shares: Sequence[Share],
    objective: Objective,
    clips: Dataset | Streamed,
    schedule: Schedule,
    layout: Layout,
    augmented: AugmentedFeatures | None = None,
) -> list[Trained]:
    """Train the runs of all shares as one stack; each share writes what it would write alone, checkpoints too.

    So a share may go on alone, or in another stack, from where this one was stopped. Shares that a kill between two
    of their checkpoints left at different epochs are trained apart. Raises as `train_stack` does.
    """
    fingerprints = [f"{s.stage.fingerprint}-{index_blocks(s.runs, schedule).fingerprint()}" for s in shares]
    check_same("configuration or corpus", " ".join(fingerprints))
    optimizer, train = compile_training(objective, schedule, layout, augmented, isinstance(clips, Streamed))
    begun = [begin(share, fingerprint, optimizer) for share, fingerprint in zip(shares, fingerprints, strict=True)]
    outcomes = {n: start for n, start in enumerate(begun) if isinstance(start, Trained)}
    left = {n: start for n, start in enumerate(begun) if isinstance(start, Start)}
    for epoch in sorted({start.epoch for start in left.values()}):
        members = [n for n, start in left.items() if start.epoch == epoch]
        stack = [left[n] for n in members]
        with naming_flags(sum(len(start.share.runs) for start in stack), schedule.batch_size):
            states = _train(stack, train, clips, schedule, layout)
        for n, start, state in zip(members, stack, states, strict=True):
            outcomes[n] = finish(start, state)
    return [outcomes[n] for n in range(len(shares))]


@functools.cache
def compile_training(
    objective: Objective,
    schedule: Schedule,
    layout: Layout,
    augmented: AugmentedFeatures | None = None,
    streamed: bool = False,
) -> tuple[optax.GradientTransformationExtraArgs, Callable]:
    """Return the optimiser and the compiled stack of epochs or parts of them; the same objects for equal arguments."""
    optimizer, train = make_training(objective, schedule, layout, augmented, streamed)
    return optimizer, layout.train(train)


def make_training(
    objective: Objective,
    schedule: Schedule,
    layout: Layout,
    augmented: AugmentedFeatures | None = None,
    streamed: bool = False,
) -> tuple[optax.GradientTransformationExtraArgs, TrainEpochs | TrainPart]:
    """Return the optimiser and the epochs of one run, or their parts if clips are `streamed`, as suits a layout.

    Where runs are mapped, clips are augmented one after another too; where they are batched, all at once.
    """
    optimizer = make_optimizer(
        schedule.steps, schedule.warmup_steps, schedule.clip_norm, schedule.optimizer, schedule.momentum
    )
    if augmented is not None:
        augmented = replace(augmented, one_by_one=layout.stacking == "map")
    step = make_train_step(objective, optimizer)
    make = make_train_part if streamed else make_train_epochs
    return optimizer, make(objective, step, augmented, layout.one_by_one)


def index_blocks(runs: list[Run], schedule: Schedule) -> IndexBlocks:
    """Return the index stream of a stack: of all its runs balanced, or of none."""
    classes = [run.train_class_n for run in runs if run.train_class_n is not None]
    assert len(classes) in (0, len(runs)), "some runs of a stack say the class of their rows, others do not"
    return IndexBlocks(
        rows=[run.train for run in runs],
        seeds=[run.entropy for run in runs],
        batch_size=schedule.batch_size,
        steps=schedule.steps,
        n_epochs=n_epochs(runs),
        classes=classes or None,
    )


@dataclass(frozen=True, eq=False)
class HeldProgram:
    """The compiled epochs of a stack, with what all calls of them read, on the devices."""

    train: Callable
    inputs: RunInputs
    dataset: Dataset
    layout: Layout
    block: tuple[int, int, int]  # runs, steps, clips of an epoch

    def call(self, state: TrainState, rows: Sequence[Rows]) -> tuple[TrainState, HostMetrics]:
        """Train for as many epochs as there are `rows`; return state and metrics once they are there.

        Waiting for each call keeps devices that share cores from drifting apart until a collective times out.
        """
        state, metrics = jax.block_until_ready(self.train(state, *self._given(rows)))
        metrics_RE = self.layout.get_runs(metrics, self.block[0])
        return state, {name: values_RE[:, : len(rows)] for name, values_RE in metrics_RE.items()}

    def check_fits(self, state: TrainState) -> None:
        """Compile, and raise TooLargeError where memory cannot hold what is computed."""
        n_runs, _, batch_size = self.block
        compiled = self.train.lower(state, *self._given([])).compile()  # type: ignore[attr-defined]
        check_fits(compiled, self.layout.devices, n_runs, batch_size)

    def _given(self, rows: Sequence[Rows]) -> tuple[chex.ArrayTree, ...]:
        unused = [np.zeros(self.block, np.int32)] * (MOST_EPOCHS - len(rows))
        rows_RESB, n_epochs = np.stack([*rows, *unused], axis=1), np.int32(len(rows))
        return self.inputs, self.layout.put_rows(rows_RESB), self.layout.put_shared(n_epochs), self.dataset


@contextlib.contextmanager
def open_program(
    train: Callable, runs: list[Run], blocks: IndexBlocks, clips: Dataset | Streamed, layout: Layout, epoch: int
) -> Iterator[HeldProgram | StreamedProgram]:
    """Open the program of a stack that goes on from `epoch`."""
    if not isinstance(clips, Dataset):
        with clips.open(train, runs, blocks, layout, epoch) as program:
            yield program
    else:
        inputs, shared = layout.put_runs(stack_inputs(runs)), layout.put_shared(clips)
        yield HeldProgram(train, inputs, shared, layout, (len(runs), blocks.steps, blocks.batch_size))


def _train(
    stack: list[Start], train: Callable, clips: Dataset | Streamed, schedule: Schedule, layout: Layout
) -> list[TrainState]:
    """Train for all epochs that are left, some of them per call; return the last state of each share, on the host.

    All shares of the stack stand at the same epoch.
    """
    for start in stack:
        check_iterator(start)
    runs = [run for start in stack for run in start.share.runs]
    n_runs, epoch, last_epoch = len(runs), stack[0].epoch, n_epochs(runs)
    blocks = index_blocks(runs, schedule)
    iterator = blocks.iterator()
    if stack[0].iterator is not None:
        iterator.set_state(stack[0].iterator)
    state = layout.put_runs(jax.tree.map(lambda *a: np.concatenate(a), *[start.state for start in stack]))
    with (
        contextlib.closing(iterator),
        open_program(train, runs, blocks, clips, layout, epoch) as program,
        stop_requests() as requests,
    ):
        program.check_fits(state)
        saving, length = Saving(stack), 1
        while epoch < last_epoch:
            rows = list(itertools.islice(iterator, min(length, last_epoch - epoch)))
            started_s = time.monotonic()
            state, metrics_RE = program.call(state, rows)
            length = _next_length(length, time.monotonic() - started_s)
            reached = layout.get_runs(_without_params(state), n_runs)
            rejected_RE = metrics_RE.pop("rejected")
            record(stack, metrics_RE, epoch, reached.epoch)
            _stop_if_diverged(rejected_RE, stack, schedule)
            epoch = epoch + len(rows) if reached.trains.any() else last_epoch
            for start, loss_RE in zip(stack, cut(metrics_RE["loss"], stack), strict=True):
                start.share.stage.report(epoch, _last_mean(loss_RE))
            # Asked once: a signal during what follows is answered after the next call, or below.
            signum, is_due, length = _agree(requests[0] if requests else 0, saving.is_due, length)
            if signum or is_due:
                saving.save(layout.get_runs(state, n_runs), epoch, iterator.get_state())
            if signum:
                raise _interrupted(signum, epoch, last_epoch, stack)
        signum, *_ = _agree(requests[0] if requests else 0, is_due=False, length=length)
        if signum:
            save(stack, layout.get_runs(state, n_runs), last_epoch, iterator.get_state())
            raise _interrupted(signum, last_epoch, last_epoch, stack)
    return cut(layout.get_runs(state, n_runs), stack)


def _next_length(length: int, seconds: float) -> int:
    """Return how many epochs the next call may have, after one of `length` that took so long.

    Between calls progress is shown, states are saved and a signal is answered: no call should take long.
    """
    return min(2 * length, MOST_EPOCHS) if 2 * seconds < CALL_S else length


def _without_params(state: TrainState) -> TrainState:
    """Return how far the runs are, without what takes long to bring to the host."""
    return replace(state, params={}, opt_state=(), averaged=None, best=replace(state.best, params={}))


def _agree(signum: int, is_due: bool, length: int) -> tuple[int, bool, int]:
    """Return the signal that any process got (0: none), and of process 0 whether to save and how long a call is."""
    answers = exchange(signum, int(is_due), length)
    return max(int(asked) for asked, *_ in answers), bool(answers[0][1]), int(answers[0][2])


def _interrupted(signum: int, epoch: int, last_epoch: int, stack: list[Start]) -> Interrupted:
    """Return what is raised once a stack has been saved because of a signal."""
    where = ", ".join(dict.fromkeys(start.share.stage.name for start in stack))
    return Interrupted(signum, f"saved after epoch {epoch} of {last_epoch} ({where})")


def _stop_if_diverged(rejected_RE: Float[np.ndarray, "R E"], stack: list[Start], schedule: Schedule) -> None:
    """Raise DivergedError for the first epoch at whose end a run has refused too many steps in a row."""
    too_many = np.argwhere(np.transpose(rejected_RE) >= schedule.max_rejected)
    if len(too_many):
        epoch, worst = too_many[0]
        run, stage = [(run, start.share.stage) for start in stack for run in start.share.runs][worst]
        raise DivergedError(
            f"The run of {run.title} gave {int(rejected_RE[worst, epoch])} non-finite losses or gradients in a row, at "
            f"learning rate {run.learning_rate:g} ({stage.folder}). Its parameters are those before the first of them; "
            f"lower --learning-rate or --clip-norm."
        )


def _last_mean(loss_RE: Float[np.ndarray, "R E"]) -> float:
    """Return the mean loss of the last epoch that any run trained in."""
    trained = loss_RE[:, np.isfinite(loss_RE).any(axis=0)]
    return float(np.nanmean(trained[:, -1])) if trained.size else float("nan")
