"""Features against the frontend applied clip by clip; the cache against every way it can be wrong."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
import pytest

from serjax.data import Corpus, Utterance, Waveforms, Window
from serjax.data.features import (
    BLOCK,
    CacheWarning,
    Features,
    cache_key,
    default_cache_dir,
    extract_over_devices,
    load_features,
)
from serjax.dsp import Mfcc, SideBySide, Stats26, Stats180, extract

FRONTEND = Mfcc(sample_rate_hz=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=20)
N_CLIPS = 2 * BLOCK + 7


@dataclass(frozen=True)
class Noise:
    """A source whose clip `k` is noise of seed k, 1 000 + k samples long; it counts what is read."""

    seed: int = 0
    reads: list[int] = field(default_factory=list)

    def clip(self, path: str) -> np.ndarray:
        return np.random.default_rng((self.seed, int(path))).uniform(-0.5, 0.5, 1_000 + int(path)).astype(np.float32)

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        self.reads.append(len(paths))
        values_BN = np.zeros((len(paths), window.n_samples), np.float32)
        n_valid_B = np.zeros(len(paths), np.int32)
        for row, path in enumerate(paths):
            wav = self.clip(path)[round(window.offset_s * window.sample_rate_hz) :][: window.n_samples]
            values_BN[row, : wav.size] = wav
            n_valid_B[row] = wav.size
        return Waveforms(values_BN, n_valid_B)

    def digest(self, path: str) -> str:
        return hashlib.sha256(f"{self.seed}/{path}".encode()).hexdigest()


def make_corpus(n_clips: int = N_CLIPS, seed: int = 0) -> Corpus:
    rows = tuple(Utterance(f"{k:04d}", "happy", "1", None, None, None, None, "noise") for k in range(n_clips))
    return Corpus("noise", rows, Noise(seed), ("happy",))


def reads(corpus: Corpus) -> list[int]:
    assert isinstance(corpus.source, Noise)
    return corpus.source.reads


def equal(a: Features, b: Features) -> bool:
    return bool((a.values_NTD == b.values_NTD).all() and (a.mask_NT == b.mask_NT).all())


def test_features_are_those_of_each_clip() -> None:
    corpus = make_corpus()
    features = load_features(corpus, FRONTEND, offset_s=0.025)
    assert features.values_NTD.shape == (N_CLIPS, 12, 5)
    assert features.values_NTD.dtype == np.float32
    for row in (0, BLOCK - 1, BLOCK, N_CLIPS - 1):
        clip = np.zeros(FRONTEND.n_samples, np.float32)
        wav = Noise().clip(f"{row:04d}")[200:][: clip.size]  # .025 s at 8 kHz
        clip[: wav.size] = wav
        alone = np.asarray(extract(FRONTEND, clip[None]))[0]
        np.testing.assert_allclose(features.values_NTD[row], alone, rtol=0, atol=1e-3)  # dB; measured: 3.1e-5
        np.testing.assert_array_equal(features.mask_NT[row], np.arange(12) * 128 <= wav.size)


def test_blocks_are_read_once_each_and_progress_is_told() -> None:
    corpus = make_corpus()
    told: list[tuple[int, int]] = []
    load_features(corpus, FRONTEND, progress=lambda done, total: told.append((done, total)))
    assert reads(corpus) == [BLOCK, BLOCK, 7]
    assert told == [(BLOCK, N_CLIPS), (2 * BLOCK, N_CLIPS), (N_CLIPS, N_CLIPS)]


def test_second_time_comes_from_the_cache(tmp_path: Path) -> None:
    corpus = make_corpus(9)
    first = load_features(corpus, FRONTEND, cache=tmp_path / "new" / "cache")
    assert reads(corpus) == [9]
    assert equal(first, load_features(corpus, FRONTEND, cache=tmp_path / "new" / "cache"))
    assert reads(corpus) == [9]
    assert sorted(path.suffix for path in (tmp_path / "new" / "cache").iterdir()) == [".json", ".npz"]


@pytest.mark.parametrize("change", ["content", "order", "frontend", "offset", "duration"])
def test_anything_that_matters_changes_the_key(tmp_path: Path, change: str) -> None:
    corpus, frontend, offset_s, duration_s = make_corpus(9), FRONTEND, 0.0, None
    load_features(corpus, frontend, cache=tmp_path)
    match change:
        case "content":
            corpus = make_corpus(9, seed=1)
        case "order":
            corpus = dataclasses.replace(corpus, utterances=corpus.utterances[1:])
        case "frontend":
            frontend = dataclasses.replace(frontend, top_db=60.0)
        case "offset":
            offset_s = 0.05
        case "duration":
            duration_s = 0.1
    before = list(reads(corpus))
    load_features(corpus, frontend, offset_s, duration_s, cache=tmp_path)
    assert reads(corpus) == [*before, len(corpus.utterances)]


def test_parts_of_a_kind_are_told_apart_by_the_key() -> None:
    """Fields of the two alone are the same, and so is the shape of what they give in either order."""
    parts = Stats26(frames=12), Stats180(frames=12)
    window = Window(22_050, parts[0].n_samples, 0.0, None)
    keys = {cache_key(make_corpus(2), SideBySide.of(*order), window) for order in (parts, parts[::-1])}
    assert len(keys) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no checksum", "bad json", "json list", "other shape"])
def test_damaged_entry_is_computed_anew(tmp_path: Path, damage: str) -> None:
    corpus = make_corpus(9)
    first = load_features(corpus, FRONTEND, cache=tmp_path)
    (data,), (about,) = tmp_path.glob("*.npz"), tmp_path.glob("*.json")
    whole = data.read_bytes()
    match damage:
        case "flip":
            data.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
        case "cut":
            data.write_bytes(whole[:700])
        case "empty":
            data.write_bytes(b"")
        case "no checksum":
            about.write_text("{}")
        case "bad json":
            about.write_text("{")
        case "json list":
            about.write_text("[]")
        case "other shape":
            np.savez(data, values_NTD=first.values_NTD[1:], mask_NT=first.mask_NT[1:])
            about.write_text(json.dumps({"sha256": hashlib.sha256(data.read_bytes()).hexdigest()}))
    with pytest.warns(CacheWarning, match="not usable"):
        again = load_features(corpus, FRONTEND, cache=tmp_path)
    assert equal(first, again)
    assert equal(first, load_features(corpus, FRONTEND, cache=tmp_path))  # mended, silently
    assert reads(corpus) == [9, 9]


def test_half_an_entry_counts_for_nothing(tmp_path: Path) -> None:
    corpus = make_corpus(9)
    load_features(corpus, FRONTEND, cache=tmp_path)
    next(tmp_path.glob("*.json")).unlink()
    load_features(corpus, FRONTEND, cache=tmp_path)
    assert reads(corpus) == [9, 9]


def test_a_cache_may_be_shared_with_others(tmp_path: Path) -> None:
    """Entries have the rights that the user's new files get, not those of a private temporary file."""
    before = os.umask(0o002)
    try:
        load_features(make_corpus(9), FRONTEND, cache=tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o664}


def test_unwritable_cache_only_warns(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(CacheWarning) as told:
        features = load_features(make_corpus(9), FRONTEND, cache=tmp_path / "file" / "cache")
    assert len(told) == 1
    assert equal(features, load_features(make_corpus(9), FRONTEND))


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SERJAX_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}.items():
        monkeypatch.setenv(name, value)
    assert default_cache_dir() == Path("/a")
    monkeypatch.setenv("SERJAX_CACHE", "")
    assert default_cache_dir() == Path("/b/serjax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path("/c/.cache/serjax")


@pytest.mark.parametrize("n_devices", [2, 3, 8])
def test_the_number_of_devices_does_not_change_a_bit(n_devices: int) -> None:
    clips_BN = np.random.default_rng(0).normal(size=(BLOCK, FRONTEND.n_samples)).astype(np.float32)
    n_valid_B = np.full(BLOCK, FRONTEND.n_samples, np.int32)
    alone = extract_over_devices(FRONTEND, clips_BN, n_valid_B, jax.devices()[:1])
    several = extract_over_devices(FRONTEND, clips_BN, n_valid_B, jax.devices()[:n_devices])
    np.testing.assert_array_equal(several, alone)


def test_fewer_clips_than_devices() -> None:
    clips_BN = np.random.default_rng(0).normal(size=(3, FRONTEND.n_samples)).astype(np.float32)
    assert extract_over_devices(FRONTEND, clips_BN, np.full(3, 9, np.int32), jax.devices()).shape == (3, 12, 5)
