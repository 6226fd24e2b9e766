"""Change of the sampling rate by a band-limited interpolation."""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from serjax.dsp.compiled import compiled
from serjax.dsp.framing import fit_length
from serjax.dsp.parameters import Number, ParameterError, as_audio, check_number

# What is kept, as a share of the lower of the two half rates; what lies above that half rate is damped by _STOP_DB.
_PASS_SHARE = 0.9
_STOP_DB = 120.0
# Kaiser's formulas: the shape of a window that damps so much, and half its length in periods of the lower rate.
_BETA = 0.1102 * (_STOP_DB - 8.7)
_HALF_PERIODS = (_STOP_DB - 8.0) / (2.285 * math.pi * (1.0 - _PASS_SHARE)) / 2.0
# Entries of the table of weights at most, 32 MB in float32.
_MAX_TABLE = 2**23
# A ratio with too large a table is replaced by one of smaller numbers that differs by this share at most, nine
# milliseconds in a day; the numbers tried have up to so many units.
_MOST_OFF = Fraction(1, 10**7)
_LIMITS = (1_000, 4_000, 16_000)
# Up or down by more than this no table is small enough.
_MOST_TIMES = 1_000


@compiled
def resample(
    y: Float[ArrayLike, "*batch N"], *, orig_sr: Number, target_sr: Number, scale: bool = False
) -> Float[Array, "*batch M"]:
    """Band-limited change of the sampling rate, `out[m] = sum_n y[n] h(m * orig_sr / target_sr - n)`.

    `h(t) = c sinc(c t) kaiser(t / w)` with `c = 0.95 min(1, target_sr / orig_sr)`, the middle of the transition band;
    the Kaiser window has shape 12.3 and reaches `w = 78 max(1, orig_sr / target_sr)` samples to both sides. With f half
    the lower rate, frequencies up to 0.9 f pass unchanged within 1e-5, those above f are damped by 120 dB. Beyond its
    ends the signal is zero. librosa calls soxr, whose filter is another one: its samples are alike, not equal.

    A ratio of rates is a fraction, whose numbers decide how many weights there are. Where these would be too many, as
    for most rates that are not whole, the nearest fraction of smaller numbers is taken if it is off by 1e-7 at most.

    Args:
      y: signal, `(..., n)`.
      orig_sr: its sampling rate in Hz, above 0.
      target_sr: the rate that it gets, in Hz, above 0.
      scale: divide by `sqrt(target_sr / orig_sr)`, which keeps the total energy.

    Returns:
      `(..., ceil(n * target_sr / orig_sr))`.

    Raises:
      ParameterError: a rate is not above 0, the signal not real floating point, or the two rates have so small a
        common divisor, or lie so far apart, that the table of weights would exceed 32 MB.

    Source: J. O. Smith, "Digital audio resampling", 2002; J. F. Kaiser, "Nonrecursive digital filter design using the
    I0-sinh window function", 1974.

    >>> resample(jnp.zeros((3, 48_000)), orig_sr=48_000, target_sr=22_050).shape
    (3, 22050)
    """
    check_number("orig_sr", orig_sr, strict=True)
    check_number("target_sr", target_sr, strict=True)
    signal = as_audio("y", y)
    ratio = _ratio(orig_sr, target_sr)
    length = math.ceil(signal.shape[-1] * ratio)
    if ratio == 1 or length == 0:
        return signal
    ratio = _affordable(ratio, f"From orig_sr={orig_sr:g} to target_sr={target_sr:g} Hz")
    layout = _layout(ratio)
    weights = _weights(ratio, layout) / (math.sqrt(ratio) if scale else 1.0)
    n_periods = -(-length // layout.up)
    starts = (np.arange(n_periods)[:, None] * layout.down + layout.starts).ravel()
    before = [(0, 0)] * (signal.ndim - 1) + [(layout.reach, 0)]
    padded = fit_length(jnp.pad(signal, before), int(starts[-1]) + layout.width)
    pieces = jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(padded, start, layout.width, axis=-1), out_axes=-2)(
        starts
    )
    pieces = pieces.reshape(*signal.shape[:-1], n_periods, len(layout.starts), layout.width)
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    made = jnp.einsum("...pgk,gkr->...pgr", pieces, jnp.asarray(weights, signal.dtype), precision="highest")
    made = made.reshape(*signal.shape[:-1], n_periods, len(layout.starts) * layout.rows)[..., : layout.up]
    return made.reshape(*signal.shape[:-1], n_periods * layout.up)[..., :length]


def _ratio(orig_sr: Number, target_sr: Number) -> Fraction:
    """Give the ratio of two rates, without what the rounding of floats adds to it: 16000 / 1.1 to 16000 is 11 to 10."""
    exact = Fraction(target_sr) / Fraction(orig_sr)
    meant = exact.limit_denominator(1_000_000)
    return meant if abs(meant / exact - 1) < 1e-15 else exact


def _affordable(ratio: Fraction, rates: str) -> Fraction:
    """Give a ratio whose table of weights is small enough: itself, or a simpler one that is as good."""
    if 1 / _MOST_TIMES <= ratio <= _MOST_TIMES:
        for candidate in (ratio, *map(ratio.limit_denominator, _LIMITS)):
            if abs(candidate / ratio - 1) <= _MOST_OFF and _layout(candidate).n_weights <= _MAX_TABLE:
                return candidate
    raise ParameterError(
        f"{rates} is a ratio of {_short(ratio.numerator)} to {_short(ratio.denominator)}, which needs too large a "
        f"table: give rates with a larger common divisor, at most {_MOST_TIMES} times apart."
    )


def _short(term: int) -> str:
    return str(term) if term < 10**9 else f"some 1e{len(str(term)) - 1}"


@dataclass(frozen=True)
class _Layout:
    """How weights repeat: `down` samples make `up` samples, in groups whose samples are made from the same piece."""

    up: int
    down: int
    reach: int
    """Samples that a filter reads on either side."""
    rows: int
    """Samples that a group makes."""
    width: int
    """Samples of a piece."""

    @property
    def starts(self) -> np.ndarray:
        """Where the middle part of the piece of each group starts."""
        return np.arange(0, self.up, self.rows) * self.down // self.up

    @property
    def n_weights(self) -> int:
        return -(-self.up // self.rows) * self.rows * self.width


def _layout(ratio: Fraction) -> _Layout:
    """Choose groups large enough for a matrix product, small enough that their tables hold few zeros."""
    reach = math.ceil(_HALF_PERIODS * max(1.0, 1.0 / ratio))
    periods = math.ceil(reach / ratio.denominator)
    up, down = periods * ratio.numerator, periods * ratio.denominator
    rows = min(up, math.ceil(2 * reach * ratio))
    return _Layout(up, down, reach, rows, math.ceil(rows / ratio) + 1 + 2 * reach)


@lru_cache(maxsize=16)
def _weights(ratio: Fraction, layout: _Layout) -> np.ndarray:
    """Tabulate in float64 `weights[g, k, r]`: what sample k of its piece adds to sample r that group g makes."""
    cutoff = 0.5 * (1.0 + _PASS_SHARE) * min(1.0, float(ratio))
    half = _HALF_PERIODS * max(1.0, 1.0 / float(ratio))
    first = np.arange(len(layout.starts)) * layout.rows
    made = (first[:, None, None] + np.arange(layout.rows)) * (ratio.denominator / ratio.numerator)
    read = layout.starts[:, None, None] + np.arange(layout.width)[:, None] - layout.reach
    time = made - read
    window = np.i0(_BETA * np.sqrt(np.maximum(0.0, 1.0 - np.square(time / half)))) / np.i0(_BETA)
    return np.where(np.abs(time) <= half, cutoff * np.sinc(cutoff * time) * window, 0.0)
