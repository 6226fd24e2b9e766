"""Training and evaluating many runs as few compiled stacks: what every study does, whatever it trains."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import chex
import jax
import numpy as np
from jaxtyping import Float, Int

from serjax.evaluate.likelihood import utterance_ids
from serjax.models.weights import load_weights
from serjax.study.flags import Optimisation
from serjax.study.problem import Problem
from serjax.study.streamed import StreamedProblem
from serjax.train.loop import Schedule, train_shares
from serjax.train.objectives import AutoencoderObjective, ClassifierObjective, VaeObjective
from serjax.train.parallel import Layout
from serjax.train.programs import Streamed
from serjax.train.record import History
from serjax.train.runs import Run, init_params, n_epochs, stack_inputs
from serjax.train.shares import DivergedError, Share, Stage, Trained
from serjax.train.state import Dataset
from serjax.train.waveforms import AugmentedFeatures

Report = Callable[[str, int, int, float | None], None]
TrainableObjective = VaeObjective | AutoencoderObjective | ClassifierObjective


@dataclass(frozen=True)
class Recipe:
    """How runs are trained, whatever the machine.

    `augmented` changes training clips at random in each step, their waveforms or the pictures of these.
    """

    objective: TrainableObjective
    training: Optimisation
    augmented: AugmentedFeatures | None = None


@dataclass(frozen=True)
class Trainer:
    """What all stages of a study share: which devices, models at a time, where to write, and whom to tell.

    `report(stage, done, total, loss)` is told of progress.
    """

    layout: Layout
    stack_size: int
    save_every_s: float
    checkpoints: Path
    history: History
    fingerprint: str
    report: Report

    def evaluate(
        self, compiled: Callable, runs: list[Run], params_R: chex.ArrayTree, problem: Problem
    ) -> Float[np.ndarray, "R N *s"]:
        """Evaluate `compiled((params, inputs), (dataset, ids))` for every run, a part of the clips at a time."""
        parts = [self._evaluate(compiled, runs, (params_R,), *part) for part in self._parts(problem)]
        return np.concatenate(parts, axis=1)[:, : len(problem.truth_N)]

    def evaluate_rows(
        self,
        compiled: Callable,
        runs: list[Run],
        params_R: chex.ArrayTree,
        problem: Problem,
        asked: Sequence[Int[np.ndarray, " _"]],
    ) -> list[chex.ArrayTree]:
        """Evaluate `compiled((params, inputs, rows), (dataset, ids))` for the rows that are asked for of each run.

        Returns:
          for each run what comes of its rows, in their order.
        """
        part_R = [rows // problem.part_size for rows in asked]
        width = max(int(np.bincount(part_N).max()) for part_N in part_R)
        found: list[list[chex.ArrayTree]] = [[] for _ in runs]
        for shared, (number, of) in self._parts(problem):
            own = [rows[part_N == number] % problem.part_size for rows, part_N in zip(asked, part_R, strict=True)]
            part = self._evaluate(compiled, runs, (params_R, pad_rows(own, width)), shared, (number, of))
            for r, rows in enumerate(own):
                found[r].append(take(pick(part, r), range(len(rows))))
        orders = [np.argsort(np.argsort(part_N, kind="stable")) for part_N in part_R]
        joined = [jax.tree.map(lambda *a: np.concatenate(a), *parts) for parts in found]
        return [take(tree, order) for tree, order in zip(joined, orders, strict=True)]

    def _parts(self, problem: Problem) -> Iterator[tuple[chex.ArrayTree, tuple[int, int]]]:
        """Give the parts of the clips on the devices, each with the ids of its clips, and which part of how many."""
        size, ids_N = problem.part_size, utterance_ids([clip.path for clip in problem.corpus.utterances])
        ids_N = np.pad(ids_N, (0, -len(ids_N) % size))
        for number, dataset in enumerate(problem.parts()):
            clips = self.layout.by_runs().put_shared((dataset, ids_N[number * size : (number + 1) * size]))
            yield clips, (number, len(ids_N) // size)

    def _evaluate(
        self,
        compiled: Callable,
        runs: list[Run],
        given_R: tuple[chex.ArrayTree, ...],
        shared: chex.ArrayTree,
        part: tuple[int, int],
    ) -> chex.ArrayTree:
        """Evaluate `compiled` for every run, a stack at a time, on the host."""
        parts, layout, cut = [], self.layout.by_runs(), stacks(len(runs), self.stack_size)
        for n, rows in enumerate(cut):
            params_R, *extras = take(given_R, rows)
            stacked = (params_R, stack_inputs([runs[r] for r in rows]), *extras)
            parts.append(layout.get_runs(compiled(layout.put_runs(stacked), shared), len(rows)))
            self.report("scoring", part[0] * len(cut) + n + 1, part[1] * len(cut), None)
        return jax.tree.map(lambda *a: np.concatenate(a), *parts)


@dataclass(frozen=True, eq=False)
class Request:
    """What a study asks to be trained: a stage of it, all its runs, from which parameters.

    `start(rows)` gives the parameters of some of the runs, stacked: made when their turn comes, so that studies which
    wait take no memory.
    """

    trainer: Trainer
    recipe: Recipe
    name: str
    runs: list[Run]
    start: Callable[[range], chex.ArrayTree]
    problem: Problem

    @property
    def epochs(self) -> int:
        """How many epochs it is trained for."""
        return n_epochs(self.runs)

    @property
    def schedule(self) -> Schedule:
        """How its runs are trained, aside from what is a number of a run, such as its learning rate."""
        training, longest = self.recipe.training, max(len(run.train) for run in self.runs)
        return Schedule(
            batch_size=training.batch_size,
            steps=-(-longest // training.batch_size),
            warmup_steps=training.warmup_steps,
            clip_norm=training.clip_norm,
            max_rejected=training.max_rejected,
            optimizer=training.optimizer,
            momentum=training.momentum,
        )

    @property
    def program(self) -> tuple[object, ...]:
        """What requests that share stacks have in common: the compiled program, clips, number of runs, machine."""
        own, recipe, (first, *_) = self.trainer, self.recipe, self.runs
        form = (
            first.train_class_n is None,
            first.ema is None,
            None if first.projection_CP is None else first.projection_CP.shape,
        )
        machine = (own.layout, own.stack_size, own.save_every_s)
        return (recipe.objective, recipe.augmented, self.schedule, id(self.problem), len(self.runs), form, machine)

    @property
    def clips(self) -> Dataset | Streamed:
        """The clips as the device holds them, or as they come from the disk."""
        problem, augmented = self.problem, self.recipe.augmented
        sounding = augmented is not None and augmented.sounding
        if isinstance(problem, StreamedProblem):
            return problem.clips(sounding)
        return problem.sounding_dataset if sounding else problem.dataset

    @property
    def capacity(self) -> int:
        """How many such requests fill a stack."""
        return max(1, self.trainer.stack_size // len(self.runs))

    def share(self, number: int, rows: range, reports: bool) -> Share:
        """Return some of its runs as a share of a stack, which tells how far it is if it `reports`."""
        own, name = self.trainer, f"{self.name}-{number}"
        stage = Stage(
            name=name,
            folder=own.checkpoints / name,
            history=own.history,
            fingerprint=f"{own.fingerprint}-{self.problem.digest()}",
            save_every_s=own.save_every_s,
            report=self._report(rows) if reports else _say_nothing,
        )
        return Share([self.runs[r] for r in rows], self.start(rows), stage)

    def _report(self, rows: range) -> Callable[[int, float], None]:
        """Count the epochs of one stack as a part of the epochs of all runs."""
        report, total = self.trainer.report, len(self.runs) * self.epochs
        return lambda epoch, loss: report(self.name, rows.start * self.epochs + epoch * len(rows), total, loss)


Result = TypeVar("Result")
Stages = Generator[Request, Trained, Result]
"""A study at work: it asks for each stage by a `Request`, is sent what was trained, and returns its result."""


def check_finite(values_RN: Float[np.ndarray, "R *N"], what: str, runs: Sequence[Run], problem: Problem) -> None:
    """Raise DivergedError where a trained run gives a clip a score that is not finite, by which no class can be chosen.

    `values_RN` has one row per run and one column per clip of the problem.
    """
    n_runs, n_clips = values_RN.shape[:2]
    finite_RN = np.isfinite(values_RN).reshape(n_runs, n_clips, -1).all(axis=-1)
    if not finite_RN.all():
        run, clip = np.argwhere(~finite_RN)[0]
        raise DivergedError(
            f"The {what} of {int((~finite_RN).sum())} of {finite_RN.size} clips and models are not finite, first of "
            f"{problem.corpus.utterances[clip].path} under the model of {runs[run].title}. Give a smaller "
            "--learning-rate or --clip-norm, and where --out was given another; or leave the clip out."
        )


def _say_nothing(epoch: int, loss: float) -> None:
    """Leave it to another share of the stack to tell how far it is."""


def fresh(runs: list[Run], objective: TrainableObjective) -> Callable[[range], chex.ArrayTree]:
    """Return what gives fresh parameters of some of the runs."""
    return lambda rows: init_params([runs[r] for r in rows], objective)


def from_file(start: Callable[[range], chex.ArrayTree], path: Path) -> Callable[[range], chex.ArrayTree]:
    """Return what gives the parameters of `start` with all weights of a file in place of its own.

    Raises (when called):
      WeightsError: the file cannot be read, or its weights do not belong to the model.
    """

    def loaded(rows: range) -> chex.ArrayTree:
        params_R = start(rows)
        filled = [load_weights(path, pick(params_R, row)) for row in range(len(rows))]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *filled)

    return loaded


def train_requests(requests: Sequence[Request]) -> list[Trained]:
    """Train requests of the same `program`, at most `stack_size` runs at a time; return what each remembers as best.

    A request too large for one stack is cut as it would be alone; the pieces of smaller ones fill a stack together.
    """
    first = requests[0]
    recipe, layout, clips = first.recipe, first.trainer.layout, first.clips
    parts: list[list[Trained]] = [[] for _ in requests]
    for number, rows in enumerate(stacks(len(first.runs), first.trainer.stack_size)):
        for several in stacks(len(requests), first.trainer.stack_size // len(rows)):
            longest = max(several, key=lambda n: requests[n].epochs)
            shares = [requests[n].share(number, rows, reports=n == longest) for n in several]
            trained = train_shares(shares, recipe.objective, clips, first.schedule, layout, recipe.augmented)
            for n, part in zip(several, trained, strict=True):
                parts[n].append(part)
    return [_join(pieces) for pieces in parts]


def _join(pieces: list[Trained]) -> Trained:
    """Return the pieces of one request as one."""
    return Trained(
        jax.tree.map(lambda *a: np.concatenate(a), *[piece.params for piece in pieces]),
        np.concatenate([piece.epoch_R for piece in pieces]),
        np.concatenate([piece.loss_R for piece in pieces]),
    )


def stacks(n_runs: int, stack_size: int) -> list[range]:
    """Cut the run axis into the fewest stacks of nearly equal length, none above `stack_size`.

    >>> stacks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    n = -(-n_runs // max(stack_size, 1))
    size = -(-n_runs // n)
    return [range(start, min(start + size, n_runs)) for start in range(0, n_runs, size)]


def take(tree: chex.ArrayTree, rows: range | Int[np.ndarray, " r"]) -> chex.ArrayTree:
    """Return rows of every array of a stacked tree."""
    return jax.tree.map(lambda a: np.asarray(a)[np.asarray(rows)], tree)


def pick(tree: chex.ArrayTree, row: int) -> chex.ArrayTree:
    """Return one row of every array of a stacked tree, without the run axis."""
    return jax.tree.map(lambda a: np.asarray(a)[row], tree)


def pad_rows(rows: list[Int[np.ndarray, "_"]], width: int) -> Int[np.ndarray, "R M"]:
    """Return lists of rows as one array, each filled up with row 0."""
    return np.stack([np.pad(r, (0, width - len(r))) for r in rows]).astype(np.int32)
