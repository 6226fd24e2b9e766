"""A MobileNet-shaped network on resized mel pictures, trained from scratch (row S4.15).

Question: does a network of depthwise separable convolutions, a seventh of VGG-16's parameters, do as well?

    python -m serjax.experiments.mobilenet_mel --corpus ravdess-all --root RAVDESS --labels emotion-gender --size 64 \
        --width 0.25 --epochs 40 --optimizer sgd --learning-rate 0.01 --batch-size 16 --clip-norm None \
        --roll-frames 0 --protocol speaker-6fold

Accuracy .34 in 16 classes, in 15 minutes on 2 CPU cores (row S4.15, experiments/results/five_reports.md). The default
is the published size, for accelerators.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.convolution import Formulation
from serjax.models.mobilenet import MobileNet
from serjax.study.flags import RunsPerDevice
from serjax.study.frontends import MelFeatures
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The network."""

    network = MobileNet
    size: int = 224
    """Height and width that pictures are resized to."""
    width: float = 1.0
    """Factor on the published channels."""
    dropout: float = 0.2
    """Share of activations set to 0 in training."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "mobilenet_mel"
    runs_per_device: ClassVar[RunsPerDevice] = RunsPerDevice(map=1, vmap=2)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
