"""Whether a folder may be written to: free or of this configuration, used by nobody else, nothing strange in it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from serjax.errors import SerjaxError
from serjax.files import check_own, everything
from serjax.folder import manifest

CONFIG, CLOCK, LOCK = manifest.CONFIG, "clock.json", ".lock"
DESKTOP = ("Thumbs.db", "desktop.ini")  # what file managers leave in any folder, beside hidden files
TENSORBOARD = "tensorboard"
# What a run folder has beside files; others are runs of their own.
FOLDERS = (manifest.FIGURES, "cells", "checkpoints", TENSORBOARD)


class RunFolderError(SerjaxError):
    """The run folder cannot be used for this command."""


def read_json(path: Path) -> dict | None:
    """Return the object in a JSON file, None where it is absent or, which is said, damaged."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        logging.getLogger(__name__).warning(f"{path} is damaged: what it said is lost, or made again.")
        return None
    return content


def files_of(path: Path) -> Iterator[Path]:
    """Give all that is of a run folder itself, and nothing of runs in folders below it."""
    if path.is_dir():
        yield from path.iterdir()
    for name in FOLDERS:
        yield from everything(path / name)


def check_files(path: Path) -> None:
    """Look at what is in the folder before anything is opened or written.

    Raises:
      StrangeFileError: there is a link or a pipe.
      RunFolderError: there is a file where a folder must be, or the other way round.
    """
    for found in files_of(path):
        check_own(found, path)
    for name in (*manifest.RESULTS, *manifest.SHOWN, manifest.MANIFEST, CLOCK, LOCK, *FOLDERS):
        if (path / name).exists() and (path / name).is_dir() != (name in FOLDERS):
            kind = "file, expected a folder" if name in FOLDERS else "folder, expected a file"
            raise RunFolderError(f"{path / name} is a {kind}: remove it, or choose another --out.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Make the folder, and keep other commands away from it.

    Raises:
      RunFolderError: another process uses it, or it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path / LOCK)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RunFolderError(f"{path} is in use by another process: wait for it, or choose another --out.") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written ({error.strerror}): choose another --out.") from error
    try:
        yield
    finally:
        lock.release()


def check(path: Path, fingerprint: str) -> None:
    """Raise RunFolderError unless the folder is empty, belongs to `fingerprint`, or was claimed for nothing so far."""
    config = path / CONFIG
    if not config.exists():
        foreign = sorted(p.name for p in path.iterdir() if not p.name.startswith(".") and p.name not in DESKTOP)
        if foreign and manifest.METRICS in foreign:
            raise RunFolderError(
                f"{path} has lost its {CONFIG}: whose results it holds is unknown. Choose another --out."
            )
        if foreign:
            raise RunFolderError(
                f"{path} holds files that no run of serjax made ({', '.join(foreign[:3])}): choose another --out."
            )
        return
    found = (read_json(config) or {}).get("fingerprint")
    if not isinstance(found, str) and holds_results(path):
        raise RunFolderError(
            f"{config} is not a configuration of serjax, or damaged: whose results {path} holds is unknown. "
            "Choose another --out."
        )
    if found != fingerprint and holds_results(path):
        raise RunFolderError(
            f"{path} belongs to another configuration (fingerprint {found}, this command has {fingerprint}; see "
            f"{config}). Give the flags it was made with, and a table or weights as they were, to go on, or choose "
            "another --out."
        )


def holds_results(path: Path) -> bool:
    """Return whether a folder holds more than claims and what was just begun."""
    return not all(map(is_claim, path.rglob("*")))


def is_claim(path: Path) -> bool:
    """Tell whether what lies in a run folder says only that it was begun."""
    return (
        not path.is_file()
        or path.name.startswith(".")
        or path.name in (CONFIG, CLOCK, manifest.LEAKS, *DESKTOP)
        or not path.stat().st_size
    )
