"""Log-linear pools: weights of least loss, near equal ones where nothing says otherwise."""

import numpy as np
import pytest

from serjax.evaluate.calibration import negative_log_likelihood, tempered
from serjax.evaluate.pool import PENALTY, Pool, fit_pool, pool_log_probabilities

N, K = 300, 4


@pytest.fixture(scope="module")
def truth_N() -> np.ndarray:
    return np.random.default_rng(0).integers(K, size=N)


def member(truth_N: np.ndarray, strength: float, key: int) -> np.ndarray:
    """Return log-probabilities that know the truth as well as `strength` says."""
    noise_NK = np.random.default_rng(key).normal(size=(len(truth_N), K))
    return tempered(noise_NK + strength * np.eye(K)[truth_N], 1.0)


def test_weights_are_those_of_least_penalised_loss(truth_N: np.ndarray) -> None:
    log_MNK = np.stack([member(truth_N, 2.0, 1), member(truth_N, 1.0, 2)])
    fitted = fit_pool(log_MNK, truth_N)

    def loss(weight: float) -> float:
        pool = Pool(np.array([weight, 1 - weight]), fitted.temperature_M)
        off = 2 * (weight - 0.5) ** 2
        return negative_log_likelihood(pool_log_probabilities(log_MNK, pool), truth_N) + PENALTY * off

    grid = np.linspace(0, 1, 2001)
    np.testing.assert_allclose(fitted.weight_M[0], grid[np.argmin([loss(w) for w in grid])], atol=5e-4)
    assert 0.5 < fitted.weight_M[0] < 1


def test_a_member_that_knows_nothing_gets_no_weight_unless_the_penalty_is_high(truth_N: np.ndarray) -> None:
    log_MNK = np.stack([member(truth_N, 3.0, 1), member(np.roll(truth_N, 7), 3.0, 2), member(truth_N, 3.0, 3)])
    weight_M = fit_pool(log_MNK, truth_N).weight_M
    np.testing.assert_allclose(weight_M.sum(), 1.0, rtol=1e-12)
    assert weight_M[1] < 0.1 < 0.4 < weight_M[[0, 2]].min()
    np.testing.assert_allclose(fit_pool(log_MNK, truth_N, 1e6).weight_M, 1 / 3, atol=1e-5)


def test_only_what_a_member_says_of_classes_counts(truth_N: np.ndarray) -> None:
    """Neither how sharp its scores are nor a constant per clip: −MSE of 0.01 and nats of 1 000 are members alike."""
    log_MNK = np.stack([member(truth_N, 2.0, 1), member(truth_N, 2.0, 2)])
    shift_N1 = np.random.default_rng(3).normal(size=(N, 1))
    scaled_MNK = np.stack([1e-3 * log_MNK[0], 50.0 * log_MNK[1] + shift_N1])
    plain, scaled = (pool_log_probabilities(log, fit_pool(log, truth_N)) for log in (log_MNK, scaled_MNK))
    np.testing.assert_allclose(scaled, plain, atol=1e-6)
    np.testing.assert_allclose(np.exp(plain).sum(axis=1), 1.0, rtol=1e-12)


def test_what_cannot_be_fitted_is_refused(truth_N: np.ndarray) -> None:
    log_MNK = member(truth_N, 1.0, 1)[None]
    for log, truth, penalty in (
        (log_MNK[:0], truth_N, 0.0),
        (log_MNK[:, :0], truth_N[:0], 0.0),
        (log_MNK, truth_N, -1.0),
    ):
        with pytest.raises(ValueError, match="expected members, clips and λ"):
            fit_pool(log, truth, penalty)
    with pytest.raises(ValueError, match="truth"):
        fit_pool(log_MNK, truth_N + K)
