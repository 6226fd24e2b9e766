"""Soft voting: the weighted mean of what several classifiers think likely."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from serjax.models.classical.packages import ClassicalError

PROBABILITY_FLOOR = 1e-12


def soft_vote(probability_MNK: Float[np.ndarray, "M N K"], weights: Sequence[float] = ()) -> Float[np.ndarray, "N K"]:
    """Return the weighted mean of the members' class probabilities: p = Σ_m w_m p_m / Σ_m w_m.

    Args:
      probability_MNK: probabilities of K classes under each of M members, at least one.
      weights: one per member, above 0; none: equal ones.

    Raises:
      ClassicalError: no member, or weights that are not one per member and above 0.

    >>> soft_vote(np.array([[[1.0, 0.0]], [[0.5, 0.5]]]), (3.0, 1.0))
    array([[0.875, 0.125]])
    """
    weight_M = np.asarray(member_weights(len(probability_MNK), weights))
    return np.einsum("m,mnk->nk", weight_M / weight_M.sum(), probability_MNK)


def log_probabilities(probability_NK: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Return ln max(p, 1e-12): a probability of 0 has no logarithm."""
    return np.log(np.maximum(probability_NK, PROBABILITY_FLOOR))


def member_weights(n_members: int, weights: Sequence[float]) -> tuple[float, ...]:
    """Return one weight per member: those given, or ones.

    Raises:
      ClassicalError: as `soft_vote`.
    """
    filled = tuple(float(w) for w in weights) or (1.0,) * n_members
    if not n_members or len(filled) != n_members or not all(0 < w < float("inf") for w in filled):
        raise ClassicalError(
            f"{n_members} members vote with weights {list(weights)}: expected at least one member, and one number "
            "above 0 for each (or no weights, for equal ones)."
        )
    return filled
