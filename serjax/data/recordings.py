"""Fingerprints of all clips of a corpus, whatever part of them is studied; kept beside features."""

import dataclasses
import os
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from serjax.data.corpora.corpus import Corpus, Window
from serjax.data.feature_cache import CacheWarning, contents_key
from serjax.data.features import read_ahead
from serjax.data.fingerprint import RATE_HZ, Fingerprint, fingerprint
from serjax.files import replacing

VERSION = 1  # raise it when fingerprints come out otherwise than before
HEARD = Window(RATE_HZ, 30 * RATE_HZ)  # of longer clips the first 30 s tell whether they are copies
Report = Callable[[int, int], None]  # of (clips done, clips in all)


def load_fingerprints(corpus: Corpus, cache: Path | None, report: Report) -> tuple[Fingerprint, ...]:
    """Give the fingerprint of every clip, computed or from the cache; empty for clips that cannot be read to their end.

    Args:
      corpus: its files are read at 8 kHz.
      cache: folder of kept features; None: keep nothing.
      report: called with (clips done, clips in all) while they are computed.

    Warns:
      CacheWarning: what is kept is damaged, or nothing can be kept; the result is not affected.
    """
    if cache is None:
        return _compute(corpus, report)
    path = cache / f"{contents_key(corpus, {'fingerprints': VERSION, 'window': dataclasses.asdict(HEARD)})}.npz"
    prints = _kept(path, len(corpus.utterances))
    if prints is None:
        prints = _compute(corpus, report)
        _keep(path, prints)
    return prints


def _compute(corpus: Corpus, report: Report) -> tuple[Fingerprint, ...]:
    prints: list[Fingerprint] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy, scipy and soxr release the GIL
        for block in read_ahead(corpus, HEARD):
            clips = zip(block.waveforms.values_BN, block.waveforms.n_valid_B, strict=True)
            prints += pool.map(lambda clip: fingerprint(clip[0][: clip[1]], RATE_HZ), clips)
            report(len(prints), len(corpus.utterances))
    return tuple(prints)


def _kept(path: Path, n_clips: int) -> tuple[Fingerprint, ...] | None:
    """Give what is kept, None if there is nothing; numpy checks the CRC of what it reads."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            words, ends = arrays["words"], arrays["ends"]
        if words.dtype != np.uint32 or ends.shape != (n_clips,) or ends[-1] != len(words):
            raise ValueError("it is of other clips")
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what is wrong there, writing will say
        return None
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
        message = f"The fingerprints kept in {path} are not usable ({error}); they are computed anew."
        warnings.warn(CacheWarning(message), stacklevel=3)
        return None
    return tuple(np.split(words, ends[:-1]))


def _keep(path: Path, prints: tuple[Fingerprint, ...]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, words=np.concatenate(prints), ends=np.cumsum([len(words_T) for words_T in prints]))
    except OSError as error:
        message = f"Fingerprints cannot be kept in {path.parent} ({error}); they are computed anew each time."
        warnings.warn(CacheWarning(message), stacklevel=3)
