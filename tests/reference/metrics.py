"""The definitions of the classification metrics, written as loops over clips, pairs and classes."""

import math
from collections.abc import Sequence


def recall(truth: Sequence[int], prediction: Sequence[int], label: int) -> float:
    found = [p == label for t, p in zip(truth, prediction, strict=True) if t == label]
    return sum(found) / len(found) if found else math.nan


def precision(truth: Sequence[int], prediction: Sequence[int], label: int) -> float:
    right = [t == label for t, p in zip(truth, prediction, strict=True) if p == label]
    return sum(right) / len(right) if right else math.nan


def f1(truth: Sequence[int], prediction: Sequence[int], label: int) -> float:
    """Return the harmonic mean of precision and recall, 0 if one of them is 0 or has no clips."""
    if label not in truth and label not in prediction:
        return math.nan
    p, r = precision(truth, prediction, label), recall(truth, prediction, label)
    if math.isnan(p) or math.isnan(r) or p + r == 0:
        return 0.0
    return 2 * p * r / (p + r)


def uar(truth: Sequence[int], prediction: Sequence[int]) -> float:
    present = sorted(set(truth))
    return sum(recall(truth, prediction, c) for c in present) / len(present)


def macro_f1(truth: Sequence[int], prediction: Sequence[int]) -> float:
    present = sorted(set(truth))
    return sum(f1(truth, prediction, c) for c in present) / len(present)


def accuracy(truth: Sequence[int], prediction: Sequence[int]) -> float:
    return sum(t == p for t, p in zip(truth, prediction, strict=True)) / len(truth)


def roc_auc(truth: Sequence[int], score: Sequence[float], label: int) -> float:
    """Return the share of (clip of the class, other clip) pairs in the right order, ties one half."""
    positive = [s for t, s in zip(truth, score, strict=True) if t == label]
    negative = [s for t, s in zip(truth, score, strict=True) if t != label]
    if not positive or not negative:
        return math.nan
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))
