"""VGG-16 and VGG-19 shaped networks on mel pictures (Simonyan & Zisserman 2015, arXiv 1409.1556)."""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation, halve
from serjax.models.head import Head
from serjax.models.pooling import has_sound, zero_masked
from serjax.models.regularisers import BatchNorm, Rate

CHANNELS = (64, 128, 256, 512, 512)
VGG_16 = (2, 2, 3, 3, 3)
VGG_19 = (2, 2, 4, 4, 4)


class VGG(nn.Module):
    """Blocks of 3×3 convolutions with ReLU, each halved; then the dense layers of `CNN1D` (report's S4.13).

    `convolutions`: how many in each block; before the dense layers `VGG_16` has 14.7 million weights, `VGG_19` 20.0.
    The picture is resized to `size`×`size` and has one channel. `width` multiplies the number of channels;
    `batch_norm` is not in the paper, and helps where no trained weights are loaded (`serjax.models.weights`).
    This network sees a fixed picture: masked frames are zeros in it, and longer padding makes another picture.
    """

    n_classes: int
    convolutions: Sequence[int] = VGG_16
    size: int = 224
    width: float = 1.0
    dense: Sequence[int] = (256, 128)
    dropout: Rate = 0.3
    batch_norm: bool = False
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h_FHWB = as_picture(x_BTC, mask_BT, self.size)
        for block, n_layers in enumerate(self.convolutions):
            width = n_channels(CHANNELS[block], self.width)
            for layer in range(n_layers):
                name = f"conv{block + 1}_{layer + 1}"  # as the paper's successors count
                h_FHWB = Conv(width, (3, 3), self.formulation, use_bias=not self.batch_norm, name=name)(h_FHWB)
                h_FHWB = BatchNorm(axis=0)(h_FHWB, row_B[None, None], train) if self.batch_norm else h_FHWB
                h_FHWB = nn.relu(h_FHWB)
            h_FHWB = halve(halve(h_FHWB, 1), 2)
        h_BD = h_FHWB.transpose(3, 1, 2, 0).reshape(x_BTC.shape[0], -1)
        return Head(self.n_classes, self.dense, self.dropout, batch_norm=True)(h_BD, row_B, train)


def as_picture(x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], size: int) -> Float[Array, "1 size size B"]:
    """Return pictures of one channel, `size`×`size`, linear between frames and between coefficients."""
    x_BTC = zero_masked(x_BTC, mask_BT)
    return jax.image.resize(x_BTC, (x_BTC.shape[0], size, size), "linear").transpose(1, 2, 0)[None]


def n_channels(channels: int, width: float) -> int:
    """Return the number of channels times the width multiplier, at least 1."""
    return max(1, round(channels * width))
