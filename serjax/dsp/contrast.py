"""Spectral contrast: how far the peaks of each octave stand out of its valleys."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.columns import spectrum_of
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
from serjax.dsp.spectral import power_to_db


@partial(compiled, known=("freq",))
def spectral_contrast(
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
    freq: Real[ArrayLike, " F"] | None = None,
    fmin: Number = 200.0,
    n_bands: int = 6,
    quantile: float = 0.02,
    linear: bool = False,
) -> Float[Array, "*batch bands T"]:
    """Peak over valley in octave bands: means of the highest and the lowest bins of each, in dB or as a difference.

    Of the decibels float32 keeps fewer digits, since valleys lie far below the peaks: to some 6e-5 of the largest one.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.
      freq: frequency of each bin in Hz, `(bins,)`, ascending and known when traced; `None`: those of the transform.
      fmin: upper edge of the lowest band in Hz, above 0; that of the k-th is `fmin * 2 ** k`.
      n_bands: bands above the lowest, at least 1.
      quantile: share of a band's bins in its peak, and in its valley, between 0 and 1.
      linear: `peak - valley`; else `power_to_db(peak) - power_to_db(valley)`, floored 80 dB below each clip's top.

    Returns:
      `(..., n_bands + 1, frames)`.

    Raises:
      ParameterError: as `spectral_centroid`; a band begins above `sr / 2` or holds no bin, or `freq`, `fmin`,
        `n_bands` or `quantile` is out of its range.

    Source: D.-N. Jiang et al., "Music type classification by spectral contrast feature", 2002.

    >>> spectral_contrast(jnp.zeros(22050)).shape
    (7, 44)
    """
    check_size("n_bands", n_bands)
    check_number("fmin", fmin, strict=True)
    check_fraction("quantile", quantile)
    spectrum, n_fft = spectrum_of("spectral_contrast", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode)
    hz = _known_frequencies(freq, sr, n_fft, spectrum.shape[-2])
    rows = jnp.swapaxes(spectrum, -1, -2)
    valleys, peaks = [], []
    for first, last, n_ends in _octave_bands(hz, float(sr), float(fmin), n_bands, quantile):
        band = rows[..., first:last]
        valleys.append(-jax.lax.top_k(-band, n_ends)[0].mean(axis=-1))
        peaks.append(jax.lax.top_k(band, n_ends)[0].mean(axis=-1))
    valley, peak = jnp.stack(valleys, axis=-2), jnp.stack(peaks, axis=-2)
    return peak - valley if linear else power_to_db(peak) - power_to_db(valley)


def _known_frequencies(freq: Float[ArrayLike, " F"] | None, sr: Number, n_fft: int, n_bins: int) -> np.ndarray:
    """Give the frequencies of the bins as values: they decide which bins make a band."""
    check_number("sr", sr, strict=True)
    if isinstance(freq, jax.core.Tracer):
        raise ParameterError("freq is traced, but decides how many bins make a band: give an array of known values.")
    hz = np.fft.rfftfreq(n_fft, 1.0 / sr) if freq is None else np.asarray(freq, np.float64)
    if hz.shape != (n_bins,) or np.any(np.diff(hz) < 0):
        raise ParameterError(f"freq has shape {hz.shape}, expected ({n_bins},) and ascending: one frequency per bin.")
    return hz


def _octave_bands(hz: np.ndarray, sr: float, fmin: float, n_bands: int, quantile: float) -> list[tuple[int, int, int]]:
    """Find the first bin of each band, the one after its last, and how many make its peak or its valley."""
    edges_hz = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    if edges_hz[-2] >= sr / 2:
        raise ParameterError(
            f"The highest of n_bands={n_bands} bands begins at {edges_hz[-2]:g} Hz, beyond half the sampling "
            f"rate, {sr / 2:g} Hz: give fewer bands or a lower fmin."
        )
    bands = []
    for k, (low_hz, high_hz) in enumerate(pairwise(edges_hz)):
        inside = np.flatnonzero((hz >= low_hz) & (hz <= high_hz))
        if len(inside) < (2 if k == 0 else 1) or (k > 0 and inside[0] == 0):
            raise ParameterError(
                f"The band from {low_hz:g} to {high_hz:g} Hz holds too few bins: give a longer n_fft, a higher fmin or "
                f"fewer bands."
            )
        # The bin below a band belongs to it, the last one does not (it is the next band's); the top band takes all.
        first = inside[0] - (k > 0)
        last = len(hz) if k == n_bands else inside[-1]
        n_counted = last - first + (k < n_bands)
        n_ends = max(1, int(np.rint(quantile * n_counted)))
        bands.append((int(first), int(last), min(n_ends, int(last - first))))
    return bands
