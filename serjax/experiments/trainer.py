"""Training and evaluating many runs as few compiled stacks: what every study does, whatever it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import chex
import jax
import numpy as np
from jaxtyping import Int

from serjax.experiments.config import Machine, Optimisation
from serjax.experiments.problem import Problem
from serjax.train.loop import Schedule, Stage, Trained, train_stack
from serjax.train.objectives import AutoencoderObjective, ClassifierObjective, VaeObjective
from serjax.train.parallel import Layout, Stacking
from serjax.train.record import History
from serjax.train.runs import Run, stack_inputs
from serjax.train.waveforms import AugmentedFeatures

EPOCHS_PER_CALL = 4
Report = Callable[[str, int, int, float], None]
TrainableObjective = VaeObjective | AutoencoderObjective | ClassifierObjective


@dataclass(frozen=True)
class Trainer:
    """What all stages share: how to train, on which devices, where to write; `report(stage, done, total, loss)`.

    `augmented` computes the features of training clips anew in each step, from waveforms of the problem.
    """

    objective: TrainableObjective
    training: Optimisation
    layout: Layout
    stack_size: int
    save_every_s: float
    checkpoints: Path
    history: History
    fingerprint: str
    report: Report
    augmented: AugmentedFeatures | None = None

    def train(self, name: str, runs: list[Run], params_R: chex.ArrayTree, problem: Problem, epochs: int) -> Trained:
        """Train `runs`, at most `stack_size` at a time, and return what all of them remember as best."""
        parts = []
        schedule = self._schedule(runs, epochs)
        dataset = problem.dataset if self.augmented is None else problem.sounding_dataset
        for number, rows in enumerate(stacks(len(runs), self.stack_size)):
            stage = Stage(
                name=f"{name}-{number}",
                folder=self.checkpoints / f"{name}-{number}",
                history=self.history,
                fingerprint=f"{self.fingerprint}-{problem.digest()}",
                save_every_s=self.save_every_s,
                report=self._report_stack(name, rows, len(runs), epochs),
            )
            stack, start_R = [runs[r] for r in rows], take(params_R, rows)
            parts.append(
                train_stack(stack, start_R, self.objective, dataset, schedule, self.layout, stage, self.augmented)
            )
        return Trained(
            jax.tree.map(lambda *a: np.concatenate(a), *[part.params for part in parts]),
            np.concatenate([part.epoch_R for part in parts]),
            np.concatenate([part.loss_R for part in parts]),
        )

    def evaluate(
        self,
        compiled: Callable,
        runs: list[Run],
        params_R: chex.ArrayTree,
        extras: tuple[Int[np.ndarray, "R M"], ...],
        shared: chex.ArrayTree,
    ) -> chex.ArrayTree:
        """Evaluate `compiled((params, inputs, *extras), shared)` for every run, a stack at a time, on the host."""
        parts, layout = [], self.layout.by_runs()
        for rows in stacks(len(runs), self.stack_size):
            inputs = stack_inputs([runs[r] for r in rows])
            stacked = (take(params_R, rows), inputs, *take(extras, rows))
            parts.append(layout.get_runs(compiled(layout.put_runs(stacked), shared), len(rows)))
        return jax.tree.map(lambda *a: np.concatenate(a), *parts)

    def _report_stack(self, name: str, rows: range, n_runs: int, epochs: int) -> Callable[[int, float], None]:
        """Count the epochs of one stack as a part of the epochs of all runs."""
        return lambda epoch, loss: self.report(name, rows.start * epochs + epoch * len(rows), n_runs * epochs, loss)

    def _schedule(self, runs: list[Run], epochs: int) -> Schedule:
        longest = max(len(run.train) for run in runs)
        return Schedule(
            batch_size=self.training.batch_size,
            steps=-(-longest // self.training.batch_size),
            epochs=epochs,
            warmup_steps=self.training.warmup_steps,
            clip_norm=self.training.clip_norm,
            epochs_per_call=min(EPOCHS_PER_CALL, epochs),
            max_rejected=self.training.max_rejected,
            optimizer=self.training.optimizer,
            momentum=self.training.momentum,
        )


def stacking(machine: Machine) -> Stacking:
    """Return how the runs of one device are stacked: on CPU one after another, else batched, unless asked otherwise.

    16 VAEs of the default size on 2 CPU cores: 3.0 ms a step and run mapped, 3.5 ms batched (`scripts/bench_train.py`).
    """
    if machine.stacking != "auto":
        return machine.stacking
    return "map" if jax.default_backend() == "cpu" else "vmap"


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


def pad_rows(rows: list[Int[np.ndarray, "_"]]) -> Int[np.ndarray, "R M"]:
    """Return lists of rows as one array, each filled up with its first row."""
    longest = max(len(r) for r in rows)
    return np.stack([np.concatenate([r, np.full(longest - len(r), r[0])]) for r in rows]).astype(np.int32)
