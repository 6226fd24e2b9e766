"""What a frame of samples is like before any transform: how loud it is, and how often it crosses zero."""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.columns import check_one, column_sum, safe_power
from serjax.dsp.compiled import compiled
from serjax.dsp.framing import framed_signal
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    as_spectrum,
    check_number,
    check_size,
)


@compiled
def rms(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> Float[Array, "*batch 1 T"]:
    """Root mean square of each frame, `sqrt(mean_n y[n] ** 2)`, or by Parseval from a magnitude spectrogram.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: magnitude made with a window of ones, `(..., 1 + frame_length // 2, frames)`.
      frame_length: samples in a frame.
      hop_length: samples from frame to frame.
      center: pad by `frame_length // 2` at both ends.
      pad_mode: what is padded, see `stft`.

    Returns:
      `(..., 1, frames)`.

    Raises:
      ParameterError: not exactly one of `y` and `S` is given, a size does not fit, or a name is unknown.

    >>> rms(jnp.array([3.0, -3.0, 3.0, -3.0]), frame_length=2, hop_length=2, center=False).tolist()
    [[3.0, 3.0]]
    """
    check_one("rms", y, S)
    check_size("frame_length", frame_length)
    if S is None:
        power = jnp.square(framed_signal(y, frame_length, hop_length, center, pad_mode)).mean(axis=-1)[..., None, :]
        return safe_power(power, 0.5)
    magnitude = as_spectrum("S", S)
    if magnitude.shape[-2] != 1 + frame_length // 2:
        raise ParameterError(
            f"S has {magnitude.shape[-2]} bins, frame_length={frame_length} makes {1 + frame_length // 2}: give the "
            f"frame_length that S was made with."
        )
    weights = np.full(magnitude.shape[-2], 2.0 / frame_length**2)
    weights[0] /= 2.0
    if frame_length % 2 == 0:
        weights[-1] /= 2.0
    weights = weights.reshape((1,) * (magnitude.ndim - 2) + (-1, 1))
    return safe_power(column_sum(jnp.asarray(weights, magnitude.dtype) * jnp.square(magnitude)), 0.5)


@compiled
def zero_crossing_rate(
    y: Float[ArrayLike, "*batch N"],
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    threshold: Number = 1e-10,
    zero_pos: bool = True,
    pad: bool = False,
) -> Float[Array, "*batch 1 T"]:
    """Share of the samples in a frame whose sign differs from that of the sample before, exact to the last bit.

    Args:
      y: signal, `(..., n)`.
      frame_length: samples in a frame.
      hop_length: samples from frame to frame.
      center: pad by `frame_length // 2` at both ends with the outermost samples.
      threshold: samples up to this far from zero count as zero, at least 0.
      zero_pos: zero is positive; else it has a sign of its own.
      pad: count the first sample of a frame, which has none before it, as a crossing.

    Returns:
      `(..., 1, frames)`, from 0 to 1; its gradient is zero.

    Raises:
      ParameterError: a size does not fit, the threshold is negative, or the signal empty and centred.

    >>> zero_crossing_rate(jnp.array([1.0, -1.0, 1.0, 1.0]), frame_length=4, hop_length=1, center=False).tolist()
    [[0.5]]
    """
    check_number("threshold", threshold)
    frames = framed_signal(y, frame_length, hop_length, center, "edge")
    sign = jnp.sign(jnp.where(jnp.abs(frames) <= _round_down(threshold, frames.dtype), 0.0, frames))
    if zero_pos:
        sign = jnp.where(sign >= 0, 1.0, sign)  # NaN stays
    crossings = jnp.minimum(jnp.abs(sign[..., 1:] - sign[..., :-1]), 1.0).sum(axis=-1) + int(pad)
    # A table: compilers turn the division by a constant into a multiplication, which rounds otherwise.
    rates = jnp.asarray(np.arange(frame_length + 1) / frame_length, frames.dtype)
    unknown = jnp.isnan(crossings) | jnp.isnan(frames[..., 0])
    return jnp.where(unknown, jnp.nan, rates[jnp.where(unknown, 0.0, crossings).astype(int)])[..., None, :]


def _round_down(number: Number, dtype: np.dtype) -> float:
    """Give the largest value of a precision that does not exceed the number."""
    rounded = dtype.type(number)
    return float(np.nextafter(rounded, dtype.type(-1.0)) if float(rounded) > number else rounded)
