"""What lies in the folder of a corpus: the audio files, and what is there and cannot be taken."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from serjax.data import audio
from serjax.data.corpora.corpus import CorpusError
from serjax.data.corpora.spelling import has_control
from serjax.data.notes import Note

LOSSLESS = (".flac", ".wav", ".wave", ".bwf", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64")
READ = (*LOSSLESS, ".sph", ".nist", ".oga", ".ogg", ".opus", ".mp3", ".mp2")  # the best of a clip first
BARE = (".raw", ".pcm")
_OTHERS = (
    ".3g2 .3gp .aac .ac3 .amr .ape .asf .avi .awb .dts .flv .gsm .m4a .m4b .m4v .mka .mkv .mov .mp4 .mpc .mpeg .mpg "
    ".ogv .ra .rm .shn .spx .tta .vob .voc .vox .webm .wma .wmv .wv"
)
NOT_READ = tuple(_OTHERS.split())
_BEHIND = (".part", ".partial", ".crdownload", ".download", ".tmp", ".bak", ".old", ".gz", ".bz2", ".xz", ".zip")
_BEGIN = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"caff", b"NIST_1A")  # sound without a suffix


class Found(NamedTuple):
    """Paths of audio files, posix and relative to their root, sorted; and what lies beside them untaken."""

    paths: tuple[str, ...]
    notes: tuple[Note, ...]


def find_audio(root: Path | None, corpus: str) -> Found:
    """Find the audio files below `root` at any depth, of every format that is read (`READ`).

    What macOS adds to archives (`._x.wav`, `__MACOSX/`) and hidden files are left out; linked folders are entered.

    Raises:
      CorpusError: no root, no folder, a folder that cannot be listed, no audio, a name that is not UTF-8 or has
        control characters.
    """
    if root is None:
        raise CorpusError(f"Corpus '{corpus}' is read from disk: give the folder that holds it (--root FOLDER).")
    shown = show(root)
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise CorpusError(f"The root of corpus '{corpus}', {shown}, {state}. Give the folder with its clips.")
    there = sorted(path for path in _walk(root) if not path.name.startswith("."))
    found = tuple(sorted(_name(path, root) for path in there if path.suffix.lower() in READ))
    notes = _not_taken([path for path in there if path.suffix.lower() not in READ], root)
    if not found:
        instead = "".join(f" {note.line}" for note in notes)
        raise CorpusError(
            f"There is no .wav or .flac file, nor audio of another format that is read, in {shown} or below. Give the "
            f"folder of '{corpus}'.{instead}"
        )
    return Found(found, notes)


def find_file(root: Path, name: str) -> Path | None:
    """Find a file by its name in `root` or below: the least deep, then the first in path order; None: there is none."""
    if (root / name).is_file():
        return root / name
    found = [path for path in _walk(root) if path.name == name]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def show(folder: Path) -> str:
    """Write where a folder is, from the top: `.` or `..` tells nobody."""
    whole = os.path.realpath(folder) if ".." in folder.parts else os.path.abspath(folder)  # .. is not before a link
    return audio.printable(Path(whole))


def _not_taken(paths: list[Path], root: Path) -> tuple[Note, ...]:
    """Say which files are sound too, or were meant to be."""

    def note(kind: str, what: str, some: list[Path]) -> list[Note]:
        clips = tuple((audio.printable(path.relative_to(root)), "") for path in some)
        return [Note(kind, f"Left out, {what}", clips)] if some else []

    suffixes = {path: path.suffix.lower() for path in paths}
    encoded = [path for path in paths if suffixes[path] in NOT_READ]
    bare = [path for path in paths if suffixes[path] in BARE]
    others = [path for path in paths if suffixes[path] not in (*NOT_READ, *BARE) and _is_renamed(path)]
    return (
        *note("format", "in a format that is not read (convert: ffmpeg -i IN OUT.wav)", encoded),
        *note("bare", "samples whose rate no header tells (sox -r RATE -e signed -b 16 IN.raw OUT.wav)", bare),
        *note("suffix", "audio by its name or first bytes, but without its suffix at the end (rename)", others),
    )


def _is_renamed(path: Path) -> bool:
    """Tell whether a file is `x.wav.part`, or sound without any suffix."""
    if path.suffix:
        last = path.suffix.strip().lower()
        return last in READ or (last in _BEHIND and any(suffix.lower() in READ for suffix in path.suffixes))
    try:
        if not path.is_file():  # opening a FIFO would wait for ever
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(_BEGIN)
    except OSError:
        return False


def _name(path: Path, root: Path) -> str:
    try:
        name = path.relative_to(root).as_posix()
        name.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"The name {audio.printable(path)} is not UTF-8. Rename it.") from None
    if has_control(name):
        raise CorpusError(f"The name {str(path)!a} has control characters in it. Rename it.")
    return name


def _walk(root: Path) -> Iterator[Path]:
    """Give every file below `root`; each folder once, however links lead to it."""

    def refuse(error: OSError) -> None:
        raise CorpusError(f"The folder {error.filename} cannot be listed: {error.strerror}.")

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, onerror=refuse, followlinks=True):
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
        yield from (Path(folder, name) for name in names)
