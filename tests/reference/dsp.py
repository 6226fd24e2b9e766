"""Signal processing by its definitions: float64, numpy, loops and sums, nothing fast and nothing shared with serjax."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

PAD_OF_MODE: dict[str, Any] = {"nearest": "edge", "mirror": "reflect", "constant": "constant", "wrap": "wrap"}


def vowel(n_samples: int, sample_rate_hz: float, seed: int = 0) -> np.ndarray:
    """Make float32 that looks like speech: harmonics under three formants, a slow envelope, a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / sample_rate_hz
    pitch_hz = 120.0 + 40.0 * rng.random() + 8.0 * np.sin(2 * np.pi * 3.0 * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz
    voice = np.zeros(n_samples)
    for harmonic in range(1, 40):
        hz = harmonic * pitch_hz
        formants = sum(1.0 / (1.0 + ((hz - centre) / 90.0) ** 2) for centre in (600.0, 1200.0, 2500.0))
        voice += np.where(hz < sample_rate_hz / 2, formants, 0.0) * np.sin(harmonic * phase) / harmonic
    envelope = np.sin(np.pi * np.arange(n_samples) / max(1, n_samples - 1)) ** 2
    return (0.3 * envelope * voice + 1e-3 * rng.standard_normal(n_samples)).astype(np.float32)


def relative_error(actual: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Largest error, relative to the largest magnitude; 0 where nothing is off, zeros included."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    error = np.abs(actual - expected).max()
    return float(error / np.abs(expected).max()) if error else 0.0


def frame(x: np.ndarray, frame_length: int, hop_length: int) -> np.ndarray:
    starts = range(0, len(x) - frame_length + 1, hop_length)
    return np.array([[x[start + i] for start in starts] for i in range(frame_length)])


def window(name: str, length: int, periodic: bool = True) -> np.ndarray:
    period = length if periodic else length - 1
    terms = {
        "hann": lambda p: math.sin(p / 2) ** 2,
        "hamming": lambda p: 0.54 - 0.46 * math.cos(p),
        "blackman": lambda p: 0.42 - 0.5 * math.cos(p) + 0.08 * math.cos(2 * p),
        "blackmanharris": lambda p: (
            0.35875 - 0.48829 * math.cos(p) + 0.14128 * math.cos(2 * p) - 0.01168 * math.cos(3 * p)
        ),
        "bartlett": lambda p: p / math.pi if p <= math.pi else 2 - p / math.pi,
        "boxcar": lambda p: 1.0,
        "ones": lambda p: 1.0,
    }
    if length == 1:
        return np.ones(1)
    return np.array([terms[name](2 * math.pi * n / period) for n in range(length)])


def stft(
    y: np.ndarray, n_fft: int, hop_length: int, weights: np.ndarray, center: bool = True, pad_mode: Any = "constant"
) -> np.ndarray:
    """Sum up the Fourier transform of each frame; the weights stand in the middle of it."""
    y = np.asarray(y, np.float64)
    padded = np.pad(y, n_fft // 2, mode=pad_mode) if center else y
    full = np.zeros(n_fft)
    before = (n_fft - len(weights)) // 2
    full[before : before + len(weights)] = weights
    bins = np.arange(1 + n_fft // 2)
    fourier = np.exp(-2j * np.pi * np.outer(bins, np.arange(n_fft)) / n_fft)
    return fourier @ (full[:, None] * frame(padded, n_fft, hop_length))


def power_to_db(S: np.ndarray, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = 80.0) -> np.ndarray:
    """One clip: `S` has no batch axes."""
    decibels = 10 * np.log10(np.maximum(np.asarray(S, np.float64), amin) / max(amin, abs(ref)))
    return decibels if top_db is None else np.maximum(decibels, decibels.max() - top_db)


def hz_to_mel(hz: float, htk: bool = False) -> float:
    if htk:
        return 2595 * math.log10(1 + hz / 700)
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def mel_to_hz(mel: float, htk: bool = False) -> float:
    if htk:
        return 700 * (10 ** (mel / 2595) - 1)
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def mel_frequencies(n_mels: int, fmin: float, fmax: float, htk: bool = False) -> np.ndarray:
    low, high = hz_to_mel(fmin, htk), hz_to_mel(fmax, htk)
    step = (high - low) / max(1, n_mels - 1)
    return np.array([mel_to_hz(low + step * i, htk) for i in range(n_mels)])


def mel_filterbank(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
) -> np.ndarray:
    """Draw each triangle through its three corners."""
    corners = mel_frequencies(n_mels + 2, fmin, sr / 2 if fmax is None else fmax, htk)
    bins_hz = np.arange(1 + n_fft // 2) * sr / n_fft
    bands = []
    for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
        height = 2 / (right - left) if norm == "slaney" else 1.0
        bands.append(np.interp(bins_hz, [left, middle, right], [0.0, height, 0.0]))
    return np.array(bands)


def dct(x: np.ndarray, kind: int, norm: str | None = None) -> np.ndarray:
    """Transform the first axis, by the sums in scipy's manual."""
    x = np.asarray(x, np.float64)
    N = len(x)
    out = np.zeros_like(x)
    for k in range(N):
        for n in range(N):
            out[k] += x[n] * _cosine_weight(kind, k, n, N, norm)
    return out


def _cosine_weight(kind: int, k: int, n: int, N: int, norm: str | None) -> float:
    ortho = norm == "ortho"
    if kind == 1:
        weight = math.cos(math.pi * k * n / (N - 1)) * (1 if n in (0, N - 1) else 2)
        if ortho:  # ends of the input times sqrt 2, all over sqrt(2 (N - 1)), ends of the output over sqrt 2
            weight *= (math.sqrt(2) if n in (0, N - 1) else 1) * math.sqrt(0.5 / (N - 1))
            weight /= math.sqrt(2) if k in (0, N - 1) else 1
        return weight
    if kind == 2:
        weight = 2 * math.cos(math.pi * k * (2 * n + 1) / (2 * N))
        return weight * math.sqrt(1 / (4 * N) if k == 0 else 1 / (2 * N)) if ortho else weight
    weight = math.cos(math.pi * (2 * k + 1) * n / (2 * N)) * (1 if n == 0 else 2)
    return weight * (math.sqrt(1 / N) if n == 0 else math.sqrt(1 / (2 * N))) if ortho else weight


def mfcc(
    y: np.ndarray,
    sr: float,
    n_mfcc: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    lifter: float = 0,
    top_db: float | None = 80.0,
) -> np.ndarray:
    """Compose the above for one clip, with librosa's other defaults."""
    power = np.abs(stft(y, n_fft, hop_length, window("hann", n_fft))) ** 2
    logmel = power_to_db(mel_filterbank(sr, n_fft, n_mels) @ power, top_db=top_db)
    coefficients = dct(logmel, 2, "ortho")[:n_mfcc]
    for n in range(n_mfcc if lifter else 0):
        coefficients[n] *= 1 + lifter / 2 * math.sin(math.pi * (n + 1) / lifter)
    return coefficients


def delta(x: np.ndarray, width: int, order: int, mode: str) -> np.ndarray:
    """Fit a polynomial to each window of one series and differentiate it."""
    x, half = np.asarray(x, np.float64), width // 2
    padded = x if mode == "interp" else np.pad(x, half, mode=PAD_OF_MODE[mode])
    slopes = np.zeros(len(x))
    for t in range(len(x)):
        middle = min(max(t, half), len(x) - 1 - half) if mode == "interp" else t + half
        position = np.arange(middle - half, middle + half + 1)
        fitted = np.polynomial.Polynomial.fit(position, padded[position], order)
        slopes[t] = fitted.deriv(order)(t if mode == "interp" else t + half)
    return slopes
