"""The embedded corpus: synthetic speech with the factorial plan of RAVDESS speech.

24 speakers × (neutral + 7 emotions × 2 intensities) × 2 sentences × 2 repetitions = 1440 clips, computed when
they are read. A result on it says that the code works; it says nothing about human speech.

It is meant to be neither hopeless nor easy. UAR of eight emotions (chance: .125), measured on 20 MFCCs of 108 frames
from 0.5 s: logistic regression on the 20 means reaches .51 over the six published folds, .62 over random ones. The
class whose PCA of 5 components rebuilds the MFCC picture best reaches .46 and .49.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jax
import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from serjax.data.audio import frames_of_window
from serjax.data.corpora import ravdess, voices
from serjax.data.corpora.corpus import Corpus, CorpusError, Utterance, Waveforms, Window
from serjax.data.synthesis import N_SAMPLES, RATE_HZ, Score, synthesize_block

VERSION = 1  # of the sound: raise it with every change that can be heard
N_CLIPS = 1440
BLOCK = 16  # clips that are computed at once; one shape, so one compilation

# One speaker of each published fold per row, the two sexes even over every two rows.
_SPEAKER_ORDER = (
    ("01", "04", "09", "03", "02", "06"),
    ("20", "10", "08", "05", "15", "13"),
    ("11", "12", "19", "24", "16", "17"),
    ("21", "14", "23", "07", "18", "22"),
)


@dataclass(frozen=True)
class SyntheticSource:
    """Speaks paths named like RAVDESS speech; each clip depends on `seed` and its own name only."""

    seed: int = 0

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Synthesise `paths` and cut the window out, resampled by soxr when it asks for another rate."""
        values_BN = np.zeros((len(paths), window.n_samples), np.float32)
        n_valid_B = np.zeros(len(paths), np.int32)

        def read_block(start: int) -> None:
            for row, wav in enumerate(self._speak(paths[start : start + BLOCK]), start):
                part = _cut(wav, paths[row], window)
                values_BN[row, : part.size] = part
                n_valid_B[row] = part.size

        # Most of the program runs on one core: blocks go side by side.
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(read_block, range(0, len(paths), BLOCK)))
        return Waveforms(values_BN, n_valid_B)

    def digest(self, path: str) -> str:
        """Give the sha256 (hex) of the generator's version, the seed, the name and every number of its score."""
        digest = hashlib.sha256(f"serjax synthesis {VERSION}/{self.seed}/{_clip_id(path)}".encode())
        for leaf in jax.tree.leaves(_score(self.seed, path)):
            digest.update(leaf.tobytes())
        return digest.hexdigest()

    def _speak(self, paths: Sequence[str]) -> list[np.ndarray]:
        """Give at most BLOCK clips at RATE_HZ, each at its own length."""
        padded = [*paths, *[paths[-1]] * (BLOCK - len(paths))]
        scores = [_score(self.seed, path) for path in padded]
        ids_B = np.array([_clip_id(path) for path in padded], np.int32)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *scores)
        wavs_BN = np.asarray(synthesize_block(jax.random.key(self.seed), ids_B, stacked))
        lengths = [min(N_SAMPLES, int(score.segments.ends_s[-1] * RATE_HZ)) for score in scores]
        return [wavs_BN[row, : lengths[row]] for row in range(len(paths))]


def synthetic_corpus(n_clips: int | None = None, seed: int = 0) -> Corpus:
    """Plan the synthetic corpus, whole or shortened; a shorter one is part of every longer one.

    First the second repetitions fall away (720 clips stay), then the strong ones (384), then speakers, one of
    each published fold after the other. From 96 clips up every fold has a speaker with every emotion and both
    sentences, from 48 with every emotion.

    Args:
      n_clips: 8 to 1440; None: all.
      seed: another seed is another 24 people.

    Raises:
      CorpusError: `n_clips` out of range.

    >>> from collections import Counter
    >>> Counter(utterance.emotion for utterance in synthetic_corpus(192).utterances)["neutral"]
    24
    """
    if n_clips is not None and not 8 <= n_clips <= N_CLIPS:
        raise CorpusError(
            f"{n_clips} synthetic clips are asked for; expected 8 (one per emotion) to {N_CLIPS}. 96 or more fill "
            "all published folds."
        )
    paths = sorted(list(_plan())[:n_clips])
    utterances = tuple(_utterance(path) for path in paths)
    return Corpus(
        name="synthetic",
        utterances=utterances,
        source=SyntheticSource(seed),
        labels=ravdess.EMOTIONS,
        published_folds=ravdess.PUBLISHED_FOLDS,
        notes=(ravdess.SYNTHETIC_NOTE,),
        offset_s=ravdess.OFFSET_S,  # it is built like RAVDESS
    )


def write_wav(corpus: Corpus, folder: Path) -> int:
    """Write the clips of `corpus` below `folder` as 16-bit WAV under their paths; give their number.

    A file beside them says what they are, and the reader of RAVDESS heeds it: their names alone could be taken for
    those of people's speech.

    Raises:
      CorpusError: the folder cannot be written.
    """
    window = Window(sample_rate_hz=RATE_HZ, n_samples=N_SAMPLES)
    paths = [utterance.path for utterance in corpus.utterances]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ravdess.SYNTHETIC_MARK).write_text(
            f"serjax corpus '{corpus.name}'. {' '.join(note.line for note in corpus.notes)}\n"
        )
        for start in range(0, len(paths), 4 * BLOCK):
            some = paths[start : start + 4 * BLOCK]
            for path, wav, n_valid in zip(some, *corpus.source.read(some, window)[:2], strict=True):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / path, wav[:n_valid], RATE_HZ, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(f"{folder} cannot be written: {error}. Choose another folder.") from error
    return len(paths)


def _plan() -> Iterator[str]:
    """All paths, the most needed first."""
    for repetition in (1, 2):
        for intensity in (1, 2):
            for speakers, statements in _rounds():
                for speaker, statement in zip(speakers, statements, strict=True):
                    for emotion in range(1, 9):
                        if (emotion, intensity) != (1, 2):  # neutral is never strong
                            name = f"03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{speaker}.wav"
                            yield f"Actor_{speaker}/{name}"


def _rounds() -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Six speakers at a time, twice: first every other one says the first sentence, then the others do."""
    for speakers in _SPEAKER_ORDER:
        yield speakers, (1, 2) * 3
        yield speakers, (2, 1) * 3


def _utterance(path: str) -> Utterance:
    utterance = ravdess.parse_name(path)
    if utterance is None or utterance.channel != "speech":
        raise CorpusError(f"{path} is not named like RAVDESS speech; expected such as {next(_plan())}.")
    return dataclasses.replace(utterance, corpus="synthetic")


def _clip_id(path: str) -> int:
    """One number per name: its digits, of which none is above 24."""
    factors = [int(field) for field in Path(path).stem.split("-")[2:]]
    return int(np.ravel_multi_index(factors, (9, 3, 3, 3, 25)))


@lru_cache(maxsize=4 * N_CLIPS)
def _score(seed: int, path: str) -> Score:
    utterance = _utterance(path)
    assert utterance.intensity is not None  # RAVDESS names tell it,
    assert utterance.text is not None  # and this
    rng = np.random.default_rng((seed, 1000 + _clip_id(path)))  # 1 to 24 are the speakers'
    return voices.compose(
        rng, _speaker(seed, int(utterance.speaker)), utterance.emotion, utterance.intensity, utterance.text
    )


@lru_cache(maxsize=256)
def _speaker(seed: int, number: int) -> voices.Speaker:
    return voices.draw_speaker(seed, number)


def _cut(wav: Float32[np.ndarray, " N"], path: str, window: Window) -> Float32[np.ndarray, " M"]:
    """Cut the window out of a clip, without padding; AudioError where it has no sound."""
    start = round(window.offset_s * RATE_HZ)
    n_samples = frames_of_window(
        Path(path), len(wav), RATE_HZ, start, window.duration_s, window.n_samples, window.sample_rate_hz
    )
    part = wav[start : start + n_samples]
    if window.sample_rate_hz != RATE_HZ:
        part = soxr.resample(part, RATE_HZ, window.sample_rate_hz, quality="HQ")
    return part[: window.n_samples]
