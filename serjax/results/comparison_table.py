"""A table of compared runs: on the terminal, as Markdown, CSV, LaTeX, JSON, and as a forest plot."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from serjax import escape
from serjax.errors import ConfigError
from serjax.evaluate.metrics import Metric
from serjax.figures.comparison import Line, forest_plot
from serjax.figures.markdown import Code, markdown_image, markdown_list, markdown_page, markdown_section, markdown_table
from serjax.figures.tables import (
    Cell,
    TitledTable,
    cell_text,
    grouped,
    p_text,
    print_table,
    say,
    signed,
    terminal_width,
)
from serjax.files import write_json, write_text
from serjax.results.page import write_files
from serjax.results.reached import Reached

NAMES: dict[Metric, str] = {"uar": "UAR", "war": "WAR", "macro_f1": "macro-F1"}
CORPUS, PROTOCOL = 1, 2  # columns
CSV = (
    *("name", "experiment", "corpus", "protocol", "n_labels", "n_seeds", "mean", "sd", "interval"),
    *("difference", "difference_interval", "p_value", "p_holm", "n_parameters", "seconds", "unlike"),
)


@dataclass(frozen=True, kw_only=True)
class Row(Reached):
    """One run, and its difference to the first row.

    Args:
      experiment: the command that made it.
      corpus: its name.
      protocol: its name, with what test rows share with training.
      n_labels: number of classes.
      n_seeds: number of seeds.
      n_parameters: of all models that classify a clip together; None where the run does not say.
      seconds: what the run took.
      unlike: what keeps the run from being comparable with the first.
    """

    experiment: str
    corpus: str
    protocol: str
    n_labels: int
    n_seeds: int
    n_parameters: int | None
    seconds: float
    unlike: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows and the metric they are about.

    Args:
      metric: what is compared.
      rows: the first is what the others are compared with.
      settings: flags that are not the same in all runs, and their values by run.
      notes: what a reader must see.
      made: command, versions, machine and commit (`provenance`).
      more: tables that stand below, of what is not compared.
    """

    metric: Metric
    rows: tuple[Row, ...]
    settings: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]
    made: Mapping[str, Any]
    more: tuple[TitledTable, ...] = ()

    @property
    def title(self) -> str:
        """Metric and what it is of; mixed where it is not of one corpus and protocol."""
        about = [", ".join(sorted({getattr(row, name) for row in self.rows})) for name in ("corpus", "protocol")]
        return " · ".join([f"{NAMES[self.metric]} of {len(self.rows)} run{'s' * (len(self.rows) > 1)}", *about])


def table_of(content: Mapping[str, Any]) -> Table:
    """Return a table from what its JSON file holds."""
    rows = tuple(Row(**row) for row in content["rows"])
    more = tuple(TitledTable(**below) for below in content["more"])
    return Table(**{**content, "rows": rows, "more": more})


def print_comparison(table: Table) -> None:
    """Print the table, what the runs differ in, and the notes; the title tells what is the same in all rows."""
    names, rows = header(table), [cells(table, row) for row in table.rows]
    same = [n for n in (CORPUS, PROTOCOL) if len({row[n] for row in rows}) == 1]
    kept = [n for n in range(len(names)) if n not in same]
    fits = len(rows) == 1 or _width(names, rows, kept) <= terminal_width()
    for part in [kept] if fits else _halves(names, kept):
        print_table(table.title, tuple(names[n] for n in part), [tuple(row[n] for n in part) for row in rows])
    if table.settings:
        runs = [row.name for row in table.rows]
        flags = [(flag, *(values[name] for name in runs)) for flag, values in table.settings.items()]
        print_table("Flags that differ", ("flag", *runs), flags)
    for note in table.notes:
        say(note)
    for below in table.more:
        print_table(below.title, below.header, below.rows)


def check_suffix(path: Path) -> None:
    """Raise ConfigError unless a table can be written under this name."""
    if path.suffix not in (*WRITERS, ".json"):
        raise ConfigError(f"--out {path}: expected a name that ends in {', '.join(WRITERS)}, .json.")


def write_table(table: Table, path: Path) -> None:
    """Write the table in the form that the suffix of `path` names.

    Raises:
      ConfigError: the suffix is none of .md, .csv, .tex, .json.
    """
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        write_json(path, asdict(table))
    else:
        write_text(path, WRITERS[path.suffix](table))


def write_page(table: Table, path: Path) -> None:
    """Write the table as `path` (Markdown), and beside it the same as JSON and as a forest plot."""
    write_files(path, asdict(table), partial(markdown, table), draw(table))


def header(table: Table) -> tuple[str, ...]:
    """Return the names of the columns; those that would be empty are left out."""
    compared = ("− first", "95 % interval", "p", "p Holm") if len(table.rows) > 1 else ()
    unlike = ("unlike first",) if any(row.unlike for row in table.rows) else ()
    reached = ("run", "corpus", "protocol", "seeds", NAMES[table.metric], "sd", "95 % interval")
    return (*reached, *compared, *unlike, "parameters", "s")


def cells(table: Table, row: Row) -> tuple[Cell, ...]:
    """Return a row as it is read: three digits, intervals with a dash."""
    unlike = (", ".join(row.unlike) or None,) if any(r.unlike for r in table.rows) else ()
    return (
        *(row.name, row.corpus, row.protocol, row.n_seeds, *row.reached_cells),
        *(row.test_cells if len(table.rows) > 1 else ()),
        *unlike,
        grouped(row.n_parameters),
        f"{row.seconds:.0f}",
    )


def markdown(table: Table, picture: str | None = None) -> str:
    """Return the table as a page of Markdown, with the forest plot where `picture` names its file."""
    command = escape.markdown_code(str(table.made["command"]))
    return markdown_page(
        table.title,
        markdown_table(header(table), [cells(table, row) for row in table.rows]),
        _settings(table),
        None if picture is None else markdown_image(table.title, picture),
        markdown_list([*map(escape.markdown, table.notes), f"Command: {command}", made(table)]),
        *(markdown_section(escape.markdown(t.title), markdown_table(t.header, t.rows)) for t in table.more),
    )


def made(table: Table) -> str:
    """Return how long the runs took, and on what and with which code the table was made."""
    minutes = sum(row.seconds for row in table.rows) / 60
    versions = table.made["versions"]
    said = ", ".join(f"{name} {versions[name]}" for name in ("python", "jax", "serjax"))
    return f"{minutes:.0f} minutes for all rows; {table.made['machine']}; {said}; git {table.made['git']}."


def csv_text(table: Table) -> str:
    """Return the table as CSV: one column per field, numbers in full, an interval as two columns, nothing as nothing.

    Text that a spreadsheet would compute has an apostrophe before it.
    """
    rows = [{"metric": table.metric, **_csv_row(row)} for row in table.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def latex(table: Table) -> str:
    """Return the table as a LaTeX `tabular` with the rules of booktabs; the notes are comments above it."""
    said = (table.title, *table.notes, f"Command: {table.made['command']}", "needs booktabs")
    lines, names = [f"% {escape.terminal(text)}" for text in said], header(table)
    lines += [f"\\begin{{tabular}}{{lll{'r' * (len(names) - 3)}}}", "\\toprule", _tex_line(names), "\\midrule"]
    lines += [_tex_line(tuple(map(cell_text, cells(table, row)))) for row in table.rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


WRITERS: dict[str, Callable[[Table], str]] = {".md": markdown, ".csv": csv_text, ".tex": latex}


def draw(table: Table) -> Figure:
    """Draw the table as a forest plot; differences beside it where there are any."""
    rows = table.rows
    reached = [Line(row.mean, row.interval, f"{row.mean:.3f}") for row in rows]
    differences = None
    if any(row.difference is not None for row in rows):
        differences = [Line(row.difference, row.difference_interval, _difference_text(row)) for row in rows]
    one = len({row.n_labels for row in rows}) == 1 and table.metric == "uar"
    chance = 1 / rows[0].n_labels if one else None
    return forest_plot([row.name for row in rows], reached, differences, NAMES[table.metric], chance, table.title)


def _width(names: Sequence[str], rows: Sequence[tuple[Cell, ...]], columns: Sequence[int]) -> int:
    """Return how wide the columns are on a terminal, with their rules."""
    return 1 + sum(3 + max(len(cell_text(row[n])) for row in [tuple(names), *rows]) for n in columns)


def _halves(names: Sequence[str], columns: Sequence[int]) -> list[list[int]]:
    """Cut a table that is too wide: what each run reached, and its difference to the first."""
    compared = [n for n in columns if names.index("− first") <= n < names.index("parameters")]
    return [[n for n in columns if n not in compared], [0, *compared]]


def _settings(table: Table) -> str | None:
    """Return the flags that differ as a part of a page; None where none does."""
    if not table.settings:
        return None
    names = [row.name for row in table.rows]
    rows = [(Code(flag), *(values[name] for name in names)) for flag, values in table.settings.items()]
    return markdown_section("Flags that differ", markdown_table(("flag", *names), rows))


def _difference_text(row: Row) -> str:
    if row.p_holm is None:
        return f"{signed(row.difference)} (not paired)"
    return f"{signed(row.difference)}, p = {p_text(row.p_holm)}"


def _tex_line(texts: tuple[str, ...]) -> str:
    return " & ".join(map(escape.latex, texts)) + r" \\"


def _csv_row(row: Row) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in CSV:
        value = getattr(row, name)
        if name in ("interval", "difference_interval"):
            found[f"{name}_low"], found[f"{name}_high"] = value or (None, None)
        else:
            text = "; ".join(value) if isinstance(value, tuple) else value
            found[name] = escape.csv_cell(text) if isinstance(text, str) else text
    return found
