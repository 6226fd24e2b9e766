"""The host loop: feeds index blocks to the compiled stack, records, saves, and stops cleanly when told to."""

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import chex
import jax
import numpy as np
import optax
from jaxtyping import Float, Int

from serjax.data.batches import IndexBlocks
from serjax.signals import Interrupted, stop_requests
from serjax.train.optimizer import OptimizerName, make_optimizer
from serjax.train.parallel import Layout
from serjax.train.processes import check_same, exchange
from serjax.train.runs import Run, n_epochs, stack_inputs
from serjax.train.shares import (
    DivergedError,
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
from serjax.train.state import Dataset, TrainState
from serjax.train.step import Objective, TrainEpochs, make_train_epochs, make_train_step
from serjax.train.waveforms import AugmentedFeatures


@dataclass(frozen=True)
class Schedule:
    """How runs are trained, the same for all: an epoch is `steps` batches; `momentum` is that of SGD."""

    batch_size: int
    steps: int
    warmup_steps: int
    clip_norm: float | None
    epochs_per_call: int
    max_rejected: int
    optimizer: OptimizerName = "adam"
    momentum: float = 0.9


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
    The result depends on configuration, plan and device count, never on when the training was saved, killed or resumed,
    nor on how many processes the devices belong to; each of them gets all of it, process 0 writes.

    Raises:
      ProcessesError: the processes do not train the same.
      Interrupted: SIGINT or SIGTERM came; the state is saved and the same call goes on from it.
      DivergedError: a run refused `max_rejected` non-finite steps in a row, or ended by a loss that is not finite.
      CheckpointError: the checkpoints of the stage are of another training, or cannot be written.
    """
    return train_shares([Share(runs, params_R, stage)], objective, dataset, schedule, layout, augmented)[0]


def train_shares(
    shares: Sequence[Share],
    objective: Objective,
    dataset: Dataset,
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
    optimizer, train = compile_training(objective, schedule, layout, augmented)
    begun = [begin(share, fingerprint, optimizer) for share, fingerprint in zip(shares, fingerprints, strict=True)]
    outcomes = {n: start for n, start in enumerate(begun) if isinstance(start, Trained)}
    left = {n: start for n, start in enumerate(begun) if isinstance(start, Start)}
    for epoch in sorted({start.epoch for start in left.values()}):
        members = [n for n, start in left.items() if start.epoch == epoch]
        stack = [left[n] for n in members]
        for n, start, state in zip(members, stack, _train(stack, train, dataset, schedule, layout), strict=True):
            outcomes[n] = finish(start, state)
    return [outcomes[n] for n in range(len(shares))]


@functools.cache
def compile_training(
    objective: Objective, schedule: Schedule, layout: Layout, augmented: AugmentedFeatures | None = None
) -> tuple[optax.GradientTransformationExtraArgs, Callable]:
    """Return the optimiser and the compiled stack of epochs; the same objects for the same arguments."""
    optimizer, train_epochs = make_training(objective, schedule, layout, augmented)
    return optimizer, layout.train(train_epochs)


def make_training(
    objective: Objective, schedule: Schedule, layout: Layout, augmented: AugmentedFeatures | None = None
) -> tuple[optax.GradientTransformationExtraArgs, TrainEpochs]:
    """Return the optimiser and the epochs of one run, in the form that suits a layout.

    Where runs are mapped, clips are augmented one after another too; where they are batched, all at once.
    """
    optimizer = make_optimizer(
        schedule.steps, schedule.warmup_steps, schedule.clip_norm, schedule.optimizer, schedule.momentum
    )
    if augmented is not None:
        augmented = replace(augmented, one_by_one=layout.stacking == "map")
    step = make_train_step(objective, optimizer)
    return optimizer, make_train_epochs(objective, step, augmented, layout.one_by_one)


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
        n_chunks=-(-n_epochs(runs) // schedule.epochs_per_call),
        classes=classes or None,
    )


def _train(
    stack: list[Start], train: Callable, dataset: Dataset, schedule: Schedule, layout: Layout
) -> list[TrainState]:
    """Run the compiled `train` over all index blocks that are left; return the last state of each share, on the host.

    All shares of the stack stand at the same epoch.
    """
    runs = [run for start in stack for run in start.share.runs]
    blocks, last_epoch = index_blocks(runs, schedule), n_epochs(runs)
    iterator = blocks.iterator()
    for start in stack:
        check_iterator(start, blocks.epochs)
    if stack[0].iterator is not None:
        iterator.set_state(stack[0].iterator)
    first_state = jax.tree.map(lambda *a: np.concatenate(a), *[start.state for start in stack])
    shared, inputs, state = (
        layout.put_shared(dataset),
        layout.put_runs(stack_inputs(runs)),
        layout.put_runs(first_state),
    )
    save_every_s = stack[0].share.stage.save_every_s
    saved_at, pause_s = time.monotonic(), save_every_s
    with contextlib.closing(iterator), stop_requests() as requests:
        for rows in iterator:
            # Waiting for each call keeps devices that share cores from drifting apart until a collective times out.
            state, metrics = jax.block_until_ready(train(state, inputs, layout.put_rows(rows), shared))
            done = iterator.get_state()["next_index"]
            metrics_RE, reached = layout.get_runs((metrics, _without_params(state)), len(runs))
            epoch = min(done * blocks.epochs, last_epoch) if reached.trains.any() else last_epoch
            record(stack, metrics_RE, (done - 1) * blocks.epochs, reached.epoch)
            _stop_if_diverged(reached.rejected, stack, schedule)
            for start, loss_RE in zip(stack, cut(metrics_RE["loss"], stack), strict=True):
                start.share.stage.report(epoch, _last_mean(loss_RE))
            # Asked once: a signal during what follows is answered after the next call, or below.
            signum, is_due = _agree(requests[0] if requests else 0, time.monotonic() - saved_at > pause_s)
            if signum or is_due:
                started = time.monotonic()
                save(stack, layout.get_runs(state, len(runs)), epoch, iterator.get_state())
                saved_at = time.monotonic()
                if pause_s:  # a large stack is saved less often: saving takes a twentieth of the time at most
                    pause_s = max(save_every_s, 20 * (saved_at - started))
            if signum:
                raise _interrupted(signum, epoch, last_epoch, stack)
            if epoch == last_epoch:
                break
        signum, _ = _agree(requests[0] if requests else 0, is_due=False)
        if signum:
            save(stack, layout.get_runs(state, len(runs)), last_epoch, iterator.get_state())
            raise _interrupted(signum, last_epoch, last_epoch, stack)
    return cut(layout.get_runs(state, len(runs)), stack)


def _without_params(state: TrainState) -> TrainState:
    """Return how far the runs are, without what takes long to bring to the host."""
    return replace(state, params={}, opt_state=(), best=replace(state.best, params={}))


def _agree(signum: int, is_due: bool) -> tuple[int, bool]:
    """Return the signal that any process got (0: none), and whether process 0 finds it time to save."""
    answers = exchange(signum, int(is_due))
    return max(int(asked) for asked, _ in answers), bool(answers[0][1])


def _interrupted(signum: int, epoch: int, last_epoch: int, stack: list[Start]) -> Interrupted:
    """Return what is raised once a stack has been saved because of a signal."""
    where = ", ".join(dict.fromkeys(start.share.stage.name for start in stack))
    return Interrupted(signum, f"saved after epoch {epoch} of {last_epoch} ({where})")


def _stop_if_diverged(rejected_R: Int[np.ndarray, " R"], stack: list[Start], schedule: Schedule) -> None:
    worst = int(np.argmax(rejected_R))
    if rejected_R[worst] >= schedule.max_rejected:
        run, stage = [(run, start.share.stage) for start in stack for run in start.share.runs][worst]
        raise DivergedError(
            f"The run of {run.title} gave {rejected_R[worst]} non-finite losses or gradients in a row, at learning "
            f"rate {run.learning_rate:g} ({stage.folder}). Its parameters are those before the first of them; lower "
            f"--learning-rate or --clip-norm."
        )


def _last_mean(loss_RE: Float[np.ndarray, "R E"]) -> float:
    """Return the mean loss of the last epoch that any run trained in."""
    trained = loss_RE[:, np.isfinite(loss_RE).any(axis=0)]
    return float(np.nanmean(trained[:, -1])) if trained.size else float("nan")
