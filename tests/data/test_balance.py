"""Class weights against an independent definition and scikit-learn's; test rows never count."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from serjax.data.balance import BalanceError, class_weights

LABELS = np.repeat(np.arange(4), [50, 5, 20, 10]).astype(np.int32)


def test_weights_are_inverse_frequencies_with_mean_one_over_training_rows() -> None:
    train = np.sort(np.random.default_rng(0).permutation(len(LABELS))[:60])
    weights_K = class_weights(LABELS, train, 4)
    counts_K = np.array([np.sum(LABELS[train] == k) for k in range(4)])
    assert weights_K.dtype == np.float32
    np.testing.assert_allclose(weights_K * counts_K, 60 / 4, rtol=1e-6)  # every class has the same part
    np.testing.assert_allclose(weights_K[LABELS[train]].mean(), 1, rtol=1e-6)
    theirs = compute_class_weight("balanced", classes=np.arange(4), y=LABELS[train])
    np.testing.assert_allclose(weights_K, theirs, rtol=1e-6)


def test_only_training_rows_count() -> None:
    train = np.arange(0, len(LABELS), 2)
    other = LABELS.copy()
    other[1::2] = 3
    np.testing.assert_array_equal(class_weights(LABELS, train, 4), class_weights(other, train, 4))


def test_balanced_classes_weigh_one() -> None:
    np.testing.assert_array_equal(
        class_weights(np.tile(np.arange(3), 5).astype(np.int32), np.arange(15), 3), np.ones(3)
    )


def test_classes_without_training_rows_are_refused() -> None:
    with pytest.raises(BalanceError, match=r"\[50, 0, 0, 0\]; expected at least 1 for each of 4 classes. Leave"):
        class_weights(LABELS, np.arange(50), 4)
    with pytest.raises(BalanceError, match="for each of 3 classes"):
        class_weights(LABELS, np.arange(len(LABELS)), 3)
