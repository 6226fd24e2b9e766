"""The cache of features against every way in which it can be wrong, and what it remembers of odd clips."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from serjax.data import Utterance, Window
from serjax.data.feature_cache import CacheWarning, cache_key, default_cache_dir
from serjax.data.features import load_features
from serjax.dsp import SideBySide, Stats26, Stats180
from tests.data.noise_corpus import FRONTEND, Noise, equal, make_corpus, reads


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
            corpus = make_corpus(9, Noise(seed=1))
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


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SERJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.warns(CacheWarning, match="no home folder: features are not kept. Set SERJAX_CACHE"):
        assert default_cache_dir() is None


def test_what_was_odd_is_kept_by_the_place_of_a_clip_not_its_name(tmp_path: Path) -> None:
    """The key knows contents: clips of other names may get the entry, and notes must bear their names."""
    source = Noise(bad=("0003",), silent=("0001", "0005"), wild=("0007",))
    corpus = make_corpus(9, source)
    first = load_features(corpus, FRONTEND, cache=tmp_path, max_bad=2)
    n_reads = len(source.reads)
    assert equal(first, load_features(corpus, FRONTEND, cache=tmp_path, max_bad=2))

    @dataclasses.dataclass(frozen=True)
    class Renamed(Noise):
        def digest(self, path: str) -> str:
            return super().digest(path.removeprefix("new-"))

    rows = tuple(Utterance(f"new-{k:04d}", "happy", "1", None, None, None, None, "noise") for k in range(9))
    renamed = dataclasses.replace(corpus, utterances=rows, source=Renamed())
    again = load_features(renamed, FRONTEND, cache=tmp_path, max_bad=2)
    assert again.notes[0].clips == (("new-0001", ""), ("new-0005", ""))
    assert [(path, error.code) for path, error in again.errors.items()] == [
        ("new-0003", "damaged"),
        ("new-0007", "non-finite"),
    ]
    assert len(source.reads) == n_reads
