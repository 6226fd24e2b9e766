"""Probabilities one may rely on: a temperature for each cell, and how far confidence is from accuracy.

Of the clips of which a classifier is 70 % sure, it should get 70 % right. One number for each cell, a seed and a fold,
makes the probabilities of its classes sharper or flatter and leaves the order of the classes as it is. It is fitted to
the cell's validation clips alone, as scored by models that did not see them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from serjax.evaluate.metrics import AnyArray, check_labels
from serjax.evaluate.predictions import Predictions

N_BINS = 15
# of a temperature, in units of the spread of log-probabilities: validation clips without an error would ask for 0,
# and a classifier worse than chance for more than any number
SHARPEST, FLATTEST = 0.1, 100.0
HALVINGS = 60  # of the interval of log T: to the last digit
ROUNDING = 1e-12  # of log-probabilities, relative


class Reliability(NamedTuple):
    """Of each bin that has clips, from unsure to sure: mean confidence, share of right answers, number of clips."""

    confidence_B: Float[np.ndarray, "B"]
    accuracy_B: Float[np.ndarray, "B"]
    count_B: Int[np.ndarray, "B"]


def log_posterior(scores_NK: Float[AnyArray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Turn log-odds, the scores of `Predictions`, back into log-probabilities that sum to 1.

    log p_k = −log(1 + exp(−o_k)) − log Σ_j 1 / (1 + exp(−o_j)); the last term is rounding if the scores are log-odds.
    Unlike the probabilities, their logarithms do not vanish far from 0.

    Args:
      scores_NK: log p / (1 − p) of each class, finite.

    >>> np.exp(log_posterior(np.log(np.array([[3.0, 1 / 3], [1.0, 1.0]])))).round(12)
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    # log σ(s), without the overflow of exp(−s).
    log_NK = -np.logaddexp(0.0, -np.asarray(scores_NK, np.float64))
    return tempered(log_NK, 1.0)


def tempered(log_probability_NK: Float[AnyArray, "N K"], temperature: float) -> Float[np.ndarray, "N K"]:
    """Return log softmax(log p / T): sharper for T below 1, flatter above, with the same order of classes.

    >>> np.exp(tempered(np.log(np.array([[0.8, 0.2]])), 2.0))
    array([[0.66666667, 0.33333333]])
    """
    scaled_NK = np.asarray(log_probability_NK, np.float64) / temperature
    return scaled_NK - np.logaddexp.reduce(scaled_NK, axis=1, keepdims=True)


def fit_temperature(log_probability_NK: Float[AnyArray, "N K"], truth_N: Int[AnyArray, "N"]) -> float:
    """Return the T under which the truth is most likely: argmin_T −1/N Σ_n log softmax(log p_n / T)[truth_n].

    In β = 1/T the mean is convex, so that halving finds where its derivative, mean_n (Σ_k p_nk l_nk − l_n,truth) for
    l = log p, changes its sign. T is kept between 0.1 and 100 times the spread of l, the standard deviation about
    each clip's mean: c·l gives c·T.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
      log_probability_NK: of each class, up to a constant for each clip; finite.
      truth_N: true class ids of the same clips, at least one.

    Returns:
      T; 1 where no clip's classes differ, for which every T is the same.

    Raises:
      ValueError: no clip, or a class id out of range.

    >>> three_of_four = np.log(np.array([[0.9, 0.1]] * 4))
    >>> T = fit_temperature(three_of_four, np.array([0, 0, 0, 1]))
    >>> np.exp(tempered(three_of_four, T))[0].round(12)
    array([0.75, 0.25])
    """
    log_NK, truth_N = _checked(log_probability_NK, truth_N)
    # A softmax sees only differences between classes: what a clip adds to all of them is no spread.
    centred_NK = log_NK - log_NK.mean(axis=1, keepdims=True)
    spread = float(np.std(centred_NK))
    if spread <= ROUNDING * np.abs(log_NK).max():
        return 1.0
    unit_NK = centred_NK / spread
    true_N = _of_truth(unit_NK, truth_N)

    def is_too_flat(temperature: float) -> bool:
        expected_N = (np.exp(tempered(unit_NK, temperature)) * unit_NK).sum(axis=1)
        return float(np.mean(expected_N - true_N)) < 0

    low, high = math.log(SHARPEST), math.log(FLATTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_too_flat(math.exp(middle)) else (middle, high)
    return spread * math.exp((low + high) / 2)


def negative_log_likelihood(log_probability_NK: Float[AnyArray, "N K"], truth_N: Int[AnyArray, "N"]) -> float:
    """Return −1/N Σ_n log p_n[truth_n], nats per clip; ln K for a classifier that says nothing.

    Args:
      log_probability_NK: of each class, finite.
      truth_N: true class ids, at least one clip.

    Raises:
      ValueError: no clip, or a class id out of range.

    >>> negative_log_likelihood(np.log(np.array([[0.5, 0.5], [0.25, 0.75]])), np.array([0, 0])) / math.log(2)
    1.5
    """
    log_NK, truth_N = _checked(log_probability_NK, truth_N)
    return -math.fsum(_of_truth(log_NK, truth_N)) / len(truth_N)  # the order of the rows does not matter


def reliability(
    probability_NK: Float[AnyArray, "N K"], truth_N: Int[AnyArray, "N"], n_bins: int = N_BINS
) -> Reliability:
    """Compare how sure a classifier is with how often it is right, in bins of equally many clips.

    The confidence of a clip is the probability of its likeliest class, the first of equals. Clips are sorted by it
    and cut into `n_bins` bins of the same number of clips. Clips of equal confidence share the bin of the first of
    them. So bins may differ in size, and some may be empty.

    Args:
      probability_NK: of each class.
      truth_N: true class ids, at least one clip.
      n_bins: the number of bins, ≥ 1.

    Raises:
      ValueError: no clip, a class id out of range, or no bin.
    """
    probability_NK, truth_N = _checked(probability_NK, truth_N)
    if n_bins < 1:
        raise ValueError(f"n_bins {n_bins}: expected 1 or more")
    confidence_N = probability_NK.max(axis=1)
    right_N = probability_NK.argmax(axis=1) == truth_N
    order_N = np.argsort(confidence_N)
    confidence_N, right_N = confidence_N[order_N], right_N[order_N]
    # The first place of equals, so that they share a bin.
    bin_N = np.searchsorted(confidence_N, confidence_N) * n_bins // len(truth_N)
    count_B = np.bincount(bin_N)
    sums_2B = [np.bincount(bin_N, weights=values_N) for values_N in (confidence_N, right_N)]
    kept_B = count_B > 0
    confidence_B, accuracy_B = (sum_B[kept_B] / count_B[kept_B] for sum_B in sums_2B)
    return Reliability(confidence_B, accuracy_B, count_B[kept_B])


def calibration_error(
    probability_NK: Float[AnyArray, "N K"], truth_N: Int[AnyArray, "N"], n_bins: int = N_BINS
) -> float:
    """Return the expected calibration error of the likeliest class: ECE = Σ_b n_b / N · |accuracy_b − confidence_b|.

    The bins are those of `reliability`, of equally many clips each. A classifier that is always 70 % sure and right in
    70 % of clips has 0. Even perfect probabilities have more than 0 on few clips.

    Source: Guo et al., ICML 2017 (bins of equal width); Nixon et al., "Measuring Calibration in Deep Learning", CVPR
    Workshops 2019 (of equal mass).

    Args:
      probability_NK: of each class.
      truth_N: true class ids, at least one clip.
      n_bins: the number of bins, ≥ 1.

    Raises:
      ValueError: as `reliability`.

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 1, 1]))
    0.25
    """
    bins = reliability(probability_NK, truth_N, n_bins)
    gap_B = np.abs(bins.accuracy_B - bins.confidence_B)
    return float(np.sum(bins.count_B * gap_B) / np.sum(bins.count_B))


def fit_temperatures(predictions: Predictions, validation: Predictions | None) -> dict[str, float | None]:
    """Fit a temperature for each cell to its validation clips.

    Args:
      predictions: test rows; of them only the names of the cells count.
      validation: rows of each cell's validation clips, None where there are none.

    Returns:
      T by `seed/fold`, None for a cell without validation clips.
    """
    fitted: dict[str, float | None] = dict.fromkeys(cells_of(predictions).tolist())
    if validation is None:
        return fitted
    log_NK, cell_N = log_posterior(validation.scores_NK), cells_of(validation)
    for cell in fitted:
        rows = np.flatnonzero(cell_N == cell)
        fitted[cell] = fit_temperature(log_NK[rows], validation.truth[rows]) if len(rows) else None
    return fitted


def calibrated(predictions: Predictions, temperature: Mapping[str, float | None]) -> Float[np.ndarray, "N K"] | None:
    """Return the log-probabilities of test clips at the temperatures of their cells, None unless each cell has one."""
    cell_N, log_NK = cells_of(predictions), log_posterior(predictions.scores_NK)
    for cell, fitted in temperature.items():
        if fitted is None:
            return None
        rows = cell_N == cell
        log_NK[rows] = tempered(log_NK[rows], fitted)
    return log_NK


def cells_of(predictions: Predictions) -> np.ndarray:
    """Return the cell of each row, `seed/fold`."""
    return np.array([f"{seed}/{fold}" for seed, fold in zip(predictions.seed, predictions.fold, strict=True)])


def _of_truth(values_NK: Float[np.ndarray, "N K"], truth_N: Int[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    return np.take_along_axis(values_NK, truth_N[:, None], axis=1)[:, 0]


def _checked(
    values_NK: Num[AnyArray, "N K"], truth_N: Int[AnyArray, "N"]
) -> tuple[Float[np.ndarray, "N K"], Int[np.ndarray, "N"]]:
    values_NK, truth_N = np.asarray(values_NK, np.float64), np.asarray(truth_N, np.int64)
    if not truth_N.size:
        raise ValueError("no clip: expected at least one")
    check_labels(truth_N, values_NK.shape[1], "truth")
    return values_NK, truth_N
