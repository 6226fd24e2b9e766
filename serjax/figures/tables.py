"""Tables and lines on standard output."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from serjax.escape import shortened, terminal

PLAIN_WIDTH = 120
LONGEST_TITLE, LONGEST_CELL = 300, 120  # letters; a label may have a hundred thousand
Cell = str | float | int | None


def print_table(title: str, header: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> None:
    """Print a table: numbers to the right with three digits, an en dash for what is not there."""
    table = Table(title=_plain(title, LONGEST_TITLE), title_justify="left")
    for n, name in enumerate(header):
        table.add_column(_plain(name), justify="left" if n == 0 else "right")
    for row in rows:
        table.add_row(*(_plain(_text(cell)) for cell in row))
    plain = Console(soft_wrap=not sys.stdout.isatty(), width=terminal_width(), markup=False, emoji=False)
    plain.print(table)


def say(text: str) -> None:
    """Print a line on standard output; it may hold text that comes from data."""
    print(terminal(text))


def terminal_width() -> int:
    """Return how many characters a line of standard output has; 120 where it is no terminal."""
    return Console().width if sys.stdout.isatty() else PLAIN_WIDTH


def interval(bounds: list[float] | None) -> str | None:
    """Write a confidence interval."""
    return None if bounds is None else f"{bounds[0]:.3f} – {bounds[1]:.3f}"


def _plain(text: str, at_most: int = LONGEST_CELL) -> str:
    return terminal(shortened(text, at_most))


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
