"""Classification metrics, computed from two sufficient statistics: confusion counts and score ranks.

Confusion counts `counts_KK[truth, prediction]` merge by `+`: add the counts of batches, folds or devices,
then compute. Averages of per-batch metrics are never taken. Everything here is float64 on the host.

One rule for absent classes: UAR and macro-F1 are means over *the classes present in the truth*. (audmetric
averages over the union of labels in truth and prediction, which punishes a wrong guess of an absent class
twice.)
"""

from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, Num

AnyArray = np.ndarray | jax.Array
Metric = Literal["uar", "war", "macro_f1"]


class PerClass(NamedTuple):
    """Precision, recall and F1 of each class, NaN where undefined, and the number of clips of the class."""

    precision_K: Float[np.ndarray, "K"]
    recall_K: Float[np.ndarray, "K"]
    f1_K: Float[np.ndarray, "K"]
    support_K: Num[np.ndarray, "K"]


class RocAuc(NamedTuple):
    """One-vs-rest areas: one per class, NaN where undefined, and the mean over the defined ones."""

    per_class_K: Float[np.ndarray, "K"]
    macro: float


def confusion(truth_N: Int[AnyArray, "N"], prediction_N: Int[AnyArray, "N"], n_classes: int) -> Int[np.ndarray, "K K"]:
    """Count how often each class was taken for each: C[i, j] = #{n : truth_n = i, prediction_n = j}.

    Args:
      truth_N: class ids, 0 … n_classes − 1.
      prediction_N: class ids, 0 … n_classes − 1.
      n_classes: the number of classes K.

    Raises:
      ValueError: an id outside the range (−1, the usual "unlabelled", included) or unequal lengths.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    truth_N, prediction_N = np.asarray(truth_N, np.int64), np.asarray(prediction_N, np.int64)
    _check_same_length(truth_N, prediction_N)
    for name, ids_N in (("truth", truth_N), ("prediction", prediction_N)):
        check_labels(ids_N, n_classes, name)
    flat = np.bincount(truth_N * n_classes + prediction_N, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes)


def mean_recall(counts_RKK: Num[AnyArray, "R K K"]) -> Float[np.ndarray, "R"]:
    """UAR of each matrix of a stack: mean over classes c with Σ_j C[c, j] > 0 of C[c, c] / Σ_j C[c, j].

    Args:
      counts_RKK: a stack of [truth, prediction] counts, each ≥ 0; weighted (non-integer) counts are welcome.

    Raises:
      ValueError: a matrix of the stack is empty, so that it has no recall at all.

    >>> mean_recall(np.array([[[1, 1], [0, 4]], [[0, 0], [1, 3]]]))
    array([0.75, 0.75])
    """
    counts_RKK = _counted(counts_RKK, "recall")
    return _mean_of_present(counts_RKK, 1, counts_RKK.sum(axis=2))


def measure(metric: Metric, counts_RKK: Num[AnyArray, "R K K"]) -> Float[np.ndarray, "R"]:
    """Return a metric of each confusion matrix of a stack, as `uar`, `war` and `macro_f1` define it.

    Args:
      metric: which one.
      counts_RKK: as `mean_recall`.

    Raises:
      ValueError: a matrix of the stack is empty.

    >>> measure("war", np.array([[[1, 1], [0, 2]], [[1, 0], [1, 0]]]))
    array([0.75, 0.5 ])
    """
    match metric:
        case "uar":
            return mean_recall(counts_RKK)
        case "war":
            counts_RKK = _counted(counts_RKK, "accuracy")
            return np.trace(counts_RKK, axis1=1, axis2=2) / counts_RKK.sum(axis=(1, 2))
        case "macro_f1":
            counts_RKK = _counted(counts_RKK, "F1")
            return _mean_of_present(counts_RKK, 2, counts_RKK.sum(axis=2) + counts_RKK.sum(axis=1))


def uar(counts_KK: Num[AnyArray, "K K"]) -> float:
    """Unweighted average recall, the mean recall over the classes present in the truth.

    UAR = 1/|P| Σ_{c ∈ P} C[c, c] / Σ_j C[c, j],  P = {c : Σ_j C[c, j] > 0}.

    Equals scikit-learn's `balanced_accuracy_score`.

    Source: Schuller, Steidl & Batliner, "The INTERSPEECH 2009 Emotion Challenge", 2009.

    Args:
      counts_KK: [truth, prediction] counts.

    Raises:
      ValueError: no count at all.

    >>> uar(np.array([[1, 1], [0, 4]]))
    0.75
    >>> uar(np.array([[1, 1], [0, 0]]))  # the second class was guessed, but never true
    0.5
    """
    return float(mean_recall(np.asarray(counts_KK)[None])[0])


def war(counts_KK: Num[AnyArray, "K K"]) -> float:
    """Weighted average recall, recall weighted by class size: the accuracy Σ_c C[c, c] / Σ_ij C[i, j].

    Args:
      counts_KK: [truth, prediction] counts.

    Raises:
      ValueError: no count at all.

    >>> war(np.array([[1, 1], [0, 2]]))
    0.75
    """
    return float(measure("war", np.asarray(counts_KK)[None])[0])


def per_class(counts_KK: Num[AnyArray, "K K"]) -> PerClass:
    """Precision, recall, F1 and support of each class.

    precision_c = C[c, c] / Σ_i C[i, c],  recall_c = C[c, c] / Σ_j C[c, j],
    F1_c = 2 C[c, c] / (Σ_j C[c, j] + Σ_i C[i, c]).

    What is 0 / 0 is NaN: the precision of a class never predicted, the recall of a class never true, the F1
    of a class that is neither. A class that is true but never predicted has F1 = 0.

    Args:
      counts_KK: [truth, prediction] counts.

    >>> per_class(np.array([[1, 1], [0, 2]])).recall_K
    array([0.5, 1. ])
    """
    counts_KK = np.asarray(counts_KK)
    hits_K, support_K, predicted_K = np.diagonal(counts_KK), counts_KK.sum(axis=1), counts_KK.sum(axis=0)
    return PerClass(
        _ratio(hits_K, predicted_K),
        _ratio(hits_K, support_K),
        _ratio(2 * hits_K, support_K + predicted_K),
        support_K,
    )


def macro_f1(counts_KK: Num[AnyArray, "K K"]) -> float:
    """Mean F1 over the classes present in the truth; equals scikit-learn's with `labels=unique(truth)`.

    A class guessed but never true is left out of the mean (as in `uar`); the wrong guess has already cost the
    true class its recall.

    Source: Opitz & Burst, "Macro F1 and Macro F1", 2019 (the mean of F1s, not the F1 of means).

    Args:
      counts_KK: [truth, prediction] counts.

    Raises:
      ValueError: no count at all.

    >>> round(macro_f1(np.array([[1, 1], [0, 2]])), 4)
    0.7333
    """
    return float(measure("macro_f1", np.asarray(counts_KK)[None])[0])


def roc_auc_ovr(truth_N: Int[AnyArray, "N"], scores_NK: Float[AnyArray, "N K"]) -> RocAuc:
    """Area under the one-vs-rest ROC curve of each class, by ranks, and its mean.

    AUC_c = (Σ_{n : truth_n = c} rank_n − P(P + 1)/2) / (P · Q): the chance that a clip of class c scores higher than a
    clip of another class, ties counting one half. P clips are of the class, Q are others. Ranks are averaged over ties.

    Source: Hanley & McNeil, Radiology 143, 1982 (the Mann–Whitney identity).

    Args:
      truth_N: class ids, 0 … K − 1.
      scores_NK: one score per class, higher = more likely; only the order within a column matters.

    Returns:
      NaN for a class without positives or without negatives; `macro` is the mean over the others (NaN if
      none).

    Raises:
      ValueError: an id out of range, unequal lengths, a score that is NaN.

    >>> roc_auc_ovr(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.5]]))
    RocAuc(per_class_K=array([0.75, 0.5 ]), macro=0.625)
    """
    truth_N, scores_NK = _checked_scores(truth_N, scores_NK)
    areas_K = np.array([_rank_area(truth_N == c, scores_NK[:, c]) for c in range(scores_NK.shape[1])])
    defined_K = np.isfinite(areas_K)
    return RocAuc(areas_K, float(areas_K[defined_K].mean()) if defined_K.any() else float("nan"))


def roc_curve(
    truth_N: Int[AnyArray, "N"], scores_NK: Float[AnyArray, "N K"], label: int
) -> tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P"]]:
    """Return the one-vs-rest ROC curve of one class: false and true positive rates, from (0, 0) to (1, 1).

    One point for each distinct score s, "is of the class if score ≥ s"; clips of equal score are one step,
    so that the trapezoid under the curve is `roc_auc_ovr`.

    Args:
      truth_N: class ids, 0 … K − 1.
      scores_NK: one score per class, higher = more likely.
      label: the class whose curve is wanted.

    Raises:
      ValueError: as `roc_auc_ovr`, or the class has no positives or no negatives.

    >>> roc_curve(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.5]]), 0)
    (array([0., 0., 1.]), array([0. , 0.5, 1. ]))
    """
    truth_N, scores_NK = _checked_scores(truth_N, scores_NK)
    positive_N = truth_N == label
    if positive_N.all() or not positive_N.any():
        raise ValueError(
            f"class {label} has {positive_N.sum()} of {positive_N.size} clips: "
            "a ROC curve needs clips of the class and clips of others; leave the class out"
        )
    descending = np.argsort(-scores_NK[:, label], kind="stable")
    score_N, positive_N = scores_NK[descending, label], positive_N[descending]
    last_of_tie = np.append(np.flatnonzero(np.diff(score_N)), score_N.size - 1)
    true_P, false_P = np.cumsum(positive_N)[last_of_tie], np.cumsum(~positive_N)[last_of_tie]
    return np.append(0, false_P) / false_P[-1], np.append(0, true_P) / true_P[-1]


def check_labels(ids_N: Int[np.ndarray, "N"], n_classes: int, name: str) -> None:
    """Raise a ValueError that names the first id outside 0 … n_classes − 1."""
    outside = np.flatnonzero((ids_N < 0) | (ids_N >= n_classes))
    if outside.size:
        raise ValueError(
            f"{name} {ids_N[outside[0]]} at row {outside[0]} ({outside.size} such rows): expected class ids "
            f"0 … {n_classes - 1}; drop unlabelled clips before counting"
        )


def _checked_scores(truth_N: AnyArray, scores_NK: AnyArray) -> tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N K"]]:
    truth_N, scores_NK = np.asarray(truth_N, np.int64), np.asarray(scores_NK, np.float64)
    _check_same_length(truth_N, scores_NK)
    check_labels(truth_N, scores_NK.shape[1], "truth")
    bad = np.flatnonzero(np.isnan(scores_NK).any(axis=1))
    if bad.size:
        raise ValueError(f"the scores of row {bad[0]} hold NaN ({bad.size} such rows): they cannot be ranked")
    return truth_N, scores_NK


def _check_same_length(first: np.ndarray, second: np.ndarray) -> None:
    # numpy would broadcast a length of one in silence
    if len(first) != len(second):
        raise ValueError(f"{len(first)} true labels, but {len(second)} predictions: expected one for each clip")


def _counted(counts_RKK: AnyArray, figure: str) -> Float[np.ndarray, "R K K"]:
    counts_RKK = np.asarray(counts_RKK, np.float64)
    if not (counts_RKK.sum(axis=(1, 2)) > 0).all():
        raise ValueError(f"a confusion matrix without a single clip has no {figure}: count at least one prediction")
    return counts_RKK


def _mean_of_present(
    counts_RKK: Float[np.ndarray, "R K K"], times: int, total_RK: Float[np.ndarray, "R K"]
) -> Float[np.ndarray, "R"]:
    """Return the mean of times · C[c, c] / total_c over the classes c that are true at least once."""
    present_RK = counts_RKK.sum(axis=2) > 0
    hits_RK = times * np.diagonal(counts_RKK, axis1=1, axis2=2)
    ratio_RK = np.divide(hits_RK, total_RK, out=np.zeros_like(total_RK), where=present_RK)
    return ratio_RK.sum(axis=1) / present_RK.sum(axis=1)


def _ratio(numerator_K: np.ndarray, denominator_K: np.ndarray) -> Float[np.ndarray, "K"]:
    undefined_K = np.full(numerator_K.shape, np.nan)
    return np.divide(numerator_K, denominator_K, out=undefined_K, where=denominator_K > 0)


def _rank_area(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    n_positive, n_negative = int(positive_N.sum()), int((~positive_N).sum())
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, tie_N, size_T = np.unique(score_N, return_inverse=True, return_counts=True)
    rank_T = np.cumsum(size_T) - (size_T - 1) / 2  # mean of the ranks (from 1) that a tie covers
    rank_sum = rank_T[tie_N][positive_N].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
