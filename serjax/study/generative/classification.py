"""From explained clips to predictions: the class whose model scores a clip best, by each score."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float, Int

from serjax.evaluate.generative import (
    ClassPrior,
    ScoreName,
    choose_score,
    log_prior,
    with_prior,
)
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.study.flags import Score
from serjax.study.generative.models import Models, runs_of
from serjax.study.generative.scores import Explained
from serjax.study.outcome import predict
from serjax.study.problem import Problem


@dataclass(frozen=True, eq=False)
class Classified:
    """Predictions of test clips and of validation clips by every score, and what `auto` chose per cell (`seed/fold`).

    Without validation rows `validation` holds None.
    """

    test: dict[Score, Predictions]
    validation: dict[Score, Predictions | None]
    chosen: dict[str, ScoreName]


def classify_by_all(
    problem: Problem, models: Models, final: Explained, selecting: Explained, prior: ClassPrior
) -> Classified:
    """Classify test clips by the models that `final` explains, validation clips by those of `selecting`.

    Without refitting the two are the same. A score that the models do not have is left out. `auto` takes the score that
    is best on a cell's validation rows. Its scores are in units of the chosen score's own spread on these rows, so that
    a ROC curve may pool folds that chose differently; the classes are those of the chosen score.
    """
    known = [name for name in get_args(ScoreName) if name == "reconstruction" or final.elbo_RN is not None]
    names: list[Score] = [*known, "auto"]
    test: dict[Score, list[Predictions]] = {name: [] for name in names}
    validation: dict[Score, list[Predictions]] = {name: [] for name in names}
    chosen = {}
    for c, cell in enumerate(problem.cells):
        prior_K = log_prior(prior, np.array([len(models.runs[r].train) for r in runs_of(problem, c)]))
        rows = cell.fold.validation
        held_out = {name: scores(problem, selecting, c, rows, name) for name in known}
        best = choose_score(held_out, problem.truth_N[rows], prior_K) if len(rows) else known[0]
        chosen[f"{cell.seed}/{cell.fold.name}"] = best
        unit = spread(held_out[best]) if len(rows) else 1.0
        for name, score in [*zip(known, known, strict=True), ("auto", best)]:
            units = unit if name == "auto" else 1.0
            test_NK = with_prior(score, scores(problem, final, c, cell.fold.test, score), prior_K) / units
            held_out_NK = with_prior(score, held_out[score], prior_K) / units
            of_test, of_held_out = log_px(problem, final, c, cell.fold.test), log_px(problem, selecting, c, rows)
            test[name].append(predict(problem, cell, test_NK, log_px_n=of_test))
            validation[name].append(predict(problem, cell, held_out_NK, rows, of_held_out))
    return Classified(
        {name: concatenate(several) for name, several in test.items()},
        {name: concatenate(several) if several[0].utterance else None for name, several in validation.items()},
        chosen,
    )


def log_px(
    problem: Problem, explained: Explained, cell: int, rows: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"] | None:
    """Return log p(x) in nats, `log mean_c exp IWAE_c(x)`: whatever the emotion. None where no likelihood is known."""
    if explained.iwae_RN is None:
        return None
    of_classes_KN = explained.iwae_RN[runs_of(problem, cell)][:, rows]
    return np.logaddexp.reduce(of_classes_KN, axis=0) - np.log(len(of_classes_KN))


def spread(scores_NK: Float[np.ndarray, "n K"]) -> float:
    """Return the standard deviation of the scores about each clip's mean; 1 where they do not differ."""
    return float(np.std(scores_NK - scores_NK.mean(axis=1, keepdims=True))) or 1.0


def scores(
    problem: Problem, explained: Explained, cell: int, rows: Int[np.ndarray, " n"], name: ScoreName
) -> Float[np.ndarray, "n K"]:
    """Return the scores of `rows` under the models of one cell, higher = explained better."""
    runs = runs_of(problem, cell)
    if name == "reconstruction":
        return -explained.error_RN[runs][:, rows].T
    bound_RN = explained.elbo_RN if name == "elbo" else explained.iwae_RN
    assert bound_RN is not None
    return bound_RN[runs][:, rows].T
