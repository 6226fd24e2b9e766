"""The mel scale, its filterbank, and mel spectrograms."""

import inspect
import math
import warnings
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.columns import spectrum_of
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import (
    MelNorm,
    Number,
    PadMode,
    Window,
    as_real,
    check_choice,
    check_number,
    check_size,
    upper_edge_hz,
)

# Slaney's scale: 200/3 Hz per mel up to 1 kHz, from there 27 mels for a factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


@compiled
def hz_to_mel(frequencies: Real[ArrayLike, "*shape"], *, htk: bool = False) -> Float[Array, "*shape"]:
    """Frequency to mel: `3 f / 200` below 1 kHz, above it `15 + 27 log(f / 1000) / log(6.4)`.

    HTK has one formula for all, `2595 log10(1 + f / 700)`.

    Args:
      frequencies: in Hz, at least 0, any shape.
      htk: the formula of HTK (O'Shaughnessy) instead of that of Slaney's Auditory Toolbox.

    Raises:
      ParameterError: the frequencies are not real floating point.

    Source: M. Slaney, "Auditory Toolbox, version 2", 1998; S. Young et al., "The HTK Book", 2006.

    >>> hz_to_mel(jnp.array([200.0, 1000.0])).tolist()
    [3.0, 15.0]
    """
    return _hz_to_mel(as_real("frequencies", frequencies), htk, jnp)


@compiled
def mel_to_hz(mels: Real[ArrayLike, "*shape"], *, htk: bool = False) -> Float[Array, "*shape"]:
    """Mel to frequency in Hz, the inverse of `hz_to_mel`.

    Args:
      mels: at least 0, any shape.
      htk: the formula of HTK instead of Slaney's.

    Raises:
      ParameterError: the mels are not real floating point.

    Source: as `hz_to_mel`.

    >>> mel_to_hz(jnp.array([3.0, 15.0])).round(2).tolist()
    [200.0, 1000.0]
    """
    return _mel_to_hz(as_real("mels", mels), htk, jnp)


# `xp` is numpy for tables, which want float64, and jax.numpy for the public functions: one formula for both.
def _hz_to_mel(hz: Any, htk: bool, xp: ModuleType) -> Any:
    if htk:
        return 2595.0 * xp.log10(1.0 + hz / 700.0)
    logarithmic = _BREAK_MEL + xp.log(xp.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return xp.where(hz >= _BREAK_HZ, logarithmic, hz / _HZ_PER_MEL)


def _mel_to_hz(mels: Any, htk: bool, xp: ModuleType) -> Any:
    if htk:
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    exponential = _BREAK_HZ * xp.exp(_LOG_STEP * (mels - _BREAK_MEL))
    return xp.where(mels >= _BREAK_MEL, exponential, mels * _HZ_PER_MEL)


@compiled
def mel_frequencies(
    n_mels: int = 128, *, fmin: Number = 0.0, fmax: Number = 11025.0, htk: bool = False
) -> Float[Array, " n_mels"]:
    """Frequencies in Hz that are evenly spaced on the mel scale from `fmin` to `fmax`, both included.

    Args:
      n_mels: how many, at least 1.
      fmin: lowest, in Hz, at least 0.
      fmax: highest, in Hz, at least 0.
      htk: the formula of HTK instead of Slaney's.

    Raises:
      ParameterError: `n_mels` is not positive, or a frequency negative.

    >>> mel_frequencies(3, fmax=400).round(2).tolist()
    [0.0, 200.0, 400.0]
    """
    check_size("n_mels", n_mels)
    check_number("fmin", fmin)
    check_number("fmax", fmax)
    return jnp.asarray(_mel_points(n_mels, fmin, fmax, htk), dtype=float)


def _mel_points(n_points: int, fmin: Number, fmax: Number, htk: bool) -> np.ndarray:
    low, high = _hz_to_mel(np.array([fmin, fmax], np.float64), htk, np)
    return _mel_to_hz(np.linspace(low, high, n_points), htk, np)


@compiled
def mel_filterbank(
    *,
    sr: Number,
    n_fft: int,
    n_mels: int = 128,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: MelNorm | None = "slaney",
) -> Float[Array, "n_mels F"]:
    """Triangular bands with corners `e` evenly spaced in mel, `w[m, f] = max(0, min(rise, fall))`.

    `rise = (f - e[m]) / (e[m+1] - e[m])`, `fall = (e[m+2] - f) / (e[m+2] - e[m+1])`.

    Args:
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      n_mels: number of bands, at least 1.
      fmin: lowest frequency in Hz, at least 0.
      fmax: highest frequency in Hz, above `fmin` and at most `sr / 2`, which `None` stands for.
      htk: the mel formula of HTK instead of Slaney's.
      norm: `slaney`: each triangle has unit area over Hz (`w[m] * 2 / (e[m+2] - e[m])`); `None`: unit height.

    Returns:
      Weights `(n_mels, 1 + n_fft // 2)`. A band that is narrower than the distance of two bins may be all zero, of
      which a `UserWarning` tells.

    Raises:
      ParameterError: a size or a frequency is out of its range, or the norm unknown.

    Source: M. Slaney, "Auditory Toolbox, version 2", 1998.

    >>> mel_filterbank(sr=1600, n_fft=8, n_mels=3, norm=None).argmax(axis=1).tolist()
    [1, 2, 3]
    """
    return jnp.asarray(checked_weights(sr, n_fft, n_mels, fmin, fmax, htk, norm), dtype=float)


def checked_weights(
    sr: Number, n_fft: int, n_mels: int, fmin: Number, fmax: Number | None, htk: bool, norm: MelNorm | None
) -> np.ndarray:
    """Tabulate a filterbank in float64, after a check of what describes it."""
    check_size("n_fft", n_fft)
    check_size("n_mels", n_mels)
    if norm is not None:
        check_choice("norm", norm, (*get_args(MelNorm), None))
    top = upper_edge_hz(sr, fmin, fmax)
    return _mel_table(float(sr), n_fft, n_mels, float(fmin), top, htk, norm)


@lru_cache(maxsize=64)
def _mel_table(
    sr: float, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool, norm: MelNorm | None
) -> np.ndarray:
    """Tabulate the triangles in float64."""
    edges = _mel_points(n_mels + 2, fmin, fmax, htk)
    distance = np.fft.rfftfreq(n_fft, 1.0 / sr)[None, :] - edges[:, None]
    width = np.diff(edges)[:, None]
    rising, falling = distance[:-2] / width[:-1], -distance[2:] / width[1:]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    # A band that starts at 0 Hz may be empty without harm: the lowest bin carries the mean of the signal only.
    n_empty = np.count_nonzero((weights.max(axis=1) == 0.0) & (edges[:-2] > 0.0))
    if n_empty:
        # All that makes a bank: Python shows the same words of the same line once only.
        warnings.warn(
            f"Some of the {n_mels} mel bands up to {fmax:g} Hz lie between two bins of n_fft={n_fft} and are always "
            f"zero, {n_empty} of them (sr={sr:g}, fmin={fmin:g}, htk={htk}, norm={norm!r}): use fewer bands or a "
            f"longer transform.",
            UserWarning,
            stacklevel=_outside(),
        )
    return weights if norm is None else weights * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def _outside() -> int:
    """Count the calls from the caller of this function up to the first line that is neither JAX's nor ours."""
    inside = (str(Path(__file__).parent), str(Path(jax.__file__).parent))
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_code.co_filename.startswith(inside):
        frame, level = frame.f_back, level + 1
    return level


@compiled
def melspectrogram(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    power: Number = 2.0,
    n_mels: int = 128,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: MelNorm | None = "slaney",
) -> Float[Array, "*batch n_mels T"]:
    """Mel spectrogram, `M[m, t] = sum_f w[m, f] S[f, t]` with `S = |stft(y)| ** power`.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: spectrogram, `(..., 1 + n_fft // 2, frames)`, taken as it is; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.
      pad_mode: what is padded, see `stft`.
      power: exponent of the magnitude, above 0.
      n_mels: number of bands, at least 1.
      fmin: lowest frequency in Hz, at least 0.
      fmax: highest frequency in Hz, above `fmin` and at most `sr / 2`, which `None` stands for.
      htk: the mel formula of HTK instead of Slaney's.
      norm: `slaney` (unit area) or `None` (unit height), see `mel_filterbank`.

    Raises:
      ParameterError: as `stft` and `mel_filterbank`; or not exactly one of `y` and `S` is given.

    Source: S. Davis and P. Mermelstein, "Comparison of parametric representations for monosyllabic word recognition
    in continuously spoken sentences", 1980.

    >>> melspectrogram(jnp.zeros(22050)).shape
    (128, 44)
    """
    spectrum, n_fft = spectrum_of(
        "melspectrogram", y, S, n_fft, hop_length, power, win_length, window, center, pad_mode
    )
    return _weigh(spectrum, checked_weights(sr, n_fft, n_mels, fmin, fmax, htk, norm))


def _weigh(spectrum: Float[Array, "*batch F T"], weights: np.ndarray) -> Float[Array, "*batch M T"]:
    """Multiply by the bands in two parts: low bins meet low bands only, so that half of the product is zeros."""
    bands = jnp.zeros((*spectrum.shape[:-2], len(weights), spectrum.shape[-1]), spectrum.dtype)
    for bins, rows in _parts(weights):
        part = jnp.asarray(weights[rows, bins], spectrum.dtype)
        # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
        product = jnp.einsum("...ft,mf->...mt", spectrum[..., bins, :], part, precision="highest")
        around = (rows.start, len(weights) - rows.stop)
        bands = bands + jnp.pad(product, [(0, 0)] * (product.ndim - 2) + [around, (0, 0)])
    return bands


def _parts(weights: np.ndarray) -> list[tuple[slice, slice]]:
    """Cut the bins in two where that saves most, and give the bins and the rows of each part that are not all zero."""

    def cut(split: int) -> list[tuple[slice, slice]]:
        parts = []
        for bins in (slice(0, split), slice(split, weights.shape[1])):
            rows = np.flatnonzero(weights[:, bins].any(axis=1))
            if len(rows):
                parts.append((bins, slice(int(rows[0]), int(rows[-1]) + 1)))
        return parts

    def cost(parts: list[tuple[slice, slice]]) -> int:
        # Products per frame.
        return sum((bins.stop - bins.start) * (rows.stop - rows.start) for bins, rows in parts)

    splits = np.linspace(0, weights.shape[1], 16, endpoint=False, dtype=int)
    return min((cut(split) for split in splits.tolist()), key=cost)
