"""The two-dimensional convolutional network on MFCC or mel pictures."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Formulation, conv, halve
from serjax.models.head import Head
from serjax.models.pooling import FramePooling, Pooling, has_sound, zero_masked
from serjax.models.regularisers import BatchNorm, Rate


class CNN(nn.Module):
    """Blocks of 3×3 convolution, batch norm, ReLU and 2×2 max pooling; then pooling over time and dense layers.

    Masked frames are zero before every convolution, as if the picture ended there.
    """

    n_classes: int
    channels: Sequence[int] = (32, 64, 128)
    dense: Sequence[int] = (128,)
    dropout: Rate = 0.3
    pooling: Pooling = "statistics"
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h = zero_masked(x_BTC, mask_BT)[..., None]
        for width in self.channels:
            h = conv(width, (3, 3), self.formulation, use_bias=False)(h)
            h = zero_masked(nn.relu(BatchNorm()(h, mask_BT[..., None], train)), mask_BT)
            h, mask_BT = halve(halve(h, 1), 2), halve(mask_BT, 1)
        h_BTD = h.reshape(*h.shape[:2], -1)
        h_BD = FramePooling(self.pooling)(h_BTD, mask_BT)
        return Head(self.n_classes, self.dense, self.dropout)(h_BD, row_B, train)
