"""Augmented copies made BEFORE the split, as the fifth report did: copies of a recording train and test, a leak.

Only for repeating that protocol, beside which the honest number stands; every title calls it a leak.
"""

import functools
import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from serjax.data.corpora.corpus import AudioSource, Corpus, Waveforms, Window, clip_name
from serjax.data.feature_cache import Features
from serjax.data.notes import Note, gather
from serjax.errors import ConfigError
from serjax.study.augmentation import Augmentation
from serjax.study.checks import check_positive
from serjax.study.flags import Data
from serjax.study.problem import (
    FeatureFlags,
    Problem,
    labelled_corpus,
    make_problem,
    read_features,
    split_for_seeds,
    window_of,
)
from serjax.train.waveforms import WaveformAugmentation

VERSION = 2  # raise it when copies come out otherwise than before
SEED = 0


@dataclass(frozen=True)
class CopiedSource:
    """The sound of `PATH#NUMBER`: the window of the clip at PATH, changed by a key of name and number."""

    source: AudioSource
    recipe: WaveformAugmentation

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Give the windows of the copies at `paths`, in their order; each original is read once."""
        originals = list(dict.fromkeys(_original(path) for path in paths))
        clips = self.source.read(originals, window)
        values_BN, n_valid_B = np.empty((len(paths), window.n_samples), np.float32), np.empty(len(paths), np.int32)
        for row, path in enumerate(paths):
            place = originals.index(_original(path))
            clip = clips.values_BN[place], clips.n_valid_B[place]
            values_BN[row], n_valid_B[row] = _changed(self.recipe, copy_key(path), *clip)
        return Waveforms(values_BN, n_valid_B, clips.notes)

    def digest(self, path: str) -> str:
        """Give the sha256 (hex) of all that determines the sound of a copy."""
        about = (VERSION, SEED, self.recipe, path, self.source.digest(_original(path)))
        return hashlib.sha256(repr(about).encode()).hexdigest()


def load_copies(
    data: Data,
    features: FeatureFlags,
    augmentation: Augmentation,
    cache: Path | None,
    report: Callable[[int, int], None],
) -> Problem:
    """Replace each clip by its copies, leave out those that do not fill all frames, and split the copies.

    Raises:
      ConfigError: no copy fills the frames.
    """
    check_positive("--seeds", data.seeds)
    if data.max_bad:
        raise ConfigError("--max-bad with --copies-before-split: copies are not left out one by one. Leave it out.")
    corpus, n_copies = labelled_corpus(data), augmentation.copies_before_split
    split_for_seeds(corpus, data, selecting=True)  # says what is wrong before anything is computed
    copies = copied(corpus, augmentation.recipe, n_copies)
    copies, table = full_clips(copies, read_features(copies, data, features, cache, report))
    leak = f"{n_copies} augmented copies of each recording, made before the split, on both sides of it"
    copies = replace(copies, notes=gather([*copies.notes, *table.notes]))
    window = window_of(copies, data, features.frontend())
    return make_problem(copies, split_for_seeds(copies, data, selecting=True), table, window, (), leak)


def copied(corpus: Corpus, recipe: WaveformAugmentation, n_copies: int) -> Corpus:
    """Replace each utterance by copies, `PATH#1` to `PATH#n`, whose sound is changed by the recipe."""
    copies = [replace(u, path=f"{u.path}#{n}") for u in corpus.utterances for n in range(1, n_copies + 1)]
    ordered = tuple(sorted(copies, key=lambda copy: copy.path))
    return replace(corpus, utterances=ordered, source=CopiedSource(corpus.source, recipe))


def full_clips(corpus: Corpus, table: Features) -> tuple[Corpus, Features]:
    """Keep the clips whose frames are all valid, with a note of how many that leaves out.

    Raises:
      ConfigError: no clip is left.
    """
    full_N = np.asarray(table.mask_NT.all(axis=1))
    if not full_N.any():
        raise ConfigError(
            f"No clip of '{corpus.name}' is as long as {table.mask_NT.shape[1]} frames: with --copies-before-split "
            "shorter ones are left out. Give fewer --frames, or a smaller --offset."
        )
    short = tuple((u.path, "") for u, full in zip(corpus.utterances, full_N, strict=True) if not full)
    note = Note("short", "Augmented copies that do not fill all frames are left out", short)
    left = corpus.keeping(full_N.tolist(), *([note] if short else []))
    return left, Features(table.values_NTD[full_N], table.mask_NT[full_N], table.notes)


def copy_key(path: str) -> Key[Array, ""]:
    """Return the key of a copy: of its file's name and its number alone."""
    return jax.random.fold_in(jax.random.key(SEED), zlib.crc32(clip_name(path).encode()))


def _original(path: str) -> str:
    return path.rpartition("#")[0]


@functools.partial(jax.jit, static_argnums=0)
def _changed(
    recipe: WaveformAugmentation,
    key: Key[Array, ""],
    wav_L: Float[Array, " L"],
    n_valid: Int[Array, ""],
) -> tuple[Float[Array, " L"], Int[Array, ""]]:
    return recipe(key, wav_L, n_valid)
