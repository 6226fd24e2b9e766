"""Fingerprints of recordings: they tell a copy after resampling, MP3, gain or trimming from a second recording.

Haitsma and Kalker (A Highly Robust Audio Fingerprinting System, ISMIR 2002): a frame is 32 bits. Bit m says whether
the difference between the levels of bands m and m + 1 has grown within 48 ms. Of two copies few bits differ; of two
recordings nearly half do, also where one speaker says one sentence twice.

`MOST_ERRORS` lies between the two. Measured by `scripts/fingerprint_rates.py`, of 400 clips per corpus and change:

| | RAVDESS speech | CREMA-D |
|---|---|---|
| copies found: 8, 16 or 48 kHz; MP3 at 64 kbit/s; −12 dB; 50 ms cut | 100 %, to .110 of the bits | 100 %, to .049 |
| +12 dB, clipped | 100 %, to .138 | 99.75 %, to .229 |
| 16 kHz, cuts, ±12 dB and MP3 at once | 100 %, to .131 | 99.75 %, to .226 |
| one speaker's same sentence again, taken for a copy | 0 of 20 880, from .272 | 0 of 6 821, from .364 |
| any other pair, taken for a copy | 0 of 1 036 079 | 0 of 1 927 664 |

What was found: the pair of RAVDESS that is known, and that 1072_IEO_DIS_MD of CREMA-D is 1072_IEO_ANG_LO and
1072_IEO_ANG_MD one after another (the waveforms correlate by .9985 and .9565).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft
import soxr
from jaxtyping import Float32, Int64, UInt32

from serjax.errors import SerjaxError

RATE_HZ = 8_000
WINDOW, HOP = 1_024, 64  # samples: 128 ms, every 8 ms
GROWN_WITHIN = 6  # frames
BITS = 32
BANDS_HZ = (300.0, 3_400.0)
QUIET_DB = 30.0  # frames so far below the loudest are noise, which MP3 changes: they have no bits
BLOCK = 4_096  # frames computed at a time
NEIGHBOURS = 32  # equal words of other clips that a word is compared with
FEWEST_FRAMES = 40
MOST_ERRORS = 0.25  # share of bits

Fingerprint = UInt32[np.ndarray, " _"]


class Copy(NamedTuple):
    """Two recordings that are one, by their places in the lists, and the share of bits in which they differ."""

    first: int
    second: int
    errors: float


def fingerprint(wav: Float32[np.ndarray, " N"], rate_hz: int) -> Fingerprint:
    """Return 32 bits for every 8 ms of a recording, 500 bytes per second; 0 where it is quiet or nothing changes.

    Args:
      wav: mono samples in any scale.
      rate_hz: their sample rate, from 4 000 Hz.

    Raises:
      SerjaxError: samples that are not mono or not finite, or a lower rate.
    """
    if wav.ndim != 1 or rate_hz < RATE_HZ // 2 or not np.isfinite(wav).all():
        raise SerjaxError(
            f"A fingerprint takes finite mono samples [N] at 4000 Hz or more; these are {list(wav.shape)} at "
            f"{rate_hz} Hz, {int(np.sum(~np.isfinite(wav)))} of them not finite. Decode the file again as mono."
        )
    if rate_hz != RATE_HZ:
        wav = soxr.resample(wav, rate_hz, RATE_HZ, quality="HQ")
    bands_TM = _bands(np.pad(wav, (0, max(0, WINDOW - len(wav)))))
    level_TM = np.log(bands_TM + np.finfo(np.float32).tiny)
    slope_TM = level_TM[:, :-1] - level_TM[:, 1:]
    bits_TM = slope_TM[GROWN_WITHIN:] > slope_TM[:-GROWN_WITHIN]
    power_T = bands_TM.sum(axis=1)
    loud_T = power_T > power_T.max() * 10 ** (-QUIET_DB / 10)
    words_T = np.packbits(bits_TM, axis=1).view(">u4")[:, 0].astype(np.uint32)
    return np.where(loud_T[GROWN_WITHIN:] & loud_T[:-GROWN_WITHIN], words_T, np.uint32(0))


def copies(first: Sequence[Fingerprint], second: Sequence[Fingerprint] | None = None) -> tuple[Copy, ...]:
    """Find the recordings of one list that are copies of one in another, or of another one in the same list.

    A copy may be a part of the other recording, from half of its loud frames on: all shifts are compared.

    Args:
      first: fingerprints.
      second: others; None: those of `first` are compared with each other, each pair once.

    Returns:
      Pairs in order of their places.
    """
    n_first, prints = len(first), [*first, *(second or ())]
    found = []
    for a, b, shift in _candidates(prints).tolist():
        if second is None or a < n_first <= b:
            errors = errors_near(prints[a], prints[b], shift)
            if errors <= MOST_ERRORS:
                found.append(Copy(a, b if second is None else b - n_first, errors))
    return tuple(sorted(found))


def _bands(wav_N: Float32[np.ndarray, " N"]) -> Float32[np.ndarray, "T M"]:
    """Return the power in 33 bands of equal width in octaves."""
    edges = np.round(np.geomspace(*BANDS_HZ, BITS + 2) * WINDOW / RATE_HZ).astype(int)
    frames_TN = np.lib.stride_tricks.sliding_window_view(wav_N, WINDOW)[::HOP]
    window_N = np.hanning(WINDOW).astype(np.float32)
    parts = []
    for start in range(0, len(frames_TN), BLOCK):
        spectrum_TF = scipy.fft.rfft(frames_TN[start : start + BLOCK] * window_N, axis=1)[:, : edges[-1]]
        power_TF = spectrum_TF.real**2 + spectrum_TF.imag**2
        parts.append(np.add.reduceat(power_TF, edges[:-1], axis=1))
    return np.concatenate(parts)


def _candidates(prints: Sequence[Fingerprint]) -> Int64[np.ndarray, "n 3"]:
    """Return pairs of clips with two equal words at one shift, and the shift at which most are equal."""
    length_N = np.array([len(words_T) for words_T in prints], np.int64)
    word_W = np.concatenate([np.zeros(0, np.uint32), *prints])
    clip_W = np.repeat(np.arange(len(prints)), length_N)
    frame_W = np.arange(len(word_W)) - np.repeat(np.cumsum(length_N) - length_N, length_N)
    order = np.argsort(word_W, kind="stable")[int(np.sum(word_W == 0)) :]
    word_W, clip_W, frame_W = word_W[order], clip_W[order], frame_W[order]
    hits = [np.zeros((0, 3), np.int64)]
    for step in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero((word_W[step:] == word_W[:-step]) & (clip_W[step:] != clip_W[:-step]))
        hits.append(np.stack([clip_W[same], clip_W[same + step], frame_W[same] - frame_W[same + step]], axis=1))
    shifts_K3, n_hits_K = np.unique(np.concatenate(hits), axis=0, return_counts=True)
    shifts_K3, n_hits_K = shifts_K3[n_hits_K > 1], n_hits_K[n_hits_K > 1]
    shifts_K3 = shifts_K3[np.argsort(-n_hits_K, kind="stable")]
    return shifts_K3[np.unique(shifts_K3[:, :2], axis=0, return_index=True)[1]]


def errors_near(a_T: Fingerprint, b_T: Fingerprint, shift: int) -> float:
    """Return the least share of bits that differ at a shift and one frame beside it."""
    return min(errors_at(a_T, b_T, near) for near in (shift - 1, shift, shift + 1))


def errors_at(a_T: Fingerprint, b_T: Fingerprint, shift: int) -> float:
    """Return the share of bits that differ where frame t of b lies upon frame t + shift of a; 1 where few do."""
    both_2T = [a_T[max(0, shift) :], b_T[max(0, -shift) :]]
    n_frames = min(map(len, both_2T))
    a, b = (words_T[:n_frames] for words_T in both_2T)
    loud_T = (a > 0) & (b > 0)
    n_loud = int(loud_T.sum())
    fewest = max(FEWEST_FRAMES, min(int(np.sum(a_T > 0)), int(np.sum(b_T > 0))) // 2)
    if n_loud < fewest:
        return 1.0
    return float(np.bitwise_count(a[loud_T] ^ b[loud_T]).mean()) / BITS
