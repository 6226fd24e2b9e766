"""What a run folder holds once it is finished: names and sha256 of its files, written last of all.

Where the manifest is and its files are as it says, the run is finished. What is only worked with (checkpoints, cells,
the journal of a search, the clock) vouches for itself where it is read again.
"""

import errno
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from serjax.errors import ConfigError
from serjax.files import digest, write_json
from serjax.signals import Interrupted

MANIFEST = "manifest.json"
METRICS, PREDICTIONS, CONFIG, LEAKS = "metrics.json", "predictions.csv", "config.json", "leaks.json"
VALIDATION = "validation.csv.gz"  # as predictions.csv, of validation rows
RECONSTRUCTION = "reconstruction.json"
FIGURES, SAMPLES = "figures", "samples"
RESULTS = (METRICS, PREDICTIONS, VALIDATION, CONFIG, LEAKS, RECONSTRUCTION, "summary.json", "features.csv")
SHOWN = ("history.jsonl", "index.html")  # with the pictures and sounds: no table is made from them
DISK = (errno.ENOSPC, errno.EDQUOT)
Pictures = Mapping[str, Callable[[Path], None]]  # by name: what draws it into the folder of pictures


def finish(folder: Path, pictures: Pictures) -> None:
    """Draw `pictures`, each by its name below `figures`, then declare the folder finished."""
    failed = draw(folder / FIGURES, pictures)
    pngs = sorted(path.relative_to(folder).as_posix() for path in (folder / FIGURES).glob("*.png"))
    wavs = sorted(path.relative_to(folder).as_posix() for path in (folder / SAMPLES).glob("*.wav"))
    names = [name for name in (*RESULTS, *SHOWN, *pngs, *wavs) if (folder / name).is_file()]
    write_json(folder / MANIFEST, {"files": {n: digest(folder / n) for n in names}, "figures_failed": failed})


def draw(folder: Path, pictures: Pictures) -> dict[str, str]:
    """Draw each picture; return why some could not be drawn: the results that they show are there all the same.

    Raises:
      OSError: the disk is full.
      Interrupted: as everything else that is no failure of a picture.
    """
    failed = {}
    if pictures:
        folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        try:
            picture(folder)
        except Interrupted:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK:
                raise
            (folder / name).unlink(missing_ok=True)  # that of an earlier try
            failed[name] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            logging.getLogger(__name__).warning(f"{folder / name} could not be drawn ({failed[name]}).")
    return failed


def is_finished(folder: Path) -> bool:
    """Tell whether a folder has its manifest, and all files as that says."""
    return read(folder) is not None and not changed(folder)


def changed(folder: Path) -> tuple[str, ...]:
    """Return the files that are not as the manifest says, itself if it is damaged; none where there is none."""
    files = read(folder)
    if files is None:
        return (MANIFEST,) * (folder / MANIFEST).exists()
    return tuple(name for name, sha256 in files.items() if not _holds(folder / name, sha256))


def read(folder: Path) -> dict[str, str] | None:
    """Return the files that the manifest names, with their sha256; None where it is absent or damaged."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else None  # a pipe would keep us waiting
    except (OSError, ValueError, RecursionError):
        content = None
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not files.keys() & set(RESULTS) or not all(map(_is_possible, files)):
        return None
    return files


def check(folder: Path) -> None:
    """Raise ConfigError if a result in a finished folder is not what was written; pictures are not looked at."""
    harmed = [name for name in changed(folder) if name in RESULTS]
    if harmed:
        there = (folder / harmed[0]).exists()
        how = f"is not what the run wrote (its sha256 in {MANIFEST} is another)" if there else "is not there any more"
        raise ConfigError(f"{folder / harmed[0]} {how}. Give the run's command again, which makes it anew.")


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and digest(path) == sha256


def _is_possible(name: str) -> bool:
    """Tell whether a file of a run folder can have that name."""
    return name in (*RESULTS, *SHOWN) or (name.startswith((f"{FIGURES}/", f"{SAMPLES}/")) and name.count("/") == 1)
