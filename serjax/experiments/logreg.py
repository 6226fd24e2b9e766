"""Multinomial logistic regression on the MFCC picture, or on its statistics over time.

Question: what do the pictures tell a linear model?

    python -m serjax.experiments.logreg --corpus ravdess --root RAVDESS --protocol speaker-6fold

Eight emotions, new speakers: UAR .34, in half a minute on 2 CPU cores. `--emotions happy sad --protocol random-5fold
--pooling flatten` is near the first report's row S1.1, which five_reports runs with scikit-learn (`tabular --view
flat`).
"""

from dataclasses import dataclass, field

from serjax.experiments.augmentation import Augmentation
from serjax.experiments.command import run_command
from serjax.experiments.config import Data, Machine, SupervisedTraining
from serjax.experiments.feature_flags import Features
from serjax.experiments.supervised import run_supervised
from serjax.models.linear import LogisticRegression
from serjax.models.pooling import Pooling


@dataclass(frozen=True)
class Model:
    """The linear model."""

    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""

    def build(self, n_classes: int) -> LogisticRegression:
        """Return the classifier."""
        return LogisticRegression(n_classes, self.pooling)


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
    run_supervised("logreg", config)


if __name__ == "__main__":
    run_command(Config, run, __doc__)
