"""Download a corpus: its licence first, what broke off goes on, what comes is checked before it is unpacked.

    python -m serjax.data.download ravdess --root RAVDESS

Without `--yes` it asks whether the licence is accepted. An archive becomes one folder below `--root`, all of it or
none; `download.json` there says from where it came, when, and its sha256. Give the same command again to go on.

Where addresses and checksums are from: RAVDESS: its page, zenodo.org/records/1188976, which gives size and MD5.
CREMA-D: github.com/CheyneyComputerScience/CREMA-D keeps the clips in Git LFS; its archive holds pointers with their
sha256, and the clips are served where TensorFlow Datasets finds them (tensorflow_datasets/audio/crema_d.py in
github.com/tensorflow/datasets). Emo-DB: the address in audEERING's example (docs/emodb-example.rst in
github.com/audeering/audformat), without a checksum. TESS: address and MD5 in Paddle's reader
(python/paddle/audio/datasets/tess.py in github.com/PaddlePaddle/Paddle). SAVEE takes a registration.
"""

import contextlib
import datetime
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pooch
import tyro
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from serjax.command import run_command
from serjax.data.corpora import crema_d, emodb, load_corpus, ravdess, tess
from serjax.data.download.archives import ArchiveError, Bounds, opened, unpack, wanted_members
from serjax.data.download.fetching import DownloadError, NotThereError, Resuming
from serjax.files import digest, write_json

Name = Literal["ravdess", "ravdess-song", "crema-d", "emodb", "tess"]
RECORD, WORK = "download.json", ".download"  # below the root: what came, and what is on its way
LONGEST_POINTER = 512  # bytes
N_THREADS = 8
MOST_MISSING = 10  # clips of CREMA-D that the server may lack
_POINTER = re.compile(rb"version https://git-lfs.*\noid sha256:([0-9a-f]{64})\nsize (\d+)\s*", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """An archive: where it is, what is known of it, and how much it may hold.

    `clips` is the address of files that the archive has only Git LFS pointers to.
    """

    url: str
    checksum: str | None
    licence: str
    citation: str
    n_most: int
    bounds: Bounds
    clips: str | None = None


_ZENODO = "https://zenodo.org/records/1188976/files/Audio_{}_Actors_01-24.zip?download=1"
_GITHUB = "CheyneyComputerScience/CREMA-D"
SOURCES: Mapping[Name, Source] = {
    "ravdess": Source(
        url=_ZENODO.format("Speech"),
        checksum="md5:bc696df654c87fed845eb13823edef8a",
        licence=ravdess.LICENCE,
        citation=ravdess.CITATION,
        n_most=208_468_073,
        bounds=Bounds(n_files=3_000, n_bytes=2_000_000_000),
    ),
    "ravdess-song": Source(
        url=_ZENODO.format("Song"),
        checksum="md5:5411230427d67a21e18aa4d466e6d1b9",
        licence=ravdess.LICENCE,
        citation=ravdess.CITATION,
        n_most=225_505_317,
        bounds=Bounds(n_files=3_000, n_bytes=2_000_000_000),
    ),
    "crema-d": Source(
        url=f"https://github.com/{_GITHUB}/archive/refs/heads/master.zip",
        checksum=None,
        licence=crema_d.LICENCE,
        citation=crema_d.CITATION,
        n_most=2_000_000_000,
        bounds=Bounds(8_000, 2_000_000_000, r"\d{4}_\w+\.wav|VideoDemographics\.csv|summaryTable\.csv|LICENSE\.txt"),
        clips=f"https://media.githubusercontent.com/media/{_GITHUB}/master/AudioWAV/",
    ),
    "emodb": Source(
        url="http://emodb.bilderbar.info/download/download.zip",
        checksum=None,
        licence=emodb.LICENCE,
        citation=emodb.CITATION,
        n_most=200_000_000,
        bounds=Bounds(n_files=5_000, n_bytes=500_000_000),
    ),
    "tess": Source(
        url="https://bj.bcebos.com/paddleaudio/datasets/TESS_Toronto_emotional_speech_set.zip",
        checksum="md5:1465311b24d1de704c4c63e4ccc470c7",
        licence=tess.LICENCE,
        citation=tess.CITATION,
        n_most=1_000_000_000,
        bounds=Bounds(n_files=6_000, n_bytes=2_000_000_000),
    ),
}


@dataclass(frozen=True)
class Config:
    """What to download, and where to."""

    name: tyro.conf.Positional[Name]
    """ravdess (speech), ravdess-song, crema-d, emodb or tess."""
    root: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder that gets the corpus; give it as `--root` afterwards."""
    yes: bool = False
    """Accept the licence, which is shown, without being asked."""
    quiet: bool = False
    """No progress, only the result."""


def run(config: Config) -> None:
    """Show the licence, download, check, unpack, and count the clips; what is there already is only counted.

    Raises:
      DownloadError: the licence is not accepted; it cannot be had whole; something else lies where it should go.
      ArchiveError: it holds what it should not.
    """
    source, target, record = SOURCES[config.name], config.root / config.name, config.root / RECORD
    known = read_record(record)
    if not (target.is_dir() and config.name in known):
        if target.exists() or target.is_symlink():
            raise DownloadError(f"{target} was not downloaded by this. Remove it, or choose another --root.")
        accept(config.name, source, config.yes)
        work = config.root / WORK / config.name
        with quiet_pooch(), progress(config.quiet) as bar:
            known |= {config.name: fetch(source, work, bar)}
        write_json(record, known)
        work.rename(target)
        work.with_suffix(".zip").unlink()
        with contextlib.suppress(OSError):  # another corpus is on its way there
            work.parent.rmdir()
    corpus = load_corpus(config.name, target)
    print(f"{len(corpus.utterances)} clips of {len(corpus.speakers)} speakers in {target}.")
    for note in corpus.notes:
        print(f"Noted in the corpus: {note.line}")
    print(f"sha256 of the archive: {known[config.name]['sha256']} ({known[config.name]['checked']}); see {record}.")
    print(f"Use it with --corpus {config.name} --root {target}. Cite: {source.citation}.")


def accept(name: str, source: Source, yes: bool) -> None:
    """Show licence, citation and address; without `yes` ask whether it is accepted.

    Raises:
      DownloadError: it is not, or nobody can be asked.
    """
    print(f"{name} from {source.url}\nLicence: {source.licence}\nCite: {source.citation}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise DownloadError("Nobody can be asked whether the licence is accepted. If it is, give --yes.")
    if input("Do you accept the licence? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise DownloadError("The licence is not accepted: nothing is downloaded.")


def fetch(source: Source, work: Path, bar: Progress) -> dict[str, object]:
    """Download an archive, unpack it to `work`, and fetch the clips that it points to; return what is known of it."""
    task = bar.add_task(work.name, total=None)

    def report(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total)

    loader = Resuming(work.with_suffix(".part"), source.n_most, report)
    archive = retrieve(source.url, source.checksum, work.with_suffix(".zip"), loader)
    try:
        pointers = read_pointers(archive, source.bounds) if source.clips else {}
        if not (pointers and work.exists()):
            unpack(archive, work, source.bounds)
    except ArchiveError:
        archive.unlink()  # so that the same command downloads it again
        raise
    missing = fetch_clips(source, pointers, work, bar) if pointers else []
    return {
        "url": source.url,
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "bytes": archive.stat().st_size,
        "sha256": digest(archive),
        "checked": source.checksum or "recorded at this first download: none is published",
        "licence": source.licence,
        "citation": source.citation,
        "missing": missing,
    }


def retrieve(url: str, checksum: str | None, file: Path, loader: Resuming) -> Path:
    """Download a file by pooch, unless it is there; DownloadError if it is not what its checksum says."""
    try:
        return Path(pooch.retrieve(url, checksum, file.name, file.parent, downloader=loader))
    except DownloadError:
        raise
    except ValueError as error:  # pooch's word for a wrong checksum
        raise DownloadError(f"{url} is not the published file, and was removed: {error}") from error


def read_pointers(archive: Path, bounds: Bounds) -> dict[PurePosixPath, tuple[str, int]]:
    """Return sha256 and size of the files that a ZIP has only Git LFS pointers to."""
    with opened(archive) as zipped:
        members = wanted_members(archive, zipped, bounds).items()
        matches = {
            path: _POINTER.fullmatch(zipped.read(one)) for path, one in members if one.file_size < LONGEST_POINTER
        }
    return {path: (match[1].decode(), int(match[2])) for path, match in matches.items() if match}


def fetch_clips(
    source: Source, pointers: Mapping[PurePosixPath, tuple[str, int]], folder: Path, bar: Progress
) -> list[str]:
    """Replace pointers by the clips they point to, each checked by its sha256; return the names the server lacks.

    Raises:
      ArchiveError: together they are larger than the corpus.
      DownloadError: the server lacks more than `MOST_MISSING` of them.
    """
    n_bytes = sum(size for _, size in pointers.values())
    if n_bytes > source.bounds.n_bytes:
        raise ArchiveError(f"The clips that {source.url} points to have {n_bytes} bytes, more than the corpus has.")
    task = bar.add_task("clips", total=n_bytes)
    missing: list[str] = []

    def fetch_clip(path: PurePosixPath, sha256: str, size: int) -> None:
        file = folder / path
        try:
            loader = Resuming(file.with_suffix(".part"), size)
            retrieve(f"{source.clips}{path.name}", f"sha256:{sha256}", file, loader)
        except NotThereError:
            file.unlink(missing_ok=True)
            missing.append(path.name)
        bar.advance(task, size)

    with ThreadPoolExecutor(N_THREADS) as pool:
        coming = [pool.submit(fetch_clip, path, *about) for path, about in pointers.items()]
        try:
            for clip in coming:
                clip.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if len(missing) > MOST_MISSING:
        raise DownloadError(f"{len(missing)} clips are not at {source.clips}, such as {missing[0]}. Look at its page.")
    return sorted(missing)


def read_record(record: Path) -> dict[str, dict[str, object]]:
    """Read what has been downloaded, by name; nothing where nothing has, DownloadError where it cannot be read."""
    try:
        content = json.loads(record.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DownloadError(f"{record} cannot be read ({error}). Remove it, or choose another --root.") from error
    if not isinstance(content, dict):
        raise DownloadError(f"{record} is no record of downloads. Remove it, or choose another --root.")
    return content


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Show bytes, speed and remaining time on the error stream, where it is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=quiet, transient=True) as bar:
        yield bar


@contextlib.contextmanager
def quiet_pooch() -> Iterator[None]:
    """Keep pooch from telling of each file."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


if __name__ == "__main__":
    run_command(Config, run, __doc__)
