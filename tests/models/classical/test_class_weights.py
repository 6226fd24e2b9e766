"""Class weights of models of feature vectors: which weights, that they reach the model, and who refuses them."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from serjax.models.classical.fitting import Fitted, balanced_weights, fit
from serjax.models.classical.packages import ClassicalError
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
    Svm,
    XgBoost,
)
from serjax.models.classical.two_stage import TwoStage, fit_two_stage

TAKES: tuple[Model, ...] = (
    DecisionTree(max_depth=2),  # a pure leaf is no place for weights
    RandomForest(n_estimators=15, max_depth=2),
    Bagging(n_estimators=10),
    LightGbm(n_estimators=15, min_child_samples=3),
    XgBoost(n_estimators=5, max_depth=2),
    Svm(),
    LogisticRegression(),
    OnComponents(LogisticRegression(), 0.9),
)
REFUSES: tuple[Model, ...] = (Knn(), Mlp(), KMeans(), OnComponents(Knn()))


def uneven() -> tuple[np.ndarray, np.ndarray]:
    """Return two classes that overlap, of 100 and 10 clips."""
    label_N = np.repeat([0, 1], [100, 10])
    return np.random.default_rng(4).normal(size=(110, 2)) + label_N[:, None], label_N


def test_weights_are_scikit_learns_balanced_ones() -> None:
    label_N = np.array([0, 0, 4, 0, 2, 2, 0])
    np.testing.assert_allclose(balanced_weights(label_N), compute_sample_weight("balanced", label_N), rtol=1e-12)
    assert balanced_weights(label_N).mean() == pytest.approx(1.0)


def test_weighted_logistic_regression_is_where_the_weighted_loss_has_no_slope() -> None:
    x_ND, label_N = uneven()
    fitted = fit(LogisticRegression(0.5), x_ND, label_N, seed=0, class_weights=True)
    assert isinstance(fitted, Fitted)
    error_N = balanced_weights(label_N) * (fitted.predict_proba(x_ND)[:, 1] - label_N)
    slope_D = 0.5 * error_N @ ((x_ND - x_ND.mean(0)) / x_ND.std(0)) + fitted.estimator.coef_[0]
    np.testing.assert_allclose(slope_D, 0.0, atol=2e-3)


@pytest.mark.parametrize("model", TAKES, ids=lambda model: type(model).__name__)
def test_the_rare_class_is_heard(model: Model) -> None:
    x_ND, label_N = uneven()
    other_ND = np.random.default_rng(5).normal(size=(200, 2)) + 0.5
    plain, weighted = (
        fit(model, x_ND, label_N, 0, class_weights=weights).predict_proba(other_ND)[:, 1] for weights in (False, True)
    )
    assert weighted.mean() > plain.mean() + 0.05


@pytest.mark.parametrize("model", REFUSES, ids=lambda model: type(model).__name__)
def test_models_that_cannot_weigh_say_so(model: Model) -> None:
    with pytest.raises(ClassicalError, match=r"cannot weigh clips by class.*choose one of: DecisionTree, .*Logistic"):
        fit(model, *uneven(), seed=0, class_weights=True)


def test_two_stages_weigh_genders_and_then_each_genders_emotions() -> None:
    x_ND, label_N = uneven()
    gender_N = np.where(np.arange(110) % 3 == 0, "female", "male")
    kind = LogisticRegression(0.1)
    plain, weighted = (
        fit_two_stage(TwoStage(kind, kind), x_ND, label_N, gender_N, 0, class_weights=weights)
        for weights in (False, True)
    )
    for own, model in zip((gender_N == "female", gender_N == "male"), weighted.by_gender, strict=True):
        alone = fit(kind, x_ND[own], label_N[own], 0, 2, class_weights=True)
        np.testing.assert_array_equal(model.predict_proba(x_ND), alone.predict_proba(x_ND))
    alone = fit(kind, x_ND, (gender_N == "male").astype(int), 0, class_weights=True)
    np.testing.assert_array_equal(weighted.gender.predict_proba(x_ND), alone.predict_proba(x_ND))
    assert not np.allclose(plain.predict_proba(x_ND), weighted.predict_proba(x_ND))
