"""Cell after cell of a study whose models are fitted at once: each is kept when done, so that a killed run goes on."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from serjax.evaluate.predictions import Predictions, concatenate, read_predictions, write_predictions
from serjax.files import digest, write_json
from serjax.folder.ownership import read_json
from serjax.study.outcome import predict
from serjax.study.problem import Cell, Problem

SEAL = "sha256"


@dataclass(frozen=True, eq=False)
class CellResult:
    """What is known of a cell once it is done: predictions of test and validation clips, facts about the model."""

    test: Predictions
    validation: Predictions | None
    facts: dict[str, object]


def through_cells(
    problem: Problem,
    folder: Path,
    mark: str,
    fit: Callable[[Cell], CellResult],
    report: Callable[[int, int], None],
) -> dict[str, CellResult]:
    """Fit the cells that are missing in a folder; return what is known of each, by `seed/fold`.

    Args:
      problem: whose cells.
      folder: where they are kept.
      mark: what a cell is made from, see `KeptCell`.
      fit: makes what is known of a cell.
      report: told of cells done, and of all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, CellResult] = {}
    for n, cell in enumerate(problem.cells):
        name = quote(f"{cell.seed}-{cell.fold.name}", safe=" ")  # a speaker may be named with a slash
        kept = KeptCell(folder, name, mark)
        if (found := kept.read(problem, cell)) is None:
            found = fit(cell)
            kept.write(found)
        results[f"{cell.seed}/{cell.fold.name}"] = found
        report(n + 1, len(problem.cells))
    return results


def validation_of(results: Mapping[str, CellResult]) -> Predictions | None:
    """Return the predictions of all cells' validation clips, None where no cell has any."""
    held_out = [result.validation for result in results.values() if result.validation is not None]
    return concatenate(held_out) if held_out else None


@dataclass(frozen=True)
class KeptCell:
    """The files of a cell that is done: its predictions, and facts with a sha256 over all.

    `mark` is what the cell was made from, flags and clips: the files of another one do not count.
    """

    folder: Path
    name: str
    mark: str

    @property
    def test(self) -> Path:
        """The predictions of test clips."""
        return self.folder / f"{self.name}.csv"

    @property
    def validation(self) -> Path:
        """The predictions of validation clips; absent where there are none."""
        return self.folder / f"{self.name}.validation.csv"

    @property
    def facts(self) -> Path:
        """The facts about the model, sealed."""
        return self.folder / f"{self.name}.json"

    def write(self, result: CellResult) -> None:
        """Write all; a kill in between leaves what does not count."""
        write_predictions(result.test, self.test)
        self.validation.unlink(missing_ok=True)
        if result.validation is not None:
            write_predictions(result.validation, self.validation)
        write_json(self.facts, {**result.facts, SEAL: self._seal(result.facts)})

    def read(self, problem: Problem, cell: Cell) -> CellResult | None:
        """Return what was written, None where it is missing or, which is said, not as it was written."""
        if not (self.test.exists() and self.facts.exists()):
            return None
        facts = read_json(self.facts) or {}
        if facts.pop(SEAL, None) == self._seal(facts):
            predictions = read_predictions(self.test)
            nothing_NK = np.zeros((len(cell.fold.test), len(problem.labels)))
            if _rows(predictions) == _rows(predict(problem, cell, nothing_NK)):
                held_out = read_predictions(self.validation) if self.validation.exists() else None
                return CellResult(predictions, held_out, facts)
        logging.getLogger(__name__).warning(f"{self.test} or {self.facts.name} changed since: computed anew.")
        return None

    def _seal(self, facts: dict[str, object]) -> str:
        held_out = digest(self.validation) if self.validation.exists() else None
        said = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(f"{self.mark} {digest(self.test)} {held_out} {said}".encode()).hexdigest()


def _rows(table: Predictions) -> tuple[object, ...]:
    """Return of which clips a table is, by whom, in what folds and seeds, and what they are."""
    return (table.labels, table.utterance, table.speaker, table.fold, table.seed.tolist(), table.truth.tolist())
