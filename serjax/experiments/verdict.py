"""From explained clips to results: the classification by each score, the reconstruction matrices, the tables."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float, Int

from serjax.evaluate.generative import (
    ClassPrior,
    ReconstructionMatrix,
    ScoreName,
    choose_score,
    classify,
    log_odds,
    log_prior,
    reconstruction_matrix,
    score_uars,
    with_prior,
)
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.experiments.config import Score
from serjax.experiments.generative import Explained, Models, mean_squared_error
from serjax.experiments.problem import Cell, Problem

PARTS = ("train", "validation", "test")
Matrices = dict[str, ReconstructionMatrix]


@dataclass(frozen=True)
class Verdict:
    """The test predictions by every score, and which score `auto` chose in each cell (`seed/fold`).

    `validation_uar` is the mean over the cells of the UAR on their validation rows: what to compare recipes by.
    """

    by_score: dict[Score, Predictions]
    chosen: dict[str, ScoreName]
    validation_uar: dict[ScoreName, float | None]


def judge(problem: Problem, models: Models, final: Explained, selecting: Explained, prior: ClassPrior) -> Verdict:
    """Classify every test clip by the models `final` explains; `auto` chooses by `selecting` on validation rows.

    Without refitting the two are the same. A score that the models do not have is left out. The scores of `auto` are
    in units of the chosen score's own spread on the fold's validation rows, so that a ROC curve may pool folds that
    chose differently; the classes are those of the chosen score.
    """
    known = [name for name in get_args(ScoreName) if name == "reconstruction" or final.elbo_RN is not None]
    parts: dict[Score, list[Predictions]] = {name: [] for name in known}
    parts["auto"], chosen = [], {}
    reached = []
    for c, cell in enumerate(problem.cells):
        prior_K = log_prior(prior, np.array([len(models.runs[r].train) for r in _runs(problem, c)]))
        rows = cell.fold.validation
        validation = {name: scores(problem, selecting, c, rows, name) for name in known}
        best = choose_score(validation, problem.truth_N[rows], prior_K) if len(rows) else known[0]
        chosen[f"{cell.seed}/{cell.fold.name}"] = best
        if len(rows):
            reached.append(score_uars(validation, problem.truth_N[rows], prior_K))
        for name in known:
            test_NK = with_prior(name, scores(problem, final, c, cell.fold.test, name), prior_K)
            parts[name].append(predict(problem, cell, test_NK))
            if name == best:
                in_units = test_NK / spread(validation[name]) if len(rows) else test_NK
                parts["auto"].append(predict(problem, cell, in_units))
    means = {name: float(np.mean([uars[name] for uars in reached])) if reached else None for name in known}
    return Verdict({name: concatenate(several) for name, several in parts.items()}, chosen, means)


def spread(scores_NK: Float[np.ndarray, "n K"]) -> float:
    """Return the standard deviation of the scores about each clip's mean; 1 where they do not differ."""
    return float(np.std(scores_NK - scores_NK.mean(axis=1, keepdims=True))) or 1.0


def scores(
    problem: Problem, explained: Explained, cell: int, rows: Int[np.ndarray, " n"], name: ScoreName
) -> Float[np.ndarray, "n K"]:
    """Return the scores of `rows` under the models of one cell, higher = explained better."""
    runs = _runs(problem, cell)
    if name == "reconstruction":
        return -explained.error_RN[runs][:, rows].T
    bound_RN = explained.elbo_RN if name == "elbo" else explained.iwae_RN
    assert bound_RN is not None
    return bound_RN[runs][:, rows].T


def reconstruction_matrices(
    problem: Problem, models: Models, explained: Explained, minmax: bool
) -> dict[int, Matrices]:
    """Return for each seed and part of the folds the matrix [VAE emotion][clip emotion] of mean loss, over folds.

    Losses are mean squared errors a valid element, in units of the training rows' standard deviation, or with
    `minmax` of each coefficient's range (maximum − minimum) over the fold's training rows.
    """
    weight_RC = None
    if minmax:
        scale_RC = np.stack([run.scale_C for run in models.runs]).astype(np.float64)
        weight_RC = (scale_RC / _ranges(problem)) ** 2
    loss_RN = mean_squared_error(problem, explained.squared_RNC, weight_RC)
    by_seed: dict[int, Matrices] = {cell.seed: {} for cell in problem.cells}
    for c, cell in enumerate(problem.cells):
        matrices = by_seed[cell.seed]
        for part, rows in zip(PARTS, (cell.fold.train, cell.fold.validation, cell.fold.test), strict=True):
            loss_NK = loss_RN[_runs(problem, c)][:, rows].T
            matrix = reconstruction_matrix(loss_NK, problem.truth_N[rows], len(problem.labels))
            matrices[part] = matrices[part] + matrix if part in matrices else matrix
    return by_seed


def over_seeds(by_seed: Mapping[int, Matrices]) -> Matrices:
    """Return for each part of the folds the matrix over all seeds."""
    return {part: functools.reduce(operator.add, [parts[part] for parts in by_seed.values()]) for part in PARTS}


def merge(matrices: Matrices) -> ReconstructionMatrix:
    """Return the matrix over all clips, training clips included."""
    return matrices["train"] + matrices["validation"] + matrices["test"]


def _ranges(problem: Problem) -> Float[np.ndarray, "R C"]:
    """Return the range of each coefficient over each run's fold's training rows."""
    ranges = []
    for cell in problem.cells:
        x_MC = problem.x_NTC[cell.fold.train][problem.mask_NT[cell.fold.train] > 0].astype(np.float64)
        ranges.extend([np.ptp(x_MC, axis=0)] * len(problem.labels))
    return np.maximum(np.stack(ranges), 1e-6)


def _runs(problem: Problem, cell: int) -> Int[np.ndarray, " K"]:
    """Return the runs of one cell, in the order of emotions."""
    return cell * len(problem.labels) + np.arange(len(problem.labels))


def predict(problem: Problem, cell: Cell, scores_NK: Float[np.ndarray, "n K"]) -> Predictions:
    """Return the predictions of a cell's test clips from their scores, higher = more likely, prior included."""
    seed, fold = cell.seed, cell.fold
    clips = [problem.corpus.utterances[n] for n in fold.test]
    return Predictions(
        utterance=tuple(clip.path for clip in clips),
        speaker=tuple(clip.speaker for clip in clips),
        fold=(fold.name,) * len(clips),
        seed=np.full(len(clips), seed),
        truth=problem.truth_N[fold.test].astype(np.int64),
        prediction=classify(scores_NK),
        scores_NK=log_odds(scores_NK),
        labels=problem.labels,
    )
