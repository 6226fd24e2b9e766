"""Universal background model: one mixture of diagonal Gaussians of all frames, and clips as moves of its means.

D. A. Reynolds, T. F. Quatieri and R. B. Dunn, "Speaker verification using adapted Gaussian mixture models", 2000;
supervectors after W. M. Campbell, D. E. Sturim and D. A. Reynolds, "Support vector machines using GMM supervectors for
speaker verification", 2006.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

LEAST_VARIANCE = 0.02  # of a component, where that of all frames is 1


class Ubm(NamedTuple):
    """K Gaussians over frames of D features, which are first standardised by `centre` and `scale`."""

    centre_D: Float[Array, " D"]
    scale_D: Float[Array, " D"]
    weight_K: Float[Array, " K"]
    mean_KD: Float[Array, "K D"]
    variance_KD: Float[Array, "K D"]


@partial(jax.jit, static_argnames=("n_components", "n_iterations"))
def fit_ubm(frames_FD: Float[Array, "F D"], key: Key[Array, ""], n_components: int = 64, n_iterations: int = 8) -> Ubm:
    """Fit a mixture by expectation maximisation, from means that are frames drawn at random.

    Args:
      frames_FD: frames of training clips, F >= K.
      key: which frames are drawn.
      n_components: K.
      n_iterations: rounds of EM.
    """
    n_frames, n_features = frames_FD.shape
    centre_D, scale_D = frames_FD.mean(axis=0), frames_FD.std(axis=0) + 1e-6
    x_FD = (frames_FD - centre_D[None]) / scale_D[None]
    drawn_K = jax.random.choice(key, n_frames, (n_components,), replace=False)
    begin = Ubm(
        centre_D,
        scale_D,
        jnp.full(n_components, 1 / n_components),
        x_FD[drawn_K],
        jnp.ones((n_components, n_features)),
    )

    def improve(_: Int[Array, ""], ubm: Ubm) -> Ubm:
        share_FK = posterior(ubm, x_FD)
        # A component without frames gets the mean 0, not 0 / 0.
        count_K = share_FK.sum(axis=0) + 1e-3
        mean_KD = share_FK.T @ x_FD / count_K[:, None]
        second_KD = share_FK.T @ jnp.square(x_FD) / count_K[:, None]
        # E[x²] − E[x]² may be negative by rounding, and a component may shrink to one frame.
        variance_KD = jnp.maximum(second_KD - jnp.square(mean_KD), LEAST_VARIANCE)
        return Ubm(centre_D, scale_D, count_K / count_K.sum(), mean_KD, variance_KD)

    return jax.lax.fori_loop(0, n_iterations, improve, begin)


def posterior(ubm: Ubm, x_FD: Float[Array, "F D"]) -> Float[Array, "F K"]:
    """Return the share that each component has in standardised frames, p(k | x)."""
    return jax.nn.softmax(_joint(ubm, x_FD), axis=1)


def mean_log_likelihood(ubm: Ubm, frames_TD: Float[Array, "T D"], mask_T: Bool[Array, " T"]) -> Float[Array, ""]:
    """Return the mean of log p(x_t) over the frames of a clip, in nats: how well the background knows such sound.

    Args:
      ubm: the background.
      frames_TD: frames of a clip.
      mask_T: which of them count; of none the mean is that of all.
    """
    # A clip of which nothing counts is heard as a whole.
    mask_T = mask_T | ~mask_T.any()
    x_TD = (frames_TD - ubm.centre_D[None]) / ubm.scale_D[None]
    # The scales bring log p back from standardised frames to frames as they are.
    constant = jnp.log(ubm.scale_D).sum() + len(ubm.scale_D) * jnp.log(2 * jnp.pi) / 2
    log_px_T = jax.nn.logsumexp(_joint(ubm, x_TD), axis=1) - constant
    return jnp.where(mask_T, log_px_T, 0.0).sum() / mask_T.sum()


def _joint(ubm: Ubm, x_FD: Float[Array, "F D"]) -> Float[Array, "F K"]:
    """Return `log p(k) p(x | k)` of standardised frames, without the constant of a Gaussian."""
    precision_KD = 1 / ubm.variance_KD
    # Multiplied out: matrix products, and no array of F × K × D.
    distance_FK = (
        jnp.square(x_FD) @ precision_KD.T
        - 2 * x_FD @ (ubm.mean_KD * precision_KD).T
        + (jnp.square(ubm.mean_KD) * precision_KD + jnp.log(ubm.variance_KD)).sum(axis=1)[None]
    )
    return jnp.log(ubm.weight_K)[None] - distance_FK / 2


def supervector(
    ubm: Ubm, frames_TD: Float[Array, "T D"], mask_T: Bool[Array, " T"], relevance: Float[ArrayLike, ""] = 8.0
) -> Float[Array, " S"]:
    """Return the K · D numbers of how far a clip moves the means of the background by MAP.

    `v_kd = sqrt(w_k) / sigma_kd · sum_t p(k | x_t) (x_td - m_kd) / (relevance + sum_t p(k | x_t))`.

    Args:
      ubm: the background.
      frames_TD: frames of a clip.
      mask_T: which of them count.
      relevance: frames by which a component has moved half of the way.
    """
    # Masked frames become 0 first: NaN times a share of 0 is NaN.
    x_TD = jnp.where(mask_T[:, None], (frames_TD - ubm.centre_D[None]) / ubm.scale_D[None], 0.0)
    share_TK = posterior(ubm, x_TD) * mask_T[:, None]
    count_K = share_TK.sum(axis=0)[:, None]
    moved_KD = (share_TK.T @ x_TD - count_K * ubm.mean_KD) / (count_K + relevance)
    return (moved_KD * jnp.sqrt(ubm.weight_K)[:, None] / jnp.sqrt(ubm.variance_KD)).ravel()
