"""Chroma: energy by pitch class, octaves folded together, and the space of tones spanned by fifths and thirds."""

import math
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.columns import check_norm, normalize_columns, spectrum_of
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    Window,
    as_real,
    as_spectrum,
    check_number,
    check_size,
)
from serjax.dsp.tuning import LOWEST_A_HZ, tuning_of


@compiled
def chroma_filterbank(
    *,
    sr: Number,
    n_fft: int,
    n_chroma: int = 12,
    tuning: Number | Real[ArrayLike, "*batch"] = 0.0,
    ctroct: Number = 5.0,
    octwidth: Number | None = 2,
    norm: Number | None = 2,
    base_c: bool = True,
) -> Float[Array, "*batch n_chroma F"]:
    """Gaussian bumps at each pitch class, `w[c, f] = exp(-2 (d / b[f]) ** 2)`, under a Gaussian over octaves.

    `d` is the distance of the pitch `p[f] = n_chroma log2(f / 27.5 Hz) - tuning` from `c`, wrapped into an octave; `b`
    the distance in pitch to the next bin, at least 1. Each column is normalised and then weighed by
    `exp(-((p[f] / n_chroma - ctroct) / octwidth) ** 2 / 2)`.

    Args:
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples, at least 2.
      n_chroma: pitch classes, at least 1.
      tuning: how far above A = 440 Hz, in shares of a class; a number or an array, which may be traced.
      ctroct: middle of the Gaussian over octaves, counted from 27.5 Hz.
      octwidth: its standard deviation in octaves, above 0; `None`: all octaves weigh the same.
      norm: norm of a column, above 0 or `inf`; `None`: none.
      base_c: the first class is C, else A.

    Returns:
      Weights `(..., n_chroma, 1 + n_fft // 2)`, the leading axes those of the tuning.

    Raises:
      ParameterError: a size or a number is out of its range.

    Source: D. P. W. Ellis, "Chroma feature analysis and synthesis", 2007.

    >>> chroma_filterbank(sr=22050, n_fft=2048)[:, 41].argmax().item()  # 41 bins are 441 Hz, an A
    9
    """
    check_number("sr", sr, strict=True)
    check_size("n_fft", n_fft, least=2)
    check_size("n_chroma", n_chroma)
    check_number("abs(ctroct)", abs(ctroct))
    check_norm(norm)
    if octwidth is not None:
        check_number("octwidth", octwidth, strict=True)
    shift = as_real("tuning", tuning)[..., None, None]

    def as_shift(table: np.ndarray) -> Array:
        return jnp.asarray(table, shift.dtype).reshape((1,) * (shift.ndim - 2) + table.shape)

    pitch, *tables = _chroma_tables(float(sr), n_fft, n_chroma, base_c)
    distance, width = map(as_shift, tables)  # exact to float32: octaves were taken off before the tuning is known
    half = round(n_chroma / 2)
    wrapped = distance - shift
    wrapped = wrapped - n_chroma * jnp.floor((wrapped + half) / n_chroma)
    weights = normalize_columns(jnp.exp(-2.0 * jnp.square(wrapped / width)), norm)
    if octwidth is None:
        return weights
    # exp(-(a - t)² / 2) = exp(-a² / 2) exp(a t - t² / 2): what is far from the centre has a large exponent, taken in
    # float64; what the tuning adds to it is small.
    away = (pitch / n_chroma - ctroct) / octwidth
    middle, tuned = as_shift(np.exp(-0.5 * away**2)), shift / (n_chroma * octwidth)
    return weights * middle * jnp.exp(jnp.minimum(as_shift(away) * tuned - 0.5 * jnp.square(tuned), 88.0))


@lru_cache(maxsize=64)
def _chroma_tables(sr: float, n_fft: int, n_chroma: int, base_c: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tabulate in float64 the pitch of each bin, its distance from each class within an octave, and its width."""
    pitch = n_chroma * np.log2(np.arange(1, n_fft) * (sr / n_fft) / LOWEST_A_HZ)
    pitch = np.concatenate([[pitch[0] - 1.5 * n_chroma], pitch])  # the mean of the signal: an octave and a half below
    width = np.append(np.maximum(np.diff(pitch), 1.0), 1.0)
    half = round(n_chroma / 2)
    distance = (pitch - np.arange(n_chroma)[:, None] + half) % n_chroma - half
    if base_c:
        distance = np.roll(distance, -3 * (n_chroma // 12), axis=0)
    kept = 1 + n_fft // 2
    return pitch[None, :kept], distance[:, :kept], width[None, :kept]


@compiled
def chroma_stft(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    norm: Number | None = math.inf,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    tuning: Number | Real[ArrayLike, "*batch"] | None = None,
    n_chroma: int = 12,
    ctroct: Number = 5.0,
    octwidth: Number | None = 2,
    base_c: bool = True,
) -> Float[Array, "*batch n_chroma T"]:
    """Energy of each pitch class, `C[c, t] = sum_f w[c, f] S[f, t]` with `S = |stft(y)| ** 2`, normalised a column.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: power spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      norm: norm of a column, above 0 or `inf`; `None`: none. Silence stays 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.
      tuning: how far above A = 440 Hz, in shares of a class, for all clips or one per clip; `None`: `estimate_tuning`
        finds it for each clip.
      n_chroma: pitch classes, at least 1.
      ctroct: middle of the Gaussian over octaves, see `chroma_filterbank`.
      octwidth: its standard deviation in octaves; `None`: all octaves weigh the same.
      base_c: the first class is C, else A.

    Returns:
      `(..., n_chroma, frames)`.

    Raises:
      ParameterError: as `spectrogram` and `chroma_filterbank`; not exactly one of `y` and `S` is given; or the
        tunings are not one per clip.

    Source: D. P. W. Ellis, "Chroma feature analysis and synthesis", 2007.

    >>> a_440_hz = jnp.sin(2 * jnp.pi * 440 * jnp.arange(22050) / 22050)
    >>> chroma_stft(a_440_hz).argmax(axis=0)[10:14].tolist()  # C is 0, A is 9
    [9, 9, 9, 9]
    """
    check_norm(norm)
    power, n_fft = spectrum_of("chroma_stft", y, S, n_fft, hop_length, 2, win_length, window, center, pad_mode)
    if tuning is None:
        # Peaks lie where a transform of even length has them, also after one of odd length: librosa's definition.
        tuning = tuning_of(power, 2 * (power.shape[-2] - 1), sr, bins_per_octave=n_chroma)
    weights = chroma_filterbank(
        sr=sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning, ctroct=ctroct, octwidth=octwidth, base_c=base_c
    ).astype(power.dtype)
    if weights.ndim > 2 and weights.shape[:-2] != power.shape[:-2]:
        raise ParameterError(f"tuning has shape {weights.shape[:-2]}, expected () or {power.shape[:-2]}: one per clip.")
    sums = "cf,...ft->...ct" if weights.ndim == 2 else "...cf,...ft->...ct"
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    return normalize_columns(jnp.einsum(sums, weights, power, precision="highest"), norm)


@compiled
def tonnetz(chroma: Real[ArrayLike, "*batch C T"]) -> Float[Array, "*batch 6 T"]:
    """Centre of the tones on the circles of fifths, minor thirds and major thirds, two coordinates each.

    `z[i, t] = r[i] sum_c cos(pi (a[i] c - h[i])) C[c, t] / sum_c |C[c, t]|` with `c` in semitones,
    `a = 7/6, 7/6, 3/2, 3/2, 2/3, 2/3`, `r = 1, 1, 1, 1, 1/2, 1/2` and `h = 1/2` for sines, 0 for cosines.

    Args:
      chroma: chromagram, `(..., n_chroma, frames)`, such as `chroma_stft` makes.

    Returns:
      `(..., 6, frames)`.

    Raises:
      ParameterError: the chromagram is not real floating point, or has no bins and frames.

    Source: C. Harte, M. Sandler and M. Gasser, "Detecting harmonic change in musical audio", 2006.

    >>> tonnetz(jnp.eye(12)[:, :1])[:, 0].round(2).tolist()  # a C
    [0.0, 1.0, 0.0, 1.0, 0.0, 0.5]
    """
    classes = as_spectrum("chroma", chroma, "(..., n_chroma, frames)")
    if classes.shape[-2] == 0:
        raise ParameterError(f"chroma has shape {classes.shape}, expected (..., n_chroma, frames).")
    semitones = np.arange(classes.shape[-2]) * (12 / classes.shape[-2])
    angle = np.outer([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3], semitones) - np.array([[0.5], [0.0]] * 3)
    basis = np.array([[1.0], [1.0], [1.0], [1.0], [0.5], [0.5]]) * np.cos(np.pi * angle)
    return jnp.einsum(
        "pc,...ct->...pt", jnp.asarray(basis, classes.dtype), normalize_columns(classes, 1), precision="highest"
    )
