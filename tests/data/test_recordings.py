"""Fingerprints of a corpus are computed once, of what can be read, and never taken from a damaged file."""

from pathlib import Path

import numpy as np
import pytest

from serjax.data.feature_cache import CacheWarning
from serjax.data.fingerprint import copies, fingerprint
from serjax.data.recordings import load_fingerprints
from tests.data.noise_corpus import Noise, make_corpus, reads


class Long(Noise):
    """Noise of a second at 8 kHz; clip 66 is clip 3 again."""

    def clip(self, path: str) -> np.ndarray:
        return np.random.default_rng((self.seed, int(path) % 63)).normal(size=8_000).astype(np.float32)


def test_the_second_time_nothing_is_read_and_all_is_the_same(tmp_path: Path) -> None:
    corpus, told = make_corpus(70, Long()), []
    first = load_fingerprints(corpus, tmp_path / "new", lambda *counts: told.append(counts))
    assert told == [(64, 70), (70, 70)]
    again = load_fingerprints(corpus, tmp_path / "new", lambda *counts: told.append(counts))
    assert reads(corpus) == [64, 6]
    assert len(told) == 2
    assert all(map(np.array_equal, first, again))
    np.testing.assert_array_equal(first[69], fingerprint(Long().clip("0069"), 8_000))
    assert {pair[:2] for pair in copies(again)} == {(n, n + 63) for n in range(7)}
    other = load_fingerprints(make_corpus(70, Long(seed=1)), tmp_path / "new", lambda done, total: None)
    assert not any(map(np.array_equal, first, other))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "none"])
def test_what_is_damaged_is_computed_anew(tmp_path: Path, damage: str) -> None:
    corpus = make_corpus(3, Long(bad=("0001",)))
    first = load_fingerprints(corpus, tmp_path, lambda done, total: None)
    assert [len(words_T) for words_T in first] == [104, 0, 104]
    (kept,) = tmp_path.iterdir()
    content = kept.read_bytes()
    middle = len(content) // 3
    harmed = {
        "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "cut": content[:middle],
        "empty": b"",
    }
    if damage == "none":
        kept.unlink()
        assert all(map(np.array_equal, first, load_fingerprints(corpus, tmp_path, lambda done, total: None)))
        return
    kept.write_bytes(harmed[damage])
    with pytest.warns(CacheWarning, match="computed anew"):
        again = load_fingerprints(corpus, tmp_path, lambda done, total: None)
    assert all(map(np.array_equal, first, again))
    assert kept.read_bytes() == content


def test_where_nothing_can_be_kept_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(CacheWarning, match="cannot be kept"):
        load_fingerprints(make_corpus(1, Long()), tmp_path / "file", lambda done, total: None)
