"""Figures of a study: confusion matrix, ROC curves, learning curves.

Every function returns a `matplotlib.figure.Figure` and touches no global state (no pyplot). Every figure
takes a `title`; the caller puts the corpus into it, so that no figure of synthetic speech can be taken for a
real one. Colours can be told apart with any of the common colour-vision deficiencies; from the ninth class
on they repeat with another line or marker.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serjax.evaluate.lettering import Picture, legible, names_shown, quoted, width
from serjax.evaluate.metrics import AnyArray, roc_auc_ovr, roc_curve
from serjax.files import replacing

# Okabe & Ito, "Color Universal Design", 2008, without black (kept for means) and yellow (too pale for a line)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#8C8C3E")
LINES = ("-", "--", ":", "-.")
ABSENT = "#D9D9D9"
SEPARATOR = " · "
TITLE_PT, LABEL_PT, TICK_PT = 11, 10, 9
LONGEST_TITLE = 240
LARGEST_PX = 10_000  # of a side
MOST_WRITTEN = 40  # classes of a matrix whose cells have numbers written in them
USUAL_LETTERS, LETTER_IN = 12, 0.07  # of a label: longer ones make figures larger, by so much a letter


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes. A huge one has fewer dots."""
    dpi = min(dpi, int(LARGEST_PX / max(figure.get_size_inches())))
    with replacing(path) as file:
        figure.savefig(file, dpi=dpi, format="png", metadata={"Software": None})


def canvas(width_in: float, height_in: float, title: str, *, fixed_aspect: bool = False) -> Figure:
    """Make an empty figure with its title, broken at its dots into lines that fit the width."""
    layout: Literal["compressed", "constrained"] = "compressed" if fixed_aspect else "constrained"
    lines = title_lines(legible(title, LONGEST_TITLE), int(width_in * 72 / (0.6 * TITLE_PT)))
    more_in = max(0, len(lines) - 3) * 1.3 * TITLE_PT / 72
    figure = Picture(figsize=(width_in, height_in + more_in), layout=layout)
    figure.suptitle(quoted("\n".join(lines)), fontsize=TITLE_PT)
    return figure


def title_lines(title: str, at_most: int) -> list[str]:
    """Break a title into lines of so many letters: at its dots, where that is not enough at blanks, then anywhere."""
    lines = [""]
    for part in title.split(SEPARATOR):
        joined = lines[-1] + SEPARATOR + part if lines[-1] else part
        lines[-1:] = [joined] if width(joined) <= at_most else [lines[-1], part]
    return [piece for line in lines for piece in _broken(line, at_most)]


def extra_in(names: Sequence[str]) -> float:
    """Return by how much labels that are longer than usual make a figure larger, in inches."""
    return LETTER_IN * max(0, max(map(width, names), default=0) - USUAL_LETTERS)


def panels(n_panels: int, at_most: int = 4) -> tuple[int, int]:
    """Return rows and columns that hold the panels with the fewest left empty."""
    n_rows = -(-n_panels // at_most)
    return n_rows, -(-n_panels // n_rows)


def colour(label: int) -> str:
    """Return the colour of a class, the same in every figure."""
    return COLOURS[label % len(COLOURS)]


def line(label: int) -> str:
    """Return the line style of a class, the same in every figure."""
    return LINES[label // len(COLOURS) % len(LINES)]


def label_axis(axes: Axes, x: str, y: str) -> None:
    """Name both axes, with units, in the sizes used everywhere."""
    axes.set_xlabel(x, fontsize=LABEL_PT)
    axes.set_ylabel(y, fontsize=LABEL_PT)
    axes.tick_params(labelsize=TICK_PT)


def label_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Write names, as figures show them, along a matrix, slanted where upright ones would collide."""
    slanted = len(columns) > 3 or max(map(width, columns), default=0) > 10
    axes.set_xticks(range(len(columns)), columns, fontsize=TICK_PT)
    axes.set_yticks(range(len(rows)), rows, fontsize=TICK_PT)
    if slanted:
        for text in axes.get_xticklabels():
            text.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def hide_empty(grid: np.ndarray, n_panels: int, x: str) -> None:
    """Hide the panels behind the last one, and name the x axis under the lowest panel of each column."""
    n_columns = grid.shape[1]
    for n, axes in enumerate(grid.flat):
        axes.set_visible(n < n_panels)
        if n < n_panels <= n + n_columns:
            axes.set_xlabel(x, fontsize=LABEL_PT)
            axes.tick_params(labelbottom=True)


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
    label_axis(axes, "predicted", "true (clips)")
    label_cells(axes, [f"{name} ({count:g})" for name, count in zip(names, support_K, strict=True)], names)
    for (i, j), count in np.ndenumerate(counts_KK):
        if support_K[i] and n_classes <= MOST_WRITTEN:
            _write_cell(axes, (i, j), float(count), float(share_KK[i, j]), 8.0 if n_classes <= 8 else 6.5)
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label("share of the true class (diagonal: recall)", fontsize=LABEL_PT)
    bar.ax.tick_params(labelsize=TICK_PT)
    return figure


def roc_curves(
    truth_N: Int[AnyArray, "N"], scores_NK: Float[AnyArray, "N K"], labels: Sequence[str], title: str
) -> Figure:
    """Draw a one-vs-rest ROC curve for each class that has one, and their mean.

    The mean averages the true positive rates at equal false positive rate; the areas in the legend are those
    of `roc_auc_ovr` on the rows given.

    Args:
      truth_N: class ids, 0 … K − 1.
      scores_NK: one score a class, higher = more likely.
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
        legend = figure.legend(loc="outside right center", title="class  AUC", fontsize=TICK_PT, frameon=False)
        legend.get_title().set_fontsize(TICK_PT)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    label_axis(axes, "false positive rate", "true positive rate (recall)")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def learning_curves(
    epoch_E: Num[AnyArray, "E"],
    train_RE: Float[AnyArray, "R E"],
    validation_RE: Float[AnyArray, "R E"] | None,
    group_R: Int[AnyArray, "R"],
    labels: Sequence[str],
    loss: str,
    title: str,
) -> Figure:
    """Draw loss against epoch, one panel a group of runs (an emotion): median over its runs, and their range.

    Args:
      epoch_E: the epochs at which losses were measured, ascending.
      train_RE: training loss of each run at each epoch; not finite where not measured.
      validation_RE: validation loss likewise, or None where nothing was held out.
      group_R: which panel a run belongs to, a position in `labels`.
      labels: names of the panels; a group without runs gets no panel.
      loss: name and unit of the loss.
      title: names the corpus.
    """
    group_R, epoch_E = np.asarray(group_R), np.asarray(epoch_E)
    groups = [g for g in range(len(labels)) if (group_R == g).any()]
    n_rows, n_columns = panels(len(groups))
    figure = canvas(max(5.0, 2.5 * n_columns + 0.6), 2.1 * n_rows + 1.2, title)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    names = names_shown(labels, 20)
    parts = [("train", np.asarray(train_RE), COLOURS[0], "-")]
    if validation_RE is not None:
        parts.append(("validation", np.asarray(validation_RE), COLOURS[1], "--"))
    for axes, group in zip(grid.flat, groups, strict=False):
        for name, loss_RE, shade, style in parts:
            _median_and_range(axes, epoch_E, loss_RE[group_R == group], (name, shade, style))
        axes.set_title(f"{names[group]} ({(group_R == group).sum()} runs)", fontsize=TICK_PT)
        axes.tick_params(labelsize=TICK_PT)
        axes.grid(color="0.9", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    hide_empty(grid, len(groups), "epoch")
    _scale_losses(grid[0, 0], [loss_RE for _, loss_RE, _, _ in parts])
    figure.supylabel(loss, fontsize=LABEL_PT)
    lines = grid[0, 0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=2, fontsize=TICK_PT, frameon=False)
    return figure


def _broken(line: str, at_most: int) -> list[str]:
    """Break a line that is too long at its blanks; wide letters make it shorter."""
    wide = width(line)
    return [line] * bool(line) if wide <= at_most else textwrap.wrap(line, max(1, at_most * len(line) // wide))


def _write_cell(axes: Axes, at: tuple[int, int], count: float, share: float, size_pt: float) -> None:
    text, tone = (f"{share:.2f}\n{count:g}", "white" if share > 0.55 else "black") if count else ("0", "0.6")
    weight = "bold" if at[0] == at[1] else "normal"
    axes.text(at[1], at[0], text, ha="center", va="center", fontsize=size_pt, color=tone, weight=weight)


def _mean_curve(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    false_P = np.unique(np.concatenate([false for false, _ in curves]))
    true_P = np.mean([np.interp(false_P, false, true) for false, true in curves], axis=0)
    return np.append(0, false_P), np.append(0, true_P)


def _median_and_range(axes: Axes, epoch_E: np.ndarray, loss_RE: np.ndarray, look: tuple[str, str, str]) -> None:
    kept_E = np.isfinite(loss_RE).any(axis=0)
    epoch_E, loss_RE = epoch_E[kept_E], np.where(np.isfinite(loss_RE), loss_RE, np.nan)[:, kept_E]
    name, shade, style = look
    marker = "o" if len(epoch_E) == 1 else ""
    axes.plot(epoch_E, np.nanmedian(loss_RE, 0), color=shade, ls=style, marker=marker, lw=1.5, label=f"{name} (median)")
    axes.fill_between(epoch_E, np.nanmin(loss_RE, 0), np.nanmax(loss_RE, 0), color=shade, alpha=0.2, lw=0)


def _scale_losses(axes: Axes, losses: Sequence[np.ndarray]) -> None:
    """Choose the common scale: logarithmic over decades; else without the first epochs' fall, which hides the rest."""
    finite = np.concatenate([loss_RE[np.isfinite(loss_RE)] for loss_RE in losses])
    if not finite.size:
        return
    if finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
        return
    later = np.concatenate([loss_RE[:, -(-loss_RE.shape[1] // 20) :].ravel() for loss_RE in losses])
    later = later[np.isfinite(later)]
    if later.size and np.ptp(later) > 0:
        axes.set_ylim(finite.min() - 0.05 * np.ptp(later), later.max() + 0.05 * np.ptp(later))
