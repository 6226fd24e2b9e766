"""Convolutions before stacked LSTMs: over time (the third report), or inside each frame (the fifth)."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation, halve
from serjax.models.pooling import zero_masked
from serjax.models.recurrent import Recurrent
from serjax.models.regularisers import BatchNorm, Rate


class CNNLSTM(Recurrent):
    """Blocks of convolution over time, batch norm, ReLU and max pooling by 2; then LSTMs and dense layers (S3.2).

    Coefficients are input channels. The report gives no widths: these are ours.
    """

    hidden: Sequence[int] = (64, 64)
    dense: Sequence[int] = (64,)
    dropout: Rate = 0.3
    channels: Sequence[int] = (64, 128)
    kernel: int = 5
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        h_FTB, mask_TB = zero_masked(x_BTC, mask_BT).transpose(2, 1, 0), mask_BT.T
        for width in self.channels:
            h_FTB = Conv(width, (self.kernel,), self.formulation)(h_FTB)
            h_FTB = nn.relu(BatchNorm(axis=0)(h_FTB, mask_TB, train))
            h_FTB = jnp.where(mask_TB[None] > 0, h_FTB, 0.0)
            h_FTB, mask_TB = halve(h_FTB, 1), halve(mask_TB, 0)
        return super().__call__(h_FTB.transpose(2, 1, 0), mask_TB.T, train)


class TimeDistributed(Recurrent):
    """Conv1D over the coefficients of every frame, flattened, LSTM 64 → LSTM 32, dense 64, classes (report's S5).

    Six convolutions of kernel 3 (`filters=(32,)`: the one of S5.1), each with batch norm and ReLU; the dense layer
    too, with dropout before and after. The convolutions have no bias: batch norm would take it out again.
    """

    dense: Sequence[int] = (64,)
    batch_norm: bool = True
    filters: Sequence[int] = (32, 32, 64, 64, 128, 128)
    formulation: Formulation = "im2col"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        h_FCTB = zero_masked(x_BTC, mask_BT).transpose(2, 1, 0)[None]
        for width in self.filters:
            h_FCTB = Conv(width, (3,), self.formulation)(h_FCTB)
            h_FCTB = nn.relu(BatchNorm(axis=0)(h_FCTB, mask_BT.T[None], train))
        return super().__call__(h_FCTB.transpose(3, 2, 1, 0).reshape(*x_BTC.shape[:2], -1), mask_BT, train)
