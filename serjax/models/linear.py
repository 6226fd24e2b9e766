"""Multinomial logistic regression."""

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.head import Head
from serjax.models.pooling import FramePooling, Pooling, has_sound


class LogisticRegression(nn.Module):
    """`logits = W x + b` of a feature vector, a whole picture, or a picture's statistics over time.

    Its penalty belongs to the optimiser (weight decay). `scikit-learn`'s is in `serjax.models.classical`.
    """

    n_classes: int
    pooling: Pooling = "flatten"

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        return Head(self.n_classes)(FramePooling(self.pooling)(x_BTC, mask_BT), has_sound(mask_BT), train)
