"""A corpus as a folder with one sub-folder a label: nothing but the emotions is known about its clips."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from serjax.data import audio
from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance, find_audio
from serjax.data.corpora.defects import duplicate_notes
from serjax.data.corpora.naming import named_as

UNKNOWN = "unknown"  # one speaker for all: no protocol may believe that a test speaker is new
_ACTOR = re.compile(r"(actor|speaker)[ _-]?\d+", re.IGNORECASE)


def load_folder(root: Path) -> Corpus:
    """Read a corpus from a folder whose sub-folders are its emotions and hold .wav or .flac files at any depth.

    Who speaks is not known, so all clips count as one speaker: only `random-*` protocols split them, and results say
    that speakers are shared. A CSV (`serjax.data.corpora.table`) tells more.

    Raises:
        CorpusError: what `find_audio` raises; clips in fewer than two sub-folders; sub-folders that are speakers, or
            whose names differ in capitals only.
    """
    name = root.resolve().name
    paths = find_audio(root, name)
    inside = [path for path in paths if "/" in path]
    labels = tuple(sorted({_label(path) for path in inside}))
    _check_labels(labels, root)
    source = FileSource(root)
    utterances = tuple(Utterance(path, _label(path), UNKNOWN, None, None, None, None, name) for path in inside)
    return Corpus(
        name=name,
        utterances=utterances,
        source=source,
        labels=labels,
        notes=(*_notes(paths, len(inside)), *duplicate_notes(utterances, source)),
    )


def _label(path: str) -> str:
    return PurePosixPath(path).parts[0]


def _check_labels(labels: Sequence[str], root: Path) -> None:
    shown = audio.printable(root)
    if len(labels) < 2:
        there = f"only {labels[0]!r} has" if labels else "none has"
        raise CorpusError(
            f"The sub-folders of {shown} are the labels of its clips, and {there} a .wav or .flac file. Make one "
            "sub-folder an emotion, or give a CSV (path,emotion,speaker)."
        )
    if all(_ACTOR.fullmatch(label) for label in labels):
        raise CorpusError(
            f"The sub-folders of {shown} are speakers ({labels[0]}), not emotions. Choose its corpus by name, such as "
            f"--corpus ravdess --root {shown}, or give a CSV (path,emotion,speaker)."
        )
    if len({label.casefold() for label in labels}) < len(labels):
        raise CorpusError(f"Sub-folders of {shown} differ in capitals only: {', '.join(labels)}. Put them together.")


def _notes(paths: Sequence[str], n_inside: int) -> tuple[str, ...]:
    notes = ["Who speaks is not known: all clips count as one speaker, and test speakers are not new."]
    if len(paths) > n_inside:
        notes.append(f"{len(paths) - n_inside} audio files in no sub-folder are left out.")
    if (other := named_as(paths)) and other.corpus in ("RAVDESS", "CREMA-D"):
        known = f"--corpus {other.corpus.lower()} --root FOLDER"
        notes.append(f"{other.n_clips} clips are named as in {other.corpus}; {known} knows their speakers.")
    return tuple(notes)
