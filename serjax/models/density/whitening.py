"""Whitening by the covariance within classes: what differs between clips of one class counts alike in all directions.

Standard deviations 1 → pooled within-class covariance, shrunk towards the identity → its inverse root. In this
space the Gaussian of a class with the pooled covariance is a distance to the class mean.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

OVERSAMPLED, N_POWERS = 20, 4  # axes beyond those asked for, and rounds of powers: Halko et al. 2011


class Whitening(NamedTuple):
    """`(x - centre) @ axes`, with as many axes as numbers are left of a vector."""

    centre_D: Float[Array, " D"]
    axes_DP: Float[Array, "D P"]

    def __call__(self, x_ND: Float[Array, "N D"]) -> Float[Array, "N P"]:
        """Return vectors in the whitened space."""
        return (x_ND - self.centre_D[None]) @ self.axes_DP

    def after(self, centre_E: Float[Array, " E"], axes_ED: Float[Array, "E D"]) -> "Whitening":
        """Return what takes orthonormal axes of longer vectors first: `((x - centre_E) @ axes_ED - centre) @ axes`."""
        return Whitening(centre_E + axes_ED @ self.centre_D, axes_ED @ self.axes_DP)


@partial(jax.jit, static_argnames="n_axes")
def principal_axes(x_ND: Float[Array, "N D"], n_axes: int) -> Float[Array, "D P"]:
    """Return the axes of largest variance, by a randomised search that reads the rows a few times.

    N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", SIAM Review 53, 2011.

    Args:
      x_ND: vectors, centred here.
      n_axes: how many axes, at most min(N, D).
    """
    x_ND = x_ND - x_ND.mean(axis=0)[None]
    width = min(n_axes + OVERSAMPLED, *x_ND.shape)
    # A fixed key: the same vectors always get the same axes.
    start_DW = jax.random.normal(jax.random.key(0), (x_ND.shape[1], width))

    q_DW = jnp.linalg.qr(start_DW)[0]
    for _ in range(N_POWERS):
        # Orthonormal after each round: powers alone turn all columns towards the first axis.
        q_DW = jnp.linalg.qr(x_ND.T @ (x_ND @ q_DW))[0]
    along_NW = x_ND @ q_DW
    _, turn_WW = jnp.linalg.eigh(along_NW.T @ along_NW)
    # `eigh` gives the smallest variance first.
    return q_DW @ turn_WW[:, ::-1][:, :n_axes]


class WithinClasses(NamedTuple):
    """The covariance within classes by its principal axes: one decomposition serves every shrinkage."""

    centre_D: Float[Array, " D"]
    axes_DD: Float[Array, "D D"]
    variance_D: Float[Array, " D"]

    def whitening(self, shrinkage: Float[ArrayLike, ""]) -> Whitening:
        """Return what makes the covariance the identity, once that share of the identity (times its mean) is in it."""
        variance_D = (1 - jnp.asarray(shrinkage)) * self.variance_D + shrinkage * self.variance_D.mean()
        return Whitening(self.centre_D, self.axes_DD / jnp.sqrt(variance_D)[None])


@partial(jax.jit, static_argnames="n_classes")
def fit_within_classes(x_ND: Float[Array, "N D"], label_N: Int[Array, " N"], n_classes: int) -> WithinClasses:
    """Fit on training vectors, whose features get standard deviation 1 first.

    Args:
      x_ND: training vectors.
      label_N: their classes.
      n_classes: how many classes there are.
    """
    centre_D, scale_D = x_ND.mean(axis=0), x_ND.std(axis=0) + 1e-12
    covariance_DD = pooled_covariance((x_ND - centre_D[None]) / scale_D[None], label_N, n_classes)
    variance_D, turn_DD = jnp.linalg.eigh(covariance_DD)
    # Rounding makes the smallest variances of a singular covariance negative.
    return WithinClasses(centre_D, turn_DD / scale_D[:, None], jnp.maximum(variance_D, 0.0))


def fit_whitening(
    x_ND: Float[Array, "N D"], label_N: Int[Array, " N"], n_classes: int, shrinkage: Float[ArrayLike, ""]
) -> Whitening:
    """Fit a whitening of one shrinkage, 0 to 1; above 0 where there are fewer vectors than features."""
    return fit_within_classes(x_ND, label_N, n_classes).whitening(shrinkage)


def class_means(x_ND: Float[Array, "N D"], label_N: Int[Array, " N"], n_classes: int) -> Float[Array, "K D"]:
    """Return the mean vector of each class."""
    is_class_KN = (label_N[None] == jnp.arange(n_classes)[:, None]).astype(x_ND.dtype)
    return is_class_KN @ x_ND / is_class_KN.sum(axis=1, keepdims=True)


def pooled_covariance(x_ND: Float[Array, "N D"], label_N: Int[Array, " N"], n_classes: int) -> Float[Array, "D D"]:
    """Return the covariance about class means, each class counting alike."""
    mean_KD = class_means(x_ND, label_N, n_classes)
    weight_N = 1 / (n_classes * jnp.bincount(label_N, length=n_classes)[label_N])
    residual_ND = x_ND - mean_KD[label_N]
    return (residual_ND * weight_N[:, None]).T @ residual_ND


def shrunk(covariance_DD: Float[Array, "D D"], shrinkage: Float[ArrayLike, ""]) -> Float[Array, "D D"]:
    """Return `(1 - s) C + s tr(C) / D · I`."""
    isotropic_DD = jnp.trace(covariance_DD) / len(covariance_DD) * jnp.eye(len(covariance_DD))
    return covariance_DD + jnp.asarray(shrinkage) * (isotropic_DD - covariance_DD)
