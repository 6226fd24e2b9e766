"""A corpus as a folder with one sub-folder per label: nothing but the emotions is known about its clips."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import equal_clips, equal_notes, one_file_a_clip
from serjax.data.corpora.files import find_audio, show
from serjax.data.corpora.layout import label_of, not_emotions, strays
from serjax.data.corpora.naming import READ_AS, named_as
from serjax.data.corpora.spelling import MAX_LENGTH, clean, differing, word
from serjax.data.notes import Note

UNKNOWN = "unknown"  # one speaker for all: no protocol may believe that a test speaker is new


def load_folder(root: Path) -> Corpus:
    """Read a corpus from a folder whose sub-folders are its emotions and hold audio files at any depth.

    Who speaks is not known, so all clips count as one speaker: only `random-*` protocols split them, and results say
    that speakers are shared. A CSV (`serjax.data.corpora.table`) tells more. Of files of one name in one folder
    (a conversion beside its original) one is taken.

    Raises:
      CorpusError: what `find_audio` raises; clips in fewer than two sub-folders; sub-folders that are no emotions
        (`layout.not_emotions`), whose names differ only in what nobody sees, or whose clips are all copies.
    """
    name = root.resolve().name
    paths, left_notes = find_audio(root, name)
    inside = [path for path in paths if "/" in path]
    _check_labels(inside, root)
    source = FileSource(root)
    utterances, further_notes = one_file_a_clip(
        [Utterance(path, label_of(path), UNKNOWN, None, None, None, None, name) for path in inside], within_folder=True
    )
    equal = equal_clips(utterances, source)
    _check_copies(utterances, equal, root)
    return Corpus(
        name=name,
        utterances=utterances,
        source=source,
        labels=tuple(sorted({utterance.emotion for utterance in utterances})),
        notes=(*_notes(paths, inside), *left_notes, *further_notes, *equal_notes(equal)),
    )


def _check_labels(paths: Sequence[str], root: Path) -> None:
    where = show(root)
    folders = {PurePosixPath(path).parts[0] for path in paths}
    if len(folders) < 2:
        there = f"only {sorted(folders)[0]!r} has" if folders else "none has"
        raise CorpusError(
            f"The sub-folders of {where} are the labels of its clips, and {there} an audio file. Make one sub-folder "
            f"per emotion, or give a CSV (path,emotion,speaker).{_deeper(paths, where)}"
        )
    if alike := differing({name: word(name) for name in sorted(folders)}):
        capitals = clean(alike[0]).casefold() == clean(alike[1]).casefold() and all(
            clean(name) == name for name in alike
        )
        how = "capitals" if capitals else "blanks, the encoding of letters, or what cannot be seen"
        names = ", ".join(alike) if capitals else ", ".join(map(ascii, alike))
        raise CorpusError(f"Sub-folders of {where} differ in {how} only: {names}. Put them together.")
    if long := [name for name in folders if len(name) > MAX_LENGTH]:
        raise CorpusError(f"A sub-folder of {where} has {len(long[0])} letters; expected at most {MAX_LENGTH}.")
    if wrong := not_emotions(paths):
        raise CorpusError(
            f"The sub-folders of {where} {wrong}. Make one sub-folder per emotion, choose its corpus by name, such as "
            f"--corpus ravdess --root {where}, or give a CSV (path,emotion,speaker).{_known(paths)}"
        )


def _deeper(paths: Sequence[str], where: str) -> str:
    """Point to the first folder below with two sub-folders of audio."""
    parts = [PurePosixPath(path).parts[:-1] for path in paths]
    depth = 0
    while parts and all(len(part) > depth for part in parts) and len({part[depth] for part in parts}) == 1:
        depth += 1
    deeper = depth and len({part[depth] for part in parts if len(part) > depth}) > 1
    return f" If they lie deeper, give that folder: {where}/{'/'.join(parts[0][:depth])}." if deeper else ""


def _known(paths: Sequence[str]) -> str:
    """Say how a corpus that is known by its names is read."""
    other = named_as(paths)
    if other is None:
        return ""
    return f" Its clips are named as in {other.corpus}; --corpus {READ_AS[other.corpus]} --root FOLDER reads it."


def _check_copies(utterances: Sequence[Utterance], equal: Sequence[Sequence[Utterance]], root: Path) -> None:
    """Refuse a label of which every clip is there under another label too."""
    copied = {u for same in equal for u in same if any(other.emotion != u.emotion for other in same)}
    own = {utterance.emotion for utterance in utterances if utterance not in copied}
    if without := sorted({utterance.emotion for utterance in utterances} - own):
        raise CorpusError(
            f"All clips in '{without[0]}' are byte for byte those of other sub-folders of {show(root)}, as if it were "
            "unpacked or copied twice. Remove the folder that is no emotion."
        )


def _notes(paths: Sequence[str], inside: Sequence[str]) -> tuple[Note, ...]:
    notes = [Note("speakers", "Who speaks is not known: all clips count as one speaker, and test speakers are not new")]
    labels = sorted({label_of(path) for path in inside})
    if all(label.isdecimal() for label in labels):
        notes.append(
            Note("numbers", f"The labels are numbers ({', '.join(labels)}): folders of people are no emotions")
        )
    if loose := [path for path in paths if "/" not in path]:
        notes.append(Note("loose", "Left out, in no sub-folder", tuple((path, "") for path in loose)))
    if other := named_as(paths):
        known = f"--corpus {READ_AS[other.corpus]} --root FOLDER"
        notes.append(
            Note("known", f"{other.n_clips} clips are named as in {other.corpus}; {known} knows their speakers")
        )
    if wrong := strays(inside):
        notes.append(Note("strays", "Named as clips of another sub-folder are", wrong))
    return tuple(notes)
