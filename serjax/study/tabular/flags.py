"""The flags of classical models on one vector per clip."""

from dataclasses import dataclass, field
from typing import Literal

import tyro

from serjax.models.classical import specs
from serjax.study.flags import Data, Output
from serjax.study.tabular.table import TableFeatures

ModelName = Literal[
    "knn", "tree", "forest", "bagging", "lightgbm", "xgboost", "svm", "mlp", "logistic", "kmeans", "kmeans-raw"
]


@dataclass(frozen=True)
class Choice:
    """Which models, and what is done around them."""

    models: tuple[ModelName, ...] = ("logistic", "knn", "svm")
    """Models to compare. kmeans: clusters matched to emotions on training clips; kmeans-raw: cluster number against
    the emotion's place in the alphabet."""
    two_stage: bool = False
    """Beside each model one in two stages: gender first, then an emotion model of the predicted gender."""
    votes: tuple[str, ...] = ()
    """Soft votes of the models above: NAME+NAME or WEIGHT*NAME+WEIGHT*NAME."""


@dataclass(frozen=True)
class Fitting:
    """How each fold's models are fitted."""

    pca_variance: float | None = None
    """Fit on the principal components that hold this share of the variance, e.g. 0.95; default: on all features."""
    tune: int = 0
    """Trials of the search for hyper-parameters, repeated in each fold; 0: none."""
    inner_folds: int = 3
    """Folds of the cross-validation that scores a trial."""
    cv_folds: int = 0
    """Folds of a cross-validation inside each fold's training rows, with the hyper-parameters that were chosen; 0: off.
    Its mean accuracy (`cv_war`) stands beside that on test rows."""
    cv_seeds: int | None = None
    """Cross-validate for so many seeds, from 0; default: all."""
    class_weights: bool = False
    """Weigh clips by the inverse frequency of their class in training; knn, mlp and kmeans cannot."""


@dataclass(frozen=True)
class TabularConfig:
    """Every field of every section is a flag; hyper-parameters carry their model's name."""

    data: tyro.conf.OmitArgPrefixes[Data] = field(default_factory=Data)
    features: tyro.conf.OmitArgPrefixes[TableFeatures] = field(default_factory=TableFeatures)
    choice: tyro.conf.OmitArgPrefixes[Choice] = field(default_factory=Choice)
    fitting: tyro.conf.OmitArgPrefixes[Fitting] = field(default_factory=Fitting)
    output: tyro.conf.OmitArgPrefixes[Output] = field(default_factory=Output)
    knn: specs.Knn = field(default_factory=specs.Knn)
    tree: specs.DecisionTree = field(default_factory=specs.DecisionTree)
    forest: specs.RandomForest = field(default_factory=specs.RandomForest)
    bagging: specs.Bagging = field(default_factory=specs.Bagging)
    lightgbm: specs.LightGbm = field(default_factory=specs.LightGbm)
    xgboost: specs.XgBoost = field(default_factory=specs.XgBoost)
    svm: specs.Svm = field(default_factory=specs.Svm)
    mlp: specs.Mlp = field(default_factory=specs.Mlp)
    logistic: specs.LogisticRegression = field(default_factory=specs.LogisticRegression)

    def model(self, name: ModelName) -> specs.Single:
        """Return the model of a name, with its flags."""
        if name == "kmeans":
            return specs.KMeans("matched")
        return specs.KMeans("raw") if name == "kmeans-raw" else getattr(self, name)
