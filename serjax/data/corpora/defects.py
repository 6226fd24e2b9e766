"""What is wrong with the clips of a corpus, found by their content: several files of one clip, equal bytes, silence."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from serjax.data import audio
from serjax.data.corpora.corpus import FileSource, Utterance

SILENT_PEAK = 2 / 2**15  # two steps of 16 bits, -84 dBFS: dither; the quietest real clip known here peaks at -47 dBFS
_BLOCK = 4096  # frames read at a time: a clip that speaks shows it in the first few


def one_file_a_clip(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Keep one of the files of the same name (without folder and suffix): FLAC before WAV, then the first path."""
    chosen: dict[str, Utterance] = {}
    for utterance in sorted(utterances, key=lambda u: (not u.path.lower().endswith(".flac"), u.path)):
        chosen.setdefault(PurePosixPath(utterance.path).stem, utterance)
    return tuple(sorted(chosen.values(), key=lambda u: u.path))


def equal_clips(utterances: Sequence[Utterance], source: FileSource) -> tuple[tuple[Utterance, ...], ...]:
    """Group the clips that are byte for byte the same; only files of equal size are read."""
    by_size: dict[int, list[Utterance]] = {}
    for utterance in utterances:
        by_size.setdefault(audio.file_size(source.root / utterance.path), []).append(utterance)
    by_content: dict[str, list[Utterance]] = {}
    for same_size in by_size.values():
        for utterance in same_size if len(same_size) > 1 else []:
            by_content.setdefault(source.digest(utterance.path), []).append(utterance)
    return tuple(tuple(same) for same in by_content.values() if len(same) > 1)


def contradict(same: Sequence[Utterance]) -> bool:
    """Tell whether clips of equal content have different emotions."""
    return len({utterance.emotion for utterance in same}) > 1


def equal_notes(groups: Sequence[Sequence[Utterance]]) -> tuple[str, ...]:
    """Say a sentence about each group of equal clips, in order of path."""
    notes = []
    for same in groups:
        emotions = ", ".join(sorted({utterance.emotion for utterance in same}))
        meaning = f"DIFFERENT labels: {emotions}" if contradict(same) else "the same label"
        notes.append(f"{' and '.join(u.path for u in same)} are byte-identical ({meaning}).")
    return tuple(sorted(notes))


def duplicate_notes(utterances: Sequence[Utterance], source: FileSource) -> tuple[str, ...]:
    """Name the clips that are byte for byte the same, a sentence for each group of them."""
    return equal_notes(equal_clips(utterances, source))


def silent_clips(utterances: Sequence[Utterance], source: FileSource) -> tuple[Utterance, ...]:
    """Find the clips without one sample above `SILENT_PEAK`.

    A file is read up to its first louder block: 0.3 ms a clip of CREMA-D. One that cannot be read is not called
    silent; decoding it later says what is wrong with it.
    """

    def is_silent(utterance: Utterance) -> bool:
        return _is_silent(source.root / utterance.path)

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
