"""Batch norm and dropout that a batch gets alike, however it is padded and over however many devices it is split.

Flax's own take the mean of the devices' means, which is wrong where masks differ, give NaN where a device has nothing
but padding, and draw one dropout mask per device. In training both must run inside an axis named `"data"`.
"""

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
        if train and not self.is_initializing():
            n_valid, mean_F, var_F = masked_moments(h, mask, self.axis)
            mean_F = jnp.where(n_valid > 0, mean_F, running_mean.value)
            var_F = jnp.where(n_valid > 0, var_F, running_var.value)
            running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean_F
            running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var_F
        gain_F = scale_F * jax.lax.rsqrt(var_F + self.epsilon)
        mean, gain, bias = (_as_channels(value_F, h, self.axis) for value_F in (mean_F, gain_F, bias_F))
        return (h - mean) * gain + bias


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
