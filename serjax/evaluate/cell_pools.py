"""A vote whose weights are fitted: to each cell's own validation clips, so that no test clip enters its weights.

A cell is a fold under a seed. Its weights and temperatures come from the rows of `validation.csv.gz` that have its fold
and seed. Rows of other folds are left alone: their validation speakers are test speakers of this one.

Those rows were scored by models that were fitted to training rows alone. A run that was refitted on train + validation
classifies its test clips by models that saw more, so its weight errs to the low side. The rows also chose the epoch of
a network, or the constants of a density: a run with many choices looks a little better on them than on new speakers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from serjax.errors import ConfigError
from serjax.evaluate.calibration import cells_of, log_posterior
from serjax.evaluate.generative import classify, log_odds
from serjax.evaluate.pool import Pool, fit_pool, pool_log_probabilities
from serjax.evaluate.predictions import Predictions
from serjax.models.classical.voting import log_probabilities


def fit_pools(validation: Sequence[Predictions]) -> dict[str, Pool]:
    """Fit a log-linear pool to each cell's validation rows; by `seed/fold`. All members have the same rows."""
    cell_N = cells_of(validation[0])
    log_MNK = np.stack([log_posterior(member.scores_NK) for member in validation])
    truth_N = validation[0].truth
    rows = {str(cell): np.flatnonzero(cell_N == cell) for cell in np.unique(cell_N)}
    return {cell: fit_pool(log_MNK[:, row_n], truth_N[row_n]) for cell, row_n in rows.items()}


def pool_members(members: Sequence[Predictions], pools: Mapping[str, Pool]) -> Predictions:
    """Pool the members' scores, each row by the weights of its cell. All members have the same rows.

    Raises:
      ConfigError: a cell has no pool.
    """
    cell_N = cells_of(members[0])
    if lacking := sorted(set(cell_N.tolist()) - set(pools)):
        raise ConfigError(
            f"The runs have no validation rows of {lacking[0]} (seed/fold), so that its weights cannot be fitted. "
            "Vote with given weights, or choose a protocol whose folds all have validation rows."
        )
    log_MNK = np.stack([log_posterior(member.scores_NK) for member in members])
    pooled_NK = np.empty(log_MNK.shape[1:])
    for cell in np.unique(cell_N):
        row_n = np.flatnonzero(cell_N == cell)
        pooled_NK[row_n] = pool_log_probabilities(log_MNK[:, row_n], pools[str(cell)])
    return replace(members[0], prediction=classify(pooled_NK), scores_NK=log_odds(pooled_NK), log_px_N=None)


def average_seeds(predictions: Predictions, name: str) -> Predictions:
    """Return a row per clip and fold, under seed 0: the mean of the probabilities over seeds.

    Raises:
      ConfigError: the folds of the run, which goes by `name`, differ between seeds.
    """
    first = predictions.rows(predictions.seed == predictions.seed.min())
    where = {clip: n for n, clip in enumerate(zip(first.fold, first.utterance, strict=True))}
    probability_NK = np.exp(log_posterior(predictions.scores_NK))
    mean_NK, count_N = np.zeros_like(first.scores_NK), np.zeros(len(where), int)
    for clip, probability_K in zip(
        zip(predictions.fold, predictions.utterance, strict=True), probability_NK, strict=True
    ):
        if clip in where:
            mean_NK[where[clip]] += probability_K
            count_N[where[clip]] += 1
    n_seeds = len(np.unique(predictions.seed))
    if (count_N != n_seeds).any() or len(predictions.seed) != n_seeds * len(where):
        raise ConfigError(
            f"{name}: its folds differ between seeds, so that seeds cannot be averaged: a clip that one seed tests, "
            "another trains on. Make the runs again with equal --seeds, and vote without --average-seeds."
        )
    log_NK = log_probabilities(mean_NK / n_seeds)
    scores_NK = log_odds(log_NK)
    return replace(
        first, seed=np.zeros_like(first.seed), prediction=classify(log_NK), scores_NK=scores_NK, log_px_N=None
    )
