"""Layers that act otherwise in training: dropout and batch normalisation, blind to padding and to device counts.

A model is in training if it is called with `key_B`, a key for each clip; without, it is deterministic.
"""

import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from serjax.models.batch_axis import DATA_AXIS


class Dropout(nn.Module):
    """Set each activation to 0 with probability `rate` and divide the others by `1 - rate`.

    Each clip draws with its own key and the layer's place in the model: neither neighbours nor devices matter.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """

    rate: float

    @nn.compact
    def __call__(self, x_B: Float[Array, "B ..."], key_B: Key[Array, " B"] | None = None) -> Float[Array, "B ..."]:
        """Return activations of the same shape; as they are without keys."""
        if key_B is None or self.rate == 0:
            return x_B
        place = zlib.crc32("/".join(map(str, self.path)).encode())

        def draw(key: Key[Array, ""]) -> Array:
            return jax.random.bernoulli(jax.random.fold_in(key, place), 1 - self.rate, x_B.shape[1:])

        return jnp.where(jax.vmap(draw)(key_B), x_B / (1 - self.rate), 0.0)


class BatchNorm(nn.Module):
    """Bring each channel to mean 0 and variance 1 over the valid entries of the batch, then scale and shift it.

    `y = (x - mean) / sqrt(var + eps) * scale + bias`, with `mean = sum(mask x) / sum(mask)` over all devices that
    share the batch; without keys the running moments stand in, `m <- momentum m + (1 - momentum) mean`. Masked entries
    come out as whatever: mask them again where they matter.

    Source: S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training", 2015.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x_BC: Float[Array, "B *d C"], mask_B: Float[Array, "B *d"], key_B: Key[Array, " B"] | None = None
    ) -> Float[Array, "B *d C"]:
        """Return entries of the same shape; `mask_B` is 1 for those that count, 0 for padding."""
        n_channels = x_BC.shape[-1]
        mean_C = self.variable("batch_stats", "mean", jnp.zeros, n_channels)
        variance_C = self.variable("batch_stats", "variance", jnp.ones, n_channels)
        scale_C = self.param("scale", nn.initializers.ones, (n_channels,))
        bias_C = self.param("bias", nn.initializers.zeros, (n_channels,))
        if key_B is None:
            now_mean_C, now_variance_C = mean_C.value, variance_C.value
        else:
            now_mean_C, now_variance_C = _moments(x_BC.reshape(-1, n_channels), mask_B.reshape(-1))
            for running, now in ((mean_C, now_mean_C), (variance_C, now_variance_C)):
                running.value = self.momentum * running.value + (1 - self.momentum) * jax.lax.stop_gradient(now)
        factor_C = scale_C * jax.lax.rsqrt(now_variance_C + self.epsilon)
        along_C = (1,) * (x_BC.ndim - 1) + (n_channels,)
        return (x_BC - now_mean_C.reshape(along_C)) * factor_C.reshape(along_C) + bias_C.reshape(along_C)


def _moments(x_MC: Float[Array, "M C"], mask_M: Float[Array, " M"]) -> tuple[Float[Array, " C"], Float[Array, " C"]]:
    """Return mean and variance of the valid rows of all shares of the batch."""
    share_M = mask_M / jnp.maximum(jax.lax.psum(jnp.sum(mask_M), DATA_AXIS), 1.0)
    mean_C = jax.lax.psum(share_M @ x_MC, DATA_AXIS)
    return mean_C, jax.lax.psum(share_M @ jnp.square(x_MC - mean_C[None, :]), DATA_AXIS)
