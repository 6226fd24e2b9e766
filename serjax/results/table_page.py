"""A page of one table, with its command, what it took and notes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serjax.escape import markdown_code
from serjax.figures.markdown import markdown_page, markdown_table
from serjax.figures.tables import Cell, print_table, signed
from serjax.results.page import write_files


@dataclass(frozen=True)
class TablePage:
    """The table, and what is said about it.

    Args:
      title: what the table is of.
      rows: cells by the names of their columns, the same in all rows.
      notes: Markdown below the table.
      minutes: what all runs of the table took.
      made: command, versions, machine and commit (`provenance`).
      differences: columns whose numbers are differences, which have a sign.
    """

    title: str
    rows: tuple[Mapping[str, Cell], ...]
    notes: str
    minutes: int
    made: Mapping[str, Any]
    differences: tuple[str, ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.rows[0])

    @property
    def lines(self) -> list[tuple[Cell, ...]]:
        """The rows as they are read."""
        return [tuple(self._shown(name, cell) for name, cell in row.items()) for row in self.rows]

    def _shown(self, name: str, cell: Cell) -> Cell:
        return signed(cell) if name in self.differences and isinstance(cell, float) else cell


def print_page(page: TablePage) -> None:
    """Print the table."""
    print_table(page.title, page.header, page.lines)


def write_page(page: TablePage, path: Path) -> None:
    """Write the page as `path` (Markdown), and as JSON beside it."""
    write_files(path, asdict(page), lambda _: markdown(page))


def markdown(page: TablePage) -> str:
    """Return the page as Markdown."""
    command, machine, git = (str(page.made[name]) for name in ("command", "machine", "git"))
    made = f"{markdown_code(command)}, {page.minutes} minutes, {machine}, git {git}."
    return markdown_page(page.title, made, markdown_table(page.header, page.lines), page.notes)
