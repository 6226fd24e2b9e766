"""Which files are meant: audio files, folders of them, tables with a column `path`, and `-` for standard input."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from serjax.data.corpora.files import READ
from serjax.errors import SerjaxError

COLUMN = "path"


class InputError(SerjaxError):
    """Something on the command line of which no list of files can be made."""


def files_of(given: Iterable[str]) -> Iterator[Path]:
    """Give the files one after another; what is not there is given too, so that it gets a row.

    Raises:
      InputError: a folder without audio, or a table that cannot be read or lacks its column.
    """
    for name in given:
        path = Path(name)
        if name == "-":
            yield from (Path(line.rstrip("\r\n")) for line in sys.stdin if line.strip())
        elif path.is_dir():
            yield from _in_folder(path)
        elif path.suffix.lower() == ".csv":
            yield from _in_table(path)
        else:
            yield path


def _in_folder(folder: Path) -> Iterator[Path]:
    """Give the audio files at any depth, in order; hidden ones are left out."""
    found = False
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in READ and not name.startswith("."):
                found = True
                yield Path(place) / name
    if not found:
        raise InputError(f"There is no audio in {folder} or below; expected one of {', '.join(READ)}.")


def _in_table(path: Path) -> Iterator[Path]:
    """Give the paths of a table; they start where the table is."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if COLUMN not in (rows.fieldnames or ()):
                raise InputError(f"{path} has columns {rows.fieldnames}; expected one called {COLUMN}.")
            yield from (path.parent / row[COLUMN] for row in rows if row[COLUMN])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}). Give a CSV in UTF-8.") from error
