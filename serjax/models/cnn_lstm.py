"""Convolutions over time, then stacked LSTMs, on MFCC sequences: the network of the third report."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Formulation, conv, halve
from serjax.models.head import Head
from serjax.models.pooling import has_sound, zero_masked
from serjax.models.recurrent import CellKind, RecurrentStack
from serjax.models.regularisers import BatchNorm, Dropout, Rate


class CNNLSTM(nn.Module):
    """Blocks of convolution over time, batch norm, ReLU and max pooling by 2; then LSTMs and dense layers (S3.2).

    Coefficients are input channels. The report gives no widths: these are ours.
    """

    n_classes: int
    channels: Sequence[int] = (64, 128)
    kernel: int = 5
    kind: CellKind = "lstm"
    hidden: Sequence[int] = (64, 64)
    dense: Sequence[int] = (64,)
    dropout: Rate = 0.3
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h_BTF = zero_masked(x_BTC, mask_BT)
        for width in self.channels:
            h_BTF = conv(width, (self.kernel,), self.formulation, use_bias=False)(h_BTF)
            h_BTF = zero_masked(nn.relu(BatchNorm()(h_BTF, mask_BT, train)), mask_BT)
            h_BTF, mask_BT = halve(h_BTF, 1), halve(mask_BT, 1)
        _, last_BH = RecurrentStack(self.kind, self.hidden)(h_BTF, mask_BT)
        last_BH = Dropout(self.dropout)(last_BH, train)
        return Head(self.n_classes, self.dense, self.dropout)(last_BH, row_B, train)
