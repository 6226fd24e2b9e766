"""The columns of a spectrogram, one per frame: where they come from, their sums, norms and peaks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from serjax.dsp.extrema import largest
from serjax.dsp.parameters import Number, PadMode, ParameterError, Window, as_spectrum, check_number
from serjax.dsp.spectral import safe_power, spectrogram

# Below it a slope, which grows as the inverse of the level, could leave the range of float32.
FAINT = 1e-30


def check_one(function: str, y: object, S: object) -> None:
    """Raise ParameterError unless exactly one of a signal and a spectrogram is given."""
    if (y is None) == (S is None):
        raise ParameterError(f"{function} takes either a signal y or a spectrogram S: give exactly one of them.")


def spectrum_of(
    function: str,
    y: Float[ArrayLike, "*batch N"] | None,
    S: Float[ArrayLike, "*batch F T"] | None,
    n_fft: int,
    hop_length: int | None,
    power: Number,
    win_length: int | None,
    window: Window,
    center: bool,
    pad_mode: PadMode,
) -> tuple[Float[Array, "*batch F T"], int]:
    """Take the spectrogram as it is or make it of the signal; and give the length of the transform that fits it."""
    check_one(function, y, S)
    if y is not None:
        spectrum = spectrogram(
            y,
            n_fft=n_fft,
            hop_length=hop_length,
            power=power,
            win_length=win_length,
            window=window,
            center=center,
            pad_mode=pad_mode,
        )
        return spectrum, n_fft
    spectrum = as_spectrum("S", S)
    n_bins = spectrum.shape[-2]
    return spectrum, n_fft if 1 + n_fft // 2 == n_bins else 2 * (n_bins - 1)


def bin_frequencies(
    freq: Float[ArrayLike, "..."] | None, sr: Number, n_fft: int, spectrum: Float[Array, "*batch F T"]
) -> Float[Array, "..."]:
    """Give the frequency of each bin in Hz, shaped as the spectrogram needs it; ParameterError if it does not fit."""
    check_number("sr", sr, strict=True)
    hz = np.fft.rfftfreq(n_fft, 1.0 / sr) if freq is None else freq
    hz = jnp.asarray(hz, spectrum.dtype)
    if hz.shape == spectrum.shape:
        return hz
    if hz.shape != spectrum.shape[-2:-1]:
        raise ParameterError(
            f"freq has shape {hz.shape}, expected {spectrum.shape[-2:-1]} or {spectrum.shape}: one frequency per bin."
        )
    return hz.reshape((1,) * (spectrum.ndim - 2) + (-1, 1))


def column_sum(values: Float[Array, "*batch F T"]) -> Float[Array, "*batch 1 T"]:
    """Add up each column, in two stages: short sums, then their sum, faster than one and no less exact."""
    *lead, n_bins, n_frames = values.shape
    n_sums = -(-n_bins // 32)
    padded = jnp.pad(values, [(0, 0)] * len(lead) + [(0, 32 * n_sums - n_bins), (0, 0)])
    return padded.reshape(*lead, n_sums, 32, n_frames).sum(axis=-2).sum(axis=-2, keepdims=True)


def check_norm(norm: object) -> None:
    """Refuse a norm that is neither `None` nor a number above 0 (which may be infinite)."""
    if norm is not None and norm != math.inf:
        check_number("norm", norm, strict=True)


def normalize_columns(values: Float[Array, "*batch F T"], norm: Number | None) -> Float[Array, "*batch F T"]:
    """Divide each column by its norm, `(sum_f |x[f]| ** norm) ** (1 / norm)`; zeros stay zeros.

    Args:
      values: columns, of any sign.
      norm: above 0; `inf`: the largest magnitude; `None`: the columns stay as they are.
    """
    if norm is None:
        return values
    magnitude = jnp.abs(values)
    peak = jax.lax.stop_gradient(magnitude.max(axis=-2, keepdims=True, initial=0.0))
    silent = peak < jnp.finfo(values.dtype).tiny
    # First by the peak, which the result does not depend on: neither powers nor slopes then leave the range of float32.
    level = jnp.where(peak < FAINT, jax.lax.stop_gradient(values), values) / jnp.where(silent, 1.0, peak)
    size = jnp.abs(level)
    length = largest(size, -2) if norm == math.inf else safe_power(column_sum(safe_power(size, norm)), 1 / norm)
    return level / jnp.where(silent, 1.0, length)


def neighbours(
    values: Float[Array, "*batch F T"],
) -> tuple[Float[Array, "*batch F T"], Float[Array, "*batch F T"]]:
    """Give the bin below and the bin above each; the first and the last stand beside themselves."""
    below = jnp.concatenate([values[..., :1, :], values[..., :-1, :]], axis=-2)
    above = jnp.concatenate([values[..., 1:, :], values[..., -1:, :]], axis=-2)
    return below, above


def parabola_shift(values: Float[Array, "*batch F T"]) -> Float[Array, "*batch F T"]:
    """Find how far from each bin the parabola through it and its neighbours turns; 0 if a bin or more, or at the ends.

    With the steps `u` to the next and `v` from the last bin it is `(u + v) / (2 (v - u))`.
    """
    below, above = neighbours(values)
    up, down = above - values, values - below
    # In units of the larger step, which the result does not depend on: slopes then stay in the range of float32.
    unit = jax.lax.stop_gradient(jnp.maximum(jnp.abs(up), jnp.abs(down)))
    up, down = (jnp.where(unit < FAINT, jax.lax.stop_gradient(step), step) for step in (up, down))
    unit = jnp.where(unit < jnp.finfo(values.dtype).tiny, 1.0, unit)
    half, bend = (up / unit + down / unit) / 2, down / unit - up / unit
    near = jnp.abs(half) < jnp.abs(bend)
    shift = jnp.where(near, half / jnp.where(near, bend, 1.0), 0.0)
    return shift.at[..., 0, :].set(0.0).at[..., -1, :].set(0.0)
