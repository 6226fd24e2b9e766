"""One classical model through all cells of a table: each cell is kept when it is done, so that a killed run goes on."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jaxtyping import Int

from serjax.evaluate.predictions import Predictions, concatenate, read_predictions, write_predictions
from serjax.experiments.classification import Setting, write_classification
from serjax.experiments.display import Progresses
from serjax.experiments.own_folder import read_json
from serjax.experiments.problem import Cell, Problem
from serjax.experiments.run_folder import RunFolder
from serjax.experiments.tables import Table
from serjax.experiments.tune import Search, TrainingRows, inner_folds, tune
from serjax.experiments.verdict import predict
from serjax.files import digest
from serjax.models.classical import (
    Fitted,
    FittedTwoStage,
    FittedVote,
    Model,
    SoftVote,
    TwoStage,
    fit,
    fit_two_stage,
)
from serjax.models.classical.voting import log_probabilities
from serjax.train.record import write_json

SEAL = "sha256"


@dataclass(frozen=True)
class Row:
    """What is fitted under a name; `single` names the row whose search for hyper-parameters it shares."""

    name: str
    single: str
    model: Model | TwoStage
    class_weights: bool = False


@dataclass(frozen=True)
class Searching:
    """How a row is tuned (no trials: not at all), and by how many folds judged inside its training rows (0: not).

    The latter is done in cells of the first `n_cv_seeds` seeds, default: of all.
    """

    n_trials: int
    n_folds: int
    journal: Path
    n_cv_folds: int = 0
    n_cv_seeds: int | None = None

    def cross_validates(self, seed: int) -> bool:
        """Return whether cells of a seed are cross-validated."""
        return self.n_cv_folds > 0 and (self.n_cv_seeds is None or seed < self.n_cv_seeds)


def run_row(row: Row, table: Table, folder: RunFolder, searching: Searching, shown: Progresses) -> None:
    """Fit and test a model in the cells that are missing, then write its run folder."""
    cells, mark = folder.path / "cells", f"{folder.fingerprint} {table.digest()}"
    cells.mkdir(exist_ok=True)
    parts, about = [], {}
    for n, cell in enumerate(table.problem.cells):
        name = quote(f"{cell.seed}-{cell.fold.name}", safe=" ")  # a speaker may be named with a slash
        kept = KeptCell(cells / f"{name}.csv", cells / f"{name}.json", mark)
        if (found := kept.read(table.problem, cell)) is None:
            found = fit_cell(row, table, cell, searching)
            kept.write(*found)
        parts.append(found[0])
        about[f"{cell.seed}/{cell.fold.name}"] = found[1]
        shown.update(row.name, n + 1, len(table.problem.cells))
    write_classification(folder, Setting.of(table.problem), concatenate(parts), _facts(about))


@dataclass(frozen=True)
class KeptCell:
    """The two files of a cell that is done: its predictions, and facts with a sha256 over both.

    `mark` is what the cell was made from, flags and clips: the files of another one do not count.
    """

    table: Path
    facts: Path
    mark: str

    def write(self, predictions: Predictions, facts: dict[str, object]) -> None:
        """Write both; a kill between them leaves what does not count."""
        write_predictions(predictions, self.table)
        write_json(self.facts, {**facts, SEAL: self._seal(facts)})

    def read(self, problem: Problem, cell: Cell) -> tuple[Predictions, dict[str, object]] | None:
        """Return what was written, None where it is missing or, which is said, not as it was written."""
        if not (self.table.exists() and self.facts.exists()):
            return None
        facts = read_json(self.facts) or {}
        if facts.pop(SEAL, None) == self._seal(facts):
            predictions = read_predictions(self.table)
            nothing_NK = np.zeros((len(cell.fold.test), len(problem.labels)))
            if _rows(predictions) == _rows(predict(problem, cell, nothing_NK)):
                return predictions, facts
        logging.getLogger(__name__).warning(f"{self.table} or {self.facts.name} changed since: computed anew.")
        return None

    def _seal(self, facts: dict[str, object]) -> str:
        said = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(f"{self.mark} {digest(self.table)} {said}".encode()).hexdigest()


def _rows(table: Predictions) -> tuple[object, ...]:
    """Return of which clips a table is, by whom, in what folds and seeds, and what they are."""
    return (table.labels, table.utterance, table.speaker, table.fold, table.seed.tolist(), table.truth.tolist())


def fit_cell(row: Row, table: Table, cell: Cell, searching: Searching) -> tuple[Predictions, dict[str, object]]:
    """Return the predictions of a cell's test rows, and what is to be said about its model."""
    chosen, tuned_uar = _tuned(row, table, cell, searching)
    train, test = table.train(cell), cell.fold.test
    fitted = _fit(chosen, table, train, cell.seed)
    probability_NK = fitted.predict_proba(table.x_ND[test])[:, table.rank_K]
    facts: dict[str, object] = {
        "train_war": _war(fitted, table, train),
        "n_parameters": fitted.n_parameters,
        "model": asdict(chosen.model),
        "inner_uar": tuned_uar,
    }
    if searching.cross_validates(cell.seed):
        facts["cv_war"] = cross_validated_war(chosen, table, cell, searching.n_cv_folds)
    if isinstance(fitted, FittedTwoStage):
        found_N = np.array(fitted.genders)[fitted.predict_gender(table.x_ND[test])]
        facts["gender_war"] = float(np.mean(found_N == table.gender_N[test]))
    return predict(table.problem, cell, log_probabilities(probability_NK)), facts


def cross_validated_war(row: Row, table: Table, cell: Cell, n_folds: int) -> float:
    """Return the mean accuracy over stratified folds of the cell's training rows, each judged by a model of the others.

    Nothing is chosen here: the row's model is what the cell uses. Folds are those of `inner_folds`, which share
    speakers only where the protocol does.

    Raises:
      ConfigError: there are not as many clips of each class, or speakers, as folds.
    """
    train, rows = table.train(cell), _training_rows(row, table, cell)
    reached = []
    for fitted_n, judged_m in inner_folds(rows, n_folds, cell.seed, "--cv-folds"):
        reached.append(_war(_fit(row, table, train[fitted_n], cell.seed), table, train[judged_m]))
    return float(np.mean(reached))


def _fit(row: Row, table: Table, rows_n: Int[np.ndarray, " n"], seed: int) -> Fitted | FittedVote | FittedTwoStage:
    """Fit the row's model to rows of the table."""
    x_ND, label_N, n_classes = table.x_ND[rows_n], table.alphabetical_N[rows_n], len(table.problem.labels)
    if isinstance(row.model, TwoStage):
        return fit_two_stage(row.model, x_ND, label_N, table.gender_N[rows_n], seed, n_classes, row.class_weights)
    return fit(row.model, x_ND, label_N, seed, n_classes, row.class_weights)


def _war(fitted: Fitted | FittedVote | FittedTwoStage, table: Table, rows_n: Int[np.ndarray, " n"]) -> float:
    return float(np.mean(fitted.predict_proba(table.x_ND[rows_n]).argmax(axis=1) == table.alphabetical_N[rows_n]))


def _tuned(row: Row, table: Table, cell: Cell, searching: Searching) -> tuple[Row, float | None]:
    """Return the row with the cell's model, tuned if asked for; of two stages both get what was tuned in one stage."""
    if not searching.n_trials or isinstance(row.model, SoftVote):  # members of a vote are tuned as rows of their own
        return row, None
    rows = _training_rows(row, table, cell)
    name = f"{row.single}/{cell.seed}/{cell.fold.name}"
    search = Search(searching.n_trials, searching.n_folds, searching.journal, name, cell.seed)
    if isinstance(row.model, TwoStage):
        assert not isinstance(row.model.emotion, SoftVote)
        found = tune(row.model.emotion, rows, search)
        return replace(row, model=TwoStage(found.model, found.model)), found.uar
    found = tune(row.model, rows, search)
    return replace(row, model=found.model), found.uar


def _training_rows(row: Row, table: Table, cell: Cell) -> TrainingRows:
    train, problem = table.train(cell), table.problem
    columns = table.x_ND[train], table.alphabetical_N[train], table.speaker_N[train]
    return TrainingRows(*columns, len(problem.labels), not problem.speakers_shared, row.class_weights)


def _facts(about: dict[str, dict]) -> dict[str, object]:
    """Return what `metrics.json` says beside the predictions: means over the cells, and what each chose."""
    several = list(about.values())
    facts: dict[str, object] = {
        "refit": True,
        "n_parameters": several[0]["n_parameters"],
        "train_war": float(np.mean([facts["train_war"] for facts in several])),
        "chosen": {name: facts["model"] for name, facts in about.items()},
        "inner_uar": {name: facts["inner_uar"] for name, facts in about.items()},
    }
    for name in ("gender_war", "cv_war"):
        if reached := [facts[name] for facts in several if name in facts]:
            facts[name] = float(np.mean(reached))
    return facts
