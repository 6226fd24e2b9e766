"""Temperatures and calibration errors: equal to their definitions, and to what scikit-learn and SciPy have of them."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.metrics

from serjax.evaluate import calibration
from serjax.evaluate.generative import log_odds

N, K = 300, 5


def scored(key: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihoods that are right in two of three clips, and true classes."""
    rng = np.random.default_rng(key)
    truth_N = rng.integers(K, size=N)
    return scale * (rng.normal(size=(N, K)) + 1.6 * np.eye(K)[truth_N]), truth_N


def loss_at(scores_NK: np.ndarray, truth_N: np.ndarray, temperature: float) -> float:
    """Return the definition, row by row."""
    rows = scipy.special.log_softmax(scores_NK / temperature, axis=1)
    return -sum(row[c] for row, c in zip(rows, truth_N, strict=True)) / len(truth_N)


def ece_row_by_row(probability_NK: np.ndarray, truth_N: np.ndarray, n_bins: int) -> float:
    """Return the definition, with a list for each bin."""
    confidence = [max(row) for row in probability_NK.tolist()]
    right = [row.index(max(row)) == c for row, c in zip(probability_NK.tolist(), truth_N.tolist(), strict=True)]
    bins: dict[int, list[int]] = {}
    for n, sure in enumerate(confidence):
        less_sure = sum(other < sure for other in confidence)
        bins.setdefault(less_sure * n_bins // len(confidence), []).append(n)
    error = 0.0
    for rows in bins.values():
        gap = sum(right[n] for n in rows) / len(rows) - sum(confidence[n] for n in rows) / len(rows)
        error += len(rows) / len(confidence) * abs(gap)
    return error


@pytest.mark.parametrize("scale", [1e-3, 1.0, 200.0])  # as of −MSE, of log-probabilities, of bounds in nats per clip
def test_the_temperature_is_where_the_truth_is_most_likely(scale):
    """Within 1e-6; measured 3e-8, as near as SciPy comes."""
    scores_NK, truth_N = scored(0, scale)
    temperature = calibration.fit_temperature(scores_NK, truth_N)
    best = scipy.optimize.minimize_scalar(
        lambda log_t: loss_at(scores_NK, truth_N, math.exp(log_t)),
        bounds=(math.log(scale / 20), math.log(scale * 20)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert temperature == pytest.approx(math.exp(best.x), rel=1e-6)
    assert loss_at(scores_NK, truth_N, temperature) < loss_at(scores_NK, truth_N, scale * 3)


def test_the_temperature_that_made_the_labels_is_found():
    """40 000 draws from softmax(l / 2.5): within 2 %; measured 0.4 %."""
    rng = np.random.default_rng(1)
    scores_NK = 6 * rng.normal(size=(40_000, K))
    truth_N = (scores_NK / 2.5 + rng.gumbel(size=scores_NK.shape)).argmax(axis=1)
    assert calibration.fit_temperature(scores_NK, truth_N) == pytest.approx(2.5, rel=0.02)


def test_scores_in_other_units_and_with_an_offset_per_clip_give_the_same_probabilities():
    scores_NK, truth_N = scored(2)
    moved_NK = 37.0 * scores_NK + 1000 * np.random.default_rng(0).normal(size=(N, 1))
    one, other = (calibration.fit_temperature(given_NK, truth_N) for given_NK in (scores_NK, moved_NK))
    assert other == pytest.approx(37.0 * one, rel=1e-9)
    np.testing.assert_allclose(
        calibration.tempered(moved_NK, other), calibration.tempered(scores_NK, one), rtol=0, atol=1e-9
    )


def test_temperatures_are_bounded_by_the_spread_of_the_scores():
    """Without an error the sharpest is the best; worse than chance, the flattest; without a difference any is."""
    scores_NK, _ = scored(3)
    spread = np.std(scores_NK - scores_NK.mean(axis=1, keepdims=True))
    best_N, worst_N = scores_NK.argmax(axis=1), scores_NK.argmin(axis=1)
    assert calibration.fit_temperature(scores_NK, best_N) == pytest.approx(0.1 * spread, rel=1e-9)
    assert calibration.fit_temperature(scores_NK, worst_N) == pytest.approx(100 * spread, rel=1e-9)
    assert calibration.fit_temperature(np.full((4, 3), -math.log(3)), np.array([0, 1, 2, 2])) == 1.0


def test_a_temperature_leaves_the_order_of_classes_and_gives_probabilities():
    scores_NK, _ = scored(4)
    for temperature in (0.01, 1.0, 50.0):
        log_NK = calibration.tempered(scores_NK, temperature)
        np.testing.assert_allclose(np.exp(log_NK).sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_array_equal(log_NK.argsort(axis=1), scores_NK.argsort(axis=1))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_log_odds_turn_back_into_log_probabilities(scale):
    """Far from 0 too, where probabilities vanish."""
    scores_NK, _ = scored(5, scale)
    expected_NK = scipy.special.log_softmax(scores_NK, axis=1)
    np.testing.assert_allclose(calibration.log_posterior(log_odds(scores_NK)), expected_NK, rtol=1e-12, atol=1e-12)


def test_the_likelihood_of_the_truth_is_that_of_scikit_learn():
    scores_NK, truth_N = scored(6)
    log_NK = calibration.tempered(scores_NK, 1.0)
    expected = sklearn.metrics.log_loss(truth_N, np.exp(log_NK), labels=list(range(K)))
    assert calibration.negative_log_likelihood(log_NK, truth_N) == pytest.approx(expected, rel=1e-12)
    uniform_NK = np.full((N, K), -math.log(K))
    assert calibration.negative_log_likelihood(uniform_NK, truth_N) == pytest.approx(math.log(K), rel=1e-14)


@pytest.mark.parametrize("n_bins", [1, 7, 15, 1000])
@pytest.mark.parametrize("digits", [16, 1])  # with one digit many clips are equally sure
def test_the_calibration_error_is_its_definition(n_bins, digits):
    scores_NK, truth_N = scored(7)
    probability_NK = np.exp(calibration.tempered(scores_NK, 1.0)).round(digits)
    expected = ece_row_by_row(probability_NK, truth_N, n_bins)
    assert expected > 0.005
    assert calibration.calibration_error(probability_NK, truth_N, n_bins) == pytest.approx(expected, abs=1e-14)


def test_bins_hold_equally_many_clips_from_unsure_to_sure():
    scores_NK, truth_N = scored(8)
    probability_NK = np.exp(calibration.tempered(scores_NK, 1.0))
    bins = calibration.reliability(probability_NK, truth_N)
    assert bins.count_B.tolist() == [20] * 15
    sorted_N = np.sort(probability_NK.max(axis=1))
    np.testing.assert_allclose(bins.confidence_B, sorted_N.reshape(15, 20).mean(axis=1), rtol=1e-14)
    right = np.sum(probability_NK.argmax(axis=1) == truth_N)
    assert np.sum(bins.accuracy_B * bins.count_B) == pytest.approx(right, abs=1e-9)


def test_equally_sure_clips_are_in_one_bin_whatever_their_order():
    probability_NK = np.tile([[0.6, 0.4]], (30, 1))
    truth_N = np.arange(30) % 2
    bins = calibration.reliability(probability_NK, truth_N)
    assert (bins.confidence_B.tolist(), bins.accuracy_B.tolist(), bins.count_B.tolist()) == ([0.6], [0.5], [30])
    assert calibration.calibration_error(probability_NK, np.sort(truth_N)) == pytest.approx(0.1, abs=1e-15)


def test_the_order_of_the_clips_does_not_matter():
    scores_NK, truth_N = scored(9)
    log_NK = calibration.tempered(scores_NK, 1.0)
    rng = np.random.default_rng(0)
    for measure in (calibration.negative_log_likelihood, lambda x, y: calibration.calibration_error(np.exp(x), y)):
        orders = [rng.permutation(N) for _ in range(10)]
        assert {measure(log_NK[order_N], truth_N[order_N]) for order_N in orders} == {measure(log_NK, truth_N)}


@pytest.mark.parametrize(
    "function", [calibration.fit_temperature, calibration.negative_log_likelihood, calibration.calibration_error]
)
def test_what_cannot_be_measured_is_refused(function):
    with pytest.raises(ValueError, match="no clip: expected at least one"):
        function(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(ValueError, match="truth"):
        function(np.zeros((1, 2)), np.array([2]))


def test_no_bin_is_refused():
    with pytest.raises(ValueError, match="n_bins 0: expected 1 or more"):
        calibration.reliability(np.full((1, 2), 0.5), np.array([0]), 0)
