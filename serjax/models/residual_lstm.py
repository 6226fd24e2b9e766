"""Two LSTMs with the frames themselves added between them, and soft attention over the states of the second."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.head import Head
from serjax.models.pooling import has_sound, masked_softmax, zero_masked
from serjax.models.recurrent import RecurrentLayer
from serjax.models.regularisers import BatchNorm, Dropout, Rate


class ResidualLSTM(nn.Module):
    """`r = BN(x + LSTM(x))`, `h = LSTM(r)`, `BN(Σ_t a_t h_t)` with `a = softmax_t(uᵀ h_t)`, dropout, classes.

    The first LSTM is as wide as a frame, the second has `hidden` units. 46 coefficients, 64 units and 8 classes make
    46 332 numbers; the published 46 772 count two biases per gate (Krasnoproshin and Vashkevich, DSPA 2026).
    """

    n_classes: int
    hidden: int = 64
    dropout: Rate = 0.3

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        x_BTC, row_B = zero_masked(x_BTC, mask_BT), has_sound(mask_BT)
        first_BTC, _ = RecurrentLayer("lstm", x_BTC.shape[-1], name="first")(x_BTC, mask_BT)
        r_BTC = BatchNorm(name="residual_norm")(x_BTC + first_BTC, mask_BT, train)
        h_BTH, _ = RecurrentLayer("lstm", self.hidden, name="second")(r_BTC, mask_BT)
        weight_BT = masked_softmax(nn.Dense(1, use_bias=False, name="score")(h_BTH)[..., 0], mask_BT)
        h_BH = jnp.sum(weight_BT[..., None] * zero_masked(h_BTH, mask_BT), axis=1)
        h_BH = Dropout(self.dropout)(BatchNorm(name="norm")(h_BH, row_B, train), train)
        return Head(self.n_classes)(h_BH, row_B, train)
