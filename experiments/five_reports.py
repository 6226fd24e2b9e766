"""Five reports on speech emotion recognition: what do their numbers become when the test speakers are new?

Every row of the five reports is repeated under the report's own protocol, several random splits instead of one, and
under one that tests on speakers that training has not heard. Everything that is tuned is tuned on training rows: under
the random splits by cross-validation inside the training part, speaker-independently by cross-validation over training
speakers, anew in every fold.

    python experiments/five_reports.py --ravdess RAVDESS --crema-d CREMA_D --rows S2 S4.5 --jobs 2

A row takes from seconds to an hour a side on 2 CPU cores; without `--rows` all of them take a day. What the file of
results holds under the same command is not run again, and what was interrupted goes on. `--synthetic 96` runs rows on
that many made-up clips instead, to see how it goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serjax.experiments.classification import METRICS
from serjax.experiments.command import run_command
from serjax.experiments.config import ConfigError, check_positive
from serjax.experiments.display import Progresses, progresses
from serjax.experiments.five_reports_rows import HEADINGS, ROWS
from serjax.experiments.replication import (
    SIDES,
    Outcome,
    Places,
    Row,
    Side,
    Task,
    as_json,
    command,
    folder_name,
    make_task,
    outcome_of,
    read_outcome,
    run_tasks,
    said,
)
from serjax.experiments.replication_page import markdown, print_rows, write_pictures
from serjax.experiments.results_page import read_result
from serjax.train.record import write_json

SHOWN = {
    "ravdess": "--corpus ravdess --root RAVDESS",
    "ravdess-all": "--corpus ravdess-all --root RAVDESS",
    "crema-d": "--corpus crema-d --root CREMA_D",
}
ABOUT = """Each row is run twice by the commands below it: under the report's own protocol (mean ± standard deviation \
of the accuracy, WAR, over random splits) and on speakers that training has not heard (95 % bootstrap interval over \
speakers). *same − new* is the price of hearing the test speakers, and in S5 the test recordings, in training. \
*Within 2 sd* says whether the reported number is one that the repeated protocol gives; where not, the row says what \
the report leaves open. RAVDESS is complete (24 actors, speech and song); of CREMA-D it is 24 of the 91 actors."""


@dataclass(frozen=True)
class Config:
    """Every field is a flag."""

    rows: tuple[str, ...] = ()
    """Rows to run, by number (S4.5) or by report (S4); default: all."""
    ravdess: Path | None = None
    """Folder that holds RAVDESS, speech and song, at any depth."""
    crema_d: Path | None = None
    """Folder that holds CREMA-D."""
    synthetic: int | None = None
    """Run on so many clips of made-up speech instead, 96 to 1440."""
    jobs: int = 1
    """Commands run at a time."""
    runs: Path = Path("runs/five_reports")
    """Folder of all run folders, and of what the commands print."""
    results: Path | None = None
    """Page of results, a .json and pictures beside it, which rows that are run are added to; default: in `--runs`."""
    quiet: bool = False
    """No progress, only the result."""


def run(config: Config) -> None:
    """Run what the results lack, row by row, and write the page after each."""
    check_positive("--jobs", config.jobs)
    page = config.results or config.runs / "five_reports.md"
    outcomes = read_outcomes(page.with_suffix(".json"))
    rows = with_members(chosen(config.rows), config.runs)
    corpora = where(config, rows)
    shown = Places(SHOWN if config.synthetic is None else corpora, "runs/five_reports")
    tasks = missing(rows, outcomes, shown, Places(corpora, str(config.runs)))
    n_done = 0

    with progresses(config.quiet) as progress:

        def report(task: Task, well: bool) -> None:
            nonlocal n_done
            n_done += 1
            tell(progress, task, well, n_done, len(tasks))
            if well:
                outcome = read_outcome(task, text(task.row, task.side, shown))
                outcomes.setdefault(task.row.id, {})[task.side] = outcome
                write(page, outcomes)

        failed = run_tasks(tasks, config.jobs, report)
    print_rows(rows, outcomes)
    print(f"Written to {page}." if outcomes else "There is no result yet.")
    if failed:
        names = ", ".join(task.name for task in failed)
        raise ConfigError(f"{len(failed)} of {len(tasks)} commands failed: {names}. {config.runs}/*.log says why.")


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of that number or report, in the order of the reports."""
    known = {row.id for row in ROWS} | {row.report for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--rows {' '.join(unknown)}: there is no such row. Choose from: {', '.join(sorted(known))}.")
    return tuple(row for row in ROWS if not names or row.id in names or row.report in names)


def with_members(rows: tuple[Row, ...], runs: Path) -> tuple[Row, ...]:
    """Add the rows that vote in one of `rows` and whose run folders are not there."""
    voting = {member for row in rows for member in row.members}
    there = {name for name in voting if all((runs / folder_name(name, side) / METRICS).exists() for side in SIDES)}
    return tuple(row for row in ROWS if row in rows or row.id in voting - there)


def where(config: Config, rows: Sequence[Row]) -> dict[str, str]:
    """Return the flags of each corpus that rows need."""
    if config.synthetic is not None:
        return dict.fromkeys(SHOWN, f"--corpus synthetic --synthetic-clips {config.synthetic}")
    roots = {"ravdess": config.ravdess, "ravdess-all": config.ravdess, "crema-d": config.crema_d}
    flags = {}
    for name in {row.corpus for row in rows}:
        if roots[name] is None:
            flag = "--crema-d" if name == "crema-d" else "--ravdess"
            raise ConfigError(
                f"The rows need {name}: give {flag} FOLDER, or choose others by --rows, or try it with --synthetic 96."
            )
        flags[name] = f"--corpus {name} --root '{roots[name]}'"
    return flags


def missing(rows: Sequence[Row], outcomes: dict[str, dict[Side, Outcome]], shown: Places, places: Places) -> list[Task]:
    """Return the sides of rows that have no outcome under the same command, votes last."""
    sides = [(row, side) for row in rows for side in SIDES]
    voting = {member for row in rows for member in row.members}
    lacking = [
        make_task(row, side, places)
        for row, side in sides
        if not is_known(row, side, outcomes, shown) or (row.id in voting and not finished(row, side, places))
    ]
    return sorted(lacking, key=lambda task: bool(task.row.members))


def is_known(row: Row, side: Side, outcomes: dict[str, dict[Side, Outcome]], shown: Places) -> bool:
    """Tell whether there is an outcome under the side's present command."""
    known = outcomes.get(row.id, {}).get(side)
    return known is not None and known.command == text(row, side, shown)


def finished(row: Row, side: Side, places: Places) -> bool:
    """Tell whether a side's run folder is there and finished."""
    return (Path(places.runs) / folder_name(row.id, side) / METRICS).exists()


def text(row: Row, side: Side, shown: Places) -> str:
    """Return the command of a side as the page gives it."""
    return " ".join(command(row, side, shown))


def tell(progress: Progresses, task: Task, well: bool, done: int, total: int) -> None:
    """Show that a command ended, and why it failed."""
    progress.update("commands", done, total, f"{task.name} {'done' if well else 'FAILED'}")
    if not well:
        progress.console.print(f"{task.name} failed:\n{said(task)}", highlight=False, markup=False)


def read_outcomes(path: Path) -> dict[str, dict[Side, Outcome]]:
    """Return what a file of results holds, nothing where there is none."""
    if not path.exists():
        return {}
    rows = read_result(path)["rows"]
    return {name: {side: outcome_of(row[side]) for side in SIDES if row[side]} for name, row in rows.items()}


def write(page: Path, outcomes: dict[str, dict[Side, Outcome]]) -> None:
    """Write the page, its file of results and its pictures."""
    page.parent.mkdir(parents=True, exist_ok=True)
    content = {row.id: as_json(row, outcomes[row.id]) for row in ROWS if row.id in outcomes}
    write_json(page.with_suffix(".json"), {"rows": content})
    write_pictures(page.parent, ROWS, outcomes, HEADINGS)
    done = [row for row in ROWS if row.id in outcomes]
    page.write_text(markdown("Five reports, repeated", ABOUT, done, outcomes, HEADINGS), encoding="utf-8")


if __name__ == "__main__":
    run_command(Config, run, __doc__)
