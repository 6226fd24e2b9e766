"""Figures that compare runs. As in `canvas`: a `Figure` comes back, no state is kept, the title names the corpus."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from serjax.figures.canvas import COLOURS, LABEL_PT, LINES, TICK_PT, canvas, colour_bar, extra_in
from serjax.figures.lettering import names_shown, shown, width

GREY = "0.6"
DASHED = (0, (4, 3))
LONGEST_NAME = 100  # of a run


@dataclass(frozen=True)
class Line:
    """A point on its interval, and the text that stands at the right edge; `value` None: an empty line."""

    value: float | None
    interval: tuple[float, float] | None
    text: str


def forest_plot(
    names: Sequence[str],
    reached: Sequence[Line],
    differences: Sequence[Line] | None,
    metric: str,
    chance: float | None,
    title: str,
) -> Figure:
    """Draw runs in rows: left what each reached, right its difference to the first, each point on its interval.

    Args:
      names: names of the runs, the first is what the others are compared with.
      reached: the metric of each run.
      differences: difference of each run to the first; None: no right panel.
      metric: name of the metric.
      chance: what guessing reaches, a dashed line; None: no line.
      title: names the corpus.
    """
    names = names_shown(names, LONGEST_NAME)
    name_in = 0.085 * max(map(width, names))
    n_panels = 1 if differences is None else 2
    figure = canvas(name_in + 4.0 * n_panels + 0.4, 0.42 * len(names) + 1.5, title)
    grid = figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]
    guess = "" if chance is None else "; dashed: guessing"
    _draw_lines(grid[0], reached, chance)
    grid[0].set_xlabel(f"{metric} and 95 % interval over speakers{guess}")
    if differences is not None:
        _draw_lines(grid[1], differences, 0.0)
        grid[1].set_xlabel(f"difference of {metric} to the first, 95 % interval, p (Holm)")
    grid[0].set_yticks(np.arange(len(names)), names, fontsize=TICK_PT)
    grid[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def _draw_lines(axes: Axes, lines: Sequence[Line], reference: float | None) -> None:
    if reference is not None:
        axes.axvline(reference, color=GREY, lw=0.8, ls=DASHED)
    for n, line in enumerate(lines):
        shade = COLOURS[1 if n == 0 else 0]
        if line.interval is not None:
            axes.plot(line.interval, [n, n], color=shade, lw=2, solid_capstyle="butt")
        if line.value is not None:
            axes.plot([line.value], [n], "o", color=shade, ms=6)
            axes.annotate(
                line.text, (line.value, n), (0, 6), textcoords="offset points", ha="center", fontsize=TICK_PT - 1
            )
    axes.margins(x=0.2)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.label.set_fontsize(LABEL_PT - 1)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="0.92", lw=0.6)
    axes.set_axisbelow(True)


@dataclass(frozen=True)
class Curve:
    """What something reaches at some places, and intervals; `name` tells it from others of the panel."""

    name: str
    places: tuple[float | int, ...]
    values: tuple[float, ...]
    intervals: tuple[tuple[float, float] | None, ...]


def curves(panels: Sequence[tuple[str, Sequence[Curve]]], metric: str, chance: float | None, title: str) -> Figure:
    """Draw panels side by side, each with its curves over one quantity, each point on its interval.

    Args:
      panels: what lies along each panel's axis, and its curves.
      metric: what the curves reach.
      chance: what guessing reaches, a dashed line; None: no line.
      title: names the corpus.
    """
    figure = canvas(4.6 * len(panels), 3.6, title)
    for axes, (quantity, drawn) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        span = max(max(curve.places) for curve in drawn) - min(min(curve.places) for curve in drawn)
        for n, curve in enumerate(drawn):
            beside = [place + 0.008 * span * (n - (len(drawn) - 1) / 2) for place in curve.places]
            for place, bounds in zip(beside, curve.intervals, strict=True):
                if bounds is not None:
                    axes.plot([place, place], bounds, color=COLOURS[n], lw=1.2, alpha=0.6)
            axes.plot(beside, curve.values, LINES[n], marker="o", ms=5, color=COLOURS[n], label=shown(curve.name))
        if chance is not None:
            axes.axhline(chance, color=GREY, lw=0.8, ls=DASHED)
        axes.set_xlabel(quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=all(p == int(p) and span > 1 for p in drawn[0].places)))
        if len(drawn) > 1:
            axes.legend(fontsize=TICK_PT, frameon=False)
    figure.axes[0].set_ylabel(f"{metric}, 95 % interval over speakers")
    return figure


@dataclass(frozen=True)
class HeatCell:
    """A value, which is the colour and the first line of a cell, and what stands below it."""

    value: float
    lines: tuple[str, ...]


def heat_map(
    cells: Sequence[Sequence[HeatCell]],
    rows: Sequence[str],
    columns: Sequence[str],
    metric: str,
    lowest: float,
    note: str,
    title: str,
) -> Figure:
    """Draw a table of values as colours, with the value and more lines written in each cell.

    Args:
      cells: a row of cells for each of `rows`, one cell per column.
      rows: names of the rows.
      columns: names of the columns.
      metric: what the colours mean.
      lowest: where the colours begin, such as what guessing reaches; cells below it look the same.
      note: says under the table what the lines in the cells are.
      title: names the corpus.
    """
    value_IJ = np.array([[cell.value for cell in row] for row in cells])
    highest = max(float(value_IJ.max()), lowest + 1e-3)
    rows, columns = names_shown(rows), names_shown(columns, 18)
    figure = canvas(1.25 * len(columns) + 2.6 + extra_in(rows), 0.72 * len(rows) + 1.4, title)
    axes = figure.add_subplot()
    image = axes.imshow(value_IJ, cmap="Blues", vmin=lowest, vmax=highest, aspect="auto")
    for (i, j), value in np.ndenumerate(value_IJ):
        tone = "white" if value > lowest + 0.6 * (highest - lowest) else "black"
        axes.text(j, i - 0.04, f"{value:.3f}", ha="center", va="bottom", fontsize=LABEL_PT, color=tone, weight="bold")
        axes.text(j, i + 0.02, "\n".join(cells[i][j].lines), ha="center", va="top", fontsize=TICK_PT - 2, color=tone)
    figure.supxlabel("\n".join(shown(line, 80) for line in note.split("\n")), fontsize=TICK_PT)
    axes.set_xticks(range(len(columns)), columns, fontsize=TICK_PT)
    axes.set_yticks(range(len(rows)), rows, fontsize=TICK_PT)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    colour_bar(figure, image, axes, f"{metric}, from guessing to the best", fraction=0.05, pad=0.02)
    return figure
