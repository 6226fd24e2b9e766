"""Files that appear whole or not at all, in folders that may come from somebody else."""

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from serjax.errors import SerjaxError

UNFINISHED = ".unfinished"


class StrangeFileError(SerjaxError):
    """A folder holds what no program of its owner put there."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a new file that takes the place of `path` once the block has ended: nobody ever sees half of it.

    Its first name cannot be foreseen, and it is made, never opened: a link that waits there is not followed.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        with unfinished.open("xb") as file:  # with the rights that new files get: others may share the folder
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, with the line ends that it has."""
    with replacing(path) as file:
        file.write(text.encode())


def copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with source.open("rb") as old, replacing(target) as new:
        shutil.copyfileobj(old, new)


def digest(path: Path) -> str:
    """Return the sha256 of a file, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_own(path: Path, folder: Path) -> None:
    """Look at what lies in a folder that is about to be written to.

    Raises:
      StrangeFileError: it is a link, which leads out of the folder, or a pipe or device, which need not end.
    """
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise StrangeFileError(
            f"{path} is a link to {os.readlink(path)}: what is written there would land outside {folder}. Remove the "
            "link, or choose another folder."
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StrangeFileError(f"{path} is neither a file nor a folder. Remove it, or choose another folder.")


def clear_unfinished(path: Path) -> None:
    """Remove `path` if a writer that was killed left it half written."""
    if path.name.endswith(UNFINISHED) or (path.name.startswith(".") and path.name.endswith(".partial")):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def everything(folder: Path) -> Iterator[Path]:
    """Give all that is below a folder; links are given, not followed."""
    for place, folders, names in os.walk(folder):
        yield from (Path(place) / name for name in sorted([*folders, *names]))


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
