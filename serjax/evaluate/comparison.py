"""By how much two runs over the same clips differ in a metric.

`statistics` holds the resampling; here it meets the three metrics that `metrics.json` has. As there, the speaker is
what is drawn or swapped, with all predictions under all seeds.
"""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from serjax.evaluate.metrics import Metric, measure
from serjax.evaluate.predictions import Predictions, PredictionsError
from serjax.evaluate.statistics import Interval, middle, random_swaps, resample, seed_counts, two_sided_p


class Difference(NamedTuple):
    """The metric of the second run minus that of the first, its interval, and the two-sided p of "no difference"."""

    difference: float
    interval: Interval | None
    p_value: float


def unpaired_clips(first: Predictions, second: Predictions) -> tuple[str, ...]:
    """Return the clips that are not tested alike by both runs; where there are none, the runs can be compared pairwise.

    Alike: by the same speaker, of the same label, and under the same share of the run's seeds (random splits test other
    clips under other seeds).
    """
    shares = [_tested(run) for run in (first, second)]
    differing = {clip for clip in shares[0].keys() | shares[1].keys() if shares[0].get(clip) != shares[1].get(clip)}
    return tuple(sorted({utterance for utterance, _, _ in differing}))


def difference(
    first: Predictions,
    second: Predictions,
    metric: Metric,
    *,
    speakers_shared: bool,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return by how much the second run (the row) is better than the first (the reference), over the same clips.

    Δ = m(B) − m(A), of the means over seeds. Interval: speakers drawn with replacement, the same ones for both runs,
    2 000 resamples. Test: all predictions of a speaker under all seeds are swapped between the runs together or not at
    all. p = (1 + #{|Δ*| ≥ |Δ|}) / (1 + n_permutations), on counts pooled over each run's seeds and divided by their
    number. For UAR and WAR these give Δ itself: each is a sum over speakers, and a swap turns the sign of one share.
    Macro-F1 of pooled counts is not quite the mean over seeds. The test uses pooled counts all the same, because runs
    with different numbers of seeds cannot be swapped seed by seed.

    p can be no smaller than about 2^(1−S): under six speakers nothing is significant at .05. If the runs have different
    numbers of seeds, their noise differs in size and the exchange under "no difference" is approximate.

    Source: Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005; the "+1": Phipson & Smyth, Stat.
    Appl. Genet. Mol. Biol. 9, 2010.

    Args:
      first: the reference run, A.
      second: the run that is compared with it, B.
      metric: which one.
      speakers_shared: a protocol lets test speakers into training; there is no interval then, nor for one speaker.
      n_permutations: number of random swaps, at least 1.
      seed: of resampling and swapping.

    Raises:
      PredictionsError: the runs have other labels or clips.
    """
    second = in_order(second, first.labels)
    unpaired = unpaired_clips(first, second)
    if unpaired:
        raise PredictionsError(
            f"{len(unpaired)} clips are not tested alike by both runs, among them {unpaired[0]}: a paired test needs "
            "the same clips, speakers and labels in both"
        )
    counts = [seed_counts(run) for run in (first, second)]
    means = [float(measure(metric, counts_RSKK.sum(axis=1)).mean()) for counts_RSKK in counts]
    interval = None
    if not speakers_shared and counts[0].shape[1] > 1:
        # One seed draws the same speakers for both runs, so that the difference is paired.
        resampled = [resample(metric, counts_RSKK, seed) for counts_RSKK in counts]
        interval = middle(resampled[1] - resampled[0])
    first_SKK, second_SKK = (counts_RSKK.mean(axis=0) for counts_RSKK in counts)
    p_value = _permutation_p(metric, first_SKK, second_SKK, n_permutations, seed)
    return Difference(means[1] - means[0], interval, p_value)


def in_order(predictions: Predictions, labels: tuple[str, ...]) -> Predictions:
    """Return the same predictions with class ids in the order of `labels`.

    Raises:
      PredictionsError: these are other labels, not the same in another order.
    """
    if predictions.labels == labels:
        return predictions
    if sorted(predictions.labels) != sorted(labels):
        raise PredictionsError(f"labels {predictions.labels} and {labels}: only runs of the same labels compare")
    place_K = np.array([labels.index(label) for label in predictions.labels])
    return replace(
        predictions,
        truth=place_K[predictions.truth],
        prediction=place_K[predictions.prediction],
        scores_NK=predictions.scores_NK[:, np.argsort(place_K)],
        labels=labels,
    )


def _permutation_p(
    metric: Metric,
    first_SKK: Float[np.ndarray, "S K K"],
    second_SKK: Float[np.ndarray, "S K K"],
    n_permutations: int,
    seed: int,
) -> float:
    """Return the p-value of the difference of two runs' metrics when speakers are swapped at random."""
    both_KK = (first_SKK + second_SKK).sum(axis=0)
    half_SKK = (second_SKK - first_SKK) / 2
    # The first row swaps nobody: what was observed is computed like what it is compared with.
    signs_PS = np.vstack([np.ones(len(half_SKK)), random_swaps(len(half_SKK), n_permutations, seed)])
    shift_PKK = np.tensordot(signs_PS, half_SKK, axes=1)
    delta_P = measure(metric, both_KK[None] / 2 + shift_PKK) - measure(metric, both_KK[None] / 2 - shift_PKK)
    return two_sided_p(delta_P[0], delta_P[1:])


def _tested(run: Predictions) -> dict[tuple[str, str, str], float]:
    """Return under which share of the seeds each (utterance, speaker, label) is tested."""
    truth = [run.labels[k] for k in run.truth]
    times = Counter(zip(run.utterance, run.speaker, truth, strict=True))
    return {clip: n / len(np.unique(run.seed)) for clip, n in times.items()}
