"""Known recordings: their fingerprints, sorted once, so that one clip after another is looked up among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64, UInt32
from safetensors import SafetensorError
from safetensors.numpy import load, save

from serjax.data.fingerprint import MOST_ERRORS, NEIGHBOURS, Fingerprint, errors_near
from serjax.errors import SerjaxError


@dataclass(frozen=True, eq=False)
class KnownRecordings:
    """The fingerprints of N recordings, one behind another, and where each ends."""

    words_W: UInt32[np.ndarray, " W"]
    ends_N: Int64[np.ndarray, " N"]

    @classmethod
    def of(cls, prints: Sequence[Fingerprint]) -> "KnownRecordings":
        """Put fingerprints together."""
        words_W = np.concatenate([np.zeros(0, np.uint32), *prints])
        return cls(words_W, np.cumsum([len(words_T) for words_T in prints], dtype=np.int64))

    def to_bytes(self) -> bytes:
        """Return them as safetensors."""
        return save({"words": self.words_W, "ends": self.ends_N})

    @classmethod
    def from_bytes(cls, content: bytes) -> "KnownRecordings":
        """Return what `to_bytes` wrote.

        Raises:
          SerjaxError: it is something else.
        """
        try:
            arrays = load(content)
            words_W, ends_N = arrays["words"], arrays["ends"]
        except (SafetensorError, KeyError) as error:
            raise SerjaxError(f"These are no fingerprints ({error!r}). Export the run again.") from error
        rising = ends_N.ndim == 1 and bool((np.diff(ends_N, prepend=0) >= 0).all())
        if (
            words_W.dtype != np.uint32
            or ends_N.dtype != np.int64
            or not rising
            or max(ends_N, default=0) != len(words_W)
        ):
            raise SerjaxError("Fingerprints whose words and ends do not belong together. Export the run again.")
        return cls(words_W, ends_N)

    def has(self, print_T: Fingerprint) -> bool:
        """Tell whether a clip is a copy of one of them: of at least half of it, or it holds half of one of them.

        As `serjax.data.fingerprint.copies` of two lists, but what is known is sorted once, not for each clip.
        """
        for clip, shift in self._candidates(print_T).tolist():
            known_T = self.words_W[self.ends_N[clip - 1] if clip else 0 : self.ends_N[clip]]
            if errors_near(known_T, print_T, shift) <= MOST_ERRORS:
                return True
        return False

    @cached_property
    def _sorted(self) -> tuple[UInt32[np.ndarray, " V"], Int64[np.ndarray, " V"]]:
        """Return all words but 0 in order, and where they stand."""
        place_V = np.flatnonzero(self.words_W)
        both_V = self.words_W[place_V].astype(np.uint64) << 32 | place_V.astype(np.uint64)
        both_V.sort()  # much faster than to sort places
        return (both_V >> 32).astype(np.uint32), (both_V & (2**32 - 1)).astype(np.int64)

    def _candidates(self, print_T: Fingerprint) -> Int64[np.ndarray, "n 2"]:
        """Return which recordings have two words of a clip at one shift, and the shift at which most are equal."""
        words_V, place_V = self._sorted
        frame_L = np.flatnonzero(print_T)
        first_L, end_L = (np.searchsorted(words_V, print_T[frame_L], side) for side in ("left", "right"))
        n_equal_L = np.minimum(end_L - first_L, NEIGHBOURS)
        of_H = np.repeat(np.arange(len(frame_L)), n_equal_L)
        within_H = np.arange(len(of_H)) - np.repeat(np.cumsum(n_equal_L) - n_equal_L, n_equal_L)
        place_H = place_V[first_L[of_H] + within_H]
        clip_H = np.searchsorted(self.ends_N, place_H, side="right")
        start_N = np.concatenate([[0], self.ends_N])
        shift_H = place_H - start_N[clip_H] - frame_L[of_H]
        both_K, n_hits_K = np.unique(clip_H << 32 | shift_H + 2**31, return_counts=True)
        best_first_K = both_K[n_hits_K > 1][np.argsort(-n_hits_K[n_hits_K > 1], kind="stable")]
        shifts_K2 = np.stack([best_first_K >> 32, (best_first_K & (2**32 - 1)) - 2**31], axis=1)
        return shifts_K2[np.sort(np.unique(shifts_K2[:, 0], return_index=True)[1])]
