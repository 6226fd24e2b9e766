"""A page of results with two questions at once: features in rows, models in columns, every cell a finished run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from serjax import escape
from serjax.evaluate.comparison import Interval, estimate
from serjax.figures import canvas as plots
from serjax.figures.comparison import HeatCell, heat_map
from serjax.figures.markdown import markdown_image, markdown_table
from serjax.figures.tables import Cell, interval, print_table, say
from serjax.files import write_json
from serjax.folder.finished import FinishedRun
from serjax.results.comparison import make_table

SHOWN = 0.05  # level at which a Holm-adjusted p is marked
Place = TypeVar("Place", bound=tuple[str, str])  # feature, model
HEADER = ("run", "UAR", "sd", "− reference", "95 % interval", "p", "p Holm", "WAR", "parameters", "minutes")


@dataclass(frozen=True)
class Entry:
    """One cell: what it reached, and its UAR minus that of the reference (None at the reference itself).

    `p_holm` is adjusted for all cells that are tested; `n_parameters` counts all models that classify a clip together.
    """

    feature: str
    model: str
    uar: float
    uar_sd: float | None
    uar_ci95: Interval | None
    difference: float | None
    difference_ci95: Interval | None
    p_value: float | None
    p_holm: float | None
    war: float
    n_parameters: int | None
    minutes: float

    @property
    def mark(self) -> str:
        """A star where the difference to the reference is shown."""
        return " *" if self.p_holm is not None and self.p_holm < SHOWN else ""


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


def make_entries(runs: Mapping[Place, FinishedRun], reference: Place) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return the cells of `{(feature, model): run}`, each tested against the reference, and notes on the test.

    Raises:
      ConfigError: the runs are not of the same corpus, labels, protocol and clips.
    """
    places = [reference, *(place for place in runs if place != reference)]
    table = make_table([runs[place] for place in places], "uar", anyway=False)
    rows = dict(zip(places, table.rows, strict=True))
    entries = tuple(
        Entry(
            feature=place[0],
            model=place[1],
            uar=rows[place].mean,
            uar_sd=rows[place].sd,
            uar_ci95=rows[place].interval,
            difference=rows[place].difference,
            difference_ci95=rows[place].difference_interval,
            p_value=rows[place].p_value,
            p_holm=rows[place].p_holm,
            war=estimate(run.predictions, "war", speakers_shared=True).mean,  # shared: no interval is computed
            n_parameters=run.n_parameters,
            minutes=run.seconds / 60,
        )
        for place, run in runs.items()
    )
    return entries, tuple(note.replace("the first row", "the reference") for note in table.notes)


def write_page(page: GridPage, path: Path) -> None:
    """Write the page as `path` (Markdown), and beside it the same as JSON and as a heat map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_suffix(".json"), asdict(page))
    plots.save(draw(page), path.with_suffix(".png"))
    path.write_text(markdown(page, path.with_suffix(".png").name), encoding="utf-8")


def print_page(page: GridPage) -> None:
    """Print the grid, and a line a cell below it."""
    print_table(page.title, ("UAR (95 %)", *page.models), _grid(page))
    print_table(f"Against {page.reference}", HEADER, _lines(page))
    for note in page.notes:
        say(note)


def markdown(page: GridPage, picture: str) -> str:
    """Return the page as Markdown that shows the figure `picture`."""
    parts = [f"# {escape.markdown(page.title)}", page.about]
    parts += ["## UAR (95 % interval over speakers)", markdown_table(("features", *page.models), _grid(page))]
    reference = escape.markdown(page.reference)
    parts.append(f"\\* differs from {reference}, p (Holm) < {SHOWN:g}.")
    parts.append(markdown_image("UAR of every feature under every model", picture))
    parts += [f"## Against {reference}", markdown_table(HEADER, _lines(page))]
    parts += ["\n".join(f"- {escape.markdown(note)}" for note in page.notes)] if page.notes else []
    parts += ["## What each model sees", _list(page.sees), "## How it was made", _list(page.made)]
    return "\n\n".join(parts) + "\n"


def draw(page: GridPage) -> Figure:
    """Draw the grid: colour is the UAR, from what guessing reaches to the best."""
    note = f"95 % interval over speakers\ndifference to {page.reference}, * p (Holm) < {SHOWN:g}"
    cells = [[_heat_cell(page.entry(feature, model)) for model in page.models] for feature in page.features]
    return heat_map(cells, page.features, page.models, "UAR", 1 / page.n_labels, note, page.title)


def _heat_cell(entry: Entry) -> HeatCell:
    difference = "reference" if entry.difference is None else f"{_signed(entry.difference)}{entry.mark}"
    spread = () if entry.uar_ci95 is None else (f"{entry.uar_ci95[0]:.2f} – {entry.uar_ci95[1]:.2f}",)
    return HeatCell(entry.uar, (*spread, difference))


def _grid(page: GridPage) -> list[tuple[Cell, ...]]:
    return [(feature, *(_reached(page.entry(feature, model)) for model in page.models)) for feature in page.features]


def _reached(entry: Entry) -> str:
    spread = interval(None if entry.uar_ci95 is None else list(entry.uar_ci95))
    return f"{entry.uar:.3f}{f' ({spread})' if spread else ''}{entry.mark}"


def _lines(page: GridPage) -> list[tuple[Cell, ...]]:
    return [_line(entry) for entry in page.entries]


def _line(entry: Entry) -> tuple[Cell, ...]:
    bounds = entry.difference_ci95
    return (
        f"{entry.feature} × {entry.model}",
        entry.uar,
        entry.uar_sd,
        None if entry.difference is None else _signed(entry.difference),
        None if bounds is None else f"{_signed(bounds[0])} … {_signed(bounds[1])}",
        None if entry.p_value is None else f"{entry.p_value:.4f}",
        None if entry.p_holm is None else f"{entry.p_holm:.4f}",
        entry.war,
        None if entry.n_parameters is None else f"{entry.n_parameters:,}".replace(",", " "),
        f"{entry.minutes:.1f}",
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _list(said: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in said.items())
