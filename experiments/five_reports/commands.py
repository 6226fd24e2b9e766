"""The command of each side of a row: a line of `serjax.experiments`, which can be given by hand."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from experiments.five_reports.row import Row, Side

SHOWN = {
    "ravdess": "--corpus ravdess --root RAVDESS",
    "ravdess-19": "--corpus ravdess --root RAVDESS_19",
    "ravdess-all": "--corpus ravdess-all --root RAVDESS",
    "crema-d": "--corpus crema-d --root CREMA_D",
    "crema-d-voted": "--corpus crema-d-voted --root CREMA_D",
}


@dataclass(frozen=True)
class Locations:
    """Where corpora and runs are.

    Args:
      corpora: the flags that name a corpus, by its name in the rows.
      runs: the folder of all run folders.
    """

    corpora: Mapping[str, str]
    runs: str


ON_PAGE = Locations(SHOWN, "runs/five_reports")  # as the page gives them, whoever runs them


def command(row: Row, side: Side, locations: Locations) -> tuple[str, ...]:
    """Return the words of a side's command, without its run folder."""
    split = row.split(side)
    if row.members:
        runs = [f"{locations.runs}/{folder_name(member, side)}" for member in row.members]
        return ("python", "-m", "serjax.experiments.vote", *runs, *shlex.split(row.flags))
    corpus = locations.corpora[row.corpus]
    flags = f"{corpus} {row.flags} --protocol {split.protocol} --seeds {split.seeds} {split.flags}"
    return ("python", "-m", f"serjax.experiments.{row.experiment}", *shlex.split(flags))


def command_line(row: Row, side: Side, locations: Locations) -> str:
    """Return the command of a side as the page gives it."""
    return " ".join(command(row, side, locations))


def published_command(row: Row, locations: Locations) -> str | None:
    """Return the command of a row's published size under the report's protocol; None: its own has that size."""
    if row.published is None:
        return None
    return command_line(replace(row, flags=row.published), "same", locations)


def folder_name(row_id: str, side: Side) -> str:
    """Return the name of a side's run folder."""
    return f"{row_id}-{side}"
