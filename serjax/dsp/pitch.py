"""Fundamental frequency by YIN: the shortest lag at which a frame resembles itself."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from serjax.dsp.columns import FAINT, neighbours, parabola_shift
from serjax.dsp.compiled import compiled
from serjax.dsp.framing import framed_signal
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    check_number,
    check_size,
    upper_edge_hz,
)


@compiled
def yin(
    y: Float[ArrayLike, "*batch N"],
    *,
    fmin: Number,
    fmax: Number,
    sr: Number = 22050,
    frame_length: int = 2048,
    hop_length: int | None = None,
    trough_threshold: Number = 0.1,
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> Float[Array, "*batch T"]:
    """Fundamental frequency of each frame, `sr / lag` for the first lag at which `d'` has a trough below a threshold.

    `d(k) = sum_n (y[n] - y[n + k]) ** 2`, zeros beyond the frame, and `d'(k) = d(k) / mean_{1<=j<=k} d(j)`; without
    such a trough the lag of the least `d'` is taken. A parabola through three lags finds the place between them.
    Silence, which repeats itself at once, gives the highest frequency.

    Args:
      y: signal, `(..., n)`.
      fmin: lowest frequency in Hz, of which a period fits the frame with a sample to spare.
      fmax: highest frequency in Hz, above `fmin` and at most `sr / 2`.
      sr: sampling rate in Hz, above 0.
      frame_length: samples in a frame; two periods of `fmin` or more make it reliable.
      hop_length: samples from frame to frame; `None`: `frame_length // 4`.
      trough_threshold: a trough counts below it, at least 0.
      center: pad by `frame_length // 2` at both ends.
      pad_mode: what is padded, see `stft`.

    Returns:
      In Hz, `(..., frames)`.

    Raises:
      ParameterError: a size, a frequency or the threshold is out of its range, or a name unknown.

    Source: A. de Cheveigné and H. Kawahara, "YIN, a fundamental frequency estimator for speech and music", 2002.

    >>> a_220_hz = jnp.sin(2 * jnp.pi * 220 * jnp.arange(22050) / 22050)
    >>> yin(a_220_hz, fmin=80, fmax=800)[10:13].round(0).tolist()
    [220.0, 220.0, 220.0]
    """
    settings = (fmin, fmax, sr, frame_length, hop_length, trough_threshold, center, pad_mode)
    return _yin(y, *settings)[0]


@compiled
def yin_voicing(
    y: Float[ArrayLike, "*batch N"],
    *,
    fmin: Number,
    fmax: Number,
    sr: Number = 22050,
    frame_length: int = 2048,
    hop_length: int | None = None,
    trough_threshold: Number = 0.1,
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> tuple[Float[Array, "*batch T"], Float[Array, "*batch T"]]:
    """Fundamental frequency of each frame as `yin` finds it, and how periodic the frame is: `1 - d'(k)` at its lag.

    The second is 1 where the frame repeats itself exactly, and near 0 or below for noise; speech is voiced where it is
    above .7 or so. Silence counts as 0.

    Args:
      y: signal, `(..., n)`.
      fmin: lowest frequency in Hz.
      fmax: highest frequency in Hz.
      sr: sampling rate in Hz.
      frame_length: samples in a frame.
      hop_length: samples from frame to frame; `None`: `frame_length // 4`.
      trough_threshold: as `yin`.
      center: as `yin`.
      pad_mode: as `yin`.

    Returns:
      F0 in Hz and the periodicity, `(..., frames)` each.

    Raises:
      ParameterError: as `yin`.

    >>> tone = jnp.sin(2 * jnp.pi * 220 * jnp.arange(22050) / 22050)
    >>> f0_hz, periodicity = yin_voicing(tone, fmin=80, fmax=800)
    >>> f0_hz[10].round(0).item(), bool(periodicity[10] > 0.9)
    (220.0, True)
    """
    return _yin(y, fmin, fmax, sr, frame_length, hop_length, trough_threshold, center, pad_mode)


def _yin(
    y: Float[ArrayLike, "*batch N"],
    fmin: Number,
    fmax: Number,
    sr: Number,
    frame_length: int,
    hop_length: int | None,
    trough_threshold: Number,
    center: bool,
    pad_mode: PadMode,
) -> tuple[Float[Array, "*batch T"], Float[Array, "*batch T"]]:
    check_number("fmin", fmin, strict=True)
    check_number("fmax", fmax, strict=True)
    check_number("trough_threshold", trough_threshold)
    check_size("frame_length", frame_length)
    shortest = math.floor(sr / upper_edge_hz(sr, fmin, fmax))
    hop_length = max(1, frame_length // 4) if hop_length is None else hop_length
    if sr / fmin >= frame_length - 1:
        raise ParameterError(
            f"fmin={fmin:g} Hz has a period of {sr / fmin:.1f} samples, too long for frame_length={frame_length}: give "
            f"a frame_length two samples longer than that, or at least fmin={sr / (frame_length - 1):.2f}."
        )
    frames = framed_signal(y, frame_length, hop_length, center, pad_mode)
    # Lags too short for `fmax` are dropped only now: the mean over shorter lags needs them.
    dissimilarity = _relative_difference(frames, math.ceil(sr / fmin))[..., shortest - 1 :, :]
    lag = _first_trough(dissimilarity, trough_threshold)
    shift = jnp.take_along_axis(parabola_shift(dissimilarity), lag, axis=-2)
    f0_hz = sr / (shortest + lag + shift)
    # Comparisons and positions hide NaN, so that such a frame would get some frequency.
    f0_hz = jnp.where(jnp.isnan(dissimilarity).any(axis=-2, keepdims=True), jnp.nan, f0_hz)
    sounds = dissimilarity.max(axis=-2) > 0
    periodicity = jnp.where(sounds, 1 - jnp.take_along_axis(dissimilarity, lag, axis=-2)[..., 0, :], 0.0)
    return f0_hz[..., 0, :], periodicity


def _relative_difference(frames: Float[Array, "*batch T L"], longest: int) -> Float[Array, "*batch K T"]:
    """Compute `d'` of the lags 1 to `longest`."""
    loudest = jax.lax.stop_gradient(jnp.abs(frames).max(axis=-1, keepdims=True))
    # In units of a power of two, which rounds nothing and keeps squares and slopes in the range of float32.
    unit = jnp.ldexp(jnp.ones_like(loudest), -jnp.frexp(loudest)[1])
    frames = jnp.where(loudest < FAINT, jax.lax.stop_gradient(frames), frames) * unit
    # Zeros for the longest lag and more: the circular correlation must not wrap round.
    spectrum = jnp.fft.rfft(frames, n=2 ** math.ceil(math.log2(frames.shape[-1] + longest)))
    alike = jnp.fft.irfft(jnp.square(spectrum.real) + jnp.square(spectrum.imag))
    head = jnp.cumsum(jnp.square(frames[..., :longest]), axis=-1)
    # librosa leaves the first sample out at the lag of 1; the mean over lags carries it to all of them.
    head = head.at[..., 0].set(0.0)
    difference = jnp.swapaxes(2.0 * (alike[..., :1] - alike[..., 1 : longest + 1]) - head, -1, -2)
    lags = jnp.arange(1, longest + 1, dtype=frames.dtype).reshape((1,) * (difference.ndim - 2) + (-1, 1))
    mean = jnp.cumsum(difference, axis=-2) / lags
    # 0 in silence, and by rounding a little below: neither may divide.
    return jnp.where(mean <= 0, 0.0, difference / jnp.where(mean <= 0, 1.0, mean))


def _first_trough(dissimilarity: Float[Array, "*batch K T"], threshold: Number) -> Int[Array, "*batch 1 T"]:
    """Find the first trough below the threshold in each column, or the least value where there is none."""
    before, after = neighbours(dissimilarity)
    trough = (dissimilarity < before) & (dissimilarity <= after)
    trough = trough.at[..., 0, :].set(dissimilarity[..., 0, :] < dissimilarity[..., 1, :])
    deep = trough & (dissimilarity < threshold)
    least = dissimilarity.argmin(axis=-2, keepdims=True)
    return jnp.where(deep.any(axis=-2, keepdims=True), deep.argmax(axis=-2, keepdims=True), least)
