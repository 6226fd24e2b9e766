"""Fit a classical model to feature vectors: standardise on the training clips, then hand over to the library.

scikit-learn (Pedregosa et al., JMLR 12, 2011), xgboost and lightgbm are imported only when a model of theirs is fitted.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, Int

from serjax.models.classical import specs
from serjax.models.classical.clusters import fit_clusters
from serjax.models.classical.packages import ClassicalError, one_thread, require

Vectors = Float[np.ndarray, "N D"]
Labels = Int[np.ndarray, " N"]
Probabilities = Float[np.ndarray, "N K"]


@dataclass(frozen=True, eq=False)
class View:
    """Features as the model sees them: (x − mean) / sd of the training clips, then perhaps principal components."""

    mean_D: Float[np.ndarray, " D"]
    scale_D: Float[np.ndarray, " D"]
    axes_ED: Float[np.ndarray, "E D"] | None

    def __call__(self, x_ND: Vectors) -> Float[np.ndarray, "N E"]:
        """Return the features of clips."""
        z_ND = (x_ND - self.mean_D) / self.scale_D
        return z_ND if self.axes_ED is None else z_ND @ self.axes_ED.T


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model; `present` are the classes it was shown, the others get probability 0."""

    estimator: Any
    view: View
    present: Int[np.ndarray, " P"]
    n_classes: int

    def predict_proba(self, x_ND: Vectors) -> Probabilities:
        """Return the probability of each class; rows sum to 1.

        Raises:
          ClassicalError: features that are not finite (some libraries take them for missing ones), or beyond float32
            in units of the training clips' spread; or a model that has diverged.
        """
        probability_NK = np.zeros((len(x_ND), self.n_classes))
        with _calmly(), np.errstate(over="ignore", invalid="ignore"):
            seen_NE = self.view(np.asarray(x_ND, np.float64))
            if not (np.abs(seen_NE) < np.finfo(np.float32).max).all():
                raise ClassicalError("Features of clips to be told are not finite, or too large. Leave the clips out.")
            probability_NK[:, self.present] = self.estimator.predict_proba(seen_NE)
        if not np.isfinite(probability_NK).all():
            raise ClassicalError(
                f"{type(self.estimator).__name__} gives probabilities that are not finite: its fit has diverged. Give "
                "its hyper-parameters other values."
            )
        return probability_NK

    @property
    def n_parameters(self) -> int | None:
        """Numbers that were fitted; None where a model is no fixed set of numbers (trees, neighbours)."""
        names = (("coefs_", "intercepts_"), ("coef_", "intercept_"), ("centre_KD",))
        for fitted in names:
            if all(hasattr(self.estimator, name) for name in fitted) and not isinstance(self.estimator, _Softmaxed):
                arrays = [getattr(self.estimator, name) for name in fitted]
                return sum(a.size for group in arrays for a in (group if isinstance(group, list) else [group]))
        return None


def fit(
    model: specs.Model,
    x_ND: Vectors,
    label_N: Labels,
    seed: int,
    n_classes: int | None = None,
    class_weights: bool = False,
) -> Fitted:
    """Fit a model to training clips; mean, sd and components are those of these clips.

    Args:
      model: what to fit.
      x_ND: finite features of N clips.
      label_N: class ids from 0.
      seed: of whatever the model draws.
      n_classes: number of classes K; None: up to the highest id. A class without a clip gets probability 0.
      class_weights: weigh clips inversely to the frequency of their class (`balanced_weights`).

    Raises:
      ClassicalError: the library is not installed; clips of fewer than two classes; features that are not finite;
        k-means where a class has no clip; hyper-parameters that its library refuses; class weights for a model that
        takes none.
    """
    n_classes = int(label_N.max()) + 1 if n_classes is None else n_classes
    present = np.unique(label_N)
    if len(present) < 2 or not np.isfinite(x_ND).all():
        raise ClassicalError(
            f"{len(label_N)} training clips of {len(present)} class(es), {int((~np.isfinite(x_ND)).sum())} features "
            "not finite: expected two classes at least and finite features. Choose another protocol or other features."
        )
    return _fit_one(model, x_ND, label_N, seed, n_classes, class_weights)


def balanced_weights(label_N: Labels) -> Float[np.ndarray, " N"]:
    """Return the weight of each clip: n / (K n_k) for K classes that occur, n_k clips of its own; their mean is 1.

    >>> balanced_weights(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    _, rank_N, count_P = np.unique(label_N, return_inverse=True, return_counts=True)
    return (len(label_N) / (len(count_P) * count_P))[rank_N]


def _fit_one(
    model: specs.Model, x_ND: Vectors, label_N: Labels, seed: int, n_classes: int, class_weights: bool
) -> Fitted:
    variance, single = (model.variance, model.model) if isinstance(model, specs.OnComponents) else (None, model)
    x_ND = np.asarray(x_ND, np.float64)
    present, rank_N = np.unique(label_N, return_inverse=True)  # xgboost takes no gaps between class ids
    if isinstance(single, specs.KMeans) and len(present) < n_classes:
        raise ClassicalError(
            f"K-means got clips of {len(present)} of {n_classes} classes: each cluster is to become a class, so every "
            "class needs training clips. Choose another protocol or fewer emotions."
        )
    if class_weights and not isinstance(single, specs.Weighable):
        raise ClassicalError(
            f"{type(single).__name__} cannot weigh clips by class. Leave the class weights out, or choose one of: "
            f"{', '.join(kind.__name__ for kind in get_args(specs.Weighable))}."
        )
    with _calmly():
        view = fit_view(x_ND, variance)
        if isinstance(single, specs.KMeans):
            return Fitted(fit_clusters(single, view(x_ND), rank_N, seed), view, present, n_classes)
        weights = {"sample_weight": balanced_weights(rank_N)} if class_weights else {}
        try:
            estimator = _estimator(single, len(x_ND), seed)
            estimator.fit(view(x_ND), rank_N, **weights)
        except ClassicalError:
            raise
        except _refusals(single) as error:
            said = " ".join(str(error).split()).rstrip(". ")
            raise ClassicalError(f"{single} cannot be fitted: {said}. Give it other values.") from error
        return Fitted(estimator, view, present, n_classes)


def fit_view(x_ND: Vectors, variance: float | None = None) -> View:
    """Standardise; with `variance` keep the fewest principal components that hold this share of it.

    >>> fit_view(np.array([[0.0, 1.0], [2.0, 1.0]]))(np.array([[3.0, 1.0]]))
    array([[2., 0.]])
    """
    spread_D = x_ND.std(axis=0)
    scale_D = np.where(spread_D > 1e-7 * np.abs(x_ND).max(axis=0), spread_D, 1.0)  # a constant stays 0, not noise
    plain = View(x_ND.mean(axis=0), scale_D, None)
    if variance is None:
        return plain
    pca = require("sklearn.decomposition").PCA(variance, svd_solver="full").fit(plain(x_ND))
    return View(plain.mean_D, plain.scale_D, pca.components_)


def _refusals(model: specs.Single) -> tuple[type[Exception], ...]:
    """Return what a model's library raises for values that it does not take."""
    if isinstance(model, specs.LightGbm):
        return ValueError, require("lightgbm").basic.LightGBMError
    return (ValueError,)


def _estimator(model: specs.Single, n_clips: int, seed: int) -> Any:
    """Return the unfitted estimator of a model."""
    match model:
        case specs.Knn():
            make = require("sklearn.neighbors").KNeighborsClassifier
            return make(min(model.n_neighbors, n_clips), weights=model.weights, p=model.p)
        case specs.DecisionTree():
            return require("sklearn.tree").DecisionTreeClassifier(**vars(model), random_state=seed)
        case specs.RandomForest():
            return require("sklearn.ensemble").RandomForestClassifier(**vars(model), random_state=seed, n_jobs=-1)
        case specs.Bagging():
            return require("sklearn.ensemble").BaggingClassifier(**vars(model), random_state=seed)
        case specs.LightGbm():
            make = require("lightgbm").LGBMClassifier
            return make(**vars(model), deterministic=True, random_state=seed, n_jobs=1, verbosity=-1)
        case specs.XgBoost():
            make = require("xgboost").XGBClassifier
            return make(**vars(model), tree_method="hist", random_state=seed, n_jobs=1, verbosity=0)
        case specs.Svm():
            svc = require("sklearn.svm").SVC
            return _Softmaxed(svc(C=model.c, kernel=model.kernel, gamma=model.gamma, break_ties=True))
        case specs.Mlp():
            return require("sklearn.neural_network").MLPClassifier(
                hidden_layer_sizes=model.hidden,
                activation=model.activation,
                solver=model.solver,
                alpha=model.alpha,
                max_iter=model.max_iterations,
                random_state=seed,
            )
        case specs.LogisticRegression():
            return require("sklearn.linear_model").LogisticRegression(C=model.c, max_iter=model.max_iterations)
        case _:
            raise ClassicalError(f"{model!r} is no model of feature vectors. Choose one of: {specs.Single}.")


class _Softmaxed:
    """A classifier without probabilities; the softmax of its decision values stands for them."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, x_ND: Vectors, label_N: Labels, sample_weight: Float[np.ndarray, " N"] | None = None) -> None:
        """Fit the classifier."""
        self.estimator.fit(x_ND, label_N, sample_weight=sample_weight)

    def predict_proba(self, x_ND: Vectors) -> Probabilities:
        """Return the softmax of the decision values; of two classes there is one, in favour of the second."""
        value = self.estimator.decision_function(x_ND)
        value_NK = value if value.ndim == 2 else np.stack([np.zeros_like(value), value], axis=1)
        # Relative to the largest value, so that no exponential overflows.
        share_NK = np.exp(value_NK - value_NK.max(axis=1, keepdims=True))
        return share_NK / share_NK.sum(axis=1, keepdims=True)


@contextmanager
def _calmly() -> Iterator[None]:
    """Compute on one thread, and silence a limit of iterations that is part of the recipe, and unnamed features.

    Tables of speech have some thousand rows: threads mostly wait for each other. On two cores with nothing else to do
    two took 1.7 to 1.8 times as long for a network of 180 features, 2.5 to 2.8 for k-means, 3.5 to 4.3 for logistic
    regression (1.2 of 14 000 features). No model was faster with two. On busy cores two threads took 17 s for a
    boosting that one did in less than 0.3 s. Forests are the exception: joblib grows their trees on all cores.
    """
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", require("sklearn.exceptions").ConvergenceWarning)
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield
