"""Models of feature vectors against definitions written out, what no model may depend on, and what they refuse."""

import importlib
import itertools
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_info, threadpool_limits

from serjax.models.classical.clusters import match_clusters
from serjax.models.classical.fitting import Fitted, fit, fit_view
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
from serjax.models.classical.voting import soft_vote

MODELS: tuple[Model, ...] = (
    Knn(),
    DecisionTree(),
    RandomForest(n_estimators=15),
    Bagging(n_estimators=10),
    LightGbm(n_estimators=15, min_child_samples=3),
    XgBoost(n_estimators=10),
    Svm(),
    Mlp(hidden=(12,), max_iterations=60),
    LogisticRegression(),
    KMeans(),
    OnComponents(LogisticRegression(), 0.9),
)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


def clips(n: int = 90, shift: float = 2.5, key: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return 8 features of clips of 3 classes whose means differ by `shift` standard deviations."""
    rng = np.random.default_rng(key)
    label_N = np.arange(n) % 3
    return rng.normal(size=(n, 8)) + shift * np.eye(8)[label_N], label_N


def standardised(x_ND: np.ndarray, train_ND: np.ndarray) -> np.ndarray:
    return (x_ND - train_ND.mean(0)) / train_ND.std(0)


@each_model
def test_a_model_tells_classes_apart_and_gives_probabilities(model: Model) -> None:
    x_ND, label_N = clips()
    probability_NK = fit(model, x_ND[:60], label_N[:60], seed=0).predict_proba(x_ND[60:])
    assert probability_NK.shape == (30, 3)
    assert (probability_NK >= 0).all()
    np.testing.assert_allclose(probability_NK.sum(1), 1.0, atol=1e-6)  # xgboost gives float32
    assert np.mean(probability_NK.argmax(1) == label_N[60:]) > 0.7


@each_model
def test_the_same_seed_gives_the_same_model(model: Model) -> None:
    x_ND, label_N = clips(shift=0.8)
    first, second = (fit(model, x_ND, label_N, seed=5).predict_proba(x_ND) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@each_model
def test_units_and_offsets_of_features_do_not_matter(model: Model) -> None:
    x_ND, label_N = clips(shift=1.0)
    unit_D, offset_D = 2.0 ** np.arange(-4, 4), 4.0 * np.arange(8)
    plain = fit(model, x_ND[:60], label_N[:60], seed=0).predict_proba(x_ND[60:])
    other = fit(model, x_ND[:60] * unit_D + offset_D, label_N[:60], seed=0).predict_proba(x_ND[60:] * unit_D + offset_D)
    np.testing.assert_allclose(other, plain, atol=1e-4)


@each_model
def test_a_class_without_training_clips_gets_nothing(model: Model) -> None:
    x_ND, label_N = clips(30)
    label_N = np.where(label_N == 1, 3, label_N)
    if isinstance(model, KMeans):
        with pytest.raises(ClassicalError, match="3 of 5 classes"):
            fit(model, x_ND, label_N, seed=0, n_classes=5)
        return
    probability_NK = fit(model, x_ND, label_N, seed=0, n_classes=5).predict_proba(x_ND)
    assert probability_NK.shape == (30, 5)
    assert (probability_NK[:, [1, 4]] == 0).all()
    assert set(probability_NK.argmax(1)) == {0, 2, 3}


def test_boosting_may_start_from_equal_classes() -> None:
    """Steps of 1e-5 never leave where they begin: at class shares one class takes all, from equal ones none does."""
    x_ND, label_N = clips()
    rows = np.concatenate([np.flatnonzero(label_N == 0), np.flatnonzero(label_N > 0)[:30]])  # 30 : 15 : 15
    x_ND, label_N = x_ND[rows], label_N[rows]
    equal_NK = fit(XgBoost(10, learning_rate=1e-5, base_score=0.5), x_ND, label_N, seed=0).predict_proba(x_ND)
    np.testing.assert_allclose(equal_NK, 1 / 3, atol=1e-3)
    assert np.mean(equal_NK.argmax(1) == label_N) > 0.9


def test_neighbours_vote_by_inverse_distance() -> None:
    x_ND, label_N = clips(40, shift=1.0)
    found_NK = fit(Knn(n_neighbors=4), x_ND[:30], label_N[:30], seed=0).predict_proba(x_ND[30:])
    train_ND, test_ND = standardised(x_ND[:30], x_ND[:30]), standardised(x_ND[30:], x_ND[:30])
    for row_D, found_K in zip(test_ND, found_NK, strict=True):
        distance_N = np.sqrt(((train_ND - row_D) ** 2).sum(1))
        near = np.argsort(distance_N)[:4]
        vote_K = np.bincount(label_N[near], 1 / distance_N[near], minlength=3)
        np.testing.assert_allclose(found_K, vote_K / vote_K.sum(), rtol=1e-9)


def test_where_there_are_fewer_clips_all_of_them_vote() -> None:
    x_ND, label_N = clips(12)
    found, all_of_them = (fit(Knn(n), x_ND, label_N, seed=0).predict_proba(x_ND + 0.1) for n in (40, 12))
    np.testing.assert_array_equal(found, all_of_them)


def test_logistic_regression_is_where_the_penalised_loss_has_no_slope() -> None:
    x_ND, label_N = clips(60, shift=0.7)
    c = 0.3
    fitted = fit(LogisticRegression(c), x_ND, label_N, seed=0)
    assert isinstance(fitted, Fitted)
    z_ND = standardised(x_ND, x_ND)
    slope_KD = (fitted.predict_proba(x_ND) - np.eye(3)[label_N]).T @ z_ND
    np.testing.assert_allclose(c * slope_KD + fitted.estimator.coef_, 0.0, atol=2e-3)  # measured 1.4e-4
    assert fitted.n_parameters == 3 * 8 + 3


@pytest.mark.parametrize("n_classes", [2, 3])
def test_svm_keeps_the_choice_of_scikit_learn(n_classes: int) -> None:
    x_ND, _ = clips(60)
    label_N = np.arange(60) % n_classes
    found_NK = fit(Svm(), x_ND, label_N, seed=0).predict_proba(x_ND)
    reference = SVC(break_ties=n_classes > 2).fit(standardised(x_ND, x_ND), label_N)
    value = reference.decision_function(standardised(x_ND, x_ND))
    value_NK = value if value.ndim == 2 else np.stack([0 * value, value], axis=1)
    np.testing.assert_allclose(found_NK, softmax(value_NK, axis=1), rtol=1e-9)
    np.testing.assert_array_equal(found_NK.argmax(1), reference.predict(standardised(x_ND, x_ND)))


def test_principal_components_are_the_fewest_that_hold_the_share() -> None:
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    found_NE = fit_view(x_ND, 0.8)(x_ND)
    left_NE, size_E, _ = np.linalg.svd(standardised(x_ND, x_ND), full_matrices=False)
    share_E = np.cumsum(size_E**2) / (size_E**2).sum()
    n_kept = int(np.argmax(share_E >= 0.8)) + 1
    assert 1 < n_kept < 6
    assert found_NE.shape == (50, n_kept)
    np.testing.assert_allclose(np.abs(found_NE), np.abs(left_NE * size_E)[:, :n_kept], atol=1e-9)


def test_a_constant_feature_is_no_noise() -> None:
    x_ND = np.column_stack([np.arange(9.0), np.full(9, 0.1)])  # 0.1 is not its own mean in float64
    np.testing.assert_allclose(fit_view(x_ND)(x_ND)[:, 1], 0.0, atol=1e-12)


def test_clusters_are_matched_as_well_as_any_order_can() -> None:
    rng = np.random.default_rng(1)
    cluster_N, label_N = rng.integers(0, 4, 80), rng.integers(0, 4, 80)
    cluster_K = match_clusters(cluster_N, label_N, 4)
    reached = [np.sum(np.array(order)[label_N] == cluster_N) for order in itertools.permutations(range(4))]
    assert sorted(cluster_K) == [0, 1, 2, 3]
    assert np.sum(cluster_K[label_N] == cluster_N) == max(reached)


def test_raw_cluster_numbers_are_those_of_the_clustering() -> None:
    x_ND, label_N = clips()
    z_ND = standardised(x_ND, x_ND)
    raw = SklearnKMeans(3, n_init=10, random_state=2).fit(z_ND)
    probability_NK = fit(KMeans("raw"), x_ND, label_N, seed=2).predict_proba(x_ND)
    np.testing.assert_array_equal(probability_NK.argmax(1), raw.labels_)
    distance_NK = ((z_ND[:, None] - raw.cluster_centers_[None]) ** 2).sum(2)
    variance = distance_NK.min(1).sum() / x_ND.size
    np.testing.assert_allclose(probability_NK, softmax(-distance_NK / (2 * variance), axis=1), atol=1e-9)


def test_a_vote_is_the_weighted_mean_of_its_members() -> None:
    x_ND, label_N = clips(shift=0.8)
    members = (Knn(), DecisionTree(max_depth=2), LogisticRegression())
    one_NK = [fit(member, x_ND, label_N, seed=1).predict_proba(x_ND) for member in members]
    voted_NK = soft_vote(np.stack(one_NK), (3.0, 2.0, 1.0))
    np.testing.assert_allclose(voted_NK, (3 * one_NK[0] + 2 * one_NK[1] + one_NK[2]) / 6, rtol=1e-12)
    equal_NK = soft_vote(np.stack(one_NK))
    np.testing.assert_allclose(equal_NK, np.mean(one_NK, axis=0), rtol=1e-12)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_weights_that_make_no_vote_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ClassicalError, match="one number above 0 for each"):
        soft_vote(np.full((2, 4, 3), 1 / 3), weights)


def gendered() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return clips whose gender stands in feature 0, and whose emotion stands in feature 1 with a sign by gender."""
    rng = np.random.default_rng(3)
    gender_N, label_N = np.arange(80) % 2, (np.arange(80) // 2) % 2
    x_ND = 0.3 * rng.normal(size=(80, 2))
    x_ND[:, 0] += 4 * gender_N
    x_ND[:, 1] += (2 * label_N - 1) * (2 * gender_N - 1)
    return x_ND, label_N, np.where(gender_N, "male", "female")


def test_two_stages_know_what_one_linear_stage_cannot() -> None:
    x_ND, label_N, gender_N = gendered()
    linear = LogisticRegression()
    single = fit(linear, x_ND, label_N, seed=0).predict_proba(x_ND).argmax(1)
    fitted = fit_two_stage(TwoStage(linear, linear), x_ND, label_N, gender_N, seed=0)
    assert np.mean(single == label_N) < 0.7
    assert np.mean(fitted.predict_proba(x_ND).argmax(1) == label_N) > 0.95
    assert fitted.genders == ("female", "male")
    assert fitted.n_parameters == 3 * 3


def test_two_stages_use_the_gender_that_is_predicted() -> None:
    x_ND, label_N, gender_N = gendered()
    fitted = fit_two_stage(TwoStage(Knn(), Knn(3)), x_ND, label_N, gender_N, seed=0)
    turned_ND = x_ND.copy()
    turned_ND[:, 0] = 4 - turned_ND[:, 0]  # sounds like the other gender
    np.testing.assert_array_equal(np.array(fitted.genders)[fitted.predict_gender(turned_ND)] == gender_N, False)
    for g, gender in enumerate(("female", "male")):
        own = gender_N == gender
        other = fit(Knn(3), x_ND[~own], label_N[~own], 0, 2)
        np.testing.assert_array_equal(fitted.predict_proba(turned_ND[own]), other.predict_proba(turned_ND[own]))
        assert fitted.predict_gender(x_ND[own]).tolist() == [g] * int(own.sum())


@pytest.mark.parametrize("genders", [np.full(80, "male"), np.array(["male", ""] * 40)])
def test_two_stages_need_genders(genders: np.ndarray) -> None:
    x_ND, label_N, _ = gendered()
    with pytest.raises(ClassicalError, match="gender of every speaker"):
        fit_two_stage(TwoStage(Knn(), Knn()), x_ND, label_N, genders, seed=0)


def test_what_cannot_be_fitted_is_refused() -> None:
    x_ND, label_N = clips()
    with pytest.raises(ClassicalError, match="two classes at least"):
        fit(Knn(), x_ND, np.zeros(90, int), seed=0)
    x_ND[3, 2] = np.nan
    with pytest.raises(ClassicalError, match="1 features not finite"):
        fit(Knn(), x_ND, label_N, seed=0)
    with pytest.raises(ClassicalError, match="between 0 and 1"):
        OnComponents(Knn(), 1.0)


@pytest.mark.parametrize(
    "model", [Knn(n_neighbors=0), Svm(c=-1.0), LogisticRegression(c=0.0), XgBoost(max_depth=-1), LightGbm(num_leaves=1)]
)
def test_values_that_a_library_refuses_are_told_with_the_model(model: Model) -> None:
    with pytest.raises(ClassicalError, match=rf"{type(model).__name__}\(.*cannot be fitted: .* Give it other values"):
        fit(model, *clips(), seed=0)


def test_one_thread_fits_and_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """More wait for each other: beside JAX's, two of OpenBLAS took minutes for a network that one fits in seconds."""
    seen: list[tuple[str, int]] = []

    def noting(method: str) -> Callable:
        own = getattr(MLPClassifier, method)

        def noted(self: MLPClassifier, *arguments: np.ndarray) -> object:
            seen.extend((method, pool["num_threads"]) for pool in threadpool_info())
            return own(self, *arguments)

        return noted

    for method in ("fit", "predict_proba"):
        monkeypatch.setattr(MLPClassifier, method, noting(method))
    x_ND, label_N = clips()
    with threadpool_limits(2):
        fit(Mlp(hidden=(4,), max_iterations=2), x_ND, label_N, seed=0).predict_proba(x_ND)
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}
    assert set(seen) == {("fit", 1), ("predict_proba", 1)}


@pytest.mark.parametrize(("model", "package"), [(XgBoost(), "xgboost"), (LightGbm(), "lightgbm")])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, model: Model, package: str
) -> None:
    there = importlib.import_module

    def absent(name: str) -> ModuleType:
        if name == package:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return there(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ClassicalError, match=rf'needs {package}, .*pip install "serjax\[classical\]"') as caught:
        fit(model, *clips(), seed=0)
    assert "other values" not in str(caught.value)


@pytest.mark.parametrize("model", [XgBoost(n_estimators=2), LogisticRegression()], ids=["trees", "linear"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_clip_whose_features_are_not_finite_gets_no_class(model: Model, value: float) -> None:
    """Boosted trees would take them for missing ones."""
    x_ND, label_N = clips(30)
    fitted = fit(model, x_ND, label_N, seed=0)
    x_ND[3, 1] = value
    with pytest.raises(ClassicalError, match="not finite, or too large"):
        fitted.predict_proba(x_ND)


def test_probabilities_that_are_not_finite_are_an_error() -> None:
    x_ND, label_N = clips(30)
    fitted = fit(LogisticRegression(), x_ND, label_N, seed=0)
    fitted.estimator.coef_ = fitted.estimator.coef_ * np.nan
    with pytest.raises(ClassicalError, match=r"LogisticRegression gives .* not finite"):
        fitted.predict_proba(x_ND)
