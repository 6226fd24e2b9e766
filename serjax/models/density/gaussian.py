"""One density per class of whitened vectors: Gaussians with a covariance for all or one each, or linear autoencoders.

All are fitted by moments. Scores of a clip are "higher is better".
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from serjax.models.density.whitening import class_means, shrunk


class Gaussians(NamedTuple):
    """A Gaussian per class: `log p(x | c) = -|R_c (x - m_c)|^2 / 2 + log |R_c|`, without the constant."""

    mean_KP: Float[Array, "K P"]
    root_KPP: Float[Array, "K P P"]

    def __call__(self, x_NP: Float[Array, "N P"]) -> Float[Array, "N K"]:
        """Return the log-likelihood of each vector under each class."""

        def one(mean_P: Float[Array, " P"], root_PP: Float[Array, "P P"]) -> Float[Array, " N"]:
            distance_N = jnp.square((x_NP - mean_P[None]) @ root_PP.T).sum(axis=1)
            return jnp.linalg.slogdet(root_PP)[1] - distance_N / 2

        return jax.lax.map(lambda of_class: one(*of_class), (self.mean_KP, self.root_KPP)).T


class TiedGaussians(NamedTuple):
    """Gaussians of one covariance, the identity: `log p(x | c) = -|x - m_c|^2 / 2`, without the constant."""

    mean_KP: Float[Array, "K P"]

    def __call__(self, x_NP: Float[Array, "N P"]) -> Float[Array, "N K"]:
        """Return the log-likelihood of each vector under each class."""
        return jax.lax.map(lambda mean_P: -jnp.square(x_NP - mean_P[None]).sum(axis=1) / 2, self.mean_KP).T


@partial(jax.jit, static_argnames="n_classes")
def fit_gaussians(
    x_NP: Float[Array, "N P"],
    label_N: Int[Array, " N"],
    n_classes: int,
    own: Float[ArrayLike, ""],
    shrinkage: Float[ArrayLike, ""],
) -> Gaussians:
    """Fit means, and covariances between one for all classes and one for each: `S_c = own C_c + (1 - own) I`.

    Args:
      x_NP: training vectors, whitened within classes: the covariance of all classes together is the identity.
      label_N: their classes.
      n_classes: K.
      own: share of the class's own covariance, 0 (tied) to 1.
      shrinkage: share of the identity (times the mean variance) in a class's own covariance.
    """
    mean_KP = class_means(x_NP, label_N, n_classes)
    identity_PP = jnp.eye(x_NP.shape[1])

    def root(k: Int[Array, ""]) -> Float[Array, "P P"]:
        weight_N = (label_N == k).astype(x_NP.dtype)
        residual_NP = (x_NP - mean_KP[k][None]) * weight_N[:, None]
        covariance_PP = shrunk(residual_NP.T @ residual_NP / weight_N.sum(), shrinkage)
        mixed_PP = own * covariance_PP + (1 - own) * identity_PP
        # R is the inverse of the Cholesky factor: |R (x - m)|² is the Mahalanobis distance.
        lower_PP = jnp.linalg.cholesky(mixed_PP)
        return jax.scipy.linalg.solve_triangular(lower_PP, identity_PP, lower=True)

    return Gaussians(mean_KP, jax.lax.map(root, jnp.arange(n_classes)))


class LinearAutoencoders(NamedTuple):
    """A principal component analysis per class: what its `Q` axes leave of `x - m_c` is the reconstruction error."""

    mean_KP: Float[Array, "K P"]
    axes_KPQ: Float[Array, "K P Q"]

    def __call__(self, x_NP: Float[Array, "N P"]) -> Float[Array, "N K"]:
        """Return minus the squared reconstruction error of each vector under each class."""
        centred_KNP = x_NP[None] - self.mean_KP[:, None]
        explained_KN = jnp.square(jnp.einsum("knp,kpq->knq", centred_KNP, self.axes_KPQ)).sum(axis=-1)
        return (explained_KN - jnp.square(centred_KNP).sum(axis=-1)).T


@partial(jax.jit, static_argnames=("n_classes", "n_axes"))
def fit_linear_autoencoders(
    x_NP: Float[Array, "N P"], label_N: Int[Array, " N"], n_classes: int, n_axes: int
) -> LinearAutoencoders:
    """Fit mean and principal axes of each class.

    Args:
      x_NP: training vectors.
      label_N: their classes.
      n_classes: K.
      n_axes: Q, at most P; 0: the class mean alone.
    """
    mean_KP = class_means(x_NP, label_N, n_classes)

    def axes(k: Int[Array, ""]) -> Float[Array, "P Q"]:
        residual_NP = (x_NP - mean_KP[k][None]) * (label_N == k).astype(x_NP.dtype)[:, None]
        _, turn_PP = jnp.linalg.eigh(residual_NP.T @ residual_NP)
        # `eigh` gives the smallest variance first.
        return turn_PP[:, ::-1][:, :n_axes]

    return LinearAutoencoders(mean_KP, jax.lax.map(axes, jnp.arange(n_classes)))
