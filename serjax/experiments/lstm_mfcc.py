"""Convolutions inside each frame, then stacked recurrent layers over the MFCC frames: the fifth report's network.

Question: does the order of frames tell more than statistics over time? Rows S5.1 (`--filters 32`), S5.2 (the default is
its size) and S5.3 (`--kind rnn`); `--filters` without numbers: the recurrent layers alone. `--bidirectional` and
`--pooling` are not the report's.

    python -m serjax.experiments.lstm_mfcc --corpus ravdess --root RAVDESS --filters 32 --offset 0.6 --roll-frames 0 \
        --batch-size 128 --picks 2 --epochs 40 --protocol speaker-6fold

Eight emotions, one convolution: accuracy .43 on new speakers; .76 where copies of test clips are in training, as the
report had it (.75). The command took 13 minutes on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.cnn_lstm import TimeDistributed
from serjax.models.convolution import Formulation
from serjax.models.recurrent import StatePooling
from serjax.study.frontends import Features
from serjax.study.networks import RecurrentFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(RecurrentFlags):
    """The recurrent network."""

    network = TimeDistributed
    filters: tuple[int, ...] = (32, 32, 64, 64, 128, 128)
    """Filters of each convolution over the coefficients of a frame."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the recurrent layers."""
    dropout: float = 0.2
    """Share of activations set to 0 in training."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""
    bidirectional: bool = False
    """Read the frames backwards too."""
    pooling: StatePooling = "last"
    """From states to one vector: the last one, or as of frames (flatten, mean, statistics, attention)."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "lstm_mfcc"
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
