"""What is wrong with the clips of a corpus, found by their content: several files of one clip, equal bytes, silence."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import soundfile

from serjax.data import audio
from serjax.data.corpora.corpus import FileSource, Utterance
from serjax.data.corpora.files import READ
from serjax.data.notes import Note, gather

SILENT_PEAK = 2 / 2**15  # two steps of 16 bits, -84 dBFS: dither; the quietest real clip known here peaks at -47 dBFS
_BLOCK = 4096  # frames read at a time: a clip that speaks shows it in the first few


class OneEach(NamedTuple):
    """One file of each clip, in order of path, and a note on the further ones."""

    kept: tuple[Utterance, ...]
    notes: tuple[Note, ...]


def one_file_a_clip(utterances: Sequence[Utterance], within_folder: bool = False) -> OneEach:
    """Keep one file of each speaker and name (without suffix): the best format (as in `READ`), then the first path.

    Args:
      utterances: in any order.
      within_folder: whether files of one name are one clip in the same folder only.
    """
    chosen: dict[str, Utterance] = {}
    further = []
    for utterance in sorted(utterances, key=lambda u: (READ.index(PurePosixPath(u.path).suffix.lower()), u.path)):
        path = PurePosixPath(utterance.path).with_suffix("")
        kept = chosen.setdefault(str(path) if within_folder else utterance.lot, utterance)
        if kept is not utterance:
            further.append((utterance.path, f"as {kept.path}"))
    notes = (Note("further", "Left out, further files of the same clips", tuple(sorted(further))),) if further else ()
    return OneEach(tuple(sorted(chosen.values(), key=lambda u: u.path)), notes)


def equal_clips(utterances: Sequence[Utterance], source: FileSource) -> tuple[tuple[Utterance, ...], ...]:
    """Group the clips that are byte for byte the same; only files of equal size are read."""
    by_size: dict[int, list[Utterance]] = {}
    for utterance in utterances:
        by_size.setdefault(audio.file_state(source.file(utterance.path)).st_size, []).append(utterance)
    by_content: dict[str, list[Utterance]] = {}
    for same_size in by_size.values():
        for utterance in same_size if len(same_size) > 1 else []:
            by_content.setdefault(source.digest(utterance.path), []).append(utterance)
    return tuple(tuple(same) for same in by_content.values() if len(same) > 1)


def contradict(same: Sequence[Utterance]) -> bool:
    """Tell whether clips of equal content have different emotions."""
    return len({utterance.emotion for utterance in same}) > 1


def equal_notes(groups: Sequence[Sequence[Utterance]]) -> tuple[Note, ...]:
    """Name the clips of equal content, each with its twin: a note for those of one label, one for contradictions."""
    return gather(sorted((_equal_note(same) for same in groups), key=lambda note: (note.kind, note.clips)))


def duplicate_notes(utterances: Sequence[Utterance], source: FileSource) -> tuple[Note, ...]:
    """Name the clips that are byte for byte the same."""
    return equal_notes(equal_clips(utterances, source))


def _equal_note(same: Sequence[Utterance]) -> Note:
    kind, meaning, fact = "equal", "the same label", ""
    if contradict(same):
        kind, meaning, fact = "equal-labels-differ", "DIFFERENT labels", "emotion"
    elif len({utterance.speaker for utterance in same}) > 1:
        kind, meaning, fact = "equal-speakers-differ", "DIFFERENT speakers", "speaker"
    said = [f"{u.path} ({getattr(u, fact)})" if fact else u.path for u in same]
    twins = [said[1], *said[:1] * (len(same) - 1)]
    clips = tuple((u.path, f"as {twin}") for u, twin in zip(same, twins, strict=True))
    return Note(kind, f"Byte-identical to another clip ({meaning})", clips)


def silent_clips(utterances: Sequence[Utterance], source: FileSource) -> tuple[Utterance, ...]:
    """Find the clips without one sample above `SILENT_PEAK`.

    A file is read up to its first louder block: 0.3 ms per clip of CREMA-D. One that cannot be read is not called
    silent; decoding it later says what is wrong with it.
    """

    def is_silent(utterance: Utterance) -> bool:
        return _is_silent(source.file(utterance.path))

    with ThreadPoolExecutor(source.n_threads) as pool:
        found = pool.map(is_silent, utterances)
        return tuple(utterance for utterance, silent in zip(utterances, found, strict=True) if silent)


def _is_silent(path: Path) -> bool:
    if not path.is_file():  # opening a FIFO would wait for ever
        return False
    try:
        with soundfile.SoundFile(path) as sound:
            blocks = sound.blocks(_BLOCK, dtype="float32", always_2d=True)
            return sound.frames > 0 and all(np.abs(block_NC).max() <= SILENT_PEAK for block_NC in blocks)
    except (OSError, soundfile.LibsndfileError):
        return False
