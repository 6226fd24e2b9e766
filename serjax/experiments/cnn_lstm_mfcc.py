"""Convolutions over time, then stacked LSTMs, on MFCC sequences: the third report's network (row S3.2).

Question: do convolutions before the recurrent layers help?

    python -m serjax.experiments.cnn_lstm_mfcc --corpus crema-d --root CREMA_D --offset 0.5 --epochs 40 \
        --protocol speaker-5fold

Six emotions of 24 actors: accuracy .44 on new speakers, .50 on known ones (reported .65, of 91 actors); the command
took 8 minutes on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.cnn_lstm import CNNLSTM
from serjax.models.convolution import Formulation
from serjax.models.recurrent import StatePooling
from serjax.study.frontends import Features
from serjax.study.networks import RecurrentFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(RecurrentFlags):
    """The network."""

    network = CNNLSTM
    channels: tuple[int, ...] = (64, 128)
    """Channels of each convolution over time, each followed by pooling."""
    kernel: int = 5
    """Frames under a convolution."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the recurrent layers."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""
    bidirectional: bool = False
    """Read the frames backwards too."""
    pooling: StatePooling = "last"
    """From states to one vector: the last one, or as of frames (flatten, mean, statistics, attention)."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "cnn_lstm_mfcc"
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
