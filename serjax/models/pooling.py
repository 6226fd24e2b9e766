"""From frames to one vector per clip, masked frames left out; a clip without a valid frame gives zeros."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.dsp.functionals import masked_mean, masked_std

Pooling = Literal["flatten", "mean", "statistics", "attention", "attentive-statistics"]


class FramePooling(nn.Module):
    """One vector per clip: all frames in a row, or their mean, with or without deviation, attended or not.

    What follows `flatten` has as many weights as the picture has frames: longer padding is then another network.
    """

    pooling: Pooling

    @nn.compact
    def __call__(self, h_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"]) -> Float[Array, "B D"]:
        match self.pooling:
            case "flatten":
                return zero_masked(h_BTC, mask_BT).reshape(h_BTC.shape[0], -1)
            case "mean":
                return masked_mean(jnp.swapaxes(h_BTC, 1, 2), mask_BT > 0)
            case "statistics":
                return statistics_pooling(h_BTC, mask_BT)
            case "attention":
                return AttentionPooling()(h_BTC, mask_BT)
            case "attentive-statistics":
                return AttentionPooling(deviation=True)(h_BTC, mask_BT)


class AttentionPooling(nn.Module):
    """`μ = Σ_t a_t h_t`, `a = softmax_t(vᵀ tanh(W h_t + b))` over the valid frames (Bahdanau et al. 2015).

    With `deviation`, `√(Σ_t a_t (h_t − μ)²)` stands behind it, D = 2 C (Okabe et al. 2018, attentive statistics).
    """

    units: int = 64
    deviation: bool = False

    @nn.compact
    def __call__(self, h_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"]) -> Float[Array, "B D"]:
        hidden_BTU = nn.tanh(nn.Dense(self.units, name="hidden")(h_BTC))
        score_BT = nn.Dense(1, use_bias=False, name="score")(hidden_BTU)[..., 0]
        weight_BT = masked_softmax(score_BT, mask_BT)
        h_BTC = zero_masked(h_BTC, mask_BT)
        mean_BC = jnp.sum(weight_BT[..., None] * h_BTC, axis=1)
        if not self.deviation:
            return mean_BC
        variance_BC = jnp.sum(weight_BT[..., None] * jnp.square(h_BTC - mean_BC[:, None]), axis=1)
        # Of a frame alone the variance is 0, where the root has no slope: the floor keeps gradients finite.
        deviation_BC = jnp.where(has_sound(mask_BT)[:, None] > 0, jnp.sqrt(variance_BC + 1e-5), 0.0)
        return jnp.concatenate([mean_BC, deviation_BC], axis=-1)


def statistics_pooling(h_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"]) -> Float[Array, "B D"]:
    """Return mean and standard deviation over each clip's valid frames, D = 2 C (Snyder et al. 2017).

    >>> statistics_pooling(jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[1.0, 1.0, 0.0]])).tolist()
    [[2.0, 1.0]]
    """
    h_BCT, valid_BT = jnp.swapaxes(h_BTC, 1, 2), mask_BT > 0
    return jnp.concatenate([masked_mean(h_BCT, valid_BT), masked_std(h_BCT, valid_BT)], axis=-1)


def masked_softmax(score_BT: Float[Array, "B T"], mask_BT: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """Return `m_t exp s_t / Σ_u m_u exp s_u`; zeros where nothing is valid."""
    valid_BT = mask_BT > 0
    lowest = jnp.finfo(score_BT.dtype).min  # finite, so that a clip without valid frames has a finite gradient
    return jnp.where(valid_BT, jax.nn.softmax(jnp.where(valid_BT, score_BT, lowest), axis=-1), 0.0)


def zero_masked(h: Float[Array, "B T *s"], mask_BT: Float[Array, "B T"]) -> Float[Array, "B T *s"]:
    """Return `h` with zeros in masked frames, whatever they held."""
    valid = (mask_BT > 0).reshape(mask_BT.shape + (1,) * (h.ndim - 2))
    return jnp.where(valid, h, 0.0)


def has_sound(mask_BT: Float[Array, "B T"]) -> Float[Array, " B"]:
    """Return 1 for clips with a valid frame, 0 for those that only fill up a batch."""
    return jnp.max(mask_BT, axis=-1)
