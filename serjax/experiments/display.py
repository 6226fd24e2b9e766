"""What the user sees while and after: progress with loss and remaining time, and tables."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from serjax.escape import shortened, terminal
from serjax.train.processes import is_first

PLAIN_EVERY_S = 15.0
PLAIN_WIDTH = 120
LONGEST_TITLE, LONGEST_CELL = 300, 120  # letters; a label may have a hundred thousand
Cell = str | float | int | None


class Progresses:
    """Named progress bars on a terminal, elsewhere a plain line every 15 seconds, nothing when quiet."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self.quiet, self.bars = quiet, self.console.is_terminal and not quiet
        self.progress = Progress(
            TextColumn("{task.description:>22}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.tasks: dict[str, TaskID] = {}
        self.spoke_s = time.monotonic()

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Tell how far the task `name` is."""
        name, note = terminal(name), terminal(note)
        if self.bars:
            if name not in self.tasks:
                self.tasks[name] = self.progress.add_task(name, total=total, note=note)
            self.progress.update(self.tasks[name], completed=done, note=note)
        elif not self.quiet and (done == total or time.monotonic() - self.spoke_s > PLAIN_EVERY_S):
            self.spoke_s = time.monotonic()
            self.console.print(f"{name}: {100 * done // total} % {note}".rstrip())

    def say(self, text: str) -> None:
        """Tell at once what is being done, where it takes long and has no parts to count."""
        if not self.quiet:
            self.console.print(terminal(text))

    def counter(self, name: str) -> Callable[[int, int], None]:
        """Return a callback `(done, total)` for one task."""
        return lambda done, total: self.update(name, done, total)

    def training(self, stage: str, done: int, total: int, loss: float) -> None:
        """Tell how many epochs of all runs of a stage are done, and the last loss."""
        self.update(stage, done, total, f"loss {loss:.4f}")


@contextmanager
def progresses(quiet: bool) -> Iterator[Progresses]:
    """Show progress on standard error while the block runs; of several processes the first shows it."""
    shown = Progresses(quiet or not is_first())
    if not shown.bars:
        yield shown
        return
    with shown.progress:
        yield shown


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
