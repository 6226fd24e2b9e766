"""Metrics against loops over the definitions, scikit-learn, and values counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from jaxtyping import TypeCheckError

from serjax.evaluate import metrics
from tests.reference import metrics as reference

# emotions of six clips; class 3 is never true, class 2 never predicted, class 4 neither
TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTION = np.array([0, 0, 1, 1, 3, 0])


def random_labels(seed: int, n_rows: int = 200, n_classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth_N = rng.choice(n_classes, n_rows, p=rng.dirichlet(np.ones(n_classes)))
    guess_N = rng.integers(0, n_classes, n_rows)
    return truth_N, np.where(rng.random(n_rows) < 0.4, truth_N, guess_N)


def test_confusion_counts_rows_by_truth():
    expected = [[2, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5]
    np.testing.assert_array_equal(metrics.confusion(TRUTH, PREDICTION, 5), expected)


def test_confusion_merges_by_addition():
    truth_N, prediction_N = random_labels(0)
    whole = metrics.confusion(truth_N, prediction_N, 5)
    parts = [metrics.confusion(truth_N[part], prediction_N[part], 5) for part in (slice(0, 70), slice(70, None))]
    np.testing.assert_array_equal(parts[0] + parts[1], whole)
    np.testing.assert_array_equal(whole + metrics.confusion(truth_N[:0], prediction_N[:0], 5), whole)
    np.testing.assert_array_equal(whole, sklearn.metrics.confusion_matrix(truth_N, prediction_N, labels=range(5)))


@pytest.mark.parametrize("bad", [-1, 5])
@pytest.mark.parametrize("column", ["truth", "prediction"])
def test_confusion_rejects_labels_out_of_range(bad, column):
    columns = {"truth_N": TRUTH.copy(), "prediction_N": PREDICTION.copy()}
    columns[f"{column}_N"][2] = bad
    with pytest.raises(ValueError, match=rf"{column} {bad} at row 2 .*0 … 4"):
        metrics.confusion(**columns, n_classes=5)


def test_confusion_rejects_unequal_lengths():
    # the shape checker of the tests speaks first; without it numpy would repeat the single prediction
    with pytest.raises(TypeCheckError):
        metrics.confusion(TRUTH, PREDICTION[:1], 5)
    with pytest.raises(ValueError, match="6 true labels, but 1 predictions"):
        metrics.confusion.__wrapped__(TRUTH, PREDICTION[:1], 5)


def test_frozen_values():
    counts = metrics.confusion(TRUTH, PREDICTION, 5)
    assert metrics.uar(counts) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3, abs=1e-15)
    assert metrics.war(counts) == 0.5
    assert metrics.macro_f1(counts) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3, abs=1e-15)
    table = metrics.per_class(counts)
    np.testing.assert_allclose(table.precision_K, [2 / 3, 1 / 2, np.nan, 0, np.nan], atol=1e-15)
    np.testing.assert_allclose(table.recall_K, [2 / 3, 1 / 2, 0, np.nan, np.nan], atol=1e-15)
    np.testing.assert_allclose(table.f1_K, [2 / 3, 1 / 2, 0, 0, np.nan], atol=1e-15)
    np.testing.assert_array_equal(table.support_K, [3, 2, 1, 0, 0])


def test_uar_averages_over_classes_in_the_truth_only():
    # audmetric's union of truth and prediction would say .25, scikit-learn's balanced accuracy says .5
    truth, prediction = np.array([0, 0]), np.array([0, 1])
    assert metrics.uar(metrics.confusion(truth, prediction, 2)) == 0.5
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        assert sklearn.metrics.balanced_accuracy_score(truth, prediction) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_summaries_match_definitions_and_sklearn(seed):
    truth_N, prediction_N = random_labels(seed)
    counts, present = metrics.confusion(truth_N, prediction_N, 5), np.unique(truth_N)
    truth, prediction = truth_N.tolist(), prediction_N.tolist()
    assert metrics.uar(counts) == pytest.approx(reference.uar(truth, prediction), abs=1e-14)
    assert metrics.war(counts) == pytest.approx(reference.accuracy(truth, prediction), abs=1e-14)
    assert metrics.macro_f1(counts) == pytest.approx(reference.macro_f1(truth, prediction), abs=1e-14)
    sk = {"labels": present, "average": "macro", "zero_division": 0}
    assert metrics.uar(counts) == pytest.approx(sklearn.metrics.recall_score(truth, prediction, **sk), abs=1e-14)
    assert metrics.macro_f1(counts) == pytest.approx(sklearn.metrics.f1_score(truth, prediction, **sk), abs=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_per_class_matches_definitions(seed):
    truth_N, prediction_N = random_labels(seed, n_rows=12)
    table = metrics.per_class(metrics.confusion(truth_N, prediction_N, 5))
    for c in range(5):
        rows = truth_N.tolist(), prediction_N.tolist(), c
        expected = [reference.precision(*rows), reference.recall(*rows), reference.f1(*rows)]
        np.testing.assert_allclose([table.precision_K[c], table.recall_K[c], table.f1_K[c]], expected, atol=1e-14)


def test_mean_recall_of_a_stack_is_the_uar_of_each():
    stack = np.stack([metrics.confusion(*random_labels(seed), 5) for seed in range(4)])
    np.testing.assert_array_equal(metrics.mean_recall(stack), [metrics.uar(counts) for counts in stack])


def test_uar_does_not_depend_on_class_sizes():
    counts = metrics.confusion(*random_labels(0), 5)
    assert metrics.uar(counts * np.array([[1], [7], [2], [100], [3]])) == pytest.approx(metrics.uar(counts), abs=1e-14)


@pytest.mark.parametrize("metric", [metrics.uar, metrics.war, metrics.macro_f1])
def test_an_empty_matrix_has_no_figure(metric):
    with pytest.raises(ValueError, match="count at least one prediction"):
        metric(np.zeros((3, 3), int))


@pytest.mark.parametrize("n_levels", [3, 20, 10_000])  # many ties, some, none
def test_roc_auc_matches_pairs_and_sklearn(n_levels):
    rng = np.random.default_rng(n_levels)
    truth_N = rng.integers(0, 4, 150)
    scores_NK = np.round((rng.random((150, 4)) + 0.3 * np.eye(4)[truth_N]) * n_levels) / n_levels
    area = metrics.roc_auc_ovr(truth_N, scores_NK)
    for c in range(4):
        column = scores_NK[:, c].tolist()
        assert area.per_class_K[c] == pytest.approx(reference.roc_auc(truth_N.tolist(), column, c), abs=1e-14)
        assert area.per_class_K[c] == pytest.approx(sklearn.metrics.roc_auc_score(truth_N == c, column), abs=1e-14)
    assert area.macro == pytest.approx(np.mean(area.per_class_K), abs=1e-14)


def test_roc_auc_of_a_class_without_positives_or_negatives_is_undefined():
    scores_NK = np.array([[0.2, 0.8, 0.1], [0.9, 0.3, 0.2], [0.5, 0.4, 0.3]])
    area = metrics.roc_auc_ovr(np.array([1, 0, 0]), scores_NK)
    np.testing.assert_array_equal(area.per_class_K, [1, 1, np.nan])
    assert area.macro == 1
    alone = metrics.roc_auc_ovr(np.array([1, 1, 1]), scores_NK)
    assert np.isnan(alone.per_class_K).all()
    assert np.isnan(alone.macro)


def test_roc_auc_depends_on_order_only():
    rng = np.random.default_rng(0)
    truth_N, scores_NK = rng.integers(0, 3, 80), rng.normal(size=(80, 3))
    warped = np.exp(3 * scores_NK) - 50
    np.testing.assert_array_equal(
        metrics.roc_auc_ovr(truth_N, scores_NK).per_class_K, metrics.roc_auc_ovr(truth_N, warped).per_class_K
    )


def test_roc_auc_rejects_nan():
    with pytest.raises(ValueError, match="row 1 hold NaN"):
        metrics.roc_auc_ovr(np.array([0, 1]), np.array([[0.1, 0.2], [np.nan, 0.3]]))


@pytest.mark.parametrize("n_levels", [4, 10_000])
def test_roc_curve_matches_sklearn_and_its_area(n_levels):
    rng = np.random.default_rng(n_levels)
    truth_N = rng.integers(0, 3, 90)
    scores_NK = np.round((rng.random((90, 3)) + 0.3 * np.eye(3)[truth_N]) * n_levels)
    false_P, true_P = metrics.roc_curve(truth_N, scores_NK, 1)
    expected_false, expected_true, _ = sklearn.metrics.roc_curve(truth_N == 1, scores_NK[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(false_P, expected_false, atol=1e-15)
    np.testing.assert_allclose(true_P, expected_true, atol=1e-15)
    area = metrics.roc_auc_ovr(truth_N, scores_NK).per_class_K[1]
    assert np.trapezoid(true_P, false_P) == pytest.approx(area, abs=1e-14)


def test_roc_curve_needs_both_sides():
    with pytest.raises(ValueError, match="class 1 has 0 of 2 clips"):
        metrics.roc_curve(np.array([0, 0]), np.zeros((2, 2)), 1)


def test_jax_arrays_give_the_same_figures():
    truth_N, prediction_N = random_labels(1)
    counts = metrics.confusion(truth_N, prediction_N, 5)
    counts_jax = metrics.confusion(jnp.asarray(truth_N), jnp.asarray(prediction_N), 5)
    assert metrics.uar(jnp.asarray(counts_jax)) == metrics.uar(counts)
    scores_NK = np.random.default_rng(1).random((200, 5)).astype(np.float32)
    from_jax = metrics.roc_auc_ovr(jnp.asarray(truth_N), jnp.asarray(scores_NK))
    assert from_jax.macro == metrics.roc_auc_ovr(truth_N, scores_NK).macro
