"""A VGG-shaped network on resized mel pictures, trained from scratch (rows S4.13 and S4.16).

Question: what does a deep image network make of a few thousand pictures?

    python -m serjax.experiments.vgg_mel --corpus ravdess-all --root RAVDESS --labels emotion-gender --size 64 \
        --width 0.25 --epochs 25 --optimizer sgd --learning-rate 0.01 --batch-size 16 --clip-norm None \
        --roll-frames 0 --protocol speaker-6fold

Accuracy .45 in 16 classes, in an hour on 2 CPU cores that other work shared (row S4.13,
experiments/results/five_reports.md). The default is the published size, for accelerators. torchvision's VGGs start it
by `--weights FILE --no-batch-norm`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from serjax.main import main
from serjax.models.convolution import Formulation
from serjax.models.vgg import VGG, VGG_16, VGG_19
from serjax.study.flags import RunsPerDevice
from serjax.study.frontends import MelFeatures
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The network."""

    depth: Literal[16, 19] = 16
    """Layers with weights."""
    size: int = 224
    """Height and width that pictures are resized to."""
    width: float = 1.0
    """Factor on the published channels."""
    dense: tuple[int, ...] = (256, 128)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    batch_norm: bool = True
    """Normalise each convolution's channels over the batch."""
    formulation: Formulation = "im2col"
    """How convolutions are computed: im2col (fast in a compiled epoch on CPU), bfloat16 (the same, rounded) or xla."""

    def build(self, n_classes: int) -> VGG:
        """Return the classifier."""
        sizes = {name: value for name, value in vars(self).items() if name != "depth"}
        return VGG(n_classes, VGG_16 if self.depth == 16 else VGG_19, **sizes)


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "vgg_mel"
    runs_per_device: ClassVar[RunsPerDevice] = RunsPerDevice(map=1, vmap=1)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
