"""Multinomial logistic regression on the MFCC picture, or on its statistics over time.

Question: what do the pictures tell a linear model?

    python -m serjax.experiments.logreg --corpus ravdess --root RAVDESS --protocol speaker-6fold

Eight emotions, new speakers: UAR .34, in half a minute on 2 CPU cores. `--emotions happy sad --protocol random-5fold
--pooling flatten` is near the first report's row S1.1, which five_reports runs with scikit-learn (`tabular --view
flat`).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.linear import LogisticRegression
from serjax.models.pooling import Pooling
from serjax.study.frontends import Features
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Model(NetworkFlags):
    """The linear model."""

    network = LogisticRegression
    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "logreg"
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
