"""The two-dimensional convolutional network on MFCC or mel pictures."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.dsp import delta
from serjax.models.convolution import Conv, Formulation, halve
from serjax.models.head import Head
from serjax.models.pooling import FramePooling, Pooling, has_sound, zero_masked
from serjax.models.regularisers import BatchNorm, Rate


class CNN(nn.Module):
    """Blocks of 3×3 convolution, batch norm, ReLU and 2×2 max pooling; then pooling over time and dense layers.

    Masked frames are zero before every convolution, as if the picture ended there. With `deltas`, slope and curvature
    over time are two more channels of the first one.
    """

    n_classes: int
    channels: Sequence[int] = (32, 64, 128)
    dense: Sequence[int] = (128,)
    dropout: Rate = 0.3
    pooling: Pooling = "statistics"
    formulation: Formulation = "im2col"
    deltas: bool = False

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        x_BTC = zero_masked(x_BTC, mask_BT)
        channels = [x_BTC, *(delta(x_BTC, axis=1, order=order, mode="constant") for order in (1, 2) if self.deltas)]
        h_FTCB, mask_TB = jnp.stack([zero_masked(h, mask_BT) for h in channels]).transpose(0, 2, 3, 1), mask_BT.T
        for width in self.channels:
            h_FTCB = Conv(width, (3, 3), self.formulation)(h_FTCB)
            h_FTCB = nn.relu(BatchNorm(axis=0)(h_FTCB, mask_TB[:, None], train))
            h_FTCB = jnp.where(mask_TB[None, :, None] > 0, h_FTCB, 0.0)
            h_FTCB, mask_TB = halve(halve(h_FTCB, 1), 2), halve(mask_TB, 0)
        h_BTCF = h_FTCB.transpose(3, 1, 2, 0)
        h_BD = FramePooling(self.pooling)(h_BTCF.reshape(*h_BTCF.shape[:2], -1), mask_TB.T)
        return Head(self.n_classes, self.dense, self.dropout)(h_BD, row_B, train)
