"""A 2-D convolutional network on MFCC pictures.

Question: do local patterns of time and cepstrum tell more than statistics over time?

    python -m serjax.experiments.cnn_mfcc --corpus ravdess --root RAVDESS --emotions happy sad --protocol speaker-6fold

Happy against sad, the first report's row S1.3: accuracy .78 on new speakers, .91 on known ones (reported .66); the
command took 8 minutes on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.cnn import CNN
from serjax.models.convolution import Formulation
from serjax.models.pooling import Pooling
from serjax.study.frontends import Features
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The convolutional network."""

    network = CNN
    channels: tuple[int, ...] = (32, 64, 128)
    """Channels of each convolution, each followed by 2 × 2 pooling."""
    dense: tuple[int, ...] = (128,)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "cnn_mfcc"
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
