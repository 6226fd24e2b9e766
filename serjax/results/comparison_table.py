"""A table of compared runs: on the terminal, as Markdown, CSV, LaTeX, JSON, and as a forest plot."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path

from matplotlib.figure import Figure

from serjax import escape
from serjax.errors import ConfigError
from serjax.evaluate.comparison import Interval
from serjax.evaluate.metrics import Metric
from serjax.figures.comparison import Line, forest_plot
from serjax.figures.markdown import Code, markdown_image, markdown_table
from serjax.figures.tables import Cell, print_table, say, terminal_width

NAMES: dict[Metric, str] = {"uar": "UAR", "war": "WAR", "macro_f1": "macro-F1"}
CORPUS, PROTOCOL = 1, 2  # columns


@dataclass(frozen=True)
class Row:
    """One run. The difference is to the first row; `unlike` names what keeps the two from being comparable.

    `p_value` is None where clips are not paired, `p_holm` is adjusted for all p-values of the table.
    """

    name: str
    experiment: str
    corpus: str
    protocol: str
    n_labels: int
    n_seeds: int
    mean: float
    sd: float | None
    interval: Interval | None
    difference: float | None
    difference_interval: Interval | None
    p_value: float | None
    p_holm: float | None
    n_parameters: int | None
    seconds: float
    unlike: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows, the metric they are about, what the flags of the runs differ in, and notes that a reader must see."""

    metric: Metric
    rows: tuple[Row, ...]
    settings: dict[str, dict[str, str]]
    notes: tuple[str, ...]
    made: dict[str, object]

    @property
    def title(self) -> str:
        """Metric and what it is of; mixed where it is not of one corpus and protocol."""
        about = [", ".join(sorted({getattr(row, name) for row in self.rows})) for name in ("corpus", "protocol")]
        return " · ".join([f"{NAMES[self.metric]} of {len(self.rows)} run{'s' * (len(self.rows) > 1)}", *about])


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


def check_suffix(path: Path) -> None:
    """Raise ConfigError unless a table can be written under this name."""
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: expected a name that ends in {', '.join(WRITERS)}.")


def write_table(table: Table, path: Path) -> None:
    """Write the table in the form that the suffix of `path` names.

    Raises:
      ConfigError: the suffix is none of .md, .csv, .tex, .json.
    """
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(WRITERS[path.suffix](table), encoding="utf-8")


def header(table: Table) -> tuple[str, ...]:
    """Return the names of the columns; those that would be empty are left out."""
    compared = ("− first", "95 % interval", "p", "p Holm") if len(table.rows) > 1 else ()
    unlike = ("unlike first",) if any(row.unlike for row in table.rows) else ()
    reached = ("run", "corpus", "protocol", "seeds", NAMES[table.metric], "sd", "95 % interval")
    return (*reached, *compared, *unlike, "parameters", "s")


def cells(table: Table, row: Row) -> tuple[Cell, ...]:
    """Return a row as it is read: three digits, intervals with a dash."""
    compared = (_signed(row.difference), _signed_interval(row.difference_interval), _p(row.p_value), _p(row.p_holm))
    unlike = (", ".join(row.unlike) or None,) if any(r.unlike for r in table.rows) else ()
    return (
        *(row.name, row.corpus, row.protocol, row.n_seeds, row.mean, row.sd, _interval(row.interval)),
        *(compared if len(table.rows) > 1 else ()),
        *unlike,
        None if row.n_parameters is None else f"{row.n_parameters:,}".replace(",", " "),
        f"{row.seconds:.0f}",
    )


def markdown(table: Table, picture: str | None = None) -> str:
    """Return the table as a page of Markdown, with the forest plot where `picture` names its file."""
    parts = [
        f"# {escape.markdown(table.title)}",
        markdown_table(header(table), [cells(table, row) for row in table.rows]),
    ]
    if table.settings:
        names = [row.name for row in table.rows]
        rows = [(Code(flag), *(values[name] for name in names)) for flag, values in table.settings.items()]
        parts += ["## Flags that differ", markdown_table(("flag", *names), rows)]
    if picture is not None:
        parts.append(markdown_image(table.title, picture))
    command = escape.markdown_code(str(table.made["command"]))
    parts.append(
        "\n".join([*(f"- {escape.markdown(n)}" for n in table.notes), f"- Command: {command}", f"- {made(table)}"])
    )
    return "\n\n".join(parts) + "\n"


def made(table: Table) -> str:
    """Return how long the runs took, and on what and with which code the table was made."""
    minutes = sum(row.seconds for row in table.rows) / 60
    versions: Mapping[str, str] = table.made["versions"]  # type: ignore[assignment]
    said = ", ".join(f"{name} {versions[name]}" for name in ("python", "jax", "serjax"))
    return f"{minutes:.0f} minutes for all rows; {table.made['machine']}; {said}; git {table.made['git']}."


def csv_text(table: Table) -> str:
    """Return the table as CSV: one column a field, numbers in full, an interval as two columns, nothing as nothing.

    Text that a spreadsheet would compute has an apostrophe before it.
    """
    names = [field.name for field in fields(Row)]
    intervals = ("interval", "difference_interval")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [[f"{name}_low", f"{name}_high"] if name in intervals else [name] for name in names]
    writer.writerow(["metric", *chain.from_iterable(columns)])
    for row in table.rows:
        values = [_values(getattr(row, name), name in intervals) for name in names]
        writer.writerow([table.metric, *chain.from_iterable(values)])
    return file.getvalue()


def latex(table: Table) -> str:
    """Return the table as a LaTeX `tabular` with the rules of booktabs; the notes are comments above it."""
    said = (table.title, *table.notes, f"Command: {table.made['command']}", "needs booktabs")
    lines, names = [f"% {escape.terminal(text)}" for text in said], header(table)
    lines += [f"\\begin{{tabular}}{{lll{'r' * (len(names) - 3)}}}", "\\toprule", _tex_line(names), "\\midrule"]
    lines += [_tex_line(tuple(map(_text, cells(table, row)))) for row in table.rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def json_text(table: Table) -> str:
    """Return everything as JSON."""
    return json.dumps(asdict(table), indent=2, allow_nan=False) + "\n"


WRITERS: dict[str, Callable[[Table], str]] = {".md": markdown, ".csv": csv_text, ".tex": latex, ".json": json_text}


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
    return 1 + sum(3 + max(len(_text(row[n])) for row in [tuple(names), *rows]) for n in columns)


def _halves(names: Sequence[str], columns: Sequence[int]) -> list[list[int]]:
    """Cut a table that is too wide: what each run reached, and its difference to the first."""
    compared = [n for n in columns if names.index("− first") <= n < names.index("parameters")]
    return [[n for n in columns if n not in compared], [0, *compared]]


def _difference_text(row: Row) -> str:
    if row.p_holm is None:
        return f"{_signed(row.difference)} (not paired)"
    return f"{_signed(row.difference)}, p = {_p(row.p_holm)}"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.3f}".replace("-", "−")


def _interval(bounds: Interval | None) -> str | None:
    return None if bounds is None else f"{bounds[0]:.3f} – {bounds[1]:.3f}"


def _signed_interval(bounds: Interval | None) -> str | None:
    return None if bounds is None else f"{_signed(bounds[0])} … {_signed(bounds[1])}"


def _p(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _tex_line(texts: tuple[str, ...]) -> str:
    return " & ".join(map(escape.latex, texts)) + r" \\"


def _values(value: object, is_interval: bool) -> list[object]:
    if is_interval:
        return ["", ""] if value is None else list(value)  # type: ignore[call-overload]
    if isinstance(value, tuple):
        value = "; ".join(value)
    if isinstance(value, str):
        return [escape.csv_cell(value)]
    return ["" if value is None else value]
