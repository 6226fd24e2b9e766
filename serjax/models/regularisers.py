"""Batch norm and dropout that a batch gets alike, however it is padded and over however many devices it is split.

Flax's own take the mean of the devices' means, which is wrong where masks differ, give NaN where a device has nothing
but padding, and draw one dropout mask per device. In training both must run inside an axis named `"data"`.
"""

import functools

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.batch_axis import DATA_AXIS, example_keys

Rate = float | Float[Array, ""]


class BatchNorm(nn.Module):
    """`y = (h − μ) / √(σ² + ε) · scale + bias` per channel, over what the mask leaves of the whole batch (Ioffe 2015).

    Channels lie on `axis`, which the mask has not; its other axes may be of one. Training takes μ and σ² of the batch
    and moves the running ones by `1 − momentum`; else the running ones serve, as they do in a batch that is masked
    throughout. Parameters and statistics are named as in `flax.linen.BatchNorm`.
    """

    axis: int = -1
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, h: Float[Array, "*s"], mask: Float[Array, "*m"], train: bool) -> Float[Array, "*s"]:
        width = h.shape[self.axis]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (width,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (width,))
        scale_F = self.param("scale", nn.initializers.ones, (width,))
        bias_F = self.param("bias", nn.initializers.zeros, (width,))
        mean_F, var_F = running_mean.value, running_var.value
        # Parameters are made outside the axis "data", over which moments are summed.
        if not train or self.is_initializing():
            return _normalised(h, mean_F, scale_F * jax.lax.rsqrt(var_F + self.epsilon), bias_F, self.axis)
        n_valid, *moments = masked_moments(jax.lax.stop_gradient(h), mask, self.axis)
        mean_F, var_F = (jnp.where(n_valid > 0, own, old) for own, old in zip(moments, (mean_F, var_F), strict=True))
        running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean_F
        running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var_F
        inverse_F = jax.lax.rsqrt(var_F + self.epsilon)
        return _by_its_moments(h, mask, scale_F, bias_F, (mean_F, inverse_F, n_valid), self.axis)


class Dropout(nn.Module):
    """Zero each number with probability `rate` and divide the rest by `1 − rate` (Srivastava et al. 2014).

    A rate that is a number of the run is traced, and may be 0; a constant 0 draws nothing. The `dropout` key is that
    of the step, the same on every device: each row's draw is keyed by its place in the whole batch.
    """

    rate: Rate

    @nn.compact
    def __call__(self, h: Float[Array, "B *s F"], train: bool) -> Float[Array, "B *s F"]:
        if not train or self.is_initializing() or (isinstance(self.rate, float) and self.rate == 0.0):
            return h
        key_B = example_keys(self.make_rng("dropout"), h.shape[0])
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, h.shape[1:]))(key_B)
        # Multiplied, as XLA does where the rate is a constant: traced or not, the result is the same bit for bit.
        return jnp.where(keep, h * (1 / (1 - self.rate)), 0.0)


Moments = tuple[Float[Array, " F"], Float[Array, " F"], Float[Array, ""]]
Given = tuple[Float[Array, "*s"], Float[Array, "*m"], Float[Array, " F"], Float[Array, " F"], Moments]


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _by_its_moments(
    h: Float[Array, "*s"],
    mask: Float[Array, "*m"],
    scale_F: Float[Array, " F"],
    bias_F: Float[Array, " F"],
    moments: Moments,
    axis: int,
) -> Float[Array, "*s"]:
    """Return the batch normalised by its own mean and `1 / σ`, of so many valid places.

    The slope goes through these moments too, written out: what JAX derives from two passes over `h` reads it more
    often, and takes longer on CPU.
    """
    mean_F, inverse_F, _ = moments
    return _normalised(h, mean_F, scale_F * inverse_F, bias_F, axis)


def _by_its_moments_backward(
    axis: int, given: Given, slope: Float[Array, "*s"]
) -> tuple[Float[Array, "*s"], None, Float[Array, " F"], Float[Array, " F"], None]:
    """Return `∂h = scale / σ · (∂y − [valid] (Σ ∂y + z Σ ∂y z) / n)`, `z = (h − μ) / σ` (Ioffe 2015, section 3)."""
    h, mask, scale_F, _, (mean_F, inverse_F, n_valid) = given
    others = tuple(a for a in range(h.ndim) if a != axis % h.ndim)
    z = _normalised(h, mean_F, inverse_F, jnp.zeros_like(mean_F), axis)
    bias_slope_F, scale_slope_F = jnp.sum(slope, axis=others), jnp.sum(slope * z, axis=others)
    # The moments are of the whole batch, so a device's clips move what the other devices' clips become.
    sums = jax.lax.psum((bias_slope_F, scale_slope_F), DATA_AXIS)
    mean, mean_z = (_as_channels(sum_F / jnp.maximum(n_valid, 1.0), h, axis) for sum_F in sums)
    through_moments = jnp.where(jnp.expand_dims(mask > 0, axis), mean + z * mean_z, 0.0)
    slope_h = _as_channels(scale_F * inverse_F, h, axis) * (slope - through_moments)
    return slope_h, None, scale_slope_F, bias_slope_F, None


_by_its_moments.defvjp(lambda *given: (_by_its_moments(*given), given[:-1]), _by_its_moments_backward)


def _normalised(
    h: Float[Array, "*s"], mean_F: Float[Array, " F"], gain_F: Float[Array, " F"], bias_F: Float[Array, " F"], axis: int
) -> Float[Array, "*s"]:
    mean, gain, bias = (_as_channels(value_F, h, axis) for value_F in (mean_F, gain_F, bias_F))
    return (h - mean) * gain + bias


def masked_moments(
    h: Float[Array, "*s"], mask: Float[Array, "*m"], axis: int
) -> tuple[Float[Array, ""], Float[Array, " F"], Float[Array, " F"]]:
    """Return the count, mean and variance of each channel where `mask > 0`, over the whole batch; 0 of nothing.

    In two passes: `E[h²] − E[h]²` would lose a variance that is small beside the mean.
    """
    others = tuple(a for a in range(h.ndim) if a != axis % h.ndim)
    valid = jnp.expand_dims(mask > 0, axis)
    chex.assert_equal_rank([h, valid])
    chex.assert_is_broadcastable(valid.shape, h.shape)
    n_repeats = h.size // h.shape[axis] // valid.size
    # Counts are summed over devices too: their parts of a batch may be masked differently.
    n_valid = jax.lax.psum(n_repeats * jnp.sum(valid, dtype=h.dtype), DATA_AXIS)
    share = 1 / jnp.maximum(n_valid, 1.0)
    mean_F = jax.lax.psum(jnp.sum(jnp.where(valid, h, 0.0), axis=others), DATA_AXIS) * share
    distance = jnp.where(valid, h - _as_channels(mean_F, h, axis), 0.0)
    var_F = jax.lax.psum(jnp.sum(jnp.square(distance), axis=others), DATA_AXIS) * share
    return n_valid, mean_F, var_F


def _as_channels(value_F: Float[Array, " F"], h: Float[Array, "*s"], axis: int) -> Float[Array, "*one"]:
    return jnp.expand_dims(value_F, [a for a in range(h.ndim) if a != axis % h.ndim])
