"""What a classical model of feature vectors is: one frozen dataclass per model, its fields the hyper-parameters.

Values said to be the fourth report's are those its tuning found on RAVDESS speech and song, 16 classes. The others are
the defaults of the library that fits the model, unless a comment says why not.
"""

from dataclasses import dataclass
from typing import Literal

from serjax.models.classical.packages import ClassicalError


@dataclass(frozen=True)
class Knn:
    """The nearest training clips vote. Cover & Hart, IEEE Trans. Inf. Theory 13, 1967."""

    n_neighbors: int = 5
    """Neighbours that vote, all where there are fewer."""
    weights: Literal["uniform", "distance"] = "distance"
    """Equal votes, or votes by inverse distance (training accuracy is then 1, as in the fourth report)."""
    p: float = 2.0
    """Exponent of the distance: 1 Manhattan, 2 Euclidean."""


@dataclass(frozen=True)
class DecisionTree:
    """One classification tree. Breiman et al., 1984."""

    max_depth: int | None = None
    """Deepest level; none: until leaves are pure."""
    min_samples_leaf: int = 1
    """The fewest training clips in a leaf."""
    criterion: Literal["gini", "entropy"] = "gini"
    """Impurity that splits reduce."""


@dataclass(frozen=True)
class RandomForest:
    """Trees of bootstrap samples that see a few features per split. Breiman, Machine Learning 45, 2001."""

    n_estimators: int = 300
    """Trees."""
    max_depth: int | None = None
    """Deepest level of a tree; none: until leaves are pure."""
    min_samples_leaf: int = 1
    """The fewest training clips in a leaf."""
    max_features: float | Literal["sqrt", "log2"] = "sqrt"
    """Features looked at for a split: a share of them, or their root or logarithm."""


@dataclass(frozen=True)
class Bagging:
    """Trees of bootstrap samples that see all features per split. Breiman, Machine Learning 24, 1996."""

    n_estimators: int = 100
    """Trees."""
    max_samples: float = 1.0
    """Share of the training clips in a sample."""
    max_features: float = 1.0
    """Share of the features that a tree sees."""


@dataclass(frozen=True)
class LightGbm:
    """Gradient-boosted trees that grow leaf by leaf. Ke et al., NeurIPS 2017."""

    n_estimators: int = 100
    """Rounds, one tree per class in each."""
    num_leaves: int = 31
    """Leaves of a tree at most."""
    learning_rate: float = 0.1
    """Shrinkage of each tree."""
    min_child_samples: int = 20
    """The fewest training clips in a leaf."""
    reg_lambda: float = 0.0
    """L2 penalty of leaf values."""
    reg_alpha: float = 0.0
    """L1 penalty of leaf values."""
    colsample_bytree: float = 1.0
    """Share of the features that a tree sees."""
    max_bin: int = 255
    """Bins of a feature's values at most; splits lie between them."""


@dataclass(frozen=True)
class XgBoost:
    """Gradient-boosted trees. Chen & Guestrin, KDD 2016. Values of the fourth report, shrinkage excepted."""

    n_estimators: int = 100
    """Rounds, one tree per class in each."""
    max_depth: int = 7
    """Deepest level of a tree."""
    grow_policy: Literal["depthwise", "lossguide"] = "lossguide"
    """Grow level by level, or where the loss falls most."""
    learning_rate: float = 0.3
    """Shrinkage of each tree (eta); the fourth report's: 9.3e-6."""
    reg_lambda: float = 7.2e-8
    """L2 penalty of leaf values."""
    reg_alpha: float = 2.2e-5
    """L1 penalty of leaf values."""
    gamma: float = 1.8e-5
    """Fall of the loss that a split needs."""
    base_score: float | None = None
    """Where classes start; 0.5: alike, as before xgboost 3.1; default: the library's, from 3.1 their shares."""


@dataclass(frozen=True)
class Svm:
    """Support vector machine, one against one. Cortes & Vapnik, Machine Learning 20, 1995.

    It has no probabilities: `predict_proba` is the softmax of its decision values, whose order is that of its choice.
    """

    c: float = 1.0
    """Weight of training errors against the margin."""
    kernel: Literal["rbf", "linear", "poly"] = "rbf"
    """Kernel."""
    gamma: float | Literal["scale"] = "scale"
    """Width of the kernel; scale: 1 / (features × variance)."""


@dataclass(frozen=True)
class Mlp:
    """Fully connected network fitted by scikit-learn. Values of the fourth report."""

    hidden: tuple[int, ...] = (1283,)
    """Hidden widths."""
    activation: Literal["relu", "tanh", "logistic"] = "relu"
    """Non-linearity."""
    solver: Literal["lbfgs", "adam"] = "lbfgs"
    """Optimiser."""
    alpha: float = 0.385
    """L2 penalty."""
    max_iterations: int = 1000
    """Iterations at most; stopping there is part of the recipe, no failure."""


@dataclass(frozen=True)
class LogisticRegression:
    """Multinomial logistic regression with an L2 penalty."""

    c: float = 1.0
    """Inverse of the penalty's weight."""
    max_iterations: int = 2000
    """Iterations at most; stopping there is part of the recipe, no failure."""


@dataclass(frozen=True)
class KMeans:
    """As many clusters as there are classes, found without labels. Lloyd, IEEE Trans. Inf. Theory 28, 1982.

    Class scores are those of a mixture of equal spheres at the centres, whose likeliest is the nearest.
    """

    ids: Literal["matched", "raw"] = "matched"
    """matched: each cluster gets a class so that most training clips are right (Hungarian method); raw: cluster number
    = class number, which only chance can make right."""
    n_init: int = 10
    """Starts, of which the tightest clusters are kept."""


Single = Knn | DecisionTree | RandomForest | Bagging | LightGbm | XgBoost | Svm | Mlp | LogisticRegression | KMeans


Weighable = DecisionTree | RandomForest | Bagging | LightGbm | XgBoost | Svm | LogisticRegression  # clip by clip


@dataclass(frozen=True)
class OnComponents:
    """A model of the principal components that hold a share of the variance of the standardised features."""

    model: Single
    variance: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.variance < 1:
            raise ClassicalError(f"A share of {self.variance} of the variance: expected a number between 0 and 1.")


Model = Single | OnComponents
