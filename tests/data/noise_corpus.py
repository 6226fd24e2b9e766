"""A corpus of noise, some clips of which are odd or cannot be read: what features are made of without any file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serjax.data import Corpus, Utterance, Waveforms, Window
from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.feature_cache import Features
from serjax.data.notes import Note
from serjax.dsp import Mfcc

FRONTEND = Mfcc(sample_rate_hz=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=20)


@dataclass(frozen=True)
class Noise:
    """A source whose clip `k` is noise of seed k, 1 000 + k samples long; it counts what is read.

    Clips `bad` cannot be read, clips `silent` are said to be silent, clips `wild` hold samples without end.
    """

    seed: int = 0
    bad: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    wild: tuple[str, ...] = ()
    reads: list[int] = field(default_factory=list)

    def clip(self, path: str) -> np.ndarray:
        return np.random.default_rng((self.seed, int(path))).uniform(-0.5, 0.5, 1_000 + int(path)).astype(np.float32)

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        self.reads.append(len(paths))
        if bad := [path for path in paths if path in self.bad]:
            raise UnreadableClips(tuple(AudioError("damaged", Path(path), "is damaged", "Copy it.") for path in bad))
        values_BN = np.zeros((len(paths), window.n_samples), np.float32)
        n_valid_B = np.zeros(len(paths), np.int32)
        for row, path in enumerate(paths):
            wav = self.clip(path)[round(window.offset_s * window.sample_rate_hz) :][: window.n_samples]
            values_BN[row, : wav.size] = wav
            n_valid_B[row] = wav.size
            values_BN[row, 0] = np.inf if path in self.wild else values_BN[row, 0]
        silent = tuple((path, "") for path in paths if path in self.silent)
        return Waveforms(values_BN, n_valid_B, (Note("silent", "Every sample is zero", silent),) if silent else ())

    def digest(self, path: str) -> str:
        return hashlib.sha256(f"{self.seed}/{path}".encode()).hexdigest()


def make_corpus(n_clips: int, source: Noise | None = None) -> Corpus:
    """Give a corpus of so many clips."""
    rows = tuple(Utterance(f"{k:04d}", "happy", "1", None, None, None, None, "noise") for k in range(n_clips))
    return Corpus("noise", rows, source or Noise(), ("happy",))


def reads(corpus: Corpus) -> list[int]:
    """Give how many clips were read each time."""
    assert isinstance(corpus.source, Noise)
    return corpus.source.reads


def equal(a: Features, b: Features) -> bool:
    """Tell whether two features are the same in all."""
    same = (a.notes, list(a.errors), list(map(str, a.errors.values()))) == (
        b.notes,
        list(b.errors),
        list(map(str, b.errors.values())),
    )
    return same and bool((a.values_NTD == b.values_NTD).all() and (a.mask_NT == b.mask_NT).all())
