"""From a problem to the runs of a stage: which rows each trains on, with which normaliser and numbers."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from serjax.data.splits import Fold
from serjax.study.flags import Optimisation
from serjax.study.problem import Problem
from serjax.train.runs import Run


def emotion_runs(
    problem: Problem,
    refit: bool,
    training: Optimisation,
    numbers: Mapping[str, Any],
    epochs: Int[np.ndarray, " R"] | int,
    decay_epochs: int,
) -> list[Run]:
    """Return one run for each cell and emotion, in this order; with `refit` they train on validation rows too.

    Each is trained for its `epochs` along a learning-rate curve that ends after `decay_epochs`. `numbers` are those of
    a run that its study adds, such as `beta`.
    """
    make_run, n_classes = _with_numbers(problem, training, numbers, decay_epochs), len(problem.labels)
    limits_cK = np.broadcast_to(epochs, len(problem.cells) * n_classes).reshape(-1, n_classes)
    runs = []
    for cell, limits_K in zip(problem.cells, limits_cK, strict=True):
        normaliser = _normaliser(problem, cell.fold, refit)
        for k, emotion in enumerate(problem.labels):
            train, validation = (_of_class(problem, rows, k) for rows in _rows(cell.fold, refit))
            place, limit = (cell.seed, cell.fold.name, emotion), int(limits_K[k])
            runs.append(make_run(*place, train, validation, *normaliser, epochs=limit))
    return runs


def pooled_runs(
    problem: Problem,
    refit: bool,
    training: Optimisation,
    numbers: Mapping[str, Any],
    epochs: Int[np.ndarray, " R"] | int,
    decay_epochs: int,
) -> list[Run]:
    """Return one run for each cell, trained on the clips of all emotions; else as `emotion_runs`."""
    make_run = _with_numbers(problem, training, numbers, decay_epochs)
    runs = []
    for cell, limit in zip(problem.cells, np.broadcast_to(epochs, len(problem.cells)), strict=True):
        train, validation = _rows(cell.fold, refit)
        normaliser = _normaliser(problem, cell.fold, refit)
        place = (cell.seed, cell.fold.name, "all")
        runs.append(make_run(*place, train, validation, *normaliser, epochs=int(limit)))
    return runs


def _with_numbers(
    problem: Problem, training: Optimisation, numbers: Mapping[str, Any], decay_epochs: int
) -> Callable[..., Run]:
    """Return what makes a run of the rest: with the numbers that all runs of a stage have; all classes count alike."""
    return functools.partial(
        Run,
        learning_rate=training.learning_rate,
        decay_epochs=decay_epochs,
        class_weight_K=np.ones(len(problem.labels), np.float32),
        weight_decay=training.weight_decay or 0.0,
        patience=training.patience,
        roll_frames=training.roll_frames,
        noise=training.noise,
        **numbers,
    )


def _rows(fold: Fold, refit: bool) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " v"]]:
    """Return training and validation rows of a fold; refitting has no validation rows left."""
    if refit:
        return np.sort(np.concatenate([fold.train, fold.validation])), fold.validation[:0]
    return fold.train, fold.validation


def _of_class(problem: Problem, rows: Int[np.ndarray, " n"], k: int) -> Int[np.ndarray, " m"]:
    return rows[problem.truth_N[rows] == k]


def _normaliser(problem: Problem, fold: Fold, refit: bool) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    return problem.normaliser(_rows(fold, refit)[0])
