"""Figures of a training: loss against epoch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serjax.evaluate.metrics import AnyArray
from serjax.figures.canvas import COLOURS, LABEL_PT, TICK_PT, canvas, hide_empty, panels, save
from serjax.figures.lettering import names_shown
from serjax.train.record import Row, check_whole


def draw_training(
    history: Callable[[], list[Row]], n_runs: int, labels: tuple[str, ...], loss: str, title: str, folder: Path
) -> None:
    """Draw the learning curves of the stage in which epochs are chosen, by emotion.

    Args:
      history: returns the epochs of all runs; called when the picture is drawn.
      n_runs: how many runs the stage has.
      labels: the emotions, one panel per emotion.
      loss: name and unit of the loss.
      title: names the corpus.
      folder: where `learning.png` goes.

    Raises:
      HistoryError: epochs of the `n_runs` runs are missing.
    """
    rows = [row for row in history() if str(row["stage"]).startswith("train-")]
    check_whole(rows, n_runs)
    runs = sorted({(str(row["emotion"]), str(row["seed"]), str(row["fold"])) for row in rows})
    place = {run: r for r, run in enumerate(runs)}
    n_epochs = max(int(row["epoch"] or 0) for row in rows)
    curves = {name: np.full((len(runs), n_epochs), np.nan) for name in ("loss", "validation_loss")}
    for row in rows:
        r = place[str(row["emotion"]), str(row["seed"]), str(row["fold"])]
        for name, curve_RE in curves.items():
            value = row[name]
            curve_RE[r, int(row["epoch"] or 0) - 1] = np.nan if value is None else float(value)
    group_R = np.array([labels.index(emotion) for emotion, _, _ in runs])
    figure = learning_curves(
        np.arange(1, n_epochs + 1),
        curves["loss"],
        curves["validation_loss"] if np.isfinite(curves["validation_loss"]).any() else None,
        group_R,
        labels,
        loss,
        title,
    )
    save(figure, folder / "learning.png")


def learning_curves(
    epoch_E: Num[AnyArray, "E"],
    train_RE: Float[AnyArray, "R E"],
    validation_RE: Float[AnyArray, "R E"] | None,
    group_R: Int[AnyArray, "R"],
    labels: Sequence[str],
    loss: str,
    title: str,
) -> Figure:
    """Draw loss against epoch, one panel per group of runs (an emotion): median over its runs, and their range.

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
        axes.grid(color="0.9", lw=0.6)
    hide_empty(grid, len(groups), "epoch")
    _scale_losses(grid[0, 0], [loss_RE for _, loss_RE, _, _ in parts])
    figure.supylabel(loss, fontsize=LABEL_PT)
    lines = grid[0, 0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=2, fontsize=TICK_PT, frameon=False)
    return figure


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
