"""A page of classifiers in rows, with intervals and paired tests, as Markdown, JSON and a figure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from serjax.errors import ConfigError
from serjax.figures.comparison import Line, forest_plot
from serjax.figures.markdown import markdown_facts, markdown_image, markdown_page, markdown_section, markdown_table
from serjax.figures.tables import Cell, print_table, signed
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS
from serjax.results.page import write_files
from serjax.results.reached import Reached

HEADER = ("classifier", "UAR", "sd over seeds", "95 % interval", "WAR", "macro-F1")


@dataclass(frozen=True, kw_only=True)
class Row(Reached):
    """One classifier: what it reached in UAR.

    Args:
      about: what it is, in few words.
      war: accuracy, mean over seeds.
      macro_f1: mean over seeds.
      chosen: what it chose in each fold (`seed/fold`), if anything.
    """

    about: str
    war: float
    macro_f1: float
    chosen: Mapping[str, str]

    @classmethod
    def of(cls, name: str, about: str, summary: Mapping[str, Any], chosen: Mapping[str, str]) -> "Row":
        """Take the figures from (the part of) a `metrics.json` that `summarise` wrote."""
        bounds = summary["uar_ci95"]
        return cls(
            name=name,
            about=about,
            mean=summary["uar"],
            sd=summary["uar_sd"],
            interval=None if bounds is None else tuple(bounds),
            war=summary["war"],
            macro_f1=summary["macro_f1"],
            chosen=chosen,
        )


@dataclass(frozen=True)
class Page:
    """A table with its title, the paragraph above it, the row that others are tested against, and how it was made."""

    title: str
    about: str
    rows: tuple[Row, ...]
    n_classes: int
    reference: str | None
    made: Mapping[str, str]


def page_of(content: Mapping[str, Any]) -> Page:
    """Return a page from what its JSON file holds."""
    return Page(**{**content, "rows": tuple(Row(**row) for row in content["rows"])})


def rows_of_run(run: Path) -> tuple[Row, ...]:
    """Return a row for each score of a generative run, the one that classifies first.

    Raises:
      ConfigError: the run is not finished, or is none of a generative classifier.
    """
    metrics = read_result(run / METRICS)
    if metrics["scores"] is None:
        raise ConfigError(
            f"{run} is a run of {metrics['experiment']}: expected one of vae_mfcc or ae_mfcc, which has scores."
        )
    kind, used = metrics["experiment"].split("_")[0].upper(), metrics["score"]
    rows = []
    for score in sorted(metrics["scores"], key=lambda score: score != used):
        chosen = metrics["chosen_scores"] if score == "auto" else {}
        rows.append(Row.of(f"{kind}-{score}", f"{kind} per emotion", metrics["scores"][score], chosen))
    return tuple(rows)


def write_page(page: Page, path: Path) -> None:
    """Write the page as `path` (Markdown), and beside it the same as JSON and as a figure."""
    write_files(path, asdict(page), partial(markdown, page), draw_intervals(page))


def print_page(page: Page) -> None:
    """Print the page's table."""
    print_table(page.title, _header(page), [_cells(page, row) for row in page.rows])


def markdown(page: Page, picture: str) -> str:
    """Return the page as Markdown that shows the figure `picture`."""
    return markdown_page(
        page.title,
        page.about,
        markdown_table(_header(page), [_cells(page, row) for row in page.rows]),
        markdown_image("UAR of each classifier with its 95 % interval", picture),
        _choices([row for row in page.rows if row.chosen]),
        markdown_section("How it was made", markdown_facts(page.made)),
    )


def draw_intervals(page: Page) -> Figure:
    """Draw the UAR of every row as a point on its interval; a dashed line is chance."""
    reached = [Line(row.mean, row.interval, f"{row.mean:.3f}") for row in page.rows]
    return forest_plot([row.name for row in page.rows], reached, None, "UAR", 1 / page.n_classes, page.title)


def _choices(rows: list[Row]) -> str | None:
    """Return the table of what each row chose in each fold; None where none chose."""
    if not rows:
        return None
    folds = tuple(rows[0].chosen)
    cells = [(row.name, *(row.chosen.get(fold) for fold in folds)) for row in rows]
    return markdown_section("Chosen on validation speakers (seed/fold)", markdown_table(("classifier", *folds), cells))


def _header(page: Page) -> tuple[str, ...]:
    return HEADER if page.reference is None else (*HEADER, f"it − {page.reference}", "p", "p (Holm)")


def _cells(page: Page, row: Row) -> tuple[Cell, ...]:
    reached = (f"{row.name}: {row.about}", *row.reached_cells, row.war, row.macro_f1)
    return reached if page.reference is None else (*reached, signed(row.difference), *row.p_cells)
