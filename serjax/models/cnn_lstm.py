"""Convolutions over time, then stacked LSTMs, on MFCC sequences: the network of the third report."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation, halve
from serjax.models.head import Head
from serjax.models.pooling import has_sound, zero_masked
from serjax.models.recurrent import CellKind, RecurrentStack, StatePooling, pool_states
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
    bidirectional: bool = False
    pooling: StatePooling = "last"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        row_B = has_sound(mask_BT)
        h_FTB, mask_TB = zero_masked(x_BTC, mask_BT).transpose(2, 1, 0), mask_BT.T
        for width in self.channels:
            h_FTB = Conv(width, (self.kernel,), self.formulation)(h_FTB)
            h_FTB = nn.relu(BatchNorm(axis=0)(h_FTB, mask_TB, train))
            h_FTB = jnp.where(mask_TB[None] > 0, h_FTB, 0.0)
            h_FTB, mask_TB = halve(h_FTB, 1), halve(mask_TB, 0)
        h_BTH, last_BH = RecurrentStack(self.kind, self.hidden, self.bidirectional)(h_FTB.transpose(2, 1, 0), mask_TB.T)
        h_BH = Dropout(self.dropout)(pool_states(self.pooling, h_BTH, last_BH, mask_TB.T), train)
        return Head(self.n_classes, self.dense, self.dropout)(h_BH, row_B, train)
