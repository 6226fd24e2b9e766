"""A recurrent network that reads a clip's 180 statistics one after another (row S4.14).

Question: what does a network for sequences make of numbers that are none? The fourth report's "simple RNN on
aggregated features" reached .19 in training and .18 in test with 16 classes; kind, widths and optimiser are unsaid
there and ours here.

    python -m serjax.experiments.rnn_stats --corpus ravdess-all --root RAVDESS --labels emotion-gender --offset 0 \
        --epochs 40 --protocol random-80-20 --seeds 10

Accuracy .24 on known speakers, .20 on new ones, in a minute on 2 CPU cores (experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.recurrent import CellKind
from serjax.models.vector_recurrent import VectorRecurrent
from serjax.study.flags import SupervisedTraining
from serjax.study.frontends import ClipFeatures
from serjax.study.networks import RecurrentFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(RecurrentFlags):
    """The recurrent network."""

    network = VectorRecurrent
    kind: CellKind = "rnn"
    """Recurrent cell: rnn, lstm or gru."""
    dense: tuple[int, ...] = ()
    """Widths of the dense layers before the last one."""
    dropout: float = 0.2
    """Share of activations set to 0 in training."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "rnn_stats"
    features: ClipFeatures = field(default_factory=ClipFeatures)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(default_factory=lambda: SupervisedTraining(roll_frames=0))


if __name__ == "__main__":
    main(Config, __doc__)
