"""One classical model through all cells of a table: each cell is kept when it is done, so that a killed run goes on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from serjax.evaluate.predictions import Predictions, concatenate, read_predictions, write_predictions
from serjax.experiments.classification import Setting, write_classification
from serjax.experiments.display import Progresses
from serjax.experiments.problem import Cell
from serjax.experiments.run_folder import RunFolder
from serjax.experiments.tables import Table
from serjax.experiments.tune import Search, TrainingRows, tune
from serjax.experiments.verdict import predict
from serjax.models.classical import FittedTwoStage, Model, SoftVote, TwoStage, fit, fit_two_stage
from serjax.train.record import write_json

PROBABILITY_FLOOR = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Row:
    """What is fitted under a name; `single` names the row whose search for hyper-parameters it shares."""

    name: str
    single: str
    model: Model | TwoStage


@dataclass(frozen=True)
class Searching:
    """How a row is tuned; no trials: not at all."""

    n_trials: int
    n_folds: int
    journal: Path


def run_row(row: Row, table: Table, folder: RunFolder, searching: Searching, shown: Progresses) -> None:
    """Fit and test a model in the cells that are missing, then write its run folder."""
    cells = folder.path / "cells"
    cells.mkdir(exist_ok=True)
    parts, about = [], {}
    for n, cell in enumerate(table.problem.cells):
        name = f"{cell.seed}-{cell.fold.name}"
        kept, said = cells / f"{name}.csv", cells / f"{name}.json"
        if not kept.exists():
            predictions, facts = fit_cell(row, table, cell, searching)
            write_json(said, facts)
            write_predictions(predictions, kept)  # last: where it is, the cell is done
        parts.append(read_predictions(kept))
        about[f"{cell.seed}/{cell.fold.name}"] = json.loads(said.read_text(encoding="utf-8"))
        shown.update(row.name, n + 1, len(table.problem.cells))
    write_classification(folder, Setting.of(table.problem), concatenate(parts), _facts(about))


def fit_cell(row: Row, table: Table, cell: Cell, searching: Searching) -> tuple[Predictions, dict[str, object]]:
    """Return the predictions of a cell's test rows, and what is to be said about its model."""
    model, tuned_uar = _tuned(row, table, cell, searching)
    train, test = table.train(cell), cell.fold.test
    x_ND, label_N, n_classes = table.x_ND[train], table.alphabetical_N[train], len(table.problem.labels)
    fitted = (
        fit_two_stage(model, x_ND, label_N, table.gender_N[train], cell.seed, n_classes)
        if isinstance(model, TwoStage)
        else fit(model, x_ND, label_N, cell.seed, n_classes)
    )
    probability_NK = fitted.predict_proba(table.x_ND[test])[:, table.rank_K]
    facts: dict[str, object] = {
        "train_war": float(np.mean(fitted.predict_proba(x_ND).argmax(axis=1) == label_N)),
        "n_parameters": fitted.n_parameters,
        "model": asdict(model),
        "inner_uar": tuned_uar,
    }
    if isinstance(fitted, FittedTwoStage):
        found_N = np.array(fitted.genders)[fitted.predict_gender(table.x_ND[test])]
        facts["gender_war"] = float(np.mean(found_N == table.gender_N[test]))
    score_NK = np.log(np.maximum(probability_NK, PROBABILITY_FLOOR))
    return predict(table.problem, cell, score_NK), facts


def _tuned(row: Row, table: Table, cell: Cell, searching: Searching) -> tuple[Model | TwoStage, float | None]:
    """Return the cell's model, tuned if asked for; of two stages both get what was tuned in one stage."""
    if not searching.n_trials or isinstance(row.model, SoftVote):  # members of a vote are tuned as rows of their own
        return row.model, None
    train = table.train(cell)
    shared, n_classes = table.problem.speakers_shared, len(table.problem.labels)
    rows = TrainingRows(
        table.x_ND[train], table.alphabetical_N[train], table.speaker_N[train], n_classes, by_speaker=not shared
    )
    name = f"{row.single}/{cell.seed}/{cell.fold.name}"
    search = Search(searching.n_trials, searching.n_folds, searching.journal, name, cell.seed)
    if isinstance(row.model, TwoStage):
        assert not isinstance(row.model.emotion, SoftVote)
        found = tune(row.model.emotion, rows, search)
        return TwoStage(found.model, found.model), found.uar
    found = tune(row.model, rows, search)
    return found.model, found.uar


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
    if "gender_war" in several[0]:
        facts["gender_war"] = float(np.mean([facts["gender_war"] for facts in several]))
    return facts
