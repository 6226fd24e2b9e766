"""What a run reached and how sure that is: resampling by speaker. And where one further random split would lie.

The clips of one speaker are alike, so the speaker, not the clip, is what gets resampled or swapped, together
with all that speaker's predictions under all seeds. The sufficient statistic is a confusion matrix for each
speaker.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from serjax.evaluate.metrics import AnyArray, Metric, mean_recall, measure
from serjax.evaluate.predictions import Predictions, PredictionsError

Interval = tuple[float, float]


class Estimate(NamedTuple):
    """Mean over seeds, standard deviation over seeds (None for one seed), and interval over speakers."""

    mean: float
    sd: float | None
    interval: Interval | None


def seed_counts(predictions: Predictions) -> Int[np.ndarray, "R S K K"]:
    """Count a confusion matrix for each seed and speaker, both in sorted order.

    A speaker who is no test speaker under a seed (random splits) has an empty matrix there.
    """
    seeds, seed_N = np.unique(predictions.seed, return_inverse=True)
    speakers, speaker_N = np.unique(np.asarray(predictions.speaker, dtype=str), return_inverse=True)
    shape = (len(seeds), len(speakers), len(predictions.labels), len(predictions.labels))
    flat_N = np.ravel_multi_index((seed_N, speaker_N, predictions.truth, predictions.prediction), shape)
    return np.bincount(flat_N, minlength=int(np.prod(shape))).reshape(shape)


def estimate(predictions: Predictions, metric: Metric, *, speakers_shared: bool) -> Estimate:
    """Return what a run reached: the metric of each seed on its pooled folds, then mean and spread over the seeds.

    The interval is a percentile bootstrap over speakers of the mean over seeds, 2 000 resamples; of the UAR it is
    `uar_interval`, for each seed tests the same clips.

    Args:
      predictions: the test rows of all folds and seeds, at least one.
      metric: which one.
      speakers_shared: the protocol lets test speakers into training; there is no interval then, nor for one speaker.

    Raises:
      PredictionsError: no row.
    """
    if not predictions.utterance:
        raise PredictionsError("no prediction: expected the test rows of at least one fold")
    counts_RSKK = seed_counts(predictions)
    value_R = measure(metric, counts_RSKK.sum(axis=1))
    sd = float(np.std(value_R, ddof=1)) if len(value_R) > 1 else None
    if speakers_shared or counts_RSKK.shape[1] < 2:
        return Estimate(float(value_R.mean()), sd, None)
    return Estimate(float(value_R.mean()), sd, middle(resample(metric, counts_RSKK)))


def uar_interval(
    counts_SKK: Num[AnyArray, "S K K"],
    *,
    speakers_shared: bool,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the UAR, speakers drawn with replacement, all seeds together.

    Resample r draws S speakers, w_r ~ Multinomial(S, 1/S): UAR_r = UAR(Σ_s w_rs C_s), over the classes
    present in the resample. The interval is the (1 ∓ level)/2 quantiles of UAR_r. It says how the result
    would vary with other *test* speakers; the spread over trainings is `uar_sd`. With few speakers (about
    ten or fewer) percentile intervals are somewhat too short.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13; for clusters: Field & Welsh,
    JRSS B 69, 2007.

    Args:
      counts_SKK: a [truth, prediction] count matrix for each speaker, pooled over folds and seeds.
      speakers_shared: the protocol lets a test speaker into training. No interval over speakers has a
        meaning then.
      n_resamples: number of resamples, ≥ 1.
      level: coverage, in (0, 1).
      seed: of the resampling; the same seed gives the same interval.

    Returns:
      (lower, upper), or None where speakers are shared or fewer than two.

    Raises:
      ValueError: `level` outside (0, 1), `n_resamples` below 1, a speaker without a clip.

    >>> twins = np.array([[[3, 1], [2, 2]], [[3, 1], [2, 2]]])
    >>> uar_interval(twins, speakers_shared=False)
    (0.625, 0.625)
    """
    if not (0 < level < 1 and n_resamples >= 1):
        raise ValueError(f"level {level}, n_resamples {n_resamples}: expected 0 < level < 1 and n_resamples ≥ 1")
    n_speakers = len(counts_SKK)
    if speakers_shared or n_speakers < 2:
        return None
    weights_RS = drawn_speakers(n_speakers, n_resamples, seed)
    return middle(mean_recall(np.tensordot(weights_RS, np.asarray(counts_SKK, np.float64), axes=1)), level)


def resample(metric: Metric, counts_RSKK: Int[np.ndarray, "R S K K"], seed: int = 0) -> Float[np.ndarray, "B"]:
    """Return the mean over seeds in each resample of the speakers."""
    n_seeds, n_speakers, n_classes, _ = counts_RSKK.shape
    weights_BS = drawn_speakers(n_speakers, seed=seed).astype(np.float64)
    drawn_RBKK = np.stack([np.tensordot(weights_BS, counts_SKK, axes=1) for counts_SKK in counts_RSKK])
    value_M = measure(metric, drawn_RBKK.reshape(-1, n_classes, n_classes))
    return value_M.reshape(n_seeds, -1).mean(axis=0)


def drawn_speakers(n_speakers: int, n_resamples: int = 2_000, seed: int = 0) -> Int[np.ndarray, "R S"]:
    """Return how often each resample holds each speaker: w_r ~ Multinomial(S, 1/S)."""
    chance_S = np.full(n_speakers, 1 / n_speakers)
    return np.random.default_rng(seed).multinomial(n_speakers, chance_S, n_resamples)


def middle(values_R: Float[np.ndarray, "R"], level: float = 0.95) -> tuple[float, float]:
    """Return the (1 ∓ level)/2 quantiles of resampled values."""
    lower, upper = np.quantile(values_R, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def prediction_interval(mean: float, sd: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return where one further draw lies, given mean and deviation of n draws: mean ± t √(1 + 1/n) sd.

    t is the (1 + level)/2 quantile of Student's distribution with n − 1 degrees of freedom: 4.97 sd for three draws,
    2.37 for ten. Draws that share clips, as random splits do, are not quite independent.

    Source: Hahn & Meeker, "Statistical Intervals", 1991, ch. 4.

    Args:
      mean: of the draws.
      sd: their standard deviation (n − 1).
      n: number of draws, ≥ 2.
      level: coverage, in (0, 1).

    Raises:
      ValueError: n below 2, `level` outside (0, 1).

    >>> [round(bound, 3) for bound in prediction_interval(0.0, 1.0, 3)]
    [-4.968, 4.968]
    """
    if n < 2 or not 0 < level < 1:
        raise ValueError(f"n {n}, level {level}: expected two draws at least and 0 < level < 1")
    from scipy.special import stdtrit  # JAX brings scipy; only a page of repeated splits asks for it

    reach = float(stdtrit(n - 1, (1 + level) / 2)) * (1 + 1 / n) ** 0.5 * sd
    return mean - reach, mean + reach


def random_swaps(n_speakers: int, n_permutations: int = 10_000, seed: int = 0) -> Float[np.ndarray, "P S"]:
    """Return which speakers each permutation swaps between the runs: −1 swapped, +1 not, each with chance 1/2."""
    return np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), (n_permutations, n_speakers))


def two_sided_p(observed: float, permuted_P: Float[np.ndarray, "P"]) -> float:
    """Return p = (1 + #{|Δ*| ≥ |Δ|}) / (1 + P)."""
    # swaps that change nothing must count as ties, whatever the order of summation
    return (1 + int((np.abs(permuted_P) >= abs(observed) - 1e-12).sum())) / (1 + len(permuted_P))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of one table for their number; reject where the adjusted p ≤ α.

    Sorted, p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) p_(j)); returned in the order given. The chance of any
    false rejection in the table is at most α, whatever the dependence.

    Source: Holm, Scand. J. Statist. 6, 1979.

    Args:
      p_values: in [0, 1].

    Raises:
      ValueError: a value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p_M = np.asarray(p_values, np.float64)
    if not ((p_M >= 0) & (p_M <= 1)).all():
        raise ValueError(f"p-values {list(p_values)}: expected numbers between 0 and 1")
    order = np.argsort(p_M, kind="stable")
    stepped_M = np.minimum(1, p_M[order] * np.arange(p_M.size, 0, -1))
    adjusted_M = np.empty_like(p_M)
    adjusted_M[order] = np.maximum.accumulate(stepped_M)
    return [float(p) for p in adjusted_M]
