"""Peaks of a spectrum between its bins, and how far a clip is tuned from concert pitch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Real

from serjax.dsp.columns import neighbours, parabola_shift, spectrum_of
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    Window,
    check_fraction,
    check_number,
    check_size,
)

# The A four octaves below concert pitch, the zero of the octaves that tuning counts in.
LOWEST_A_HZ = 27.5


@compiled
def piptrack(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    n_fft: int = 2048,
    hop_length: int | None = None,
    fmin: Number = 150.0,
    fmax: Number = 4000.0,
    threshold: Number = 0.1,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> tuple[Float[Array, "*batch F T"], Float[Array, "*batch F T"]]:
    """Frequencies and heights of the peaks of each column, by a parabola through three bins: `k + s` with `|s| < 1`.

    `s = (S[k-1] - S[k+1]) / (2 (S[k-1] - 2 S[k] + S[k+1]))`, height `S[k] + s (S[k+1] - S[k-1]) / 4`.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      fmin: lowest bin that may be a peak, in Hz, at least 0.
      fmax: the bins below it may be peaks, in Hz.
      threshold: a peak is higher than this share of the highest bin of its column, at least 0.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.

    Returns:
      Frequencies in Hz and heights, both of the shape of the spectrogram, 0 where there is no peak.

    Raises:
      ParameterError: as `spectrogram`; not exactly one of `y` and `S` is given; or a number is out of its range.

    Source: J. O. Smith III, "Sinusoidal peak interpolation", in "Spectral audio signal processing", 2011.

    >>> hz, height = piptrack(S=jnp.array([[0.0], [1.0], [4.0], [1.0], [0.0]]), sr=8000)
    >>> hz[:, 0].tolist(), height[:, 0].tolist()
    ([0.0, 0.0, 2000.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0, 0.0])
    """
    spectrum, n_fft = spectrum_of("piptrack", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode)
    allowed, floor = _allowed_bins(spectrum, n_fft, sr, fmin, fmax, threshold)
    peak, shift, height = _peaks(spectrum, floor)
    peak = peak & jnp.asarray(allowed.reshape((1,) * (spectrum.ndim - 2) + (-1, 1)))
    bins = jnp.arange(spectrum.shape[-2], dtype=spectrum.dtype).reshape((1,) * (spectrum.ndim - 2) + (-1, 1))
    nothing = jnp.where(jnp.isnan(floor), jnp.nan, 0.0)
    return jnp.where(peak, (bins + shift) * (sr / n_fft), nothing), jnp.where(peak, height, nothing)


def _allowed_bins(
    spectrum: Float[Array, "*batch F T"], n_fft: int, sr: Number, fmin: Number, fmax: Number, threshold: Number
) -> tuple[np.ndarray, Float[Array, "*batch 1 T"]]:
    """Tell which bins may be peaks, and what they must exceed in each column."""
    for name, number in (("fmin", fmin), ("fmax", fmax), ("threshold", threshold)):
        check_number(name, number)
    check_number("sr", sr, strict=True)
    if spectrum.shape[-2] < 2:
        raise ParameterError(f"A spectrum of {spectrum.shape[-2]} bins has no peaks: give a longer n_fft.")
    hz = np.fft.rfftfreq(n_fft, 1.0 / sr)
    return (fmin <= hz) & (hz < min(fmax, sr / 2)), threshold * spectrum.max(axis=-2, keepdims=True)


def _peaks(
    spectrum: Float[Array, "*batch F T"], floor: Float[Array, "*batch 1 T"]
) -> tuple[Bool[Array, "*batch F T"], Float[Array, "*batch F T"], Float[Array, "*batch F T"]]:
    """Tell which bins are peaks above the floor, how far from the bin their top lies, and how high it is."""
    standing = jnp.where(spectrum > floor, spectrum, 0.0)
    below, above = neighbours(standing)  # the first bin is no peak, the last one if it is above the one before
    peak = (standing > below) & (standing >= above)
    shift = parabola_shift(spectrum)
    below, above = neighbours(spectrum)
    return peak, shift, spectrum + 0.25 * (above - below) * shift


@compiled
def estimate_tuning(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    n_fft: int = 2048,
    resolution: float = 0.01,
    bins_per_octave: int = 12,
    hop_length: int | None = None,
    fmin: Number = 150.0,
    fmax: Number = 4000.0,
    threshold: Number = 0.1,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> Float[Array, "*batch"]:
    """Estimate how far each clip is tuned from A = 440 Hz: the most frequent distance of its peaks from a pitch.

    Of the peaks that `piptrack` finds, those at least as high as their median vote, `bins_per_octave log2(f / 27.5)`
    less the nearest whole number.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      resolution: width of the bins that are counted, between 0 and 1.
      bins_per_octave: pitches in an octave, at least 1.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      fmin: lowest bin that may be a peak, in Hz, at least 0.
      fmax: the bins below it may be peaks, in Hz.
      threshold: a peak is higher than this share of the highest bin of its column, at least 0.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.

    Returns:
      Shares of a pitch from -0.5 to 0.5, one per clip, `(...,)`; 0 without a peak; the gradient is zero.

    Raises:
      ParameterError: as `piptrack`; or the resolution or the number of pitches is out of its range.

    >>> y = jnp.sin(2 * jnp.pi * 466.16 * 2 ** (0.25 / 12) * jnp.arange(22050) / 22050)
    >>> estimate_tuning(y).round(2).item()
    0.25
    """
    spectrum, n_fft = spectrum_of("estimate_tuning", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode)
    return tuning_of(spectrum, n_fft, sr, resolution, bins_per_octave, fmin, fmax, threshold)


def tuning_of(
    spectrum: Float[Array, "*batch F T"],
    n_fft: int,
    sr: Number,
    resolution: float = 0.01,
    bins_per_octave: int = 12,
    fmin: Number = 150.0,
    fmax: Number = 4000.0,
    threshold: Number = 0.1,
) -> Float[Array, "*batch"]:
    """Estimate the tuning of each clip from its spectrogram."""
    check_fraction("resolution", resolution)
    check_size("bins_per_octave", bins_per_octave)
    # The place of a bin in a histogram has no slope.
    spectrum = jax.lax.stop_gradient(spectrum)
    allowed, floor = _allowed_bins(spectrum, n_fft, sr, fmin, fmax, threshold)
    # The bin at 0 Hz has no pitch.
    allowed[0] = False
    inside = np.flatnonzero(allowed)
    if not len(inside):
        return jnp.zeros(spectrum.shape[:-2], spectrum.dtype)
    rows = slice(int(inside[0]) - 1, int(inside[-1]) + 2)  # with the neighbours of the outermost
    index = np.arange(len(allowed))[rows]
    # What the bins themselves say is subtracted in float64: only the small shift is left to float32.
    pitch = bins_per_octave * np.log2(np.maximum(index, 1) * (sr / n_fft) / LOWEST_A_HZ)
    columns = np.stack([allowed[rows], pitch - np.round(pitch), 1.0 / np.maximum(index, 1)])
    columns = columns.reshape(3, *(1,) * (spectrum.ndim - 2), -1, 1)
    peak, shift, height = _peaks(spectrum[..., rows, :], floor)
    peak = peak & jnp.asarray(columns[0] > 0)
    halves = _one_of_two(
        peak, shift, height, *(jnp.broadcast_to(jnp.asarray(c, spectrum.dtype), peak.shape) for c in columns[1:])
    )
    # Else XLA computes the peaks anew in each loop below: up to twice the time on CPU.
    peak, shift, height, offset, inverse = jax.lax.optimization_barrier(halves)
    votes = peak & (height >= _upper_median(height, peak)[..., None, None])
    distance = offset + (bins_per_octave / math.log(2.0)) * jnp.log(1.0 + shift * inverse)
    found = _fullest_bin(distance - jnp.floor(distance + 0.5), votes, math.ceil(1.0 / resolution))
    return jnp.where(jnp.isnan(floor).any(axis=(-2, -1)), jnp.nan, found)


def _one_of_two(peak: Bool[Array, "*batch F T"], *values: Float[Array, "*batch F T"]) -> tuple[Array, ...]:
    """Keep of each two bins that stand one above the other the one that is a peak: both never are. Halves the work."""
    *lead, n_bins, n_frames = peak.shape

    def pairs(array: Array) -> tuple[Array, Array]:
        padded = jnp.pad(array, [(0, 0)] * len(lead) + [(0, n_bins % 2), (0, 0)])
        even = padded.reshape(*lead, (n_bins + 1) // 2, 2, n_frames)
        return even[..., 0, :], even[..., 1, :]

    lower, upper = pairs(peak)
    return lower | upper, *(jnp.where(lower, *pairs(array)) for array in values)


def _upper_median(values: Float[Array, "*batch F T"], chosen: Bool[Array, "*batch F T"]) -> Float[Array, "*batch"]:
    """Find the middle of the chosen values of each clip, all above 0; of an even number the upper one of the two.

    Bit by bit, from the highest: a float above 0 grows with its bits, read as an integer. A sort takes 7 times as long.
    """
    n_bits = jnp.finfo(values.dtype).bits
    whole = jnp.int64 if n_bits == 64 else jnp.int32
    bits = jax.lax.bitcast_convert_type(jnp.where(chosen, values, jnp.inf), whole)
    # One long row and floats, exact up to 2 ** 24, are added up fastest.
    bits = bits.reshape(*bits.shape[:-2], bits.shape[-2] * bits.shape[-1])
    rank = chosen.sum(axis=(-2, -1))[..., None] // 2

    def raise_bit(step: Array | int, found: Array) -> Array:
        candidate = found | (jnp.ones((), whole) << jnp.asarray(n_bits - 2 - step, whole))
        n_below = (bits < candidate).astype(jnp.float32).sum(axis=-1, keepdims=True)
        return jnp.where(n_below <= rank, candidate, found)

    found = jax.lax.fori_loop(0, n_bits - 1, raise_bit, jnp.zeros(rank.shape, whole))
    return jax.lax.bitcast_convert_type(found[..., 0], values.dtype)


def _fullest_bin(
    values: Float[Array, "*batch F T"], votes: Bool[Array, "*batch F T"], n_bins: int
) -> Float[Array, "*batch"]:
    """Count the values from -0.5 to 0.5 that have a vote, and give the lower edge of the fullest bin; 0 without any."""
    *lead, n_rows, n_columns = values.shape
    which = jnp.clip(jnp.floor((values + 0.5) * n_bins).astype(jnp.int32), 0, n_bins - 1)
    which = jnp.where(votes, which, n_bins).reshape(math.prod(lead), n_rows, n_columns)

    def tally(counts: Array, row: Array) -> tuple[Array, None]:
        return jax.vmap(lambda one, at: one.at[at].add(1, mode="drop"))(counts, row), None

    # Row by row: laid out in one long row, the values take the CPU 10 times as long.
    counts, _ = jax.lax.scan(tally, jnp.zeros((which.shape[0], n_bins), jnp.int32), jnp.moveaxis(which, 1, 0))
    counts = counts.reshape(*lead, n_bins)
    edges = jnp.asarray(np.linspace(-0.5, 0.5, n_bins + 1), values.dtype)
    return jnp.where(counts.any(axis=-1), edges[counts.argmax(axis=-1)], 0.0)
