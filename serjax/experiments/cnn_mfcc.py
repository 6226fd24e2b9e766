"""A 2-D convolutional network on MFCC pictures.

Question: do local patterns of time and cepstrum tell more than statistics over time?

    python -m serjax.experiments.cnn_mfcc --corpus ravdess --root RAVDESS --emotions happy sad --protocol speaker-6fold

Happy against sad, the first report's row S1.3: accuracy .78 on new speakers, .91 on known ones (reported .66); the
command took 8 minutes on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field

from serjax.experiments.augmentation import Augmentation
from serjax.experiments.command import run_command
from serjax.experiments.config import Data, Machine, SupervisedTraining
from serjax.experiments.feature_flags import Features
from serjax.experiments.supervised import run_supervised
from serjax.models.cnn import CNN
from serjax.models.convolution import Formulation
from serjax.models.pooling import Pooling


@dataclass(frozen=True)
class Model:
    """The convolutional network."""

    channels: tuple[int, ...] = (32, 64, 128)
    """Channels of each convolution, each followed by 2 × 2 pooling."""
    dense: tuple[int, ...] = (128,)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast inside a compiled epoch on CPU) or xla."""

    def build(self, n_classes: int) -> CNN:
        """Return the classifier."""
        return CNN(n_classes, self.channels, self.dense, self.dropout, self.pooling, self.formulation)


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(default_factory=SupervisedTraining)
    machine: Machine = field(default_factory=Machine)
    augmentation: Augmentation = field(default_factory=Augmentation)


def run(config: Config) -> None:
    """Run the experiment."""
    run_supervised("cnn_mfcc", config)


if __name__ == "__main__":
    run_command(Config, run, __doc__)
