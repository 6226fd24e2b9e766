"""Tables and lines on standard output, and how the numbers in tables are written."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from serjax.escape import shortened, terminal

PLAIN_WIDTH = 120
LONGEST_TITLE, LONGEST_CELL = 300, 120  # letters; a label may have a hundred thousand
Cell = str | float | int | None


@dataclass(frozen=True)
class TitledTable:
    """A table of cells: its title, the names of its columns, and its rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def print_table(title: str, header: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> None:
    """Print a table: numbers to the right with three digits, an en dash for what is not there."""
    table = Table(title=_plain(title, LONGEST_TITLE), title_justify="left")
    for n, name in enumerate(header):
        table.add_column(_plain(name), justify="left" if n == 0 else "right")
    for row in rows:
        table.add_row(*(_plain(cell_text(cell)) for cell in row))
    plain = Console(soft_wrap=not sys.stdout.isatty(), width=terminal_width(), markup=False, emoji=False)
    plain.print(table)


def say(text: str) -> None:
    """Print a line on standard output; it may hold text that comes from data."""
    print(terminal(text))


def terminal_width() -> int:
    """Return how many characters a line of standard output has; 120 where it is no terminal."""
    return Console().width if sys.stdout.isatty() else PLAIN_WIDTH


def cell_text(cell: Cell) -> str:
    """Write a cell: a number that is not whole with three digits, an en dash for what is not there.

    >>> cell_text(0.5), cell_text(3), cell_text(None)
    ('0.500', '3', '–')
    """
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def interval(bounds: Sequence[float] | None) -> str | None:
    """Write a confidence interval.

    >>> interval((0.25, 0.5))
    '0.250 – 0.500'
    """
    return None if bounds is None else f"{bounds[0]:.3f} – {bounds[1]:.3f}"


def signed(value: float | None) -> str | None:
    """Write a difference, always with its sign.

    >>> signed(-0.0125), signed(0.5)
    ('−0.013', '+0.500')
    """
    return None if value is None else f"{value:+.3f}".replace("-", "−")


def signed_interval(bounds: Sequence[float] | None) -> str | None:
    """Write the confidence interval of a difference.

    >>> signed_interval((-0.25, 0.5))
    '−0.250 … +0.500'
    """
    return None if bounds is None else f"{signed(bounds[0])} … {signed(bounds[1])}"


def p_text(p_value: float | None) -> str | None:
    """Write a p-value with four digits: 10 000 permutations give no more."""
    return None if p_value is None else f"{p_value:.4f}"


def grouped(count: int | None) -> str | None:
    """Write a large number in groups of three digits.

    >>> grouped(9657216)
    '9 657 216'
    """
    return None if count is None else f"{count:,}".replace(",", " ")


def _plain(text: str, at_most: int = LONGEST_CELL) -> str:
    return terminal(shortened(text, at_most))
