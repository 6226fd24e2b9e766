"""Effects on waveforms: pre-emphasis, longer or shorter at the same pitch, higher or lower at the same length."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float, Int, Real

from serjax.dsp.compiled import compiled
from serjax.dsp.framing import fit_length
from serjax.dsp.inverse import as_complex, istft
from serjax.dsp.parameters import (
    Number,
    ParameterError,
    Window,
    as_audio,
    as_real,
    check_number,
    check_size,
)
from serjax.dsp.resampling import resample
from serjax.dsp.spectral import stft

# The largest number in the fraction that a pitch is shifted by.
_MAX_TERM = 2_000
# The longest axis that is counted by 32 bits.
_MOST_PLACES = 2**31 - 1
# A bin this far below the loudest of its clip counts as silent; its phase would have no finite slope in float32.
_SILENT = 1e-18


@compiled
def preemphasis(
    y: Float[ArrayLike, "*batch N"], *, coef: Number = 0.97, zi: Real[ArrayLike, "*batch 1"] | None = None
) -> Float[Array, "*batch N"]:
    """Raise the high frequencies, `out[n] = y[n] - coef * y[n - 1]`, with `out[0] = y[0] + zi`.

    Args:
      y: signal, `(..., n)`.
      coef: share of the sample before that is taken away, at least 0.
      zi: what the first sample begins with, `(..., 1)`, which is `-coef` times the sample before it where a signal is
        filtered piece by piece; `None`: `2 y[0] - y[1]`, as if the line through both went on (one sample: `y[0]`).

    Raises:
      ParameterError: the signal is not real floating point, `coef` negative, or `zi` of another shape.

    >>> preemphasis(jnp.array([1.0, 1.0, 2.0]), coef=0.5).tolist()
    [2.0, 0.5, 1.5]
    """
    check_number("coef", coef)
    signal = as_audio("y", y)
    first = signal[..., :1]
    # librosa's default: the line through the first two samples goes on before them.
    start = 2.0 * first - signal[..., 1:2] if signal.shape[-1] > 1 else first
    if zi is not None:
        start = as_real("zi", zi)
        if start.shape != (*signal.shape[:-1], 1):
            raise ParameterError(f"zi has shape {start.shape}, expected {(*signal.shape[:-1], 1)}: one value per clip.")
    return jnp.concatenate([first + start, signal[..., 1:] - coef * signal[..., :-1]], axis=-1)[..., : signal.shape[-1]]


@compiled
def phase_vocoder(
    D: Complex[ArrayLike, "*batch F T"], *, rate: Number, hop_length: int | None = None, n_fft: int | None = None
) -> Complex[Array, "*batch F S"]:
    """Short-time spectrum at another speed: `|D|` between frames is interpolated, and each bin turns on as it did.

    Frame s stands at the place `p = s * rate` of the input, between its frames `t = floor(p)` and t + 1. Its magnitude
    is `(1 - a) |D[t]| + a |D[t+1]|` with `a = p - t`; its phase is that of frame s - 1, advanced by as much as `D`
    advanced from frame to frame there. The advance matters modulo one turn only: it is a product of unit phasors, which
    stays exact over any number of frames, and for which `hop_length` and `n_fft` need not be known.

    Args:
      D: complex, `(..., 1 + n_fft // 2, frames)`.
      rate: speed, above 0; 2: half as many frames.
      hop_length: for librosa's sake; it does not change the result.
      n_fft: for librosa's sake; it does not change the result.

    Returns:
      `(..., 1 + n_fft // 2, ceil(frames / rate))`.

    Raises:
      ParameterError: the rate is not above 0, or `D` not complex.

    Source: M. Dolson, "The phase vocoder: a tutorial", 1986.

    >>> phase_vocoder(jnp.ones((5, 8), complex), rate=2.0).shape
    (5, 4)
    """
    check_number("rate", rate, strict=True)
    for name, size in (("hop_length", hop_length), ("n_fft", n_fft)):
        if size is not None:
            check_size(name, size)
    spectrum = as_complex("D", D)
    _check_rate(spectrum.shape[-1], rate)
    # In float64: far places would lose digits of their fraction in float32.
    places = np.arange(0, spectrum.shape[-1], rate, dtype=np.float64)
    return frames_at(spectrum, jnp.asarray(places.astype(np.int32)), jnp.asarray(places % 1.0, spectrum.real.dtype))


@jax.jit  # the running product is many small operations, slow one by one
def frames_at(
    D: Complex[Array, "*batch F T"], index: Int[Array, " S"], share: Float[Array, " S"]
) -> Complex[Array, "*batch F S"]:
    """Place frames at `index + share` of the input, where those beyond its last frame are silent."""
    # Two silent frames stand behind the last, for places at the end and beyond it.
    index = jnp.minimum(index, D.shape[-1])
    D = jnp.pad(D, [(0, 0)] * (D.ndim - 1) + [(0, 2)])
    magnitude, phasor = polar(D)
    before, after = phasor[..., index], phasor[..., index + 1]
    advance = jnp.concatenate([phasor[..., :1], (after * before.conj())[..., :-1]], axis=-1)
    # Phases add up as products of unit phasors: no angle is unwrapped, and the scan is parallel.
    turned = jax.lax.associative_scan(jnp.multiply, advance, axis=-1)
    share = share.reshape((1,) * (D.ndim - 1) + (-1,))
    return ((1.0 - share) * magnitude[..., index] + share * magnitude[..., index + 1]) * turned


def polar(D: Complex[Array, "*batch F T"]) -> tuple[Float[Array, "*batch F T"], Complex[Array, "*batch F T"]]:
    """Split into magnitudes and unit phasors, which are 1 where the magnitude is zero, with finite gradients."""
    peak = jax.lax.stop_gradient(jnp.abs(D).max(axis=(-2, -1), keepdims=True, initial=0.0))
    scaled = D / jnp.where(peak > 0, peak, 1.0)
    energy = jnp.square(scaled.real) + jnp.square(scaled.imag)
    heard = energy > _SILENT**2
    length = jnp.where(heard, jnp.sqrt(jnp.where(heard, energy, 1.0)), 0.0)
    return length * peak, jnp.where(heard, scaled / jnp.where(heard, length, 1.0), 1.0)


@compiled
def time_stretch(
    y: Float[ArrayLike, "*batch N"],
    *,
    rate: Number,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
) -> Float[Array, "*batch S"]:
    """Play faster or slower at the same pitch, `istft(phase_vocoder(stft(y), rate))` of `round(n / rate)` samples.

    The phase of a bin that holds nothing but rounding errors is arbitrary, and stays with the bin when it sounds later.
    Recordings have a floor of noise above that and agree with float64 to some 3e-5; synthetic tones and glides without
    one come out with other phases, and other samples.

    Args:
      y: signal, `(..., n)`.
      rate: speed, above 0; 2: half as long.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.

    Raises:
      ParameterError: as `stft`; or the rate is not above 0.

    Source: M. Dolson, "The phase vocoder: a tutorial", 1986.

    >>> time_stretch(jnp.zeros((3, 1_000)), rate=0.8).shape
    (3, 1250)
    """
    check_number("rate", rate, strict=True)
    signal = as_audio("y", y)
    _check_rate(signal.shape[-1], rate)
    D = stft(signal, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window, center=center)
    return istft(
        phase_vocoder(D, rate=rate),
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        length=round(signal.shape[-1] / rate),
    )


def _check_rate(length: int, rate: Number) -> None:
    """Refuse a rate so slow that places in what comes out could not be counted."""
    if length / rate > _MOST_PLACES:
        raise ParameterError(f"rate={rate!r} makes {length / rate:.3g} of {length}, too many: give a larger rate.")


@compiled
def pitch_shift(
    y: Float[ArrayLike, "*batch N"],
    *,
    sr: Number,
    n_steps: Number,
    bins_per_octave: int = 12,
    scale: bool = False,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
) -> Float[Array, "*batch N"]:
    """Shift the pitch at the same length: stretch by `rate = 2 ** (-n_steps / bins_per_octave)`, then resample by it.

    Formants move along with the pitch. The second rate is rounded to a fraction of numbers up to 2000: within an octave
    that is at most half a cent away. librosa resamples by another filter: its samples are alike, not equal.

    Args:
      y: signal, `(..., n)`.
      sr: sampling rate in Hz, for librosa's sake; it does not change the result.
      n_steps: steps up (negative: down); fractions of steps are fine.
      bins_per_octave: steps in an octave, at least 1.
      scale: divide by `sqrt(rate)`, see `resample`.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.

    Raises:
      ParameterError: as `stft`; the rate or `bins_per_octave` is not positive, or the shift over four octaves.

    Source: J. Laroche and M. Dolson, "New phase-vocoder techniques for pitch-shifting, harmonizing and other exotic
    effects", 1999.

    >>> pitch_shift(jnp.zeros((3, 1_000)), sr=16_000, n_steps=-2).shape
    (3, 1000)
    """
    check_number("sr", sr, strict=True)
    check_size("bins_per_octave", bins_per_octave)
    check_number("abs(n_steps)", abs(n_steps))
    if abs(n_steps) > 4 * bins_per_octave:
        most = 4 * bins_per_octave
        raise ParameterError(f"n_steps={n_steps} shifts by over four octaves: give a number from {-most} to {most}.")
    rate = 2.0 ** (-n_steps / bins_per_octave)
    ratio = Fraction(rate).limit_denominator(int(_MAX_TERM / max(1.0, rate)))
    stretched = time_stretch(
        y,
        rate=rate,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
    )
    shifted = resample(stretched, orig_sr=ratio.denominator, target_sr=ratio.numerator, scale=scale)
    return fit_length(shifted, jnp.shape(y)[-1])
