"""Predictions of a study as one table, `predictions.csv`: one row for each clip, fold and seed."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from serjax.errors import SerjaxError
from serjax.evaluate.metrics import check_labels, confusion
from serjax.files import replacing

NAMES = ("utterance", "speaker", "fold")
NUMBERS = ("seed", "truth", "prediction", "scores_NK")
COLUMNS = (*NAMES, "seed", "truth", "prediction")
SCORE_PREFIX = "score_"
LOG_PX = "log_px"  # a last column, of models that have it


class PredictionsError(SerjaxError):
    """A table of predictions that contradicts itself or cannot be read."""


@dataclass(frozen=True)
class Predictions:
    """One row for each clip, fold and seed: what it is, what it was taken for, and a score for each class.

    Args:
      utterance: the clip's identity, its path inside the corpus; once in a fold of a seed.
      speaker: who speaks.
      fold: the name of the fold whose test clip it is.
      seed: the training seed.
      truth: true class ids, positions in `labels`.
      prediction: predicted class ids.
      scores_NK: one score per class, higher = more likely, finite; kept as float64.
      labels: the names of the classes.
      log_px_N: log p(x) in nats, whatever the class: low for sound unlike that of training. None: not known.

    Raises:
      PredictionsError: columns of unequal length, an id out of range, a clip twice in a seed, a number that is
        not finite.
    """

    utterance: tuple[str, ...]
    speaker: tuple[str, ...]
    fold: tuple[str, ...]
    seed: Int[np.ndarray, "N"]
    truth: Int[np.ndarray, "N"]
    prediction: Int[np.ndarray, "N"]
    scores_NK: Float[np.ndarray, "N K"]
    labels: tuple[str, ...]
    log_px_N: Float[np.ndarray, "N"] | None = None

    def __post_init__(self) -> None:
        for name, dtype in (("seed", np.int64), ("truth", np.int64), ("prediction", np.int64), ("scores_NK", float)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        _check_shapes(self)
        _check_values(self)

    def rows(self, keep_N: Bool[np.ndarray, "N"]) -> "Predictions":
        """Return the rows for which `keep_N` is true."""
        return self.taken(np.flatnonzero(keep_N))

    def taken(self, order_n: Int[np.ndarray, "n"]) -> "Predictions":
        """Return the rows of these numbers, in their order."""
        columns: dict[str, Any] = {name: tuple(getattr(self, name)[n] for n in order_n) for name in NAMES}
        numbers = {name: getattr(self, name)[order_n] for name in NUMBERS}
        return replace(self, **columns, **numbers, log_px_N=None if self.log_px_N is None else self.log_px_N[order_n])

    def confusion(self) -> Int[np.ndarray, "K K"]:
        """Return the [truth, prediction] counts of all rows."""
        return confusion(self.truth, self.prediction, len(self.labels))


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """Put the rows of several folds and seeds under each other.

    Raises:
      PredictionsError: no part, or parts of different labels.
    """
    if len({part.labels for part in parts}) != 1:
        raise PredictionsError(f"parts with labels {[part.labels for part in parts]}: expected the same in each")
    columns: dict[str, Any] = {n: tuple(chain.from_iterable(getattr(part, n) for part in parts)) for n in NAMES}
    columns |= {name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS}
    known = [part.log_px_N for part in parts if part.log_px_N is not None]
    return replace(parts[0], **columns, log_px_N=np.concatenate(known) if len(known) == len(parts) else None)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write `predictions.csv`: labels by name, numbers so that they are read back bit for bit.

    A name that ends in `.gz` gives a compressed file, the same bytes for the same predictions. The file appears whole
    or not at all: it is written beside its place and moved there.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    more = () if predictions.log_px_N is None else (LOG_PX,)
    writer.writerow([*COLUMNS, *(SCORE_PREFIX + label for label in predictions.labels), *more])
    writer.writerows(_row(predictions, n) for n in range(len(predictions.utterance)))
    content = text.getvalue().encode()
    with replacing(path) as file:
        # No time stamp: the same table gives the same bytes.
        file.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
      PredictionsError: the header or a row is not of that form (the message names the file and the line), or rows
        contradict one another.
      OSError: the file cannot be opened.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PredictionsError(f"{path} is no table of predictions ({error}). Write it anew.") from error
    header = rows[0] if rows else []
    has_log_px = header[-1:] == [LOG_PX]
    labels = _labels_of_header(header[: len(header) - has_log_px], path)
    n_numbers = len(labels) + has_log_px
    parsed = [_parsed(row, labels, n_numbers, f"{path}:{line}") for line, row in enumerate(rows[1:], 2)]
    numbers_NK = np.array([row.numbers for row in parsed], np.float64).reshape(len(parsed), n_numbers)
    try:
        return Predictions(
            utterance=tuple(row.utterance for row in parsed),
            speaker=tuple(row.speaker for row in parsed),
            fold=tuple(row.fold for row in parsed),
            seed=np.array([row.seed for row in parsed], np.int64),
            truth=np.array([row.truth for row in parsed], np.int64),
            prediction=np.array([row.prediction for row in parsed], np.int64),
            scores_NK=numbers_NK[:, : len(labels)],
            labels=labels,
            log_px_N=numbers_NK[:, -1] if has_log_px else None,
        )
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}") from None


class _Row(NamedTuple):
    utterance: str
    speaker: str
    fold: str
    seed: int
    truth: int
    prediction: int
    numbers: list[float]


def _row(predictions: Predictions, n: int) -> list[str]:
    return [
        *(predictions.utterance[n], predictions.speaker[n], predictions.fold[n], str(predictions.seed[n])),
        *(predictions.labels[predictions.truth[n]], predictions.labels[predictions.prediction[n]]),
        # `repr` has as few digits as are read back bit for bit.
        *(repr(float(score)) for score in predictions.scores_NK[n]),
        *(() if predictions.log_px_N is None else (repr(float(predictions.log_px_N[n])),)),
    ]


def _labels_of_header(header: list[str], path: Path) -> tuple[str, ...]:
    fixed, scores = tuple(header[: len(COLUMNS)]), header[len(COLUMNS) :]
    if fixed != COLUMNS or not scores or not all(name.startswith(SCORE_PREFIX) for name in scores):
        raise PredictionsError(
            f"{path}: the header is {','.join(header)!r}, expected {','.join(COLUMNS)} and a column "
            f"{SCORE_PREFIX}LABEL for each label: this is not a predictions.csv"
        )
    labels = tuple(name.removeprefix(SCORE_PREFIX) for name in scores)
    if len(set(labels)) < len(labels):
        raise PredictionsError(f"{path}: the header names a label twice; the file is damaged, write it again")
    return labels


def _parsed(row: list[str], labels: tuple[str, ...], n_numbers: int, where: str) -> _Row:
    if len(row) != len(COLUMNS) + n_numbers:
        raise PredictionsError(
            f"{where}: {len(row)} cells, expected {len(COLUMNS) + n_numbers}; the file is damaged, write it again"
        )
    utterance, speaker, fold, seed, truth, prediction, *numbers = row
    try:
        ids = int(seed), labels.index(truth), labels.index(prediction)
        np.int64(ids[0])  # a seed of twenty digits is none
        return _Row(utterance, speaker, fold, *ids, [float(number) for number in numbers])
    except (ValueError, OverflowError) as error:
        raise PredictionsError(f"{where}: {error}; the file is damaged, write it again") from error


def _check_shapes(table: Predictions) -> None:
    columns = {name: getattr(table, name) for name in (*COLUMNS, "scores_NK")}
    if table.log_px_N is not None:
        columns[LOG_PX] = table.log_px_N
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or table.scores_NK.shape[1:] != (len(table.labels),):
        raise PredictionsError(
            f"columns of lengths {lengths}, scores of shape {table.scores_NK.shape} for {len(table.labels)} labels: "
            "expected one row per prediction and one score per label"
        )


def _check_values(table: Predictions) -> None:
    try:
        check_labels(table.truth, len(table.labels), "truth")
        check_labels(table.prediction, len(table.labels), "prediction")
    except ValueError as error:
        raise PredictionsError(str(error)) from error
    log_px_N = np.zeros(len(table.truth)) if table.log_px_N is None else table.log_px_N
    bad = np.flatnonzero(~np.isfinite(np.column_stack([table.scores_NK, log_px_N])).all(axis=1))
    if bad.size:
        raise PredictionsError(
            f"the scores of {table.utterance[bad[0]]} are not finite ({bad.size} such rows): the model has diverged"
        )
    _check_once(zip(table.seed.tolist(), table.utterance, table.fold, strict=True), "once in a fold is expected")


def check_tested_once(table: Predictions) -> None:
    """Raise PredictionsError for a clip that is tested in two folds of a seed; one may validate in several."""
    _check_once(zip(table.seed.tolist(), table.utterance, strict=True), "a clip is a test clip once")


def _check_once(rows: Iterable[tuple[int, str, *tuple[str, ...]]], rule: str) -> None:
    seen = set()
    for row in rows:
        if row in seen:
            raise PredictionsError(f"{row[1]} is predicted twice under seed {row[0]}: {rule}")
        seen.add(row)
