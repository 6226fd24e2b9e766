"""Five reports on speech emotion recognition: what do their numbers become when the test speakers are new?

Every row of the five reports is repeated under the report's own protocol, several random splits instead of one, and
under one that tests on speakers that training has not heard. Everything that is tuned is tuned on training rows: under
the random splits by cross-validation inside the training part, speaker-independently by cross-validation over training
speakers, anew in every fold.

    python -m experiments.five_reports --ravdess RAVDESS --crema-d CREMA_D --rows S2.1 S4.5 --jobs 2

Rows that end in -19 need speech of actors 01 to 19 alone, `--ravdess-19 RAVDESS_19`: `mkdir RAVDESS_19` and `ln -s
"$PWD"/RAVDESS/Actor_{01..19} RAVDESS_19/`, where RAVDESS is the unpacked speech archive.

A row takes from seconds to an hour and a half a side on 2 CPU cores; without `--rows` all of them take a day. What the
file of results holds under the same command is not run again, and what was interrupted goes on. `--synthetic 192` runs
rows on that many made-up clips instead, to see how it goes.
"""

import json
import math
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.five_reports.page import markdown, print_rows, roc_name, write_pictures
from experiments.five_reports.replication import (
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
    published_command,
    read_outcome,
    run_tasks,
    said,
)
from experiments.five_reports.rows import HEADINGS, ROWS
from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.figures.tables import say
from serjax.files import write_json
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS
from serjax.study.checks import check_positive
from serjax.study.progress import Progresses, progresses

ROC = "figures/roc.png"
MINUTES: dict[Side, float] = {"same": 20, "independent": 60}
SHOWN = {
    "ravdess": "--corpus ravdess --root RAVDESS",
    "ravdess-19": "--corpus ravdess --root RAVDESS_19",
    "ravdess-all": "--corpus ravdess-all --root RAVDESS",
    "crema-d": "--corpus crema-d --root CREMA_D",
    "crema-d-voted": "--corpus crema-d-voted --root CREMA_D",
}
PLACES = Places(SHOWN, "runs/five_reports")  # as the page gives them
ABOUT = """Each row is run twice by the commands below it: under the report's own protocol, as far as it is stated \
(mean ± standard deviation of the accuracy, WAR, over the seeds of random splits), where the speakers that are tested \
are in training too, and on speakers that training has not heard (95 % bootstrap interval over speakers). UAR is the \
mean of the classes' recalls. *same − new* is the price of hearing the test speakers, and in S5 the test recordings, \
in training. *Minutes* are those of both commands on 2 CPU cores that other work shared; of a vote without its \
members, whose run folders its command takes: they are made with `--out runs/five_reports/ROW-SIDE`. Twenty minutes \
were meant for the report's protocol and sixty for new speakers; longer took: {longer}.

*One split, 95 %* is where the accuracy of one further random split lies in 95 of 100 cases, for a report has one \
split: mean ± t √(1 + 1/n) sd over n seeds. The sd is that over the seeds, or that of so many test clips, √(p (1 − p) \
/ clips), where this is larger. For ten seeds the reach is 2.37 sd. For three it is 4.97, so that little can be told. \
*Reported lies inside*: the repeated protocol may give the reported number, which is no proof that the report came by \
it so. Above or below: the row says what was tried.

No run fits, tunes or selects anything on its test rows. The table as a whole has seen them: what a row says was tried \
was tried after a first test figure was known, and S1.2-linear, S4.4, S4.12, S4.13, S4.15 and S4.16 got the recipe \
that stands here in that way. Hyper-parameters that are said to be a report's (S4.4, S4.5 and their votes) were found \
by it on this corpus, with all of its speakers: on new speakers these rows are a little too good. Intervals on new \
speakers are over the speakers alone. The networks there were trained with one seed, whose part in the figure is not \
in them.

Classical models are fitted to all rows that are not tested: 80 % of the clips, or 20 of the 24 actors of RAVDESS. \
Networks keep some of these back and take the epoch with the lowest loss on them: a stratified tenth (of the same \
speakers, in S5 other copies of the same recordings), or the actors of another fold; they are not trained again on \
what was kept back. With `--keep last` (S4.12 under the report's protocol) nothing is kept back or chosen, and the \
last epoch counts. Their learning rate is warmed up and then falls along a cosine.

RAVDESS has 24 actors, CREMA-D 91{at_hand}. Two happy clips of actor 07 in RAVDESS speech are the same bytes: a third \
of the random splits train on one and test on the other, one of the 77 test clips of S1, of 288 in S2."""
BY_PATH = """**{rows}: not to be had again to the last digit.** Their clips were split, drawn or copied by their path \
below the folder that was given (before 75409a1), today by speaker and file name: the same seeds now give other splits \
of the same kind."""
MADE_UP = """**Not speech.** These clips are made up: the page shows that the commands run, and nothing about any \
report. The reported numbers and the corpora in the headings are those of the reports."""


@dataclass(frozen=True)
class Config:
    """Every field is a flag."""

    rows: tuple[str, ...] = ()
    """Rows to run, by number (S4.5) or by report (S4); default: all."""
    ravdess: Path | None = None
    """Folder that holds RAVDESS, speech and song, at any depth."""
    ravdess_19: Path | None = None
    """Folder of RAVDESS speech of actors 01 to 19 alone, such as links to the folders of these actors."""
    crema_d: Path | None = None
    """Folder that holds CREMA-D, at any depth."""
    synthetic: int | None = None
    """Run on so many clips of made-up speech instead, 96 to 1440; models of S4 and votes take 192."""
    jobs: int = 1
    """Commands run at a time."""
    runs: Path | None = None
    """Folder of all run folders, and of what the commands print; default: runs/five_reports[-synthetic-N]."""
    results: Path | None = None
    """Page of results, a .json and pictures beside it, which rows that are run are added to; default: in `--runs`."""
    quiet: bool = False
    """No progress, only the result."""

    @property
    def folder(self) -> Path:
        """The folder of all run folders: made-up clips have one of their own."""
        made_up = "" if self.synthetic is None else f"-synthetic-{self.synthetic}"
        return self.runs or Path(f"runs/five_reports{made_up}")

    @property
    def page(self) -> Path:
        """The page of results."""
        return self.results or self.folder / "five_reports.md"


def run(config: Config) -> None:
    """Run what the results lack, row by row, and write the page after each side."""
    check_positive("--jobs", config.jobs)
    rows, page = chosen(config.rows), config.page
    corpora = where(config, with_members(rows))
    shown = PLACES if config.synthetic is None else replace(PLACES, corpora=corpora)
    tasks = missing(rows, read_outcomes(page), shown, Places(corpora, str(config.folder)))
    n_done = 0

    with progresses(config.quiet) as progress:

        def report(task: Task, well: bool) -> None:
            nonlocal n_done
            n_done += 1
            tell(progress, task, well, n_done, len(tasks))
            if well:
                outcome = read_outcome(task, text(task.row, task.side, shown))
                outcomes = without_votes_of(task, read_outcomes(page))  # anew: another call may have added to it
                outcomes.setdefault(task.row.id, {})[task.side] = outcome
                if task.row.beside.by_curve and task.side == "same":
                    page.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(task.folder / ROC, page.with_name(roc_name(task.row)))
                write(page, outcomes, made_up=config.synthetic is not None)

        failed = run_tasks(tasks, config.jobs, report)
    outcomes = read_outcomes(page)
    if outcomes and not tasks:
        write(page, outcomes, made_up=config.synthetic is not None)  # remarks may be newer than the page
    print_rows([row for row in ROWS if row in rows or any(task.row == row for task in tasks)], outcomes)
    say(f"Written to {page}." if outcomes else "There is no result yet.")
    if failed:
        names = ", ".join(task.name for task in failed)
        raise ConfigError(f"{len(failed)} of {len(tasks)} commands failed: {names}. {config.folder}/*.log says why.")


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of that number or report, in the order of the reports."""
    known = {row.id for row in ROWS} | {row.report for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--rows {' '.join(unknown)}: there is no such row. Choose from: {', '.join(sorted(known))}.")
    return tuple(row for row in ROWS if not names or row.id in names or row.report in names)


def with_members(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Add the rows that vote in one of `rows`."""
    voting = {member for row in rows for member in row.members}
    return tuple(row for row in ROWS if row in rows or row.id in voting)


def where(config: Config, rows: Sequence[Row]) -> dict[str, str]:
    """Return the flags of each corpus that rows need."""
    if config.synthetic is not None:
        return dict.fromkeys(SHOWN, f"--corpus synthetic --synthetic-clips {config.synthetic}")
    roots = {
        "ravdess": ("--ravdess", config.ravdess),
        "ravdess-19": ("--ravdess-19", config.ravdess_19),
        "crema-d": ("--crema-d", config.crema_d),
    }
    flags = {}
    for name in sorted({row.corpus for row in rows}):
        flag, root = roots[name.removesuffix("-all").removesuffix("-voted")]
        if root is None:
            raise ConfigError(
                f"The rows need {name}: give {flag} FOLDER, or choose others by --rows, or try it with --synthetic 192."
            )
        if not root.is_dir():
            raise ConfigError(f"{flag} {root}: there is no such folder. Expected one that holds the corpus.")
        flags[name] = f"--corpus {name.removesuffix('-19')} --root {shlex.quote(str(root))}"
    return flags


def missing(rows: Sequence[Row], outcomes: dict[str, dict[Side, Outcome]], shown: Places, places: Places) -> list[Task]:
    """Return the sides of rows that have no outcome under the same command, votes last.

    Of the members of such a vote those too that have no outcome, or not its run folder, which could vote.
    """
    unknown = {(row.id, side) for row in rows for side in SIDES if not is_known(row, side, outcomes, shown)}
    voting = {(member, side) for row in rows for side in SIDES if (row.id, side) in unknown for member in row.members}
    lacking = [
        make_task(row, side, places)
        for row in with_members(rows)
        for side in SIDES
        if (row.id, side) in unknown
        or (
            (row.id, side) in voting
            and not (is_known(row, side, outcomes, shown) and votes(row, side, outcomes, places))
        )
    ]
    return sorted(lacking, key=lambda task: bool(task.row.members))


def is_known(row: Row, side: Side, outcomes: dict[str, dict[Side, Outcome]], shown: Places) -> bool:
    """Tell whether there is an outcome under the side's present command.

    Of a vote, whether its members are known too and, where it remembers them, were the runs that voted (`anew`: not).
    """
    known = outcomes.get(row.id, {}).get(side)
    members = [one for one in ROWS if one.id in row.members]
    return (
        known is not None
        and known.command == text(row, side, shown)
        and all(is_known(member, side, outcomes, shown) for member in members)
        and all(
            math.isclose(outcomes[name][side].uar, uar)
            for name, uar in (known.members or {}).items()
            if name not in row.anew
        )
    )


def without_votes_of(task: Task, outcomes: dict[str, dict[Side, Outcome]]) -> dict[str, dict[Side, Outcome]]:
    """Leave out what votes gave in which another run of the task's row had a say."""
    votes = {row.id for row in ROWS if task.row.id in row.members} & outcomes.keys()
    others = {name: {side: one for side, one in outcomes[name].items() if side != task.side} for name in votes}
    return {name: sides for name, sides in (outcomes | others).items() if sides}


def votes(row: Row, side: Side, outcomes: dict[str, dict[Side, Outcome]], places: Places) -> bool:
    """Tell whether a side's run folder is there, finished, and that of its outcome."""
    path = Path(places.runs) / folder_name(row.id, side) / METRICS
    return path.exists() and math.isclose(read_result(path)["uar"], outcomes[row.id][side].uar)


def text(row: Row, side: Side, shown: Places) -> str:
    """Return the command of a side as the page gives it."""
    return " ".join(command(row, side, shown))


def tell(progress: Progresses, task: Task, well: bool, done: int, total: int) -> None:
    """Show that a command ended, and why it failed."""
    progress.update("commands", done, total, f"{task.name} {'done' if well else 'FAILED'}")
    if not well:
        progress.console.print(f"{task.name} failed:\n{said(task)}", highlight=False, markup=False)


def read_outcomes(page: Path) -> dict[str, dict[Side, Outcome]]:
    """Return what the file of results beside a page holds, nothing where there is none.

    Raises:
      ConfigError: it is damaged.
    """
    path = page.with_suffix(".json")
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {name: {side: outcome_of(row[side]) for side in SIDES if row[side]} for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}: {error}). Put back one that is whole, or remove it: it "
            "is made again from the run folders that are there. Or choose another by --results."
        ) from None


def write(page: Path, outcomes: dict[str, dict[Side, Outcome]], made_up: bool) -> None:
    """Write the page, its file of results and its pictures; `made_up`: the clips were no speech."""
    page.parent.mkdir(parents=True, exist_ok=True)
    published = {} if made_up else published_commands()
    content = {row.id: as_json(row, outcomes[row.id], published.get(row.id)) for row in ROWS if row.id in outcomes}
    write_json(page.with_suffix(".json"), {"rows": content})
    write_pictures(page.parent, ROWS, outcomes, HEADINGS)
    done = [row for row in ROWS if row.id in outcomes]
    title, about = ("Five reports, tried on made-up clips", MADE_UP) if made_up else ("Five reports, repeated", ABOUT)
    about = about.format(longer=", ".join(longer(outcomes)) or "none", at_hand=at_hand(outcomes))
    if by_path := [row.id for row in done if any(one.dealt_by_path for one in outcomes[row.id].values())]:
        about = f"{about}\n\n{BY_PATH.format(rows=', '.join(by_path))}"
    if lacking := [row.id for row in ROWS if row not in done]:
        about = f"{about}\n\n**{len(done)} of {len(ROWS)} rows have been run**; not yet: {', '.join(lacking)}."
    page.write_text(markdown(title, about, done, outcomes, HEADINGS, published), encoding="utf-8")


def published_commands() -> dict[str, str]:
    """Return the commands at their published size of rows that are run at a smaller one."""
    return {row.id: command for row in ROWS if (command := published_command(row, PLACES)) is not None}


def at_hand(outcomes: dict[str, dict[Side, Outcome]]) -> str:
    """Say how many actors of CREMA-D were at hand, if outcomes tell."""
    crema_d = [one for row in ROWS if "crema" in row.corpus for one in outcomes.get(row.id, {}).values()]
    n_speakers = max((one.n_speakers or 0 for one in crema_d), default=0)
    return f", of whom {n_speakers} were at hand" if n_speakers else ""


def longer(outcomes: dict[str, dict[Side, Outcome]]) -> list[str]:
    """Return the rows of which a side took more minutes than were meant for it."""
    return [
        row.id
        for row in ROWS
        if any(outcome.minutes > MINUTES[side] for side, outcome in outcomes.get(row.id, {}).items())
    ]


if __name__ == "__main__":
    run_command(Config, run, __doc__)
