"""Two LSTMs with a residual connection and soft attention, on 34 MFCC and 12 chroma: the published ResLSTM-SA-h64.

Question: what does the small network with the highest figure published from scratch reach, if nothing is tuned on test
speakers?

    python -m serjax.experiments.reslstm --corpus ravdess --root RAVDESS --protocol speaker-5fold-luna --seeds 3

Published: UAR .623 (sd .012 over ten trainings) on these folds, after 100 trials that maximise the UAR of the test
folds (github.com/Mak-Sim/ResLSTM-SER, train.ipynb; features are normalised over all clips there). Frames, network, Adam
and 100 epochs are as published; its cosine restarts there, and here falls once. `experiments/leaky_numbers.py` tunes
both ways: with 20 epochs it has .70 on random folds of RAVDESS speech and .445 [.400, .492] on new speakers.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.residual_lstm import ResidualLSTM
from serjax.study.flags import Data, SupervisedTraining
from serjax.study.frontends import PictureFeatures
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


def _features() -> PictureFeatures:
    """Return windows of 85 ms every 43 ms; the longest clip of RAVDESS has 124."""
    return PictureFeatures(48_000, 124, n_fft=4096, hop_length=2048, kinds=("mfcc", "chroma"), n_mfcc=34)


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The network."""

    network = ResidualLSTM
    hidden: int = 64
    """Units of the second LSTM; the first is as wide as a frame."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "reslstm"
    data: Data = field(default_factory=lambda: Data(offset=0.0))
    features: PictureFeatures = field(default_factory=_features)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(default_factory=lambda: SupervisedTraining(epochs=100, roll_frames=0))


if __name__ == "__main__":
    main(Config, __doc__)
