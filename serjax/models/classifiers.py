"""Every supervised model behind one signature: `model(x_BTC, mask_BT, train) → logits_BK`.

`x_BTC`: normalised pictures, frames × coefficients; a feature vector is a picture of one frame. `mask_BT`: 1 in frames
with sound, 0 in padding and in all frames of rows that only fill up a batch. What masked frames hold changes nothing;
how many there are changes nothing either, except for `VGG` and `MobileNet`, which resize the whole picture, and where
frames are flattened or are channels (`pooling="flatten"`, `CNN1D`, `VectorRecurrent`), so that weights belong to a
number of frames.

`train=True` is called inside an axis named `"data"` that splits the batch, with the step's key as `dropout` (the same
on all devices) and `batch_stats` mutable.
"""

from serjax.models.cnn import CNN
from serjax.models.cnn1d import CNN1D
from serjax.models.cnn_lstm import CNNLSTM, TimeDistributed
from serjax.models.linear import LogisticRegression
from serjax.models.mlp import MLP
from serjax.models.mobilenet import MobileNet
from serjax.models.recurrent import Recurrent
from serjax.models.regularisers import Rate
from serjax.models.residual_lstm import ResidualLSTM
from serjax.models.vector_recurrent import VectorRecurrent
from serjax.models.vgg import VGG

Classifier = (
    LogisticRegression
    | MLP
    | CNN
    | CNN1D
    | Recurrent
    | VectorRecurrent
    | TimeDistributed
    | CNNLSTM
    | ResidualLSTM
    | VGG
    | MobileNet
)


def dropout_of(model: Classifier) -> float | None:
    """Return the rate of the model's dropout between layers; None where it has one layer alone."""
    return None if isinstance(model, LogisticRegression) else float(model.dropout)


def with_dropout(model: Classifier, rate: Rate) -> Classifier:
    """Return the model with another rate of dropout between its layers, which may be traced, as a number of the run.

    It is that of all layers called `dropout`; `MLP.input_dropout`, on the numbers of the clip itself, stays as it is.
    """
    return model if isinstance(model, LogisticRegression) else model.clone(dropout=rate)
