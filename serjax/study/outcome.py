"""What a study comes to, before anything is written: on what it was tested, predictions, facts, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from serjax.data.notes import Note
from serjax.evaluate.generative import classify, log_odds
from serjax.evaluate.predictions import Predictions, check_tested_once
from serjax.folder.manifest import Pictures
from serjax.study.problem import Cell, Problem


@dataclass(frozen=True)
class Setting:
    """On what and how it was tested: what stands in every title."""

    corpus: str
    corpus_notes: tuple[Note, ...]
    protocol: str
    speakers_shared: bool
    labels: tuple[str, ...]
    label_kind: str
    title: str
    leak: str | None = None
    windows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    texts_shared: bool = False
    leaks: tuple[Mapping[str, Any], ...] = ()

    @property
    def offset_s(self) -> float | None:
        """From where on clips are read; None: of each corpus from elsewhere."""
        offsets_s = {window["offset_s"] for window in self.windows.values()}
        return offsets_s.pop() if len(offsets_s) == 1 else None

    @classmethod
    def of(cls, problem: Problem) -> "Setting":
        """Take it from a problem."""
        corpus, shared = problem.corpus, problem.speakers_shared
        named = problem.labels, problem.label_kind, problem.title
        leaks = tuple(found.as_json() for found in problem.leaks)
        about = problem.leak, problem.windows, problem.texts_shared
        return cls(corpus.name, corpus.notes, problem.protocol, shared, *named, *about, leaks)


@dataclass(frozen=True)
class Facts:
    """What `metrics.json` says of the models; None where a kind of study has no such thing.

    Args:
      model: the kind of model, by the name of its class.
      refit: whether what classifies test clips was trained on validation rows too.
      n_parameters: numbers of one model that are fitted.
      n_models: models that classify test clips, over all cells (a seed and a fold) and emotions.
      device: where it was trained.
      train_war: accuracy on the rows that the models were trained on, mean over cells.
      cv_war: accuracy in a cross-validation inside the training rows, mean over cells.
      gender_war: accuracy of the first stage where genders are told apart first, mean over cells.
      chosen_epochs: the epoch kept by each model, by `seed/fold` (and `/emotion`; `/all`: of all emotions).
      chosen_scores: the score that each cell chose on its validation rows, by `seed/fold`.
      chosen: the hyper-parameters of each cell's model, by `seed/fold`.
      inner_uar: the UAR by which they were chosen, by `seed/fold`.
      score: the score that classifies, where models have several.
      scores: the figures of `summarise`, and `validation_uar`, by each of these scores.
      noise_variance: the learned variance of each cell's likelihood, by `seed/fold`.
      members: which runs voted, with what weight.
    """

    model: str
    refit: bool
    n_parameters: int | None
    n_models: int | None
    device: str = "CPU"
    train_war: float | None = None
    cv_war: float | None = None
    gender_war: float | None = None
    chosen_epochs: Mapping[str, int] | None = None
    chosen_scores: Mapping[str, str] | None = None
    chosen: Mapping[str, object] | None = None
    inner_uar: Mapping[str, float | None] | None = None
    score: str | None = None
    scores: Mapping[str, object] | None = None
    noise_variance: Mapping[str, float] | None = None
    members: list[dict[str, object]] | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a study: what is written to its run folder.

    Args:
      predictions: of the test rows of all folds and seeds.
      facts: about the models.
      validation: predictions of each fold's validation rows, by models that were fitted to its training rows alone;
        None where every row that is not tested was fitted to.
      tables: what further JSON files hold, by their names.
      pictures: what draws each picture, by its name.
      name: what titles call the study, if not by its experiment.
    """

    predictions: Predictions
    facts: Facts
    validation: Predictions | None = None
    tables: Mapping[str, object] = field(default_factory=dict)
    pictures: Pictures = field(default_factory=dict)
    name: str | None = None

    def __post_init__(self) -> None:
        check_tested_once(self.predictions)


def predict(
    problem: Problem,
    cell: Cell,
    scores_NK: Float[np.ndarray, "n K"],
    rows: Int[np.ndarray, " n"] | None = None,
    log_px_n: Float[np.ndarray, " n"] | None = None,
) -> Predictions:
    """Return the predictions of clips of a cell from their scores, higher = more likely, prior included.

    Args:
      problem: the clips and labels.
      cell: whose models scored them.
      scores_NK: one score per class.
      rows: which clips; default: the test rows of the cell.
      log_px_n: log p(x) of the clips in nats, of models that have one.
    """
    rows = cell.fold.test if rows is None else rows
    clips = [problem.corpus.utterances[n] for n in rows]
    return Predictions(
        utterance=tuple(clip.path for clip in clips),
        speaker=tuple(clip.speaker for clip in clips),
        fold=(cell.fold.name,) * len(clips),
        seed=np.full(len(clips), cell.seed),
        truth=problem.truth_N[rows].astype(np.int64),
        prediction=classify(scores_NK),
        scores_NK=log_odds(scores_NK),
        labels=problem.labels,
        log_px_N=log_px_n,
    )
