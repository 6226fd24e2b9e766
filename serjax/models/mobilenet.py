"""A MobileNet v1 shaped network on mel pictures (Howard et al. 2017, arXiv 1704.04861)."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation
from serjax.models.head import Head
from serjax.models.pooling import has_sound
from serjax.models.regularisers import BatchNorm, Dropout, Rate
from serjax.models.vgg import as_picture, n_channels

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class SeparableBlock(nn.Module):
    """Depthwise 3×3 convolution, then 1×1 convolution, each with batch norm and ReLU."""

    channels: int
    stride: int
    formulation: Formulation

    @nn.compact
    def __call__(self, h: Float[Array, "F H W B"], row_B: Float[Array, " B"], train: bool) -> Float[Array, "G H2 W2 B"]:
        mask_11B = row_B[None, None]
        h = Conv(h.shape[0], (3, 3), self.formulation, stride=self.stride, depthwise=True)(h)
        h = nn.relu(BatchNorm(axis=0)(h, mask_11B, train))
        h = Conv(self.channels, (1, 1), self.formulation)(h)
        return nn.relu(BatchNorm(axis=0)(h, mask_11B, train))


class MobileNet(nn.Module):
    """A strided 3×3 convolution, separable blocks (channels, stride), the mean over places, dropout, classes (S4.15).

    The picture is resized to `size`×`size` and has one channel; `width` multiplies the number of channels. This
    network sees a fixed picture: masked frames are zeros in it, and longer padding makes another picture.
    """

    n_classes: int
    size: int = 224
    width: float = 1.0
    blocks: Sequence[tuple[int, int]] = BLOCKS
    dropout: Rate = 0.2
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h = as_picture(x_BTC, mask_BT, self.size)
        h = Conv(n_channels(32, self.width), (3, 3), self.formulation, stride=2)(h)
        h = nn.relu(BatchNorm(axis=0)(h, row_B[None, None], train))
        for channels, stride in self.blocks:
            h = SeparableBlock(n_channels(channels, self.width), stride, self.formulation)(h, row_B, train)
        h_BF = Dropout(self.dropout)(h.mean(axis=(1, 2)).T, train)
        return Head(self.n_classes)(h_BF, row_B, train)
