"""Random changes of a waveform: noise, gain, shift, speed, pitch."""

import math
from typing import get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from serjax.dsp import effects
from serjax.dsp.augment.draws import Bounds, Fill, Range, as_came, check_range, draw, one_example
from serjax.dsp.compiled import compiled
from serjax.dsp.framing import fit_length
from serjax.dsp.parameters import (
    Number,
    ParameterError,
    as_floats,
    as_real,
    check_axis,
    check_choice,
    check_number,
    check_size,
)
from serjax.dsp.speed import FINENESS, resample_by, stretch_by


@compiled
def add_noise(
    key: PRNGKeyArray,
    y: Float[ArrayLike, " N"],
    *,
    snr_db: Range | None = None,
    peak_share: Range | None = None,
) -> Float[Array, " N"]:
    """Add white Gaussian noise, at a signal-to-noise ratio or with a share of the peak as its deviation.

    `snr_db`: `y + g e` with `sum((g e) ** 2) = sum(y ** 2) / 10 ** (snr_db / 10)`: the ratio is reached exactly, not on
    average. `peak_share`: `y + a max|y| e` with `a` drawn from the range, and deviates `e` of unit variance.

    Args:
      key: random key.
      y: waveform, `(N,)`; silence stays silence.
      snr_db: signal-to-noise ratio in dB, from -200; or instead of it
      peak_share: deviation of the noise as a share of `max|y|`, at least 0; `(0, 0.035)` is that of many notebooks.

    Raises:
      ParameterError: not exactly one of the two is given, or a range is out of its bounds.

    >>> add_noise(jax.random.key(0), jnp.zeros(4), snr_db=(5, 30)).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    if (snr_db is None) == (peak_share is None):
        raise ParameterError("add_noise takes either snr_db or peak_share: give exactly one of them.")
    signal = one_example("y", y, 1)
    if peak_share is not None:
        return as_came(noise_by_peak(key, signal, check_range("peak_share", peak_share, 0.0)), y)
    assert snr_db is not None
    level_key, noise_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, signal.shape, signal.dtype)
    peak = jnp.abs(signal).max(initial=0.0)
    ratio = 10.0 ** (-draw(level_key, check_range("snr_db", snr_db, -200.0), signal.dtype) / 20.0)
    # Relative to the peak, so that no square overflows (a constant, as it cancels); silence goes round the root.
    peak = jax.lax.stop_gradient(peak)
    energy = jnp.sum(jnp.square(signal / jnp.where(peak > 0, peak, 1.0)))
    loudness = peak * jnp.sqrt(jnp.where(peak > 0, energy, 1.0))
    return as_came(signal + ratio * loudness / jnp.maximum(jnp.linalg.norm(noise), 1e-30) * noise, y)


def noise_by_peak(key: PRNGKeyArray, y: Float[Array, " N"], peak_share: Bounds) -> Float[Array, " N"]:
    """Return what `add_noise` gives for a share of the peak, of bounds that need not be known when it is traced."""
    level_key, noise_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, y.shape, y.dtype)
    return y + draw(level_key, peak_share, y.dtype) * jnp.abs(y).max(initial=0.0) * noise


@compiled
def gain(key: PRNGKeyArray, y: Float[ArrayLike, "*shape"], *, gain_db: Range) -> Float[Array, "*shape"]:
    """Make louder or softer, `y 10 ** (gain_db / 20)`.

    Args:
      key: random key.
      y: an example of any shape.
      gain_db: gain in dB, from -200.

    Raises:
      ParameterError: the range is out of its bounds.

    >>> gain(jax.random.key(0), jnp.ones(2), gain_db=20).round(3).tolist()
    [10.0, 10.0]
    """
    signal = as_floats("y", y)
    return as_came(signal * 10.0 ** (draw(key, check_range("gain_db", gain_db, -200.0), signal.dtype) / 20.0), y)


@compiled
def roll(
    key: PRNGKeyArray,
    x: Real[ArrayLike, "*shape"],
    *,
    most: Number,
    fill: Fill = "wrap",
    axis: int = -1,
) -> Float[Array, "*shape"]:
    """Shift along an axis by a whole number of places drawn evenly from `-most` to `most`.

    Args:
      key: random key.
      x: an example of any shape.
      most: largest shift; an integer: in places (for milliseconds `round(sr * ms / 1000)`); below 1: a share of the
        length of the axis.
      fill: what comes in at the end: what went out at the other (`wrap`), or `zero`.
      axis: the axis to shift along; -1: time, 0: the bins of a picture.

    Raises:
      ParameterError: `most` is negative or neither whole nor below 1, or `fill` unknown.

    >>> roll(jax.random.key(0), jnp.arange(4.0), most=0).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    check_choice("fill", fill, get_args(Fill))
    check_number("most", most)
    values = as_real("x", x)
    check_axis(axis, values.shape)
    if most >= 1:
        check_size("most", most)
    length = values.shape[axis]
    places = int(most) if most >= 1 else round(most * length)
    shift = jax.random.randint(key, (), -places, places + 1)
    return as_came(_shift(values, shift, fill, axis), x)


def _shift(x: Float[Array, "*shape"], shift: Int[Array, ""], fill: Fill, axis: int) -> Float[Array, "*shape"]:
    rolled = jnp.roll(x, shift, axis)
    if fill == "wrap":
        return rolled
    source = jnp.moveaxis(jnp.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - 1)), 0, axis) - shift
    return jnp.where((source >= 0) & (source < x.shape[axis]), rolled, 0.0)


@compiled
def time_stretch(
    key: PRNGKeyArray, y: Float[ArrayLike, " N"], *, rate: Range, n_fft: int = 2048, hop_length: int | None = None
) -> Float[Array, " N"]:
    """Play faster or slower at the same pitch: what `dsp.time_stretch` gives, cut or with zeros to N samples.

    A rate that is drawn is a whole number of 4096ths and need not be known when the program is traced, so that a batch
    has as many rates as clips. Costs one transform forth and one back, whatever the range.

    Args:
      key: random key.
      y: waveform, `(N,)`.
      rate: speed, from 1/4 to 4; 2: half as long.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `n_fft // 4`.

    Raises:
      ParameterError: the range or a size is out of its bounds.

    Source: as `dsp.time_stretch`.

    >>> time_stretch(jax.random.key(0), jnp.zeros(1_000), rate=(0.8, 1.25)).shape
    (1000,)
    """
    signal = one_example("y", y, 1)
    low, high = check_range("rate", rate, 0.25, most=4.0)
    if low == high:
        stretched = effects.time_stretch(signal, rate=low, n_fft=n_fft, hop_length=hop_length)
        return as_came(fit_length(stretched, signal.shape[0]), y)
    # A whole number of 4096ths: one program serves every rate that is drawn.
    steps = jnp.round(draw(key, (low, high), signal.dtype) * FINENESS).astype(jnp.int32)
    return as_came(stretch_by(signal, steps, signal.shape[0], n_fft, hop_length), y)


@compiled
def pitch_shift(
    key: PRNGKeyArray, y: Float[ArrayLike, " N"], *, n_steps: Range, n_fft: int = 2048, hop_length: int | None = None
) -> Float[Array, " N"]:
    """Shift the pitch by some semitones at the same length: a `time_stretch`, then a resampling by the same rate.

    The rate `2 ** (-n_steps / 12)` is rounded to 4096ths, less than a cent within an octave, and need not be known
    when the program is traced. The filter of the resampling is shorter than that of `dsp.resample`: it damps by 60 dB.

    Args:
      key: random key.
      y: waveform, `(N,)`.
      n_steps: semitones up (negative: down), from -24 to 24; fractions are fine.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `n_fft // 4`.

    Raises:
      ParameterError: the range or a size is out of its bounds.

    Source: as `dsp.pitch_shift`.

    >>> pitch_shift(jax.random.key(0), jnp.zeros(1_000), n_steps=(-2, 2)).shape
    (1000,)
    """
    signal = one_example("y", y, 1)
    n_samples = signal.shape[0]
    low, high = check_range("n_steps", n_steps, -24.0, most=24.0)
    drawn = draw(key, (low, high), signal.dtype)
    steps = jnp.round(2.0 ** (-drawn / 12.0) * FINENESS).astype(jnp.int32)
    # Shapes cannot depend on what is drawn: the slowest rate of the range makes the longest signal.
    slowest = round(2.0 ** (-high / 12.0) * FINENESS) / FINENESS
    stretched = stretch_by(signal, steps, math.ceil(n_samples / slowest) + 1, n_fft, hop_length)
    return as_came(resample_by(stretched, steps, n_samples, min(1.0, slowest)), y)
