"""One classical model through all cells of a table: each cell is kept when it is done, so that a killed run goes on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from serjax.evaluate.predictions import Predictions, concatenate
from serjax.folder.run_folder import RunFolder
from serjax.models.classical.fitting import Fitted, fit
from serjax.models.classical.specs import Model
from serjax.models.classical.two_stage import FittedTwoStage, TwoStage, fit_two_stage
from serjax.models.classical.voting import log_probabilities
from serjax.study.kept_cells import CellResult, through_cells, validation_of
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import Cell
from serjax.study.progress import Progresses
from serjax.study.tabular.table import Table
from serjax.study.tabular.tuning import Search, TrainingRows, inner_folds, tune

Report = Callable[[str, int, int], None]  # of (what, done, in all)


@dataclass(frozen=True)
class Row:
    """What is fitted under a name; `single` names the row whose search for hyper-parameters it shares."""

    name: str
    single: str
    model: Model | TwoStage
    class_weights: bool = False


@dataclass(frozen=True)
class Tuning:
    """How a row is tuned (no trials: not at all), and in how many folds it is scored inside its training rows (0: not).

    The latter is done in cells of the first `n_cv_seeds` seeds, default: of all. `report` is told of finished trials,
    by the name of the row that is tuned.
    """

    n_trials: int
    n_folds: int
    journal: Path
    n_cv_folds: int = 0
    n_cv_seeds: int | None = None
    report: Report = lambda name, done, total: None

    def cross_validates(self, seed: int) -> bool:
        """Return whether cells of a seed are cross-validated."""
        return self.n_cv_folds > 0 and (self.n_cv_seeds is None or seed < self.n_cv_seeds)


def run_row(row: Row, table: Table, folder: RunFolder, tuning: Tuning, shown: Progresses) -> Outcome:
    """Fit and test a model in the cells that are missing; return what comes of all."""
    mark, tuning = f"{folder.fingerprint} {table.digest()}", replace(tuning, report=shown.update)
    results = through_cells(
        table.problem,
        folder.path / "cells",
        mark,
        lambda cell: fit_cell(row, table, cell, tuning),
        shown.counter(row.name),
    )
    return Outcome(
        predictions=concatenate([result.test for result in results.values()]),
        facts=_facts(row, {name: result.facts for name, result in results.items()}),
        validation=validation_of(results),
    )


def fit_cell(row: Row, table: Table, cell: Cell, tuning: Tuning) -> CellResult:
    """Return the predictions of a cell's test rows, and what is to be said about its model.

    Validation rows are scored by the same kind of model, fitted without them.
    """
    chosen, tuned_uar = _tuned(row, table, cell, tuning)
    train, test = table.train(cell), cell.fold.test
    fitted = _fit(chosen, table, train, cell.seed)
    facts: dict[str, object] = {
        "train_war": _war(fitted, table, train),
        "n_parameters": fitted.n_parameters,
        "model": asdict(chosen.model),
        "inner_uar": tuned_uar,
    }
    if tuning.cross_validates(cell.seed):
        facts["cv_war"] = cross_validated_war(chosen, table, cell, tuning.n_cv_folds)
    if isinstance(fitted, FittedTwoStage):
        found_N = np.array(fitted.genders)[fitted.predict_gender(table.x_ND[test])]
        facts["gender_war"] = float(np.mean(found_N == table.gender_N[test]))
    return CellResult(_predict(fitted, table, cell, test), _validation(chosen, table, cell), facts)


def _predict(fitted: Fitted | FittedTwoStage, table: Table, cell: Cell, rows: Int[np.ndarray, " n"]) -> Predictions:
    probability_NK = fitted.predict_proba(table.x_ND[rows])[:, table.rank_K]
    return predict(table.problem, cell, log_probabilities(probability_NK), rows)


def _validation(row: Row, table: Table, cell: Cell) -> Predictions | None:
    """Return the predictions of a cell's validation rows; None where the rest has not all classes and genders."""
    held_out = table.held_out(cell)
    if held_out is None:
        return None
    fitted = _fit(row, table, held_out.train, cell.seed)
    return _predict(fitted, table, cell, held_out.validation)


def cross_validated_war(row: Row, table: Table, cell: Cell, n_folds: int) -> float:
    """Return the mean accuracy over stratified folds of the cell's training rows, each scored by a model of the others.

    Nothing is chosen here: the row's model is what the cell uses. Folds are those of `inner_folds`, which share
    speakers only where the protocol does.

    Raises:
      ConfigError: there are not as many clips of each class, or speakers, as folds.
    """
    train, rows = table.train(cell), _training_rows(row, table, cell)
    reached = []
    for fitted_n, scored_m in inner_folds(rows, n_folds, cell.seed, "--cv-folds"):
        reached.append(_war(_fit(row, table, train[fitted_n], cell.seed), table, train[scored_m]))
    return float(np.mean(reached))


def _fit(row: Row, table: Table, rows_n: Int[np.ndarray, " n"], seed: int) -> Fitted | FittedTwoStage:
    """Fit the row's model to rows of the table."""
    x_ND, label_N, n_classes = table.x_ND[rows_n], table.alphabetical_N[rows_n], len(table.problem.labels)
    if isinstance(row.model, TwoStage):
        return fit_two_stage(row.model, x_ND, label_N, table.gender_N[rows_n], seed, n_classes, row.class_weights)
    return fit(row.model, x_ND, label_N, seed, n_classes, row.class_weights)


def _war(fitted: Fitted | FittedTwoStage, table: Table, rows_n: Int[np.ndarray, " n"]) -> float:
    return float(np.mean(fitted.predict_proba(table.x_ND[rows_n]).argmax(axis=1) == table.alphabetical_N[rows_n]))


def _tuned(row: Row, table: Table, cell: Cell, tuning: Tuning) -> tuple[Row, float | None]:
    """Return the row with the cell's model, tuned if asked for; of two stages both get what was tuned in one stage."""
    if not tuning.n_trials:
        return row, None
    rows = _training_rows(row, table, cell)
    name = f"{row.single}/{cell.seed}/{cell.fold.name}"
    cells = table.problem.cells
    before = tuning.n_trials * next((n for n, other in enumerate(cells) if other is cell), 0)

    def report(done: int) -> None:
        tuning.report(f"tuning {row.single}", before + done, tuning.n_trials * len(cells))

    search = Search(tuning.n_trials, tuning.n_folds, tuning.journal, name, cell.seed, report)
    found = tune(row.model.emotion if isinstance(row.model, TwoStage) else row.model, rows, search)
    model = TwoStage(found.model, found.model) if isinstance(row.model, TwoStage) else found.model
    return replace(row, model=model), found.uar


def _training_rows(row: Row, table: Table, cell: Cell) -> TrainingRows:
    train, problem = table.train(cell), table.problem
    columns = table.x_ND[train], table.alphabetical_N[train], table.speaker_N[train]
    return TrainingRows(*columns, len(problem.labels), not problem.speakers_shared, row.class_weights)


def _facts(row: Row, about: dict[str, dict]) -> Facts:
    """Return what `metrics.json` says beside the predictions: means over the cells, and what each chose."""
    several = list(about.values())

    def mean(name: str) -> float | None:
        reached = [facts[name] for facts in several if name in facts]
        return float(np.mean(reached)) if reached else None

    return Facts(
        model=type(row.model).__name__,
        refit=True,
        n_parameters=several[0]["n_parameters"],
        n_models=len(several),
        chosen={name: facts["model"] for name, facts in about.items()},
        inner_uar={name: facts["inner_uar"] for name, facts in about.items()},
        train_war=mean("train_war"),
        cv_war=mean("cv_war"),
        gender_war=mean("gender_war"),
    )
