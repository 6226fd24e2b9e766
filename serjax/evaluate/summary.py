"""The figures of `metrics.json` that the predictions of a study determine."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict, get_args

import numpy as np
from jaxtyping import Float, Int

from serjax.evaluate.calibration import (
    calibrated,
    calibration_error,
    fit_temperatures,
    log_posterior,
    negative_log_likelihood,
)
from serjax.evaluate.metrics import Metric, per_class, roc_auc_ovr, uar, war
from serjax.evaluate.predictions import Predictions
from serjax.evaluate.statistics import Estimate, estimate, seed_counts, uar_interval


class FoldSummary(TypedDict):
    """What one fold reached under one seed."""

    uar: float
    war: float


class ClassSummary(TypedDict):
    """What one class reached, null where it is 0 / 0."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class RocAucSummary(TypedDict):
    """One-vs-rest areas, null where a class has no positives or no negatives."""

    macro: float | None
    per_class: dict[str, float | None]


class Summary(TypedDict):
    """The part of `metrics.json` that the predictions determine; holds no NaN."""

    uar: float
    uar_sd: float | None
    uar_ci95: list[float] | None
    war: float
    macro_f1: float
    per_fold: dict[str, dict[str, FoldSummary]]
    per_class: dict[str, ClassSummary]
    confusion: list[list[int]]
    roc_auc: RocAucSummary


class CalibrationSummary(TypedDict):
    """How far the probabilities of test clips can be relied on, with a temperature per cell and as they are scored."""

    temperature: Mapping[str, float | None]
    ece: float | None
    ece_uncalibrated: float
    nll: float | None
    nll_uncalibrated: float


def summarise(predictions: Predictions, speakers_shared: bool) -> Summary:
    """Compute the figures of `metrics.json` from the predictions of a study.

    `uar`, `war`, `macro_f1` and `roc_auc` are computed for each seed on its predictions pooled over the
    folds, then averaged over the seeds; `uar_sd` is the standard deviation over seeds (n − 1), null for one
    seed. `uar_ci95` is `uar_interval`. `per_fold[seed][fold]` has the UAR and WAR of one fold.
    `confusion[truth][prediction]` and, from it, `per_class` are summed over seeds.

    Args:
      predictions: the test rows of all folds and seeds, at least one.
      speakers_shared: the protocol lets test speakers into training (then there is no interval).

    Raises:
      PredictionsError: no row.
    """
    reached: dict[Metric, Estimate] = {m: estimate(predictions, m, speakers_shared=True) for m in get_args(Metric)}
    seeds = [predictions.rows(predictions.seed == seed) for seed in np.unique(predictions.seed)]
    counts_SKK = seed_counts(predictions).sum(axis=0)
    summed_KK = counts_SKK.sum(axis=0)
    interval = uar_interval(counts_SKK, speakers_shared=speakers_shared)
    return Summary(
        uar=reached["uar"].mean,
        uar_sd=reached["uar"].sd,
        uar_ci95=None if interval is None else list(interval),
        war=reached["war"].mean,
        macro_f1=reached["macro_f1"].mean,
        per_fold={str(part.seed[0]): _fold_summaries(part) for part in seeds},
        per_class=_class_summaries(summed_KK, predictions.labels),
        confusion=summed_KK.tolist(),
        roc_auc=_roc_auc_summary(seeds),
    )


def mean_fold_uar(predictions: Predictions | None) -> float | None:
    """Return the mean over folds and seeds of each one's UAR: what to compare recipes by on validation rows."""
    if predictions is None:
        return None
    cells = np.array([f"{seed}/{fold}" for seed, fold in zip(predictions.seed, predictions.fold, strict=True)])
    return float(np.mean([uar(predictions.rows(cells == cell).confusion()) for cell in dict.fromkeys(cells.tolist())]))


def summarise_calibration(predictions: Predictions, validation: Predictions | None) -> CalibrationSummary:
    """Compute the figures of `metrics.json` that say how far the probabilities of test clips can be relied on.

    `temperature` has by `seed/fold` what is fitted to the cell's validation clips, null where it has none. `ece` is the
    expected calibration error of the likeliest class in 15 bins of equally many clips, `nll` the negative
    log-likelihood of the truth in nats per clip. Both are computed for each seed on its predictions pooled over the
    folds, then averaged over the seeds; null unless every cell has a temperature. `ece_uncalibrated` and
    `nll_uncalibrated` are the same of the probabilities as they follow from the scores.

    Args:
      predictions: the test rows of all folds and seeds, at least one.
      validation: rows of validation clips, by models that were not fitted to them; None where there are none.
    """
    temperature = fit_temperatures(predictions, validation)
    raw_NK, fitted_NK = log_posterior(predictions.scores_NK), calibrated(predictions, temperature)

    def mean(measure: Callable[[np.ndarray, np.ndarray], float], log_NK: Float[np.ndarray, "N K"]) -> float:
        seeds = [predictions.seed == seed for seed in np.unique(predictions.seed)]
        return float(np.mean([measure(log_NK[rows], predictions.truth[rows]) for rows in seeds]))

    return CalibrationSummary(
        temperature=temperature,
        ece=None if fitted_NK is None else mean(_calibration_error, fitted_NK),
        ece_uncalibrated=mean(_calibration_error, raw_NK),
        nll=None if fitted_NK is None else mean(negative_log_likelihood, fitted_NK),
        nll_uncalibrated=mean(negative_log_likelihood, raw_NK),
    )


def _calibration_error(log_NK: Float[np.ndarray, "N K"], truth_N: Int[np.ndarray, "N"]) -> float:
    return calibration_error(np.exp(log_NK), truth_N)


def _fold_summaries(part: Predictions) -> dict[str, FoldSummary]:
    summaries: dict[str, FoldSummary] = {}
    for fold in dict.fromkeys(part.fold):  # in the order of the folds, not of their names
        counts_KK = part.rows(np.array(part.fold) == fold).confusion()
        summaries[fold] = FoldSummary(uar=uar(counts_KK), war=war(counts_KK))
    return summaries


def _class_summaries(counts_KK: Int[np.ndarray, "K K"], labels: tuple[str, ...]) -> dict[str, ClassSummary]:
    table = per_class(counts_KK)
    return {
        label: ClassSummary(
            precision=_or_null(table.precision_K[c]),
            recall=_or_null(table.recall_K[c]),
            f1=_or_null(table.f1_K[c]),
            support=int(table.support_K[c]),
        )
        for c, label in enumerate(labels)
    }


def _roc_auc_summary(seeds: Sequence[Predictions]) -> RocAucSummary:
    areas = [roc_auc_ovr(part.truth, part.scores_NK) for part in seeds]
    mean_K = np.mean([area.per_class_K for area in areas], axis=0)
    return RocAucSummary(
        macro=_or_null(float(np.mean([area.macro for area in areas]))),
        per_class={label: _or_null(mean_K[c]) for c, label in enumerate(seeds[0].labels)},
    )


def _or_null(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
