"""Class weights against imbalance, from training rows alone; sampling against it is `batches.balanced_rows`."""

import numpy as np
from jaxtyping import Float32, Int, Int32

from serjax.errors import SerjaxError


class BalanceError(SerjaxError):
    """Classes cannot be weighted."""


def class_weights(
    label_ids_N: Int32[np.ndarray, " N"], train: Int[np.ndarray, " n"], n_classes: int
) -> Float32[np.ndarray, " K"]:
    """Weigh each class inversely to its frequency: w_k = n / (K n_k), whose mean over the training rows is 1.

    So losses keep their scale, and every class has the same part n / K in their sum. (scikit-learn's "balanced".)

    Args:
      label_ids_N: class of every clip, 0 to K - 1.
      train: the n training rows; no others are looked at.
      n_classes: K, at least 1.

    Raises:
      BalanceError: a class without training rows, or a class from K on.

    >>> class_weights(np.array([0, 0, 0, 1], np.int32), np.arange(4), 2).astype(float).round(3).tolist()
    [0.667, 2.0]
    """
    counts_K = np.bincount(label_ids_N[train], minlength=n_classes)
    if len(counts_K) != n_classes or not counts_K.all():
        raise BalanceError(
            f"Training rows per class are {counts_K.tolist()}; expected at least 1 for each of {n_classes} classes. "
            "Leave the class out, or choose another protocol."
        )
    return (counts_K.sum() / (n_classes * counts_K)).astype(np.float32)
