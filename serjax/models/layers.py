"""Encoder and decoder trunks that the autoencoder and the VAE share, dense or convolutional."""

from collections.abc import Sequence
from typing import Literal

import jax
from flax import linen as nn
from jaxtyping import Array, Float

Architecture = Literal["dense", "conv"]


class DenseEncoder(nn.Module):
    """Flattens the picture and passes it through dense layers with GELU."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B H"]:
        h = x_BTC.reshape(x_BTC.shape[0], -1)
        for width in self.hidden:
            h = nn.gelu(nn.Dense(width)(h))
        return h


class DenseDecoder(nn.Module):
    """Dense layers with GELU, then one linear layer to all `T·C` elements."""

    hidden: Sequence[int]
    frames: int
    n_features: int

    @nn.compact
    def __call__(self, z_BZ: Float[Array, "B Z"]) -> Float[Array, "B T C"]:
        h = z_BZ
        for width in self.hidden:
            h = nn.gelu(nn.Dense(width)(h))
        h = nn.Dense(self.frames * self.n_features)(h)
        return h.reshape(h.shape[0], self.frames, self.n_features)


class ConvEncoder(nn.Module):
    """Convolutions over time with stride 2 (coefficients are channels), then one dense layer."""

    channels: Sequence[int]

    @nn.compact
    def __call__(self, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B H"]:
        h = x_BTC
        for width in self.channels:
            h = nn.gelu(nn.Conv(width, kernel_size=(5,), strides=(2,), padding="SAME")(h))
        return nn.gelu(nn.Dense(self.channels[-1])(h.reshape(h.shape[0], -1)))


class ConvDecoder(nn.Module):
    """The mirror of `ConvEncoder`: each layer doubles the frames by repetition, then convolves; the surplus is cut."""

    channels: Sequence[int]
    frames: int
    n_features: int

    @nn.compact
    def __call__(self, z_BZ: Float[Array, "B Z"]) -> Float[Array, "B T C"]:
        widths = tuple(reversed(self.channels))
        coarse = -(-self.frames // 2 ** len(widths))
        h = nn.gelu(nn.Dense(coarse * widths[0])(z_BZ)).reshape(z_BZ.shape[0], coarse, widths[0])
        for width in (*widths[1:], widths[-1]):
            h = jax.numpy.repeat(h, 2, axis=1)
            h = nn.gelu(nn.Conv(width, kernel_size=(5,), padding="SAME")(h))
        return nn.Dense(self.n_features)(h[:, : self.frames])


def make_encoder(architecture: Architecture, widths: Sequence[int]) -> nn.Module:
    """Return the encoder trunk; `widths` are hidden units (dense) or channels (conv), input side first."""
    return DenseEncoder(widths) if architecture == "dense" else ConvEncoder(widths)


def make_decoder(architecture: Architecture, widths: Sequence[int], frames: int, n_features: int) -> nn.Module:
    """Return the decoder trunk that mirrors `make_encoder(architecture, widths)`."""
    if architecture == "dense":
        return DenseDecoder(tuple(reversed(widths)), frames, n_features)
    return ConvDecoder(widths, frames, n_features)
