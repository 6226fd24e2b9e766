"""Corpus × frontend → feature arrays, computed in blocks; what is odd about the clips comes with them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32

from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.corpora.corpus import AudioSource, Corpus, Waveforms, Window
from serjax.data.feature_cache import Features, cache_key, keep, kept
from serjax.data.notes import Note, gather
from serjax.dsp import Frontend, extract, frame_mask
from serjax.dsp.vectors import ClipMeans
from serjax.errors import ConfigError

CLIPS_A_BLOCK = 2  # clips that a CPU device computes at a time: one group of `dsp.extract`
BLOCK = 64  # clips decoded ahead: 14 MB of waveforms with the default frontend
T = TypeVar("T")


@runtime_checkable
class FoundOfClips(Protocol):
    """What reading the clips of a corpus has found: their features, or what is to be known of these."""

    @property
    def values_NTD(self) -> Float32[np.ndarray, "n T D"]:
        """The features of all clips, or of none where they are not kept."""

    @property
    def mask_NT(self) -> Bool[np.ndarray, "N T"]:
        """The frames that are centred inside a clip."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is odd about the clips."""

    @property
    def errors(self) -> Mapping[str, AudioError]:
        """The clips that cannot be read, by path."""

    def differs(self) -> bool:
        """Whether two valid frames of any clips have other features."""

    def keeping(self: T, kept_N: Bool[np.ndarray, " N"]) -> T:
        """Return what was found of some of the clips."""

    def digests(self, silent_N: Bool[np.ndarray, " N"]) -> list[str]:
        """Return a hash of each clip's features, empty for silent ones."""


Found = TypeVar("Found", bound=FoundOfClips)


def load_features(
    corpus: Corpus,
    frontend: Frontend,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_bad: int | float = 0,
) -> Features:
    """Give the features of all utterances of a corpus, in their order.

    Threads decode a block of clips while the device computes the one before; blocks have one shape (see `features_of`),
    so that the frontend is compiled once.

    Args:
      corpus: N utterances.
      frontend: gives T frames of D features from the first `frontend.n_samples` samples behind the offset.
      offset_s: where clips begin, in seconds, at least 0.
      duration_s: how much of a clip is read at most, in seconds; None: as much as the frontend takes.
      cache: folder of kept features (see `default_cache_dir`); None: keep nothing.
      progress: called with (rows done, rows in all) after each block.
      max_bad: how many clips may be unreadable: a number from 1 on, or a share below 1.

    Raises:
      UnreadableClips: more clips than that cannot be read, or give features that are not finite; it names them all.
      CorpusError: offset or duration out of range.

    Warns:
      CacheWarning: an entry of the cache is damaged, or cannot be written; the result is not affected.
    """
    window = Window(frontend.sample_rate_hz, frontend.n_samples, offset_s, duration_s)
    features = _features(corpus, frontend, window, cache, progress)
    check_bad(features.errors, max_bad, len(corpus.utterances))
    return features


def check_bad(errors: Mapping[str, AudioError], max_bad: int | float, n_clips: int) -> None:
    """Raise UnreadableClips if all clips have an error, or more than `max_bad`: a number from 1 on, a share below 1."""
    allowed = max_bad * n_clips if max_bad < 1 else max_bad
    if len(errors) > min(allowed, n_clips - 1):
        way_out = f"To go on without them: --max-bad {len(errors)}." if len(errors) < n_clips else ""
        raise UnreadableClips(tuple(errors.values()), way_out)


def _features(
    corpus: Corpus,
    frontend: Frontend,
    window: Window,
    cache: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Features:
    if cache is None:
        return _compute(corpus, frontend, window, progress)
    key = cache_key(corpus, frontend, window)
    shape = (len(corpus.utterances), frontend.n_frames, frontend.n_features)
    features = kept(cache, key, shape, corpus)
    if features is None:
        features = _compute(corpus, frontend, window, progress)
        keep(cache, key, features, frontend, window, corpus)
    return features


def _compute(
    corpus: Corpus, frontend: Frontend, window: Window, progress: Callable[[int, int], None] | None
) -> Features:
    n_clips = len(corpus.utterances)
    values_NTD = np.empty((n_clips, frontend.n_frames, frontend.n_features), np.float32)
    mask_NT = np.empty((n_clips, frontend.n_frames), bool)
    notes: list[Note] = []
    errors: dict[str, AudioError] = {}
    done = 0
    for block, bad in read_ahead(corpus, window):
        n_block = len(block.n_valid_B)
        rows = slice(done, done + n_block)
        values_NTD[rows], mask_NT[rows] = features_of(frontend, block)
        notes.extend(block.notes)
        errors |= bad
        done += n_block
        if progress is not None:
            progress(done, n_clips)
    errors |= not_finite([utterance.path for utterance in corpus.utterances], values_NTD)
    for row in _rows_of(corpus, errors):
        values_NTD[row], mask_NT[row] = 0.0, False
    return Features(values_NTD, mask_NT, gather(notes), errors)


def features_of(
    frontend: Frontend, waveforms: Waveforms
) -> tuple[Float32[np.ndarray, "B T D"], Bool[np.ndarray, "B T"]]:
    """Give the features of at most `BLOCK` clips and the mask of their frames; any number of clips shares programs.

    Where a clip gives one vector, clips of like length go together, in arrays of one of four lengths: little padding is
    computed, and each length is compiled once.
    """
    n_clips, means = len(waveforms.n_valid_B), isinstance(frontend, ClipMeans)
    n_together = BLOCK // 4 if means else BLOCK
    features_BTD = np.empty((n_clips, frontend.n_frames, frontend.n_features), np.float32)
    order_B = np.argsort(waveforms.n_valid_B, kind="stable") if means else np.arange(n_clips)
    for rows in np.split(order_B, range(n_together, n_clips, n_together)):
        fitting = _in_quarters(frontend, int(waveforms.n_valid_B[rows[-1]])) if means else frontend
        clips_BN = np.zeros((n_together, fitting.n_samples), np.float32)
        clips_BN[: len(rows)] = waveforms.values_BN[rows, : fitting.n_samples]
        n_valid_B = np.pad(waveforms.n_valid_B[rows], (0, n_together - len(rows)))
        features_BTD[rows] = extract_over_devices(fitting, clips_BN, n_valid_B, jax.local_devices())[: len(rows)]
    return features_BTD, np.asarray(frame_mask(frontend, waveforms.n_valid_B))


def _in_quarters(frontend: Frontend, n_valid: int) -> Frontend:
    """Give the frontend of as many quarters of the frames as hold so many samples."""
    quarters = max(1, math.ceil(4 * n_valid / frontend.n_samples))
    return replace(frontend, frames=1 + math.ceil(quarters * (frontend.frames - 1) / 4))


def not_finite(paths: Sequence[str], values_NTD: Float32[np.ndarray, "N T D"]) -> dict[str, AudioError]:
    """Give an error for each clip with a feature that is NaN or infinite."""
    errors = {}
    for row in np.flatnonzero(~np.isfinite(values_NTD).all(axis=(1, 2))).tolist():
        path, problem = paths[row], "gives features that are not finite"
        errors[path] = AudioError(
            "non-finite", Path(path), problem, "Look at its samples; leave it out, or write it anew."
        )
    return errors


def _rows_of(corpus: Corpus, paths: Mapping[str, object]) -> list[int]:
    return [row for row, utterance in enumerate(corpus.utterances) if utterance.path in paths]


def extract_over_devices(
    frontend: Frontend,
    clips_BN: Float32[np.ndarray, "B N"],
    n_valid_B: Int32[np.ndarray, " B"],
    devices: Sequence[jax.Device],
) -> Float32[np.ndarray, "B T D"]:
    """Give the features of a batch of clips, computed by all devices at once, each its share.

    Shares are whole blocks of `dsp.extract`, so that a clip's features are the same to the last bit whatever the number
    of devices of a kind.
    """
    blocks = np.array_split(np.arange(0, len(clips_BN), CLIPS_A_BLOCK), len(devices))
    edges = [*(int(share[0]) for share in blocks if share.size), len(clips_BN)]
    block = CLIPS_A_BLOCK if devices[0].platform == "cpu" else None
    shares = []
    for device, start, stop in zip(devices, edges[:-1], edges[1:], strict=False):
        share_BN, valid_B = jax.device_put((clips_BN[start:stop], n_valid_B[start:stop]), device)
        shares.append(extract(frontend, share_BN, n_valid=valid_B, block=block))
    return np.concatenate([np.asarray(share) for share in shares])


class Block(NamedTuple):
    """Clips as they were read, and the errors of those that could not be, whose rows are zero."""

    waveforms: Waveforms
    errors: dict[str, AudioError]


def read_ahead(corpus: Corpus, window: Window) -> Iterator[Block]:
    """Give the waveforms in blocks; the next is being read while the caller works on one."""
    paths = [utterance.path for utterance in corpus.utterances]
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read_block, corpus.source, paths[:BLOCK], window)
        for start in range(BLOCK, len(paths) + BLOCK, BLOCK):
            block = coming.result()
            if start < len(paths):
                coming = reader.submit(read_block, corpus.source, paths[start : start + BLOCK], window)
            yield block


def read_block(source: AudioSource, paths: Sequence[str], window: Window) -> Block:
    """Read clips; where some cannot be read, the others again without them."""
    try:
        return Block(source.read(paths, window), {})
    except UnreadableClips as unreadable:
        errors = {error.path.as_posix(): error for error in unreadable.errors}
    good = [row for row, path in enumerate(paths) if path not in errors]
    waveforms = source.read([paths[row] for row in good], window)
    values_BN = np.zeros((len(paths), window.n_samples), np.float32)
    n_valid_B = np.zeros(len(paths), np.int32)
    values_BN[good], n_valid_B[good] = waveforms.values_BN, waveforms.n_valid_B
    return Block(Waveforms(values_BN, n_valid_B, waveforms.notes), errors)


def leave_out(corpus: Corpus, tables: Sequence[Found], errors: Mapping[str, AudioError]) -> tuple[Corpus, list[Found]]:
    """Leave clips that cannot be read out of a corpus and what was found of them; a note names them all."""
    readable_N = np.array([utterance.path not in errors for utterance in corpus.utterances])
    note = Note(
        "unreadable",
        "Cannot be read and left out (--max-bad)",
        tuple((path, f"{error.problem} [{error.code}]") for path, error in errors.items()),
    )
    return corpus.keeping(readable_N.tolist(), note), [table.keeping(readable_N) for table in tables]


def check_differ(tables: Sequence[FoundOfClips]) -> None:
    """Raise ConfigError where all valid frames of all clips have the same features, as those of silence."""
    if not any(table.differs() for table in tables):
        raise ConfigError(
            "All clips have the same features in all frames, as silence has: there is nothing to tell them apart by. "
            "Look at the files, and at --offset and --duration."
        )
