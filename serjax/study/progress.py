"""What the user sees while work goes on: progress with loss and remaining time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from serjax.escape import terminal
from serjax.train.processes import is_first

PLAIN_EVERY_S = 15.0


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
            self.console.print(terminal(text), soft_wrap=True)

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
