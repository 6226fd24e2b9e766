"""Log-linear pools: one probability from those of several classifiers, with weights fitted to validation clips."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from serjax.evaluate.calibration import fit_temperature, tempered
from serjax.evaluate.metrics import AnyArray, check_labels

PENALTY = 0.03  # nats a clip: least loss on left-out validation speakers of RAVDESS speech, of 0, .01, .03, .1, .3, 1


class Pool(NamedTuple):
    """How much each member counts (≥ 0, sum 1), and the temperature that its probabilities get before."""

    weight_M: Float[np.ndarray, "M"]
    temperature_M: Float[np.ndarray, "M"]


def fit_pool(log_MNK: Float[AnyArray, "M N K"], truth_N: Int[AnyArray, "N"], penalty: float = PENALTY) -> Pool:
    """Fit a temperature to each member alone, then the weights of their log-linear pool.

    w = argmin −1/N Σ_n log p_n[truth_n] + λ Σ_m (w_m − 1/M)², w ≥ 0, Σ w = 1. The problem is convex. Few validation
    speakers say little about weights: the penalty keeps them near equal ones unless one member is clearly better.

    Args:
      log_MNK: log-probabilities of each class under each member, up to a constant per clip; finite.
      truth_N: true class ids of the same clips, at least one.
      penalty: λ in nats a clip, ≥ 0.

    Raises:
      ValueError: no member, no clip, a class id out of range, or a penalty below 0.

    Source: Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 1997.
    """
    log_MNK, truth_N = np.asarray(log_MNK, np.float64), np.asarray(truth_N, np.int64)
    if not log_MNK.size or not penalty >= 0:
        raise ValueError(f"log-probabilities {log_MNK.shape}, penalty {penalty}: expected members, clips and λ ≥ 0")
    check_labels(truth_N, log_MNK.shape[2], "truth")
    temperature_M = np.array([fit_temperature(log_NK, truth_N) for log_NK in log_MNK])
    tempered_MNK = np.stack([tempered(log_NK, T) for log_NK, T in zip(log_MNK, temperature_M, strict=True)])
    return Pool(_fit_weights(tempered_MNK, truth_N, penalty), temperature_M)


def pool_log_probabilities(log_MNK: Float[AnyArray, "M N K"], pool: Pool) -> Float[np.ndarray, "N K"]:
    """Return log p = Σ_m w_m log p_m / T_m − log Z of each clip.

    Args:
      log_MNK: as for `fit_pool`, of any clips.
      pool: weights and temperatures of the M members.

    >>> halves = Pool(np.array([0.5, 0.5]), np.ones(2))
    >>> np.exp(pool_log_probabilities(np.log([[[0.8, 0.2]], [[0.5, 0.5]]]), halves))
    array([[0.66666667, 0.33333333]])
    """
    share_M = pool.weight_M / pool.temperature_M
    return tempered(np.tensordot(share_M, np.asarray(log_MNK, np.float64), axes=1), 1.0)


def _fit_weights(
    log_MNK: Float[np.ndarray, "M N K"], truth_N: Int[np.ndarray, "N"], penalty: float
) -> Float[np.ndarray, "M"]:
    equal_M = np.full(len(log_MNK), 1 / len(log_MNK))
    true_MN = np.take_along_axis(log_MNK, truth_N[None, :, None], axis=2)[..., 0]

    def loss(weight_M: Float[np.ndarray, "M"]) -> tuple[float, Float[np.ndarray, "M"]]:
        mixed_NK = np.tensordot(weight_M, log_MNK, axes=1)
        log_z_N = np.logaddexp.reduce(mixed_NK, axis=1)
        expected_MN = np.einsum("nk,mnk->mn", np.exp(mixed_NK - log_z_N[:, None]), log_MNK)
        off_M = weight_M - equal_M
        value = float(np.mean(log_z_N - weight_M @ true_MN)) + penalty * float(off_M @ off_M)
        return value, (expected_MN - true_MN).mean(axis=1) + 2 * penalty * off_M

    found = minimize(
        loss,
        equal_M,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(equal_M),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weight_M = np.clip(found.x, 0.0, None)
    return weight_M / weight_M.sum()
