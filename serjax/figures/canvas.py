"""What all figures share: size, titles, colours, lines, labels of axes, and how they are saved.

Functions that draw return a `matplotlib.figure.Figure` and touch no global state (no pyplot). Every figure
takes a `title`; the caller puts the corpus into it, so that no figure of synthetic speech can be taken for a
real one. Colours can be told apart with any of the common colour-vision deficiencies; from the ninth class
on they repeat with another line or marker.
"""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

from serjax.figures.lettering import Picture, legible, quoted, width
from serjax.files import replacing

# Okabe & Ito, "Color Universal Design", 2008, without black (kept for means) and yellow (too pale for a line)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#8C8C3E")
LINES = ("-", "--", ":", "-.")
ABSENT = "#D9D9D9"
SEPARATOR = " · "
TITLE_PT, LABEL_PT, TICK_PT = 11, 10, 9
LONGEST_TITLE = 240
LARGEST_PX = 10_000  # of a side
USUAL_LETTERS, LETTER_IN = 12, 0.07  # of a label: longer ones make figures larger, by so much per letter


class Canvas(Picture):
    """A figure whose axes have the sizes used everywhere, and no lines on top and at the right."""

    def add_subplot(self, *args: Any, **kwargs: Any) -> Axes:
        """Add axes, as `subplots` does for each panel."""
        axes: Axes = super().add_subplot(*args, **kwargs)
        axes.tick_params(labelsize=TICK_PT)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_fontsize(LABEL_PT)
        axes.spines[["top", "right"]].set_visible(False)
        return axes


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
    figure = Canvas(figsize=(width_in, height_in + more_in), layout=layout)
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


def colour_bar(figure: Figure, image: ScalarMappable, axes: Axes | Iterable[Axes], name: str, **look: Any) -> Colorbar:
    """Say beside some axes what their colours mean; `name` has the unit, `look` is as for `Figure.colorbar`."""
    bar = figure.colorbar(image, ax=axes, **look)
    bar.set_label(name, fontsize=LABEL_PT)
    bar.ax.tick_params(labelsize=TICK_PT, which="both")
    return bar


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
            axes.set_xlabel(x)
            axes.tick_params(labelbottom=True)


def _broken(line: str, at_most: int) -> list[str]:
    """Break a line that is too long at its blanks; wide letters make it shorter."""
    wide = width(line)
    return [line] * bool(line) if wide <= at_most else textwrap.wrap(line, max(1, at_most * len(line) // wide))
