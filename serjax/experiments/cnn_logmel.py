"""A convolutional network on log-mel pictures with the augmentation that small corpora need.

Question: how far does a network get on new speakers without pretraining, if it never sees the same picture twice?

    python -m serjax.experiments.cnn_logmel --corpus ravdess --root RAVDESS --refit

RAVDESS speech, eight emotions, speaker-6fold, one seed: UAR .600 [.552, .648] on new speakers after training on 20, and
.568 on validation speakers after training on 16. It took 79 minutes on 2 CPU cores that other work shared. `cnn_mel`,
with nothing of this recipe and 16 training speakers, has .460. No epoch is chosen: the last of 50 is kept. The recipe
is that of a prototype whose figures on test speakers had been seen (experiments/results/accuracy.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.cnn import CNN
from serjax.models.convolution import Formulation
from serjax.models.pooling import Pooling
from serjax.study.flags import RunsPerDevice, SupervisedTraining
from serjax.study.frontends import BandFeatures
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig
from serjax.train.pictures import ClassifierChanges


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The convolutional network."""

    network = CNN
    channels: tuple[int, ...] = (32, 64, 128, 128)
    """Channels of each convolution, each followed by 2 × 2 pooling."""
    dense: tuple[int, ...] = ()
    """Widths of the dense layers before the last one."""
    dropout: float = 0.4
    """Share of activations set to 0 in training."""
    pooling: Pooling = "attentive-statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames), attention, or
    attentive-statistics (mean and sd, attended)."""
    deltas: bool = False
    """Slope and curvature over time as two more channels of the picture."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "cnn_logmel"
    runs_per_device: ClassVar[RunsPerDevice] = RunsPerDevice(map=1, vmap=8)
    features: BandFeatures = field(default_factory=BandFeatures)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(
        default_factory=lambda: SupervisedTraining(
            epochs=50, keep="last", learning_rate=4e-3, weight_decay=0.02, roll_frames=10, warmup_steps=100, ema=0.99
        )
    )
    pictures: ClassifierChanges = field(
        default_factory=lambda: ClassifierChanges(mel_shift=2.0, freq_mask=12, time_mask=12, mixup=0.3)
    )


if __name__ == "__main__":
    main(Config, __doc__)
