"""Choices that look at test rows, made on purpose: what published figures do, beside which the honest ones stand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from serjax.errors import ConfigError
from serjax.evaluate.calibration import cells_of
from serjax.evaluate.metrics import uar
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.evaluate.summary import mean_fold_uar
from serjax.study.fingerprint import StudyFlags
from serjax.study.outcome import Outcome
from serjax.study.problem import Cell, Problem
from serjax.study.progress import Progresses
from serjax.study.supervised import SupervisedStudy
from serjax.study.trainer import Stages, Trainer

LEAK = "epochs chosen on test rows"


@dataclass(frozen=True)
class ChosenOnTest:
    """A supervised study whose cells validate on their own test rows; every title calls it a LEAK.

    It trains on the validation rows too where `all_others`, as a refitted study does in the end.
    """

    honest: SupervisedStudy
    all_others: bool

    @property
    def flags(self) -> StudyFlags:
        """The flags of the honest study, with the leak: neither has the folder or the clips of the other."""
        own = self.honest.flags
        leak = {"leak": LEAK, "all_others": self.all_others}
        return replace(own, sections={**own.sections, **leak}, problem=(own.problem, LEAK, self.all_others))

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense; test rows choose, and are never trained on."""
        if self.honest.config.training.refit or self.honest.config.training.keep is not None:
            raise ConfigError("--refit and --keep last train on validation rows, which are test rows here: leave both.")
        self.honest.check()

    def load(self, shown: Progresses) -> Problem:
        """Read what the honest study reads, and let cells validate on test rows."""
        problem = self.honest.load(shown)
        return replace(problem, cells=tuple(self._leaky(cell) for cell in problem.cells), leak=LEAK)

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Train as the honest study does."""
        return (yield from self.honest.train(problem, trainer))

    def _leaky(self, cell: Cell) -> Cell:
        fold = cell.fold
        train = np.sort(np.concatenate([fold.train, fold.validation])) if self.all_others else fold.train
        return replace(cell, fold=replace(fold, train=train, validation=fold.test))


def best_in_each_fold(tested: Sequence[Predictions], judged: Sequence[Predictions]) -> Predictions:
    """Take each cell's test rows from the run that has the highest UAR on the cell's judged rows, the first of equals.

    Args:
      tested: test rows of runs that differ in their settings, the same cells in each.
      judged: what chooses: the runs' validation rows or, which is a leak, the test rows again.
    """
    parts = []
    for cell in dict.fromkeys(cells_of(tested[0]).tolist()):
        reached = [_reached(one, cell) for one in judged]
        best = tested[int(np.argmax(reached))]
        parts.append(best.rows(cells_of(best) == cell))
    return concatenate(parts)


def best_of_all(tested: Sequence[Predictions]) -> Predictions:
    """Take the run with the highest mean UAR over its test folds: a leak."""
    reached: Float[np.ndarray, " G"] = np.array([mean_fold_uar(one) for one in tested], float)
    return tested[int(np.argmax(reached))]


def _reached(predictions: Predictions, cell: str) -> float:
    return uar(predictions.rows(cells_of(predictions) == cell).confusion())
