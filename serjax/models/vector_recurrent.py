"""A recurrent network along the numbers of a feature vector: the fourth report's "RNN on aggregated features"."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.pooling import has_sound, zero_masked
from serjax.models.recurrent import CellKind, Recurrent
from serjax.models.regularisers import Rate


class VectorRecurrent(nn.Module):
    """`Recurrent` with the features of a clip as steps: 180 statistics are 180 steps of one number (report's S4.14).

    Such steps have no time in them, only the order in which the features stand. A vector is a picture of one frame;
    the frames of a longer one are the numbers of a step.
    """

    n_classes: int
    kind: CellKind = "rnn"
    hidden: Sequence[int] = (64,)
    dense: Sequence[int] = ()
    dropout: Rate = 0.2

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        x_BCT = jnp.swapaxes(zero_masked(x_BTC, mask_BT), 1, 2)
        mask_BC = jnp.broadcast_to(has_sound(mask_BT)[:, None], x_BCT.shape[:2])
        recurrent = Recurrent(self.n_classes, self.kind, self.hidden, dense=self.dense, dropout=self.dropout)
        return recurrent(x_BCT, mask_BC, train)
