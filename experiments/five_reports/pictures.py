"""The pictures of the page: accuracies of each report, confusion matrices, and the names of their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.five_reports.outcome import Outcome, Outcomes
from experiments.five_reports.row import Losses, Row
from experiments.five_reports.tables import one_split
from serjax.figures import canvas as plots
from serjax.figures.classification import confusion_matrix


def picture_name(report: str) -> str:
    """Return the file name of a report's picture."""
    return f"five_reports_{report.lower()}.png"


def confusion_name(row: Row) -> str:
    """Return the file name of a row's confusion matrix."""
    return f"five_reports_{row.id.lower()}_confusion.png"


def roc_name(row: Row) -> str:
    """Return the file name of a row's ROC curves."""
    return f"five_reports_{row.id.lower()}_roc.png"


def write_pictures(folder: Path, rows: Sequence[Row], outcomes: Outcomes, headings: Mapping[str, str]) -> None:
    """Write the picture of each report that has a result, and the confusion matrices."""
    for report, heading in headings.items():
        if _drawn(report, rows, outcomes):
            plots.save(draw(report, heading, rows, outcomes), folder / picture_name(report))
    for row, same in with_confusion(rows, outcomes):
        plots.save(draw_confusion(row, same), folder / confusion_name(row))


def with_confusion(rows: Sequence[Row], outcomes: Outcomes) -> list[tuple[Row, Outcome]]:
    """Return the rows whose confusion matrix stands on the page, with what the same protocol gave."""
    found = [(row, outcomes.get(row.id, {}).get("same")) for row in rows if row.also.shows_classes]
    return [(row, same) for row, same in found if same and same.f1]


def draw_confusion(row: Row, same: Outcome) -> Figure:
    """Draw the confusion matrix of a row's test clips of all seeds under the report's protocol."""
    title = f"{row.id} {row.about}{plots.SEPARATOR}{same.protocol}{plots.SEPARATOR}{same.seeds} seeds"
    return confusion_matrix(np.array(same.confusion), list(same.f1 or ()), title)


def draw(report: str, heading: str, rows: Sequence[Row], outcomes: Outcomes) -> Figure:
    """Draw for each row that was run what was reported (ring), the same protocol (`one_split`), and new speakers.

    Args:
      report: which of the five.
      heading: what it is about.
      rows: rows of any report.
      outcomes: what was run.
    """
    rows = _drawn(report, rows, outcomes)
    name_in, title = 0.08 * max(len(row.id + row.about) for row in rows), f"{report}{plots.SEPARATOR}{heading}"
    width_in = max(name_in + 4.6, 0.6 * plots.TITLE_PT / 72 * len(title) + 0.1)
    figure = plots.canvas(width_in, 0.42 * len(rows) + 1.6, title)
    axes = figure.add_subplot()
    for n, row in enumerate(rows):
        found = outcomes[row.id]
        assert not isinstance(row.reported, Losses)
        if (same := found.get("same")) is not None:
            bounds = one_split(same) or (same.war, same.war)
            _point(axes, n - 0.14, same.war, bounds, 0, "same protocol, 95 % of single splits")
        if (new := found.get("independent")) is not None:
            _point(axes, n + 0.14, new.war, new.ci95 or (new.war, new.war), 1, "new speakers, 95 % interval")
        if row.reported is not None:
            axes.plot([row.reported], [n], "o", mfc="none", color="black", ms=7, label="reported")
    axes.set_yticks(range(len(rows)), [f"{row.id} {row.about}" for row in rows], fontsize=plots.TICK_PT)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy (WAR)")
    axes.grid(axis="x", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _drawn(report: str, rows: Sequence[Row], outcomes: Outcomes) -> list[Row]:
    """Return the rows of a report's picture: those whose accuracy is known."""
    own = [row for row in rows if row.report == report and not isinstance(row.reported, Losses)]
    return [row for row in own if row.id in outcomes]


def _point(axes: Axes, y: float, value: float, bounds: tuple[float, float], shade: int, name: str) -> None:
    axes.plot(bounds, [y, y], color=plots.COLOURS[shade], lw=2, solid_capstyle="butt")
    axes.plot([value], [y], "o", color=plots.COLOURS[shade], ms=5, label=name)
