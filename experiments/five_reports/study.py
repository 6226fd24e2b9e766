"""Which sides of rows lack an outcome under their present command, and how they come by one."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.five_reports.commands import Locations, command_line, folder_name
from experiments.five_reports.outcome import Outcome, Outcomes, read_outcome
from experiments.five_reports.pictures import roc_name
from experiments.five_reports.results import read_outcomes, write_results
from experiments.five_reports.row import SIDES, Row, Side
from experiments.five_reports.rows import ROWS, with_members
from experiments.five_reports.tasks import Task, last_lines, make_task, run_tasks
from serjax.files import copy
from serjax.folder.finished import read_result
from serjax.folder.manifest import FIGURES, METRICS
from serjax.study.progress import Progresses

ROC = f"{FIGURES}/roc.png"


@dataclass(frozen=True)
class Study:
    """Where a study reads and writes.

    Args:
      page: the page of results.
      shown: the locations that the page gives: its commands hold no folder of this machine.
      here: the locations on this machine.
      made_up: the clips are synthetic.
    """

    page: Path
    shown: Locations
    here: Locations
    made_up: bool

    def run(self, tasks: Sequence[Task], jobs: int, progress: Progresses) -> tuple[Task, ...]:
        """Run tasks, `jobs` at a time, and write the page after each; return those that failed."""
        count = itertools.count(1)

        def report(task: Task, succeeded: bool) -> None:
            note = f"{task.name} {'done' if succeeded else 'FAILED'}"
            progress.update("commands", next(count), len(tasks), note)
            if succeeded:
                self.add(task)
            else:
                progress.console.print(f"{task.name} failed:\n{last_lines(task)}", highlight=False, markup=False)

        return run_tasks(tasks, jobs, report)

    def add(self, task: Task) -> None:
        """Add what a finished task reached to the page and the file of results.

        The file is read anew: another call may have added to it.
        """
        outcome = read_outcome(task.row, task.folder, command_line(task.row, task.side, self.shown))
        outcomes = without_votes_of(task, read_outcomes(self.page))
        outcomes.setdefault(task.row.id, {})[task.side] = outcome
        if task.row.also.by_curve and task.side == "same":
            self.page.parent.mkdir(parents=True, exist_ok=True)
            copy(task.folder / ROC, self.page.with_name(roc_name(task.row)))
        write_results(self.page, outcomes, self.made_up)


def missing(rows: Sequence[Row], outcomes: Outcomes, shown: Locations, here: Locations) -> list[Task]:
    """Return the sides of rows that have no outcome under the same command, votes last.

    Members of such a vote are among them where they have no outcome, or not its run folder, which could vote.

    Args:
      rows: what is asked for.
      outcomes: what was run.
      shown: the locations of the commands in `outcomes`.
      here: the locations on this machine.
    """
    unknown = {(row.id, side) for row in rows for side in SIDES if not is_known(row, side, outcomes, shown)}
    voting = {(member, side) for row in rows for side in SIDES if (row.id, side) in unknown for member in row.members}

    def is_missing(row: Row, side: Side) -> bool:
        if (row.id, side) not in voting:
            return (row.id, side) in unknown
        return not (is_known(row, side, outcomes, shown) and can_vote(row, side, outcomes, here))

    lacking = [make_task(row, side, here) for row in with_members(rows) for side in SIDES if is_missing(row, side)]
    return sorted(lacking, key=lambda task: bool(task.row.members))


def is_known(row: Row, side: Side, outcomes: Outcomes, shown: Locations) -> bool:
    """Tell whether there is an outcome under the side's present command.

    A vote's members have to be known too. Where the vote names the runs that voted, they have to be those on the page,
    but for the members in `row.anew`.
    """
    known = outcomes.get(row.id, {}).get(side)
    if known is None or known.command != command_line(row, side, shown):
        return False
    members = [one for one in ROWS if one.id in row.members]
    voted = {name: uar for name, uar in (known.members or {}).items() if name not in row.anew}
    return all(is_known(member, side, outcomes, shown) for member in members) and all(
        math.isclose(outcomes[name][side].uar, uar) for name, uar in voted.items()
    )


def can_vote(row: Row, side: Side, outcomes: Outcomes, here: Locations) -> bool:
    """Tell whether a side's run folder is there, finished, and that of its outcome."""
    path = Path(here.runs) / folder_name(row.id, side) / METRICS
    return path.exists() and math.isclose(read_result(path)["uar"], outcomes[row.id][side].uar)


def without_votes_of(task: Task, outcomes: Outcomes) -> dict[str, dict[Side, Outcome]]:
    """Leave out the outcomes of votes in which another run of the task's row voted."""
    votes = {row.id for row in ROWS if task.row.id in row.members}
    left = {
        name: {side: one for side, one in sides.items() if name not in votes or side != task.side}
        for name, sides in outcomes.items()
    }
    return {name: sides for name, sides in left.items() if sides}
