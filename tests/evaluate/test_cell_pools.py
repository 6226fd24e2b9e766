"""Pools of each cell's own validation rows, and seeds averaged."""

from dataclasses import replace

import numpy as np
import pytest

from serjax.errors import ConfigError
from serjax.evaluate.calibration import cells_of, log_posterior
from serjax.evaluate.cell_pools import average_seeds, fit_pools, pool_members
from serjax.evaluate.predictions import Predictions, concatenate

LABELS = ("angry", "sad", "happy")


def table(fold: str, n_clips: int, key: int, seed: int = 0) -> Predictions:
    """Return rows that are better than chance."""
    rng = np.random.default_rng(key)
    truth_N = np.arange(n_clips) % 3
    scores_NK = rng.normal(size=(n_clips, 3)) + np.eye(3)[truth_N]
    names = tuple(f"{fold}-{n}.wav" for n in range(n_clips))
    where = (("01",) * n_clips, (fold,) * n_clips, np.full(n_clips, seed))
    return Predictions(names, *where, truth_N, scores_NK.argmax(1), scores_NK, LABELS)


def test_the_weights_of_a_fold_come_from_its_own_validation_rows_alone() -> None:
    one, two = ([table("a", 30, key), table("b", 30, key + 9)] for key in (1, 2))
    other = [one[0], replace(one[1], scores_NK=-one[1].scores_NK)]
    pools, changed = (fit_pools([concatenate(first), concatenate(two)]) for first in (one, other))
    np.testing.assert_array_equal(pools["0/a"].weight_M, changed["0/a"].weight_M)
    assert changed["0/b"].weight_M[0] < 0.2 < 0.4 < pools["0/b"].weight_M[0]
    test = [concatenate([table("a", 6, key), table("b", 6, key + 1)]) for key in (5, 6)]
    pooled = pool_members(test, pools)
    for fold in "ab":
        rows = cells_of(test[0]) == f"0/{fold}"
        share_M = pools[f"0/{fold}"].weight_M / pools[f"0/{fold}"].temperature_M
        mixed_NK = sum(w * log_posterior(m.scores_NK[rows]) for w, m in zip(share_M, test, strict=True))
        differences = (log_posterior(pooled.scores_NK[rows]) - mixed_NK).std(axis=1)  # a constant per clip
        np.testing.assert_allclose(differences, 0, atol=1e-12)
    with pytest.raises(ConfigError, match="no validation rows of 0/b"):
        pool_members(test, {"0/a": pools["0/a"]})


def test_seeds_are_averaged_as_probabilities() -> None:
    seeds = [table("a", 9, key, seed=key) for key in (3, 4)]
    mixed = average_seeds(concatenate([seeds[0], seeds[1].taken(np.arange(9)[::-1])]), "run")
    expected_NK = np.mean([np.exp(log_posterior(one.scores_NK)) for one in seeds], axis=0)
    np.testing.assert_allclose(np.exp(log_posterior(mixed.scores_NK)), expected_NK, rtol=1e-9)
    np.testing.assert_array_equal(mixed.prediction, expected_NK.argmax(axis=1))
    assert mixed.utterance == seeds[0].utterance
    assert set(mixed.seed.tolist()) == {0}
    for others in (table("b", 9, 4, seed=4), table("a", 10, 4, seed=4), table("a", 8, 4, seed=4)):
        with pytest.raises(ConfigError, match="run: its folds differ between seeds"):
            average_seeds(concatenate([seeds[0], others]), "run")
