"""A page of results with two questions at once: features in rows, models in columns, every cell a finished run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from serjax import escape
from serjax.evaluate.statistics import estimate
from serjax.figures.comparison import HeatCell, heat_map
from serjax.figures.markdown import (
    markdown_facts,
    markdown_image,
    markdown_list,
    markdown_page,
    markdown_section,
    markdown_table,
)
from serjax.figures.tables import Cell, grouped, interval, print_table, say, signed
from serjax.folder.finished import FinishedRun
from serjax.results.comparison import make_table
from serjax.results.comparison_table import Row
from serjax.results.page import write_files

SHOWN = 0.05  # level at which a Holm-adjusted p is marked
Place = TypeVar("Place", bound=tuple[str, str])  # feature, model
HEADER = ("run", "UAR", "sd", "− reference", "95 % interval", "p", "p Holm", "WAR", "parameters", "minutes")


@dataclass(frozen=True)
class Entry:
    """One cell of the grid.

    Args:
      feature: its row.
      model: its column.
      war: accuracy, mean over seeds.
      run: what it reached in UAR, and its difference to the reference.
    """

    feature: str
    model: str
    war: float
    run: Row

    @property
    def mark(self) -> str:
        """A star where the difference to the reference is shown."""
        return " *" if self.run.p_holm is not None and self.run.p_holm < SHOWN else ""


@dataclass(frozen=True)
class GridPage:
    """All cells by rows and columns, what is said above and below them, and how they were made."""

    title: str
    about: str
    features: tuple[str, ...]
    models: tuple[str, ...]
    entries: tuple[Entry, ...]
    reference: str
    n_labels: int
    sees: Mapping[str, str]
    notes: tuple[str, ...]
    made: Mapping[str, str]

    def entry(self, feature: str, model: str) -> Entry:
        """Return one cell."""
        return next(entry for entry in self.entries if (entry.feature, entry.model) == (feature, model))


def page_of(content: Mapping[str, Any]) -> GridPage:
    """Return a page from what its JSON file holds."""
    return GridPage(
        **{**content, "entries": tuple(Entry(**{**entry, "run": Row(**entry["run"])}) for entry in content["entries"])}
    )


def make_entries(runs: Mapping[Place, FinishedRun], reference: Place) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return the cells of `{(feature, model): run}`, each tested against the reference, and notes on the test.

    Raises:
      ConfigError: the runs are not of the same corpus, labels, protocol and clips.
    """
    places = [reference, *(place for place in runs if place != reference)]
    table = make_table([runs[place] for place in places], "uar", anyway=False)
    rows = dict(zip(places, table.rows, strict=True))
    wars = {  # speakers_shared: no interval is computed
        place: estimate(run.predictions, "war", speakers_shared=True).mean for place, run in runs.items()
    }
    entries = tuple(Entry(place[0], place[1], wars[place], rows[place]) for place in runs)
    return entries, tuple(note.replace("the first row", "the reference") for note in table.notes)


def write_page(page: GridPage, path: Path) -> None:
    """Write the page as `path` (Markdown), and beside it the same as JSON and as a heat map."""
    write_files(path, asdict(page), partial(markdown, page), draw(page))


def print_page(page: GridPage) -> None:
    """Print the grid, and a line per cell below it."""
    print_table(page.title, ("UAR (95 %)", *page.models), _grid(page))
    print_table(f"Against {page.reference}", HEADER, _lines(page))
    for note in page.notes:
        say(note)


def markdown(page: GridPage, picture: str) -> str:
    """Return the page as Markdown that shows the figure `picture`."""
    reference = escape.markdown(page.reference)
    grid = markdown_table(("features", *page.models), _grid(page))
    star = f"\\* differs from {reference}, p (Holm) < {SHOWN:g}."
    image = markdown_image("UAR of every feature under every model", picture)
    notes = markdown_list(map(escape.markdown, page.notes))
    return markdown_page(
        page.title,
        page.about,
        markdown_section("UAR (95 % interval over speakers)", grid, star, image),
        markdown_section(f"Against {reference}", markdown_table(HEADER, _lines(page)), notes),
        markdown_section("What each model sees", markdown_facts(page.sees)),
        markdown_section("How it was made", markdown_facts(page.made)),
    )


def draw(page: GridPage) -> Figure:
    """Draw the grid: colour is the UAR, from what guessing reaches to the best."""
    note = f"95 % interval over speakers\ndifference to {page.reference}, * p (Holm) < {SHOWN:g}"
    cells = [[_heat_cell(page.entry(feature, model)) for model in page.models] for feature in page.features]
    return heat_map(cells, page.features, page.models, "UAR", 1 / page.n_labels, note, page.title)


def _heat_cell(entry: Entry) -> HeatCell:
    run = entry.run
    difference = "reference" if run.difference is None else f"{signed(run.difference)}{entry.mark}"
    spread = () if run.interval is None else (f"{run.interval[0]:.2f} – {run.interval[1]:.2f}",)
    return HeatCell(run.mean, (*spread, difference))


def _grid(page: GridPage) -> list[tuple[Cell, ...]]:
    return [(feature, *(_reached(page.entry(feature, model)) for model in page.models)) for feature in page.features]


def _reached(entry: Entry) -> str:
    spread = "" if entry.run.interval is None else f" ({interval(entry.run.interval)})"
    return f"{entry.run.mean:.3f}{spread}{entry.mark}"


def _lines(page: GridPage) -> list[tuple[Cell, ...]]:
    return [_line(entry) for entry in page.entries]


def _line(entry: Entry) -> tuple[Cell, ...]:
    run = entry.run
    more = (entry.war, grouped(run.n_parameters), f"{run.seconds / 60:.1f}")
    return (f"{entry.feature} × {entry.model}", run.mean, run.sd, *run.test_cells, *more)
