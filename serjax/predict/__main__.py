"""Tell the emotion of audio files by a bundle, without its training data.

    python -m serjax.predict my_bundle clip.wav folder/ list.csv
    find . -name '*.wav' | python -m serjax.predict my_bundle - --format csv > answers.csv
    python -m serjax.predict my_bundle meeting.wav --window 3 --hop 1
    python -m serjax.predict my_bundle --microphone --window 3

Every file gets a row. Exit code 0: all have an answer. 3: some have none; their rows say why, and what to do. Marks:
`in training` (the recording was trained on, or one that it is a copy of), `out of corpus` (explained worse than 99 % of
validation clips), `too short` (measured when the bundle was made). With `--window`, a CSV and a picture of each file go
to `--out`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from serjax.bundle.bundle import Bundle, load_bundle
from serjax.bundle.programs import keep_programs
from serjax.command import run_command
from serjax.errors import ConfigError, SerjaxError
from serjax.predict.hearing import rows_of
from serjax.predict.inputs import files_of
from serjax.predict.microphone import listen
from serjax.predict.tables import Format, print_records, record_of
from serjax.predict.timeline import Windows, timeline_of, write_timeline


@dataclass(frozen=True)
class Config:
    """By what, of which files, and how answers are written."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """Folder that `python -m serjax.export` made."""
    paths: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Audio files, folders, CSV files with a column `path`, or - for paths on standard input."""
    format: Format = "table"
    """table, json (a list) or csv."""
    offset: float | None = None
    """Seconds skipped at the start of each clip; default: as in training; with --window there is none."""
    window: float | None = None
    """Cut files into windows of so many seconds."""
    hop: float = 1.0
    """Seconds from one window to the next."""
    out: Path = Path("timelines")
    """Folder for the CSV and the picture of each file, with --window."""
    microphone: bool = False
    """Listen to the microphone instead of files, in windows (default: 3 s), until interrupted."""


class SomeFailedError(SerjaxError):
    """Some files have no answer."""

    exit_code = 3


def predict(config: Config) -> None:
    """Print a row for each file.

    Raises:
      SomeFailedError: at the end, where a file has no answer.
      BundleError: the bundle cannot be read.
      ConfigError: no paths, or flags out of range.
      InputError: what is given is no list of files.
    """
    if bool(config.paths) == config.microphone:
        raise ConfigError("Give either audio files, folders, a CSV with a column `path`, or -; or --microphone.")
    if config.offset is not None and not 0 <= config.offset < float("inf"):
        raise ConfigError(f"--offset {config.offset}: expected seconds from 0 on.")
    if config.window is not None and config.offset is not None:
        raise ConfigError("--offset goes without --window, whose windows begin at the start of a file.")
    window_s = 3.0 if config.microphone and config.window is None else config.window
    windows = None if window_s is None else Windows(window_s, config.hop)
    keep_programs()
    bundle = load_bundle(config.bundle)
    records = _records(bundle, config, windows)
    codes: Counter[str | None] = Counter()
    for record in print_records(records, config.format, bundle.about.labels):
        codes[record["code"]] += 1
    n_good = codes.pop(None, 0)
    if codes:
        named = ", ".join(f"{n} {code}" for code, n in codes.most_common())
        raise SomeFailedError(f"{codes.total()} of {codes.total() + n_good} have no answer: {named}.")


def _records(bundle: Bundle, config: Config, windows: Windows | None) -> Iterator[dict[str, Any]]:
    if windows is None:
        return _whole(bundle, files_of(config.paths), config.offset)
    return (
        listen(bundle, windows)
        if config.microphone
        else _over_time(bundle, files_of(config.paths), windows, config.out)
    )


def _whole(bundle: Bundle, files: Iterable[Path], offset_s: float | None) -> Iterator[dict[str, Any]]:
    return (record_of(row) for row in rows_of(bundle, files, offset_s))


def _over_time(bundle: Bundle, files: Iterable[Path], windows: Windows, out: Path) -> Iterator[dict[str, Any]]:
    """Give the records of each file's windows, and write its CSV and picture once it has ended."""
    for path in files:
        records = []
        for record in timeline_of(bundle, path, windows):
            records.append(record)
            yield record
        if records[0]["start_s"] is not None:
            title = f"{path.name} · {bundle.about.run.get('title', 'bundle')}"
            write_timeline(records, bundle.about.labels, windows.hop_s, path, out, title)


if __name__ == "__main__":
    run_command(Config, predict, __doc__)
