"""Cosine transforms, mel-frequency cepstral coefficients, and their slopes over time."""

import math
from functools import lru_cache
from typing import get_args

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.compiled import compiled
from serjax.dsp.framing import frame_rows, pad_ends
from serjax.dsp.mel import melspectrogram
from serjax.dsp.parameters import (
    DctNorm,
    DctType,
    DeltaMode,
    MelNorm,
    Number,
    PadMode,
    ParameterError,
    Window,
    as_real,
    as_spectrum,
    check_axis,
    check_choice,
    check_number,
    check_size,
)
from serjax.dsp.spectral import power_to_db

# What scipy.ndimage calls the ways to go on beyond an edge, in numpy's words.
_PAD_OF_MODE = {"nearest": "edge", "mirror": "reflect", "constant": "constant", "wrap": "wrap"}


@compiled
def dct(
    x: Real[ArrayLike, "..."], type: DctType = 2, axis: int = -1, norm: DctNorm | None = None
) -> Float[Array, "..."]:
    """Discrete cosine transform of type 1, 2 or 3 along an axis, with the names and scaling of `scipy.fft.dct`.

    Type 1: `y[k] = x[0] + (-1)^k x[N-1] + 2 sum_{0<n<N-1} x[n] cos(pi k n / (N - 1))`,
    type 2: `y[k] = 2 sum_n x[n] cos(pi k (2n + 1) / 2N)`,
    type 3: `y[k] = x[0] + 2 sum_{n>0} x[n] cos(pi (2k + 1) n / 2N)`.
    It multiplies by a matrix: meant for the lengths of filterbanks, not of signals.

    Args:
      x: real, N entries along the axis (type 1: at least 2).
      type: 1, 2 or 3.
      axis: the axis to transform.
      norm: `ortho`: scaled so that the matrix is orthogonal; `None`: as above.

    Raises:
      ParameterError: the type or norm is unknown, the axis missing or too short.

    Source: N. Ahmed, T. Natarajan and K. R. Rao, "Discrete cosine transform", 1974.

    >>> dct(jnp.array([1.0, 1.0, 1.0, 1.0]), norm="ortho")[0].item()
    2.0
    """
    values = as_real("x", x)
    check_axis(axis, values.shape)
    size = values.shape[axis]
    columns = jnp.moveaxis(values, axis, -1)[..., None]
    return jnp.moveaxis(_transform(columns, cosine_basis(size, size, type, norm))[..., 0], -1, axis)


def _transform(columns: Float[Array, "*batch M T"], rows: np.ndarray) -> Float[Array, "*batch C T"]:
    """Multiply each column by a matrix, in the precision of the columns but made from float64 rows."""
    # The mean of a column goes its own way: decibels share a large offset, and adding it up over a hundred bands in
    # float32 would cost the lowest coefficient a digit.
    mean = columns.mean(axis=-2, keepdims=True)
    table = jnp.asarray(rows, columns.dtype)
    sums = jnp.asarray(rows.sum(axis=1), columns.dtype).reshape((1,) * (columns.ndim - 2) + (-1, 1))
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    return jnp.einsum("...mt,km->...kt", columns - mean, table, precision="highest") + sums * mean


def cosine_basis(size: int, n_rows: int, dct_type: DctType, norm: DctNorm | None) -> np.ndarray:
    """Tabulate the matrix of a cosine transform in float64."""
    check_choice("dct type", dct_type, get_args(DctType))
    if norm is not None:
        check_choice("norm", norm, (*get_args(DctNorm), None))
    check_size("length of the transformed axis", size, least=2 if dct_type == 1 else 1)
    return _dct_table(size, dct_type, norm)[:n_rows]


@lru_cache(maxsize=64)
def _dct_table(size: int, dct_type: DctType, norm: DctNorm | None) -> np.ndarray:
    """Tabulate `basis[k, n]` in float64."""
    index = np.arange(size)
    if dct_type == 1:
        basis = 2.0 * np.cos(np.pi * np.outer(index, index) / (size - 1))
        basis[:, [0, -1]] *= 0.5
        if norm == "ortho":
            edge = np.where((index == 0) | (index == size - 1), np.sqrt(0.5), 1.0)
            basis *= np.outer(edge, 1.0 / edge) * np.sqrt(0.5 / (size - 1))
        return basis
    basis = 2.0 * np.cos(np.pi * np.outer(index, 2 * index + 1) / (2 * size))
    if norm == "ortho":
        basis *= np.sqrt(0.5 / size)
        basis[0] *= np.sqrt(0.5)
    elif dct_type == 3:
        basis[0] *= 0.5
    return basis.T if dct_type == 3 else basis


@compiled
def mfcc(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch M T"] | None = None,
    n_mfcc: int = 20,
    dct_type: DctType = 2,
    norm: DctNorm | None = "ortho",
    lifter: Number = 0,
    mel_norm: MelNorm | None = "slaney",
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
) -> Float[Array, "*batch C T"]:
    """Mel-frequency cepstral coefficients, `c[n, t] = lift[n] dct(10 log10 M[:, t])[n]`.

    The decibels are floored 80 dB below the maximum of each clip; `lift[n] = 1 + lifter / 2 sin(pi (n + 1) / lifter)`.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: mel spectrogram in dB, `(..., n_mels, frames)`, which is taken as it is.
      sr: sampling rate in Hz, above 0.
      n_mfcc: number of coefficients, from 1 to the number of bands.
      dct_type: type of the cosine transform, see `dct`.
      norm: norm of the cosine transform, see `dct`.
      lifter: length of the cepstral window, at least 0; 0: none.
      mel_norm: `norm` of `mel_filterbank`.
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

    Returns:
      `(..., n_mfcc, frames)`.

    Raises:
      ParameterError: as `melspectrogram` and `dct`; or `n_mfcc` exceeds the number of bands, or `lifter` is negative.

    Source: S. Davis and P. Mermelstein, "Comparison of parametric representations for monosyllabic word recognition
    in continuously spoken sentences", 1980.

    >>> mfcc(jnp.zeros((3, 22050)), n_mfcc=13).shape
    (3, 13, 44)
    """
    if (y is None) == (S is None):
        raise ParameterError("mfcc takes either a signal y or a mel spectrogram S in dB: give exactly one of them.")
    if S is None:
        mel = melspectrogram(
            y,
            sr=sr,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            pad_mode=pad_mode,
            power=power,
            n_mels=n_mels,
            fmin=fmin,
            fmax=fmax,
            htk=htk,
            norm=mel_norm,
        )
        S = power_to_db(mel)
    return cepstra(as_spectrum("S", S, "(..., n_mels, frames)"), n_mfcc, dct_type, norm, lifter)


def cepstra(
    logmel: Float[Array, "*batch M T"],
    n_mfcc: int,
    dct_type: DctType = 2,
    norm: DctNorm | None = "ortho",
    lifter: Number = 0,
) -> Float[Array, "*batch C T"]:
    """Turn mel decibels into the first `n_mfcc` liftered cepstra; ParameterError if there are fewer bands."""
    n_mels = logmel.shape[-2]
    check_size("n_mfcc", n_mfcc)
    weights = cepstral_window(n_mfcc, lifter)
    if n_mfcc > n_mels:
        raise ParameterError(f"n_mfcc={n_mfcc} exceeds the {n_mels} mel bands: give at most as many.")
    return _transform(logmel, cosine_basis(n_mels, n_mfcc, dct_type, norm) * weights[:, None])


def cepstral_window(n_mfcc: int, lifter: Number) -> np.ndarray:
    """Tabulate the weights that lifter, a length at least 0, gives the coefficients; 0: ones."""
    check_number("lifter", lifter)
    if lifter == 0:
        return np.ones(n_mfcc)
    return 1.0 + lifter / 2.0 * np.sin(np.pi * np.arange(1, n_mfcc + 1) / lifter)


@compiled
def delta(
    data: Real[ArrayLike, "*shape"],
    *,
    width: int = 9,
    order: int = 1,
    axis: int = -1,
    mode: DeltaMode = "interp",
) -> Float[Array, "*shape"]:
    """Slope over time by a Savitzky-Golay filter: the derivative of a polynomial fitted to `width` frames around each.

    Args:
      data: features, real; T frames along the axis.
      width: frames in the fit, odd, from 3, and with `interp` at most T.
      order: which derivative, and the degree of the polynomial: from 1 to `width - 1`.
      axis: the axis of time.
      mode: what the first and last `width // 2` frames are made of: the polynomial of the outermost full window
        (`interp`), or of padding: `nearest`, `mirror`, `constant` (zeros), `wrap`.

    Raises:
      ParameterError: `width` is even, too small or (`interp`) longer than the data, `order` out of its range, the
        mode unknown, or the axis missing.

    Source: A. Savitzky and M. J. E. Golay, "Smoothing and differentiation of data by simplified least squares
    procedures", 1964.

    >>> delta(jnp.arange(10.0) * 2).round(4).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    """
    values = as_real("data", data)
    _check_delta(values.shape, width, order, axis, mode)
    series = jnp.moveaxis(values, axis, -1)
    if mode != "interp":
        series = pad_ends(series, width // 2, _PAD_OF_MODE[mode])
    weights = jnp.asarray(_slope_table(width, order), series.dtype)
    slopes = jnp.einsum("...tw,w->...t", frame_rows(series, width, 1), weights, precision="highest")
    if mode == "interp":
        # The polynomial has degree `order`: its derivative of that order is one constant over the whole window.
        slopes = pad_ends(slopes, width // 2, "edge")
    return jnp.moveaxis(slopes, -1, axis)


def _check_delta(shape: tuple[int, ...], width: int, order: int, axis: int, mode: DeltaMode) -> None:
    check_choice("mode", mode, get_args(DeltaMode))
    check_size("width", width, least=3)
    check_size("order", order)
    check_axis(axis, shape)
    if width % 2 == 0:
        raise ParameterError(f"width={width} is even: give an odd number of frames, which has a middle.")
    if order >= width:
        raise ParameterError(f"order={order} needs more than {width} frames: give a width above the order.")
    if mode == "interp" and width > shape[axis]:
        raise ParameterError(f"width={width} exceeds the {shape[axis]} frames: give less, or a mode that pads.")


@lru_cache(maxsize=64)
def _slope_table(width: int, order: int) -> np.ndarray:
    """Tabulate in float64 the weights whose sum over a window is the derivative of the polynomial fitted to it."""
    position = np.arange(width, dtype=np.float64) - width // 2
    fit = np.linalg.pinv(np.vander(position, order + 1, increasing=True))
    return math.factorial(order) * fit[order]
