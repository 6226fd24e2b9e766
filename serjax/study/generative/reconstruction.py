"""Mean reconstruction loss of the clips of each emotion under the model of each emotion."""

import functools
import operator
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from serjax.evaluate.generative import (
    ReconstructionMatrix,
    reconstruction_matrix,
)
from serjax.study.generative.models import Models, runs_of
from serjax.study.generative.scores import Explained, mean_squared_error
from serjax.study.problem import Problem

PARTS = ("train", "validation", "test")
Matrices = dict[str, ReconstructionMatrix]


def reconstruction_matrices(
    problem: Problem, models: Models, explained: Explained, minmax: bool
) -> dict[int, Matrices]:
    """Return for each seed and part of the folds the matrix [VAE emotion][clip emotion] of mean loss, over folds.

    Losses are mean squared errors per valid element, in units of the training rows' standard deviation, or with
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
            loss_NK = loss_RN[runs_of(problem, c)][:, rows].T
            matrix = reconstruction_matrix(loss_NK, problem.truth_N[rows], len(problem.labels))
            matrices[part] = matrices[part] + matrix if part in matrices else matrix
    return by_seed


def over_seeds(by_seed: Mapping[int, Matrices]) -> Matrices:
    """Return for each part of the folds the matrix over all seeds."""
    return {part: functools.reduce(operator.add, [parts[part] for parts in by_seed.values()]) for part in PARTS}


def merge(matrices: Matrices) -> ReconstructionMatrix:
    """Return the matrix over all clips, training clips included."""
    return matrices["train"] + matrices["validation"] + matrices["test"]


def reconstruction_content(problem: Problem, matrices: Mapping[str, Mapping[int, Matrices]]) -> dict[str, object]:
    """Return `reconstruction.json`: matrices [vae emotion][clip emotion] of the models chosen on validation rows."""

    def of_all(by_seed: Mapping[int, Matrices]) -> dict[str, object]:
        return rows(over_seeds(by_seed)) | {"by_seed": {str(seed): rows(parts) for seed, parts in by_seed.items()}}

    def rows(parts: Matrices) -> dict[str, object]:
        return {**{part: matrix.rows() for part, matrix in parts.items()}, "all": merge(parts).rows()}

    return {
        "labels": list(problem.labels),
        "corpus": problem.corpus.name,
        "protocol": problem.protocol,
        "unit": "mean squared error per valid element, features divided by the standard deviation of training rows",
        **of_all(matrices["standard"]),
        "minmax": {
            "unit": "the same, each coefficient divided by its range (maximum − minimum) over training rows",
            **of_all(matrices["minmax"]),
        },
    }


def _ranges(problem: Problem) -> Float[np.ndarray, "R C"]:
    """Return the range of each coefficient over each run's fold's training rows."""
    ranges = []
    for cell in problem.cells:
        ranges.extend([problem.ranges(cell.fold.train)] * len(problem.labels))
    return np.maximum(np.stack(ranges), 1e-6)
