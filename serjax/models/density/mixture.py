"""A mixture of Gaussians per class, of one covariance, the identity: classes that come in several kinds."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from serjax.models.density.whitening import class_means

N_ROUNDS = 20


class TiedMixtures(NamedTuple):
    """`log p(x | c) = log sum_m w_cm exp(-|x - m_cm|^2 / 2)`, without the constant."""

    log_weight_KM: Float[Array, "K M"]
    mean_KMP: Float[Array, "K M P"]

    def __call__(self, x_NP: Float[Array, "N P"]) -> Float[Array, "N K"]:
        """Return the log-likelihood of each vector under each class."""

        def one(of_class: tuple[Float[Array, " M"], Float[Array, "M P"]]) -> Float[Array, " N"]:
            return jax.nn.logsumexp(_joint(of_class[0], of_class[1], x_NP), axis=1)

        return jax.lax.map(one, (self.log_weight_KM, self.mean_KMP)).T


@partial(jax.jit, static_argnames=("n_classes", "n_parts"))
def fit_mixtures(
    x_NP: Float[Array, "N P"], label_N: Int[Array, " N"], key: Key[Array, ""], n_classes: int, n_parts: int
) -> TiedMixtures:
    """Fit by expectation maximisation, from parts a third of the way from the class mean to vectors drawn at random.

    Args:
      x_NP: training vectors, whitened within classes.
      label_N: their classes.
      key: which vectors are drawn.
      n_classes: K.
      n_parts: M; 1: the class means.
    """
    mean_KP = class_means(x_NP, label_N, n_classes)

    def one(k: Int[Array, ""]) -> tuple[Float[Array, " M"], Float[Array, "M P"]]:
        weight_N = (label_N == k).astype(x_NP.dtype)
        drawn_M = jax.random.choice(jax.random.fold_in(key, k), len(x_NP), (n_parts,), False, weight_N / weight_N.sum())
        apart_MP = x_NP[drawn_M] - x_NP[drawn_M].mean(axis=0)[None]
        begin = jnp.full(n_parts, -jnp.log(n_parts)), mean_KP[k][None] + apart_MP / 3

        def improve(_: Int[Array, ""], parts: tuple[Array, Array]) -> tuple[Array, Array]:
            share_NM = jax.nn.softmax(_joint(parts[0], parts[1], x_NP), axis=1) * weight_N[:, None]
            # A part that no clip is left to keeps a weight above 0, whose logarithm is finite.
            count_M = share_NM.sum(axis=0) + 1e-6
            return jnp.log(count_M / count_M.sum()), share_NM.T @ x_NP / count_M[:, None]

        return jax.lax.fori_loop(0, N_ROUNDS, improve, begin)

    return TiedMixtures(*jax.lax.map(one, jnp.arange(n_classes)))


def _joint(
    log_weight_M: Float[Array, " M"], mean_MP: Float[Array, "M P"], x_NP: Float[Array, "N P"]
) -> Float[Array, "N M"]:
    """Return `log w_m - |x - m_m|^2 / 2`."""
    # Multiplied out: one matrix product, and no array of N × M × P.
    squared_NM = jnp.square(x_NP).sum(axis=1)[:, None] - 2 * x_NP @ mean_MP.T + jnp.square(mean_MP).sum(axis=1)[None]
    return log_weight_M[None] - squared_NM / 2
