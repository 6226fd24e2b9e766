"""A MobileNet-shaped network on resized mel pictures, trained from scratch (row S4.15).

Question: does a network of depthwise separable convolutions, a seventh of VGG-16's parameters, do as well?

    python -m serjax.experiments.mobilenet_mel --corpus ravdess-all --root RAVDESS --labels emotion-gender --size 64 \
        --width 0.25 --epochs 40 --optimizer sgd --learning-rate 0.01 --batch-size 16 --clip-norm None \
        --roll-frames 0 --protocol speaker-6fold

Accuracy .34 in 16 classes, in 15 minutes on 2 CPU cores (row S4.15, experiments/results/five_reports.md). The default
is the published size, for accelerators.
"""

from dataclasses import dataclass, field

from serjax.experiments.augmentation import Augmentation
from serjax.experiments.command import run_command
from serjax.experiments.config import Data, Machine, SupervisedTraining
from serjax.experiments.feature_flags import MelFeatures
from serjax.experiments.supervised import run_supervised
from serjax.models.convolution import Formulation
from serjax.models.mobilenet import MobileNet


@dataclass(frozen=True)
class Model:
    """The network."""

    size: int = 224
    """Height and width that pictures are resized to."""
    width: float = 1.0
    """Factor on the published channels."""
    dropout: float = 0.2
    """Share of activations set to 0 in training."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast inside a compiled epoch on CPU) or xla."""

    def build(self, n_classes: int) -> MobileNet:
        """Return the classifier."""
        return MobileNet(
            n_classes, size=self.size, width=self.width, dropout=self.dropout, formulation=self.formulation
        )


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(default_factory=SupervisedTraining)
    machine: Machine = field(default_factory=Machine)
    augmentation: Augmentation = field(default_factory=Augmentation)


def run(config: Config) -> None:
    """Run the experiment."""
    run_supervised("mobilenet_mel", config)


if __name__ == "__main__":
    run_command(Config, run, __doc__)
