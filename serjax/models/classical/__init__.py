"""Classical models: of feature vectors (`fit`), and one an emotion of MFCC pictures (`classical.pictures`)."""

from serjax.models.classical.fitting import Fitted, balanced_weights, fit, fit_view
from serjax.models.classical.packages import ClassicalError, one_thread
from serjax.models.classical.specs import (
    Bagging,
    DecisionTree,
    KMeans,
    Knn,
    LightGbm,
    LogisticRegression,
    Mlp,
    Model,
    OnComponents,
    RandomForest,
    Single,
    Svm,
    Weighable,
    XgBoost,
)
from serjax.models.classical.two_stage import FittedTwoStage, TwoStage, fit_two_stage
from serjax.models.classical.voting import member_weights, soft_vote

__all__ = [
    "Bagging",
    "ClassicalError",
    "DecisionTree",
    "Fitted",
    "FittedTwoStage",
    "KMeans",
    "Knn",
    "LightGbm",
    "LogisticRegression",
    "Mlp",
    "Model",
    "OnComponents",
    "RandomForest",
    "Single",
    "Svm",
    "TwoStage",
    "Weighable",
    "XgBoost",
    "balanced_weights",
    "fit",
    "fit_two_stage",
    "fit_view",
    "member_weights",
    "one_thread",
    "soft_vote",
]
