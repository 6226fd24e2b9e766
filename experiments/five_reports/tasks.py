"""Sides of rows that are still to be run: commands as processes of their own, some at a time, votes after members."""

import collections
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.five_reports.commands import Locations, command, folder_name
from experiments.five_reports.row import Row, Side
from serjax.signals import Interrupted, stop_requests

POLL_S = 0.1


@dataclass(frozen=True)
class Task:
    """One side of a row that is still to be run.

    Args:
      row: the row.
      side: which of its sides.
      folder: its run folder; what it prints goes to a `.log` beside it.
      members: run folders of rows that vote in it, which have to be finished first.
      words: its command, without the run folder.
    """

    row: Row
    side: Side
    folder: Path
    members: tuple[Path, ...]
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        return f"{self.row.id} {self.side}"

    @property
    def log(self) -> Path:
        """The file of what it prints."""
        return self.folder.with_name(f"{self.folder.name}.log")


def make_task(row: Row, side: Side, locations: Locations) -> Task:
    """Return the task of one side."""
    runs = Path(locations.runs)
    members = tuple(runs / folder_name(member, side) for member in row.members)
    return Task(row, side, runs / folder_name(row.id, side), members, command(row, side, locations))


def run_tasks(tasks: Sequence[Task], jobs: int, report: Callable[[Task, bool], None]) -> tuple[Task, ...]:
    """Run tasks, votes after their members, and return those that failed.

    Args:
      tasks: what to run, in this order; votes stand behind their members.
      jobs: how many run at a time.
      report: called with each task that ended, and whether it succeeded.

    Raises:
      Interrupted: SIGINT or SIGTERM came; it was passed on to the tasks, which have saved what they did.
    """
    waiting, failed = collections.deque(tasks), []
    with stop_requests() as requests, _stopped_at_the_end() as running:
        while waiting or running:
            busy = {task.folder for task in (*waiting, *running.values())}
            while waiting and len(running) < jobs and busy.isdisjoint(waiting[0].members):
                task = waiting.popleft()
                running[_start(task)] = task
            for process in [process for process in running if process.poll() is not None]:
                task = running.pop(process)
                succeeded = process.returncode == 0
                failed += [] if succeeded else [task]
                report(task, succeeded)
            if requests:
                raise Interrupted(requests[0], f"{len(running)} command(s) saved what they did, {len(waiting)} left")
            time.sleep(POLL_S)
    return tuple(failed)


def last_lines(task: Task, n_lines: int = 6) -> str:
    """Return the last lines that a task printed."""
    return "\n".join(task.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-n_lines:])


def _start(task: Task) -> subprocess.Popen:
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    words = (sys.executable, *task.words[1:], "--out", str(task.folder))
    with task.log.open("wb") as log:
        # a session of its own: an interrupt of the terminal reaches it once, through us
        return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


@contextmanager
def _stopped_at_the_end() -> Iterator[dict[subprocess.Popen, Task]]:
    """Yield a dict for running processes; however the block ends, all of them are stopped."""
    running: dict[subprocess.Popen, Task] = {}
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
