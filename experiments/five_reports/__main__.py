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

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.five_reports.commands import ON_PAGE, SHOWN, Locations
from experiments.five_reports.results import read_outcomes, write_results
from experiments.five_reports.row import Row
from experiments.five_reports.rows import ROWS, chosen, with_members
from experiments.five_reports.study import Study, missing
from experiments.five_reports.tables import print_rows
from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.figures.tables import say
from serjax.study.checks import check_positive
from serjax.study.progress import progresses


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
    """Run what the results lack, row by row, write the page after each side, and print the tables.

    Raises:
      ConfigError: a flag is wrong, or commands failed.
    """
    check_positive("--jobs", config.jobs)
    rows = chosen(config.rows)
    study = make_study(config, rows)
    tasks = missing(rows, read_outcomes(study.page), study.shown, study.here)
    with progresses(config.quiet) as progress:
        failed = study.run(tasks, config.jobs, progress)
    outcomes = read_outcomes(study.page)
    if outcomes and not tasks:
        write_results(study.page, outcomes, study.made_up)  # remarks may be newer than the page
    print_rows([row for row in ROWS if row in rows or any(task.row == row for task in tasks)], outcomes)
    say(f"Written to {study.page}." if outcomes else "There is no result yet.")
    if failed:
        names = ", ".join(task.name for task in failed)
        raise ConfigError(f"{len(failed)} of {len(tasks)} commands failed: {names}. {config.folder}/*.log says why.")


def make_study(config: Config, rows: Sequence[Row]) -> Study:
    """Return where rows are run, and how the page gives their commands."""
    corpora = corpus_flags(config, with_members(rows))
    made_up = config.synthetic is not None
    shown = Locations(corpora, ON_PAGE.runs) if made_up else ON_PAGE
    return Study(config.page, shown, Locations(corpora, str(config.folder)), made_up)


def corpus_flags(config: Config, rows: Sequence[Row]) -> dict[str, str]:
    """Return the flags of each corpus that rows need.

    Raises:
      ConfigError: the folder of one was not given, or is not there.
    """
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


if __name__ == "__main__":
    run_command(Config, run, __doc__)
