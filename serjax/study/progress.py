"""What the user sees while work goes on: progress with loss and remaining time; for programs as JSON lines."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from serjax.escape import terminal
from serjax.train.processes import is_first

PLAIN_EVERY_S = 15.0
JSON_EVERY_S = 1.0
BRIEF_S = 1.0  # of tasks that took less than this, plain lines do not speak


class Pace:
    """How fast a task goes on, from when it was first heard of; what was done before that does not count."""

    def __init__(self, done: int) -> None:
        self.begun, self.done, self.since_s = done, done, time.monotonic()

    def remaining_s(self, total: int) -> float | None:
        """Return how many seconds are left at this pace, None where nothing is known yet."""
        advanced = self.done - self.begun
        return (time.monotonic() - self.since_s) / advanced * (total - self.done) if advanced > 0 else None


class Progresses:
    """Named progress bars on a terminal, elsewhere a plain line every 15 seconds, nothing when quiet.

    With `log_json` lines of JSON in place of either: `{"event": "progress", "task", "done", "total", "remaining_s",
    "loss", "time"}`, of a task one per second and its last, and `{"event": "message", "text", "time"}`.
    """

    def __init__(self, quiet: bool, log_json: bool = False) -> None:
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self.quiet, self.log_json = quiet, log_json
        self.bars = self.console.is_terminal and not quiet and not log_json
        self.progress = Progress(
            TextColumn("{task.description:>22}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.tasks: dict[str, TaskID] = {}
        self.paces: dict[str, Pace] = {}
        self.spoke_s: dict[str, float] = {}

    def update(self, name: str, done: int, total: int, note: str = "", loss: float | None = None) -> None:
        """Tell how far the task `name` is; one that is done less than before has begun again."""
        pace = self.paces.get(name)
        if pace is None or done < pace.done:
            pace = self.paces[name] = Pace(done)
        pace.done = done
        note = note if loss is None else f"loss {loss:.4f}"
        if self.bars:
            self._draw(terminal(name), done, total, terminal(note))
        elif self._is_due(name, done == total, pace):
            self._speak(name, pace, total, note, loss)

    def say(self, text: str) -> None:
        """Tell at once what is being done, where it takes long and has no parts to count."""
        if self.log_json and not self.quiet:
            self._log({"event": "message", "text": text})
        elif not self.quiet:
            self.console.print(terminal(text), soft_wrap=True)

    def counter(self, name: str) -> Callable[[int, int], None]:
        """Return a callback `(done, total)` for one task."""
        return lambda done, total: self.update(name, done, total)

    def training(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """Tell how many epochs of all runs of a stage are done, and the last loss, if it has one."""
        self.update(stage, done, total, loss=loss)

    def _draw(self, name: str, done: int, total: int, note: str) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=total, note=note)
        if done < self.progress.tasks[self.tasks[name]].completed:
            self.progress.reset(self.tasks[name], total=total)
        self.progress.update(self.tasks[name], completed=done, total=total, note=note)

    def _is_due(self, name: str, is_last: bool, pace: Pace) -> bool:
        """Tell whether to speak of a task now: at its end, and else seldom."""
        if self.quiet:
            return False
        now_s = time.monotonic()
        if is_last:
            return self.log_json or now_s - pace.since_s > BRIEF_S
        begun_s = pace.since_s - JSON_EVERY_S if self.log_json else pace.since_s
        return now_s - self.spoke_s.get(name, begun_s) >= (JSON_EVERY_S if self.log_json else PLAIN_EVERY_S)

    def _speak(self, name: str, pace: Pace, total: int, note: str, loss: float | None) -> None:
        self.spoke_s[name] = time.monotonic()
        left_s = pace.remaining_s(total)
        if self.log_json:
            counts = {"task": name, "done": pace.done, "total": total}
            self._log({"event": "progress", **counts, "remaining_s": left_s and round(left_s, 1), "loss": loss})
            return
        left = f", {duration(left_s)} left" if left_s else ""
        said = f"{name}: {100 * pace.done // total} % {note}".rstrip()
        self.console.print(terminal(f"{said}{left}"), soft_wrap=True)

    def _log(self, event: dict[str, object]) -> None:
        """Write a line of JSON, in ASCII: nothing in it acts on a terminal."""
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in event.items()}
        print(json.dumps({**finite, "time": round(time.time(), 3)}), file=self.console.file, flush=True)


def duration(seconds: float) -> str:
    """Say how long something takes, to two figures.

    >>> duration(12.3), duration(200.0), duration(8_000.0)
    ('12 s', '3 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


@contextmanager
def progresses(quiet: bool, log_json: bool = False) -> Iterator[Progresses]:
    """Show progress on standard error while the block runs; of several processes the first shows it."""
    shown = Progresses(quiet or not is_first(), log_json)
    if not shown.bars:
        yield shown
        return
    with shown.progress:
        yield shown
