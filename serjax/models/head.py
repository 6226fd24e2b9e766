"""The dense layers that end every network: from one vector per clip to its logits."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.regularisers import BatchNorm, Dropout, Rate


class Head(nn.Module):
    """Dense layers with ReLU (batch norm before it, dropout after it), then one linear layer to the classes.

    Without dense layers dropout falls on the vector itself.

    Rows where `row_B` is 0 fill up a batch: batch norm leaves them out.
    """

    n_classes: int
    hidden: Sequence[int] = ()
    dropout: Rate = 0.0
    batch_norm: bool = False

    @nn.compact
    def __call__(self, h_BD: Float[Array, "B D"], row_B: Float[Array, " B"], train: bool) -> Float[Array, "B K"]:
        h = h_BD if self.hidden else Dropout(self.dropout)(h_BD, train)
        for width in self.hidden:
            h = nn.Dense(width, use_bias=not self.batch_norm, kernel_init=nn.initializers.he_normal())(h)
            h = BatchNorm()(h, row_B, train) if self.batch_norm else h
            h = Dropout(self.dropout)(nn.relu(h), train)
        return nn.Dense(self.n_classes, name="logits")(h)
