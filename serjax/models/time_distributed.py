"""Convolutions inside each frame, then two LSTMs over the frames: the network of the fifth report."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.convolution import Conv, Formulation
from serjax.models.head import Head
from serjax.models.pooling import has_sound, zero_masked
from serjax.models.recurrent import CellKind, RecurrentStack, StatePooling, pool_states
from serjax.models.regularisers import BatchNorm, Dropout, Rate


class TimeDistributed(nn.Module):
    """Conv1D over the coefficients of every frame, flattened, LSTM 64 → LSTM 32, dense 64, classes (report's S5).

    Six convolutions of kernel 3 (`filters=(32,)`: the one of S5.1), each with batch norm and ReLU; the dense layer
    too, with dropout before and after. The convolutions have no bias: batch norm would take it out again.
    """

    n_classes: int
    filters: Sequence[int] = (32, 32, 64, 64, 128, 128)
    kind: CellKind = "lstm"
    hidden: Sequence[int] = (64, 32)
    dense: Sequence[int] = (64,)
    dropout: Rate = 0.2
    formulation: Formulation = "im2col"
    bidirectional: bool = False
    pooling: StatePooling = "last"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        h_FCTB = zero_masked(x_BTC, mask_BT).transpose(2, 1, 0)[None]
        for width in self.filters:
            h_FCTB = Conv(width, (3,), self.formulation)(h_FCTB)
            h_FCTB = nn.relu(BatchNorm(axis=0)(h_FCTB, mask_BT.T[None], train))
        h_BTD = h_FCTB.transpose(3, 2, 1, 0).reshape(*x_BTC.shape[:2], -1)
        h_BTH, last_BH = RecurrentStack(self.kind, self.hidden, self.bidirectional)(h_BTD, mask_BT)
        h_BH = Dropout(self.dropout)(pool_states(self.pooling, h_BTH, last_BH, mask_BT), train)
        return Head(self.n_classes, self.dense, self.dropout, batch_norm=True)(h_BH, has_sound(mask_BT), train)
