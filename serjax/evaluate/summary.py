"""The figures of `metrics.json` that the predictions of a study determine."""

from collections.abc import Sequence
from typing import TypedDict, get_args

import numpy as np
from jaxtyping import Int

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
