"""The one-dimensional convolutional network on feature vectors: 66 principal components in the report."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation, halve
from serjax.models.head import Head
from serjax.models.pooling import has_sound, zero_masked
from serjax.models.regularisers import BatchNorm, Rate


class CNN1D(nn.Module):
    """Eight convolutions along the features, halved after every second, then three dense layers (report's S4.12).

    Batch norm and ReLU follow each layer, dropout the dense ones. Widths and kernel are ours: the report leaves them
    unsaid. A vector is a picture of one frame; the frames of a longer one are input channels.
    """

    n_classes: int
    filters: Sequence[int] = (32, 32, 64, 64, 128, 128, 256, 256)
    dense: Sequence[int] = (256, 128)
    kernel: int = 3
    dropout: Rate = 0.3
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h_FCB = zero_masked(x_BTC, mask_BT).transpose(1, 2, 0)
        for i, width in enumerate(self.filters):
            h_FCB = Conv(width, (self.kernel,), self.formulation)(h_FCB)
            h_FCB = nn.relu(BatchNorm(axis=0)(h_FCB, row_B[None], train))
            h_FCB = halve(h_FCB, 1) if i % 2 else h_FCB
        h_BD = h_FCB.transpose(2, 1, 0).reshape(x_BTC.shape[0], -1)
        return Head(self.n_classes, self.dense, self.dropout, batch_norm=True)(h_BD, row_B, train)
