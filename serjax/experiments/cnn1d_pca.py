"""A 1-D convolutional network on the principal components of 180 clip statistics (row S4.12).

Question: is there anything for convolutions in the order of principal components? Eight convolutions and three dense
layers, as the fourth report describes; the components are fitted on each fold's training rows.

    python -m serjax.experiments.cnn1d_pca --corpus ravdess-all --root RAVDESS --labels emotion-gender --offset 0 \
        --epochs 60 --optimizer sgd --learning-rate 0.01 --batch-size 16 --clip-norm None --protocol speaker-6fold

This is the report's optimiser (momentum .9, learning rate .01), but for the rate, which is warmed up here and then
falls along a cosine. Adam and gradients clipped to a norm of 1 are the default; the latter clips those of SGD at
every step. 16 classes: accuracy .35 on new speakers, .59 on known ones, .68 there with `--keep last` (as reported).
The command took 9 minutes on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.cnn1d import CNN1D
from serjax.models.convolution import Formulation
from serjax.study.flags import SupervisedTraining
from serjax.study.frontends import ClipFeatures
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The network."""

    network = CNN1D
    filters: tuple[int, ...] = (32, 32, 64, 64, 128, 128, 256, 256)
    """Filters of each convolution."""
    dense: tuple[int, ...] = (256, 128)
    """Widths of the dense layers before the last one."""
    kernel: int = 3
    """Components under a convolution."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "cnn1d_pca"
    features: ClipFeatures = field(default_factory=ClipFeatures)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(
        default_factory=lambda: SupervisedTraining(batch_size=16, roll_frames=0, pca_variance=0.95)
    )


if __name__ == "__main__":
    main(Config, __doc__)
