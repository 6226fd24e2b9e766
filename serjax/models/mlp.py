"""The multilayer perceptron, a network of dense layers."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.head import Head
from serjax.models.pooling import FramePooling, Pooling, has_sound
from serjax.models.regularisers import Dropout, Rate


class MLP(nn.Module):
    """Dense layers with ReLU on a feature vector, a whole picture, or a picture's statistics over time.

    `input_dropout` zeroes numbers of the vector itself.
    """

    n_classes: int
    hidden: Sequence[int] = (256, 128)
    dropout: Rate = 0.3
    input_dropout: float = 0.0
    batch_norm: bool = False
    pooling: Pooling = "flatten"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        h_BD = Dropout(self.input_dropout)(FramePooling(self.pooling)(x_BTC, mask_BT), train)
        return Head(self.n_classes, self.hidden, self.dropout, self.batch_norm)(h_BD, has_sound(mask_BT), train)
