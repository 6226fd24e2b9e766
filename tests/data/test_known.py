"""Looking up among known recordings says what comparing lists of them says, and damaged files of them are refused."""

import numpy as np
import pytest
from safetensors.numpy import save

from serjax.data.fingerprint import copies
from serjax.data.known import KnownRecordings
from serjax.errors import SerjaxError


def prints_of(seed: int, n_clips: int) -> list[np.ndarray]:
    """Give fingerprints of which some words are common, and some are quiet."""
    rng = np.random.default_rng(seed)
    prints = [rng.integers(1, 2**32, rng.integers(100, 200)).astype(np.uint32) for _ in range(n_clips)]
    for words_T in prints:
        words_T[rng.integers(0, len(words_T), 30)] = rng.integers(0, 4, 30)
    return prints


def changed(words_T: np.ndarray, share: float) -> np.ndarray:
    """Flip a share of the bits, and cut the first ten frames off."""
    rng = np.random.default_rng(0)
    flipped_T32 = rng.random((len(words_T), 32)) < share
    return (words_T ^ np.packbits(flipped_T32, axis=1).view(">u4")[:, 0].astype(np.uint32))[10:]


def test_it_finds_what_the_comparison_of_lists_finds() -> None:
    """Flipped bits from none to more than a copy may have; the last known recording is empty."""
    known = [*prints_of(0, 30), np.zeros(0, np.uint32)]
    asked = [*(changed(known[n], n / 100) for n in range(30)), *prints_of(1, 10), known[-1], np.zeros(99, np.uint32)]
    listed = {pair.second for pair in copies(known, asked)}
    assert {0, 1, 2, 3} <= listed < set(range(30))
    index = KnownRecordings.from_bytes(KnownRecordings.of(known).to_bytes())
    assert {n for n, words_T in enumerate(asked) if index.has(words_T)} == listed
    assert not KnownRecordings.of([]).has(known[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no", "are no fingerprints"),
        (save({"words": np.ones(3, np.uint32)}), "are no fingerprints .*ends"),
        (save({"words": np.ones(3, np.uint32), "ends": np.array([2])}), "do not belong together"),
        (save({"words": np.ones(3, np.uint32), "ends": np.array([4, 3])}), "do not belong together"),
        (save({"words": np.ones(3), "ends": np.array([3])}), "do not belong together"),
    ],
)
def test_what_holds_no_fingerprints_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(SerjaxError, match=says):
        KnownRecordings.from_bytes(content)
