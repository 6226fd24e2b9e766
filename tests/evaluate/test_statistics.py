"""Intervals and tests over speakers: exact small cases, enumeration, and their long-run behaviour."""

import numpy as np
import pytest

from serjax.evaluate import statistics
from tests.reference import metrics as reference


def simulated_counts(rng: np.random.Generator, recall_SK: np.ndarray, n_clips: int) -> np.ndarray:
    """Two classes: each speaker says n_clips of each, right with its own chance."""
    hits_SK = rng.binomial(n_clips, recall_SK)
    misses_SK = n_clips - hits_SK
    return np.stack([np.stack([hits_SK[:, 0], misses_SK[:, 0]], 1), np.stack([misses_SK[:, 1], hits_SK[:, 1]], 1)], 1)


def test_interval_matches_a_bootstrap_over_rows():
    """Draw the speakers one by one, gather their rows, and compute the UAR from its definition."""
    rng = np.random.default_rng(1)
    truth_N, owner_N = rng.integers(0, 3, 120), np.repeat(np.arange(6), 20)
    prediction_N = np.where(rng.random(120) < 0.2 + 0.1 * owner_N, truth_N, rng.integers(0, 3, 120))
    weights_RS = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6), 50)
    uars = []
    for weight_S in weights_RS:
        rows = np.concatenate([np.flatnonzero(owner_N == s) for s in range(6) for _ in range(weight_S[s])])
        uars.append(reference.uar(truth_N[rows].tolist(), prediction_N[rows].tolist()))
    counts = np.zeros((6, 3, 3), int)
    np.add.at(counts, (owner_N, truth_N, prediction_N), 1)
    interval = statistics.uar_interval(counts, speakers_shared=False, n_resamples=50, level=0.8, seed=5)
    np.testing.assert_allclose(interval, np.quantile(uars, [0.1, 0.9]), atol=1e-14)


def test_interval_of_two_opposite_speakers_is_exact():
    # resamples are AA, AB, BB with chances 1/4, 1/2, 1/4: UAR 1, 1/2, 0
    counts = np.array([[[4, 0], [0, 4]], [[0, 4], [4, 0]]])
    assert statistics.uar_interval(counts, speakers_shared=False) == (0, 1)
    assert statistics.uar_interval(counts, speakers_shared=False, level=0.4) == (0.5, 0.5)


def test_interval_averages_over_the_classes_of_the_resample():
    # class 1 is said by the second speaker only; without that speaker the UAR is the recall of class 0
    counts = np.array([[[3, 1], [0, 0]], [[3, 1], [4, 0]]])
    assert statistics.uar_interval(counts, speakers_shared=False) == (0.375, 0.75)


def test_interval_is_seeded():
    counts = simulated_counts(np.random.default_rng(0), np.random.default_rng(1).random((9, 2)), 10)
    first, again, other = (statistics.uar_interval(counts, speakers_shared=False, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_pooling_seeds_leaves_the_interval_of_equal_seeds_alone():
    counts = simulated_counts(np.random.default_rng(0), np.random.default_rng(1).random((9, 2)), 10)
    once = statistics.uar_interval(counts, speakers_shared=False)
    np.testing.assert_allclose(statistics.uar_interval(3 * counts, speakers_shared=False), once, atol=1e-14)


@pytest.mark.parametrize(("shared", "n_speakers"), [(True, 5), (False, 1), (False, 0)])
def test_no_interval_where_it_has_no_meaning(shared, n_speakers):
    assert statistics.uar_interval(np.ones((n_speakers, 2, 2), int), speakers_shared=shared) is None


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"level": 0.0}, {"n_resamples": 0}])
def test_interval_rejects_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match="expected 0 < level < 1 and n_resamples ≥ 1"):
        statistics.uar_interval(np.ones((3, 2, 2), int), speakers_shared=False, **wrong)


def test_interval_covers_the_population_value():
    """24 speakers whose recalls differ (mean .6, sd .15): 95 % intervals must hold .6 about 95 times in 100.

    The interval that takes clips for independent would be far too short here; 400 repetitions measure the
    coverage to ± .013 (one standard error). Over 3 000 repetitions it is .924: percentile intervals run short.
    """
    rng, covered = np.random.default_rng(0), []
    for repetition in range(400):
        recall_S1 = rng.normal(0.6, 0.15, (24, 1)).clip(0.05, 0.95)  # a good speaker is good in both classes
        counts = simulated_counts(rng, np.broadcast_to(recall_S1, (24, 2)), 30)
        low, high = statistics.uar_interval(counts, speakers_shared=False, n_resamples=500, seed=repetition)
        covered.append(low <= 0.6 <= high)
    assert 0.885 < np.mean(covered) < 0.965


def test_holm_matches_the_published_steps():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, made monotone
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], atol=1e-15)
    assert statistics.holm([0.7, 0.6]) == [1.0, 1.0]
    assert statistics.holm([0.2]) == [0.2]
    assert statistics.holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.holm([0.2, float("nan")])
