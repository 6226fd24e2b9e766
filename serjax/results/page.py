"""A page of results: classifiers in rows, with intervals and paired tests, as Markdown, JSON and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from serjax import escape
from serjax.errors import ConfigError
from serjax.evaluate.comparison import Difference
from serjax.evaluate.statistics import holm
from serjax.figures import canvas as plots
from serjax.figures.lettering import names_shown
from serjax.figures.markdown import markdown_image, markdown_table
from serjax.figures.tables import Cell, interval, print_table
from serjax.files import write_json, write_text
from serjax.folder.finished import read_result
from serjax.provenance import provenance

HEADER = ("classifier", "UAR", "sd over seeds", "95 % interval", "WAR", "macro-F1")


@dataclass(frozen=True)
class Row:
    """One classifier: what it reached, and what it chose in each fold (`seed/fold`), if anything.

    `difference` is the UAR of this row minus that of the page's reference, `p_value` and `p_holm` (adjusted for all
    rows that are tested) belong to it; None where nothing is tested.
    """

    name: str
    about: str
    uar: float
    uar_sd: float | None
    uar_ci95: list[float] | None
    war: float
    macro_f1: float
    chosen: Mapping[str, str]
    difference: float | None = None
    p_value: float | None = None
    p_holm: float | None = None

    @classmethod
    def of(
        cls, name: str, about: str, summary: dict, chosen: Mapping[str, str], test: Difference | None = None
    ) -> "Row":
        """Take the figures from (the part of) a `metrics.json` that `summarise` wrote."""
        figures = {key: summary[key] for key in ("uar", "uar_sd", "uar_ci95", "war", "macro_f1")}
        tested = (None, None) if test is None else (test.difference, test.p_value)
        return cls(name, about, **figures, chosen=chosen, difference=tested[0], p_value=tested[1])


@dataclass(frozen=True)
class Page:
    """A table with its title, the paragraph above it, the row that others are tested against, and how it was made."""

    title: str
    about: str
    rows: tuple[Row, ...]
    n_classes: int
    reference: str | None
    made: Mapping[str, str]


def adjust(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Fill in the p-values adjusted for the number of rows that are tested (Holm)."""
    tested = [n for n, row in enumerate(rows) if row.p_value is not None]
    adjusted = dict(zip(tested, holm([row.p_value for row in rows if row.p_value is not None]), strict=True))
    return tuple(Row(**{**asdict(row), "p_holm": adjusted.get(n)}) for n, row in enumerate(rows))


def rows_of_run(run: Path) -> tuple[Row, ...]:
    """Return a row for each score of a generative run, the one that classifies first.

    Raises:
      ConfigError: the run is not finished, or is none of a generative classifier.
    """
    content = read_result(run / "metrics.json")
    if "scores" not in content:
        raise ConfigError(
            f"{run} is a run of {content.get('experiment')}: expected one of vae_mfcc or ae_mfcc, which has scores."
        )
    kind, used = content["experiment"].split("_")[0].upper(), content["score"]
    rows = []
    for score in sorted(content["scores"], key=lambda score: score != used):
        chosen = content["chosen_scores"] if score == "auto" else {}
        rows.append(Row.of(f"{kind}-{score}", f"{kind} an emotion", content["scores"][score], chosen))
    return tuple(rows)


def check_page(path: Path | None) -> None:
    """Raise ConfigError for a name that a page cannot have, before anything is trained for it."""
    if path is not None and path.suffix != ".md":
        raise ConfigError(f"--results {path}: expected the name of a Markdown file, NAME.md.")


def write_page(page: Page, path: Path) -> None:
    """Write the page as `path` (Markdown), and beside it the same as JSON and as a figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_suffix(".json"), asdict(page))
    plots.save(draw_intervals(page), path.with_suffix(".png"))
    write_text(path, markdown(page, path.with_suffix(".png").name))


def write_table_page(
    path: Path, title: str, header: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], notes: str, seconds: float
) -> None:
    """Write one table as `path` (Markdown) with this command, what it took and notes, and as JSON beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = provenance()
    command = escape.markdown_code(str(about["command"]))
    made = f"{command}, {seconds / 60:.0f} minutes, {about['machine']}, git {about['git']}."
    parts = [f"# {escape.markdown(title)}", made, markdown_table(header, rows), notes]
    write_text(path, "\n\n".join(parts) + "\n")
    content = [dict(zip(header, cells, strict=True)) for cells in rows]
    write_json(path.with_suffix(".json"), {"title": title, "rows": content, **about})


def print_page(page: Page) -> None:
    """Print the page's table."""
    print_table(page.title, _header(page), [_cells(page, row) for row in page.rows])


def markdown(page: Page, picture: str) -> str:
    """Return the page as Markdown that shows the figure `picture`."""
    title, cells = escape.markdown(page.title), [_cells(page, row) for row in page.rows]
    parts = [f"# {title}", page.about, markdown_table(_header(page), cells)]
    parts.append(markdown_image("UAR of each classifier with its 95 % interval", picture))
    choosing = [row for row in page.rows if row.chosen]
    if choosing:
        folds = list(choosing[0].chosen)
        chosen = [(row.name, *(row.chosen.get(fold, "–") for fold in folds)) for row in choosing]
        parts += ["## Chosen on validation speakers (seed/fold)", markdown_table(("classifier", *folds), chosen)]
    parts += ["## How it was made", "\n".join(f"- {name}: {text}" for name, text in page.made.items())]
    return "\n\n".join(parts) + "\n"


def draw_intervals(page: Page) -> Figure:
    """Draw the UAR of every row as a point on its interval; a dashed line is chance."""
    figure = plots.canvas(7.2, 0.38 * len(page.rows) + 1.5, page.title)
    axes = figure.add_subplot()
    for n, row in enumerate(page.rows):
        shade = plots.COLOURS[1 if row.difference is None and page.reference is not None else 0]
        if row.uar_ci95 is not None:
            axes.plot(row.uar_ci95, [n, n], color=shade, lw=2)
        axes.plot([row.uar], [n], "o", color=shade)
        axes.annotate(f"{row.uar:.3f}", (row.uar, n), (0, 5), textcoords="offset points", ha="center", fontsize=8)
    axes.axvline(1 / page.n_classes, color="0.6", lw=0.8, ls=(0, (4, 3)))
    axes.set_yticks(np.arange(len(page.rows)), names_shown([row.name for row in page.rows], 40))
    axes.set_ylim(len(page.rows) - 0.4, -0.6)
    plots.label_axis(axes, "UAR and 95 % interval over speakers; dashed: chance", "")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _header(page: Page) -> tuple[str, ...]:
    return HEADER if page.reference is None else (*HEADER, f"it − {page.reference}", "p", "p (Holm)")


def _cells(page: Page, row: Row) -> tuple[Cell, ...]:
    reached = (f"{row.name}: {row.about}", row.uar, row.uar_sd, interval(row.uar_ci95), row.war, row.macro_f1)
    if page.reference is None:
        return reached
    return (*reached, row.difference, *(None if p is None else f"{p:.4f}" for p in (row.p_value, row.p_holm)))
