"""What a frame sounds like in one number or a few: the middle, the spread and the flatness of its spectrum."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from serjax.dsp.columns import bin_frequencies, column_sum, normalize_columns, safe_power, spectrum_of
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    Window,
    as_real,
    check_fraction,
    check_number,
)


@compiled
def spectral_centroid(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    sr: Number = 22050,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    freq: Real[ArrayLike, "..."] | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> Float[Array, "*batch 1 T"]:
    """Mean frequency of a spectrum, `c[t] = sum_f freq[f] S[f, t] / sum_f S[f, t]`; 0 Hz in silence.

    Of a pure tone, float32 keeps fewer digits, some 1e-5: the rounding of the transform lies far from the tone.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: magnitude spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      freq: frequency of each bin in Hz, `(bins,)` or of the shape of the spectrogram; `None`: those of the transform.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.
      pad_mode: what is padded, see `stft`.

    Returns:
      In Hz, `(..., 1, frames)`.

    Raises:
      ParameterError: as `spectrogram`; not exactly one of `y` and `S` is given; or `freq` has a wrong shape.

    Source: G. Peeters, "A large set of audio features for sound description (similarity and classification) in the
    CUIDADO project", 2004; so the other descriptors of a spectrum.

    >>> spectral_centroid(S=jnp.array([[1.0], [0.0], [3.0]]), sr=8000).tolist()
    [[3000.0]]
    """
    magnitude, n_fft = spectrum_of(
        "spectral_centroid", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode
    )
    return column_sum(bin_frequencies(freq, sr, n_fft, magnitude) * normalize_columns(magnitude, 1))


@compiled
def spectral_bandwidth(
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
    freq: Real[ArrayLike, "..."] | None = None,
    centroid: Real[ArrayLike, "*batch 1 T"] | None = None,
    norm: bool = True,
    p: Number = 2,
) -> Float[Array, "*batch 1 T"]:
    """Spread of a spectrum about its centroid, `(sum_f S[f, t] |freq[f] - c[t]| ** p) ** (1 / p)`.

    Of a pure tone, float32 keeps fewer digits: the rounding of the transform lies far from the tone and weighs much.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: magnitude spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.
      freq: frequency of each bin in Hz, see `spectral_centroid`.
      centroid: in Hz, `(..., 1, frames)`; `None`: `spectral_centroid`.
      norm: divide each column of `S` by its sum.
      p: exponent, above 0.

    Returns:
      In Hz, `(..., 1, frames)`.

    Raises:
      ParameterError: as `spectral_centroid`; or `p` is not above 0.

    Source: as `spectral_centroid`.

    >>> spectral_bandwidth(S=jnp.array([[1.0], [0.0], [1.0]]), sr=8000).tolist()
    [[2000.0]]
    """
    check_number("p", p, strict=True)
    magnitude, n_fft = spectrum_of(
        "spectral_bandwidth", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode
    )
    hz, shares = bin_frequencies(freq, sr, n_fft, magnitude), normalize_columns(magnitude, 1)
    middle = column_sum(hz * shares) if centroid is None else as_real("centroid", centroid)
    if middle.shape != (*shares.shape[:-2], 1, shares.shape[-1]):
        raise ParameterError(
            f"centroid has shape {middle.shape}, expected {(*shares.shape[:-2], 1, shares.shape[-1])}: one per frame."
        )
    # In units of half the sampling rate: the power of thousands of Hz would leave the range of float32.
    unit_hz = sr / 2
    distance = safe_power(jnp.abs(hz - middle) / unit_hz, p)
    return unit_hz * safe_power(column_sum((shares if norm else magnitude) * distance), 1 / p)


@compiled
def spectral_rolloff(
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
    freq: Real[ArrayLike, "..."] | None = None,
    roll_percent: float = 0.85,
) -> Float[Array, "*batch 1 T"]:
    """Frequency up to which a share of the magnitude lies: the least `freq[f]` with `sum_{g<=f} S[g] >= share sum S`.

    Where the share is met at a bin to within the rounding of float32, the next bin may come out instead.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: magnitude spectrogram, `(..., 1 + n_fft // 2, frames)`, at least 0; its bins overrule `n_fft`.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.
      freq: frequency of each bin in Hz, see `spectral_centroid`.
      roll_percent: the share, between 0 and 1.

    Returns:
      In Hz, `(..., 1, frames)`; its gradient with respect to the signal is zero.

    Raises:
      ParameterError: as `spectral_centroid`; or `roll_percent` is not between 0 and 1.

    Source: as `spectral_centroid`.

    >>> spectral_rolloff(S=jnp.array([[1.0], [2.0], [1.0]]), sr=8000, roll_percent=0.5).tolist()
    [[2000.0]]
    """
    check_fraction("roll_percent", roll_percent)
    magnitude, n_fft = spectrum_of("spectral_rolloff", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode)
    hz = bin_frequencies(freq, sr, n_fft, magnitude)
    # Which bin is the first has no slope; its frequency, where it is given, has one.
    below = jnp.cumsum(jax.lax.stop_gradient(magnitude), axis=-2)
    total = below[..., -1:, :]
    first = jnp.where(below < roll_percent * total, jnp.inf, hz).min(axis=-2, keepdims=True)
    # A comparison with NaN is false: such a frame would get the lowest frequency.
    return jnp.where(jnp.isnan(total), jnp.nan, first)


@compiled
def spectral_flatness(
    y: Float[ArrayLike, "*batch N"] | None = None,
    *,
    S: Real[ArrayLike, "*batch F T"] | None = None,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    amin: Number = 1e-10,
    power: Number = 2.0,
) -> Float[Array, "*batch 1 T"]:
    """Geometric over arithmetic mean of the power, `exp(mean_f log P) / mean_f P` with `P = max(amin, S ** power)`.

    Float32 keeps it to some 2e-6 where there are gaps between harmonics, of which the logarithm is large.

    Args:
      y: signal, `(..., n)`; or instead of it
      S: magnitude spectrogram, `(..., bins, frames)`, at least 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends.
      pad_mode: what is padded, see `stft`.
      amin: smallest power, above 0.
      power: exponent of the magnitude, above 0.

    Returns:
      From 0 (a tone) to 1 (white noise, silence), `(..., 1, frames)`.

    Raises:
      ParameterError: as `spectrogram`; not exactly one of `y` and `S` is given; or `amin` or `power` is not above 0.

    Source: S. Dubnov, "Generalization of spectral flatness measure for non-Gaussian linear processes", 2004.

    >>> spectral_flatness(S=jnp.ones((5, 1))).tolist()
    [[1.0]]
    """
    check_number("amin", amin, strict=True)
    check_number("power", power, strict=True)
    magnitude, _ = spectrum_of("spectral_flatness", y, S, n_fft, hop_length, 1, win_length, window, center, pad_mode)
    energy = jnp.maximum(amin, safe_power(magnitude, power))
    mean = column_sum(energy / magnitude.shape[-2])
    # Logarithms of roots of ratios: those of the energies themselves are large and cost digits, and the ratios would
    # leave the range of float32.
    return jnp.exp(column_sum(jnp.log(jnp.sqrt(energy) / jnp.sqrt(mean))) * (2 / magnitude.shape[-2]))
