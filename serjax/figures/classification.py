"""Figures of a classification: confusion matrix, ROC curves and reliability of probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serjax.evaluate.calibration import N_BINS, Reliability, calibrated, log_posterior, reliability
from serjax.evaluate.metrics import AnyArray, roc_auc_ovr, roc_curve
from serjax.evaluate.predictions import Predictions
from serjax.evaluate.summary import CalibrationSummary, summarise_calibration
from serjax.figures.canvas import ABSENT, TICK_PT, canvas, colour, colour_bar, extra_in, label_cells, line, save
from serjax.figures.lettering import names_shown


def draw_confusion(predictions: Predictions, title: str, folder: Path) -> None:
    """Draw the confusion matrix of the test predictions."""
    save(confusion_matrix(predictions.confusion(), predictions.labels, title), folder / "confusion.png")


def draw_roc(predictions: Predictions, title: str, folder: Path) -> None:
    """Draw the ROC curves of the test predictions."""
    truth_N, labels = predictions.truth, predictions.labels
    save(roc_curves(truth_N, predictions.scores_NK, labels, title), folder / "roc.png")


def draw_reliability(predictions: Predictions, validation: Predictions | None, title: str, folder: Path) -> None:
    """Draw how often the classifier is right against how sure it is, as scored and with fitted temperatures.

    The curves are of all seeds together; the calibration errors in the legend are those of `metrics.json`.
    """
    figures, truth_N = summarise_calibration(predictions, validation), predictions.truth
    raw = reliability(np.exp(log_posterior(predictions.scores_NK)), truth_N)
    fitted_NK = calibrated(predictions, figures["temperature"])
    fitted = None if fitted_NK is None else reliability(np.exp(fitted_NK), truth_N)
    save(reliability_diagram(raw, fitted, figures, title), folder / "reliability.png")


MOST_WRITTEN = 40  # classes of a matrix whose cells have numbers written in them


def confusion_matrix(counts_KK: Num[AnyArray, "K K"], labels: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: colour is the share of the row, text the share above the count.

    Args:
      counts_KK: [truth, prediction] counts; rows without clips are grey.
      labels: names of the K classes.
      title: names the corpus.
    """
    counts_KK = np.asarray(counts_KK)
    n_classes, support_K = len(labels), counts_KK.sum(axis=1)
    share_KK = np.full(counts_KK.shape, np.nan)
    np.divide(counts_KK, support_K[:, None], out=share_KK, where=support_K[:, None] > 0)
    cell_in = 0.62 if n_classes <= 8 else 0.5
    side_in = max(2.2, cell_in * n_classes)
    names = names_shown(labels)
    more_in = extra_in(names)
    figure = canvas(side_in + 2.9 + more_in, side_in + 1.5 + 0.7 * more_in, title, fixed_aspect=True)
    axes = figure.add_subplot()
    image = axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1)
    axes.set_facecolor(ABSENT)
    axes.set(xlabel="predicted", ylabel="true (clips)")
    label_cells(axes, [f"{name} ({count:g})" for name, count in zip(names, support_K, strict=True)], names)
    for (i, j), count in np.ndenumerate(counts_KK):
        if support_K[i] and n_classes <= MOST_WRITTEN:
            _write_cell(axes, (i, j), float(count), float(share_KK[i, j]), 8.0 if n_classes <= 8 else 6.5)
    colour_bar(figure, image, axes, "share of the true class (diagonal: recall)", fraction=0.05, pad=0.02)
    return figure


def roc_curves(
    truth_N: Int[AnyArray, "N"], scores_NK: Float[AnyArray, "N K"], labels: Sequence[str], title: str
) -> Figure:
    """Draw a one-vs-rest ROC curve for each class that has one, and their mean.

    The mean averages the true positive rates at equal false positive rate; the areas in the legend are those
    of `roc_auc_ovr` on the rows given.

    Args:
      truth_N: class ids, 0 … K − 1.
      scores_NK: one score per class, higher = more likely.
      labels: names of the K classes.
      title: names the corpus.
    """
    areas = roc_auc_ovr(truth_N, scores_NK)
    drawn = [c for c in range(len(labels)) if np.isfinite(areas.per_class_K[c])]
    curves = {c: roc_curve(truth_N, scores_NK, c) for c in drawn}
    names = names_shown(labels)
    size_in = (6.4 + extra_in(names), max(4.9, 0.19 * len(drawn) + 1.2))
    figure = canvas(*size_in, title, fixed_aspect=True)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls=(0, (4, 3)))
    for c, (false_P, true_P) in curves.items():
        name = f"{names[c]}  {areas.per_class_K[c]:.2f}"
        axes.plot(false_P, true_P, color=colour(c), ls=line(c), lw=1.3, label=name)
    if drawn:
        axes.plot(*_mean_curve(list(curves.values())), color="black", lw=2.4, label=f"mean  {areas.macro:.2f}")
        look = {"fontsize": TICK_PT, "title_fontsize": TICK_PT, "frameon": False}
        figure.legend(loc="outside right center", title="class  AUC", **look)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    return figure


def reliability_diagram(
    raw: Reliability, fitted: Reliability | None, figures: CalibrationSummary, title: str
) -> Figure:
    """Draw the share of right answers against the mean confidence of each bin; perfect is the diagonal.

    Args:
      raw: of the probabilities as they follow from the scores.
      fitted: of those with temperatures that were fitted to validation clips; None: not calibrated.
      figures: has the calibration errors.
      title: names the corpus.
    """
    figure = canvas(6.4, 4.9, title, fixed_aspect=True)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls=(0, (4, 3)))
    for bins, error, name, tone, mark in (
        (raw, figures["ece_uncalibrated"], "not calibrated", "0.45", "s--"),
        (fitted, figures["ece"], "calibrated", colour(0), "o-"),
    ):
        if bins is not None:
            label = f"{name}\nECE {error:.3f}"
            axes.plot(bins.confidence_B, bins.accuracy_B, mark, color=tone, lw=1.3, ms=4.5, label=label)
    about = "no validation clips\nto calibrate by" if fitted is None else "temperature per fold,\non validation clips"
    letters = {"fontsize": TICK_PT, "title_fontsize": TICK_PT, "frameon": False}
    figure.legend(loc="outside right center", title=about, **letters)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="confidence: probability of the predicted class")
    axes.set(ylabel=f"share of right answers ({N_BINS} bins, {raw.count_B.sum()} clips × seeds)")
    return figure


def _write_cell(axes: Axes, at: tuple[int, int], count: float, share: float, size_pt: float) -> None:
    text, tone = (f"{share:.2f}\n{count:g}", "white" if share > 0.55 else "black") if count else ("0", "0.6")
    weight = "bold" if at[0] == at[1] else "normal"
    axes.text(at[1], at[0], text, ha="center", va="center", fontsize=size_pt, color=tone, weight=weight)


def _mean_curve(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    false_P = np.unique(np.concatenate([false for false, _ in curves]))
    true_P = np.mean([np.interp(false_P, false, true) for false, true in curves], axis=0)
    return np.append(0, false_P), np.append(0, true_P)
