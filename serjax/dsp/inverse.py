"""The way back: from spectra to signals, from cepstra to mel bands, from mel bands to bins."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Complex, Float, Real

from serjax.dsp.cepstral import cepstral_window, cosine_basis
from serjax.dsp.compiled import compiled
from serjax.dsp.framing import fit_length, padded_window
from serjax.dsp.mel import checked_weights
from serjax.dsp.parameters import (
    DctNorm,
    DctType,
    MelNorm,
    Number,
    ParameterError,
    Window,
    as_real,
    as_spectrum,
    check_number,
    check_size,
)
from serjax.dsp.spectral import db_to_power


@compiled
def istft(
    stft_matrix: Complex[ArrayLike, "*batch F T"],
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: Window = "hann",
    center: bool = True,
    length: int | None = None,
) -> Float[Array, "*batch N"]:
    r"""Inverse short-time Fourier transform, `y[n] = sum_t w[n - t hop] x[t, n - t hop] / sum_t w[n - t hop] ** 2`.

    `x[t]` is the inverse Fourier transform of frame t; of all signals this one has, in the mean square, the transform
    nearest to `stft_matrix`. Where the sum below is zero, the one above is left as it is. Where it is merely tiny,
    rounding errors grow, as they do in librosa: so at the outermost samples of tapering windows without `center`.

    Args:
      stft_matrix: complex, `(..., 1 + n_fft // 2, frames)`, at least one frame.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window, at most `n_fft`; `None`: `n_fft`.
      n_fft: length of the transform in samples; `None`: the even one of that many bins.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: leave out the `n_fft // 2` samples of padding at both ends.
      length: samples that come out, by cutting or appending zeros; `None`: all that the frames reach,
        `n_fft + hop_length * (frames - 1)`, less the padding.

    Raises:
      ParameterError: a size or name is wrong, `stft_matrix` is not complex, has no frame, or not the bins of `n_fft`.

    Source: D. W. Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier transform", 1984.

    >>> spectrum = jnp.zeros((5, 4), complex).at[0].set(8.0)
    >>> istft(spectrum, hop_length=2, window="ones").round(4).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    D = as_complex("stft_matrix", stft_matrix)
    n_fft = _transform_length(D.shape, n_fft)
    win_length = n_fft if win_length is None else win_length
    hop_length = max(1, win_length // 4) if hop_length is None else hop_length
    check_size("hop_length", hop_length)
    y = synthesis(D, padded_window(window, win_length, n_fft), hop_length)
    edge = n_fft // 2 if center else 0
    length = y.shape[-1] - 2 * edge if length is None else length
    check_size("length", length, least=0)
    return fit_length(y[..., edge:], length)


def synthesis(
    D: Complex[Array, "*batch F T"],
    weights: Float[Array, " L"],
    hop_length: int,
    is_frame: Bool[Array, " T"] | None = None,
) -> Float[Array, "*batch N"]:
    """Overlap the inverse transforms of all frames (or of those that are some) and divide by the sum of the weights."""
    n_fft = len(weights)
    frames = jnp.fft.irfft(jnp.swapaxes(D, -1, -2), n=n_fft)
    weights = weights.astype(frames.dtype)
    total = overlap_add(frames * weights.reshape((1,) * (frames.ndim - 1) + (n_fft,)), hop_length)
    squares = jnp.broadcast_to(jnp.square(weights), frames.shape[-2:])
    share = overlap_add(squares if is_frame is None else squares * is_frame[:, None], hop_length)
    # Above `tiny`, not above 0: a quotient by a denormal number may be infinite.
    return total / jnp.where(share > jnp.finfo(share.dtype).tiny, share, 1.0).reshape((1,) * (total.ndim - 1) + (-1,))


def as_complex(name: str, values: object) -> Complex[Array, "..."]:
    """Convert to a complex spectrum; ParameterError for a real one, whose phase is lost."""
    array = jnp.asarray(values)
    if not jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ParameterError(f"{name} has dtype {array.dtype}, expected a complex one: give what stft gives.")
    if array.ndim < 2:
        raise ParameterError(f"{name} has shape {array.shape}, expected (..., bins, frames).")
    return array


def _transform_length(shape: tuple[int, ...], n_fft: int | None) -> int:
    if shape[-1] == 0:
        raise ParameterError(f"stft_matrix has shape {shape}, expected (..., bins, frames) and at least one frame.")
    n_bins = shape[-2]
    n_fft = 2 * (n_bins - 1) if n_fft is None else n_fft
    check_size("n_fft", n_fft)
    if 1 + n_fft // 2 != n_bins:
        raise ParameterError(
            f"stft_matrix has {n_bins} bins, n_fft={n_fft} makes {1 + n_fft // 2}: give the n_fft of the stft."
        )
    return n_fft


def overlap_add(frames: Float[Array, "*batch T L"], hop_length: int) -> Float[Array, "*batch N"]:
    """Add up frames that start `hop_length` samples after each other, the adjoint of cutting a signal into them."""
    *lead, n_frames, frame_length = frames.shape
    n_hops = -(-frame_length // hop_length)
    # Each frame in pieces of one hop: piece r of all frames is the signal's hops from r on. Whole-array additions need
    # no scatter, which accelerators are slow at and sum in no fixed order.
    pieces = fit_length(frames, n_hops * hop_length).reshape(*lead, n_frames, n_hops, hop_length)
    none = [(0, 0)] * len(lead)
    hops = sum(jnp.pad(pieces[..., r, :], [*none, (r, n_hops - 1 - r), (0, 0)]) for r in range(n_hops))
    return hops.reshape(*lead, (n_frames + n_hops - 1) * hop_length)[..., : frame_length + hop_length * (n_frames - 1)]  # type: ignore[union-attr]


@compiled
def db_to_amplitude(S_db: Real[ArrayLike, "*shape"], *, ref: Number = 1.0) -> Float[Array, "*shape"]:
    """Decibels to amplitude, `ref * 10 ** (S_db / 20)`, the inverse of `amplitude_to_db` where that did not clip.

    Args:
      S_db: decibels, any shape.
      ref: amplitude at 0 dB, at least 0.

    Raises:
      ParameterError: `S_db` is not real, or `ref` negative.

    >>> db_to_amplitude(jnp.array(20.0), ref=2.0).round(4).item()
    20.0
    """
    check_number("ref", ref)
    return ref * 10.0 ** (as_real("S_db", S_db) / 20.0)


@compiled
def mfcc_to_mel(
    mfcc: Real[ArrayLike, "*batch C T"],
    *,
    n_mels: int = 128,
    dct_type: DctType = 2,
    norm: DctNorm | None = "ortho",
    ref: Number = 1.0,
    lifter: Number = 0,
) -> Float[Array, "*batch n_mels T"]:
    """Mel power from cepstral coefficients, `M[:, t] = ref 10 ** (idct(c[:, t] / lift) / 10)`.

    The coefficients that are not there count as zero: the bands come back smoothed.

    Args:
      mfcc: coefficients, `(..., n_mfcc, frames)`.
      n_mels: number of bands, at least `n_mfcc`.
      dct_type: type of the cosine transform that made them, see `dct`.
      norm: norm of that transform, see `dct`.
      ref: power at 0 dB, at least 0.
      lifter: length of the cepstral window that they were weighed with, see `mfcc`; at least 0; 0: none.

    Raises:
      ParameterError: there are more coefficients than bands, a choice is unknown, or the lifter wiped out a
        coefficient, which nothing brings back.

    >>> mfcc_to_mel(jnp.zeros((13, 2)), n_mels=40).shape
    (40, 2)
    """
    coefficients = as_spectrum("mfcc", mfcc, "(..., n_mfcc, frames)")
    n_mfcc = coefficients.shape[-2]
    check_size("n_mels", n_mels)
    if n_mfcc > n_mels:
        raise ParameterError(f"{n_mfcc} coefficients do not come from n_mels={n_mels} bands: give at least as many.")
    lift = _lift(n_mfcc, lifter)
    # The whole basis is inverted, then cut: coefficients that are not there count as zero.
    columns = np.linalg.inv(cosine_basis(n_mels, n_mels, dct_type, norm))[:, :n_mfcc] / lift
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    table = jnp.asarray(columns, coefficients.dtype)
    return db_to_power(jnp.einsum("...ct,mc->...mt", coefficients, table, precision="highest"), ref=ref)


def _lift(n_mfcc: int, lifter: Number) -> np.ndarray:
    """Tabulate the weights of a cepstral window, none of them zero."""
    lift = cepstral_window(n_mfcc, lifter)
    lost = np.flatnonzero(np.abs(lift) < 1e-7)
    if lost.size:
        raise ParameterError(
            f"lifter={lifter:g} multiplied coefficient {lost[0]} by zero: give the first {lost[0]} coefficients only."
        )
    return lift


@compiled
def mel_to_power(
    M: Real[ArrayLike, "*batch M T"],
    *,
    sr: Number = 22050,
    n_fft: int = 2048,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: MelNorm | None = "slaney",
) -> Float[Array, "*batch F T"]:
    """Spectrogram from mel bands, `S = max(0, pinv(w) M)` with the weights `w` of `mel_filterbank`.

    The pseudo-inverse gives the smallest of the spectra that fit the bands best, and what it makes negative becomes
    zero. It is one differentiable product. `librosa.feature.inverse.mel_to_stft` searches for the best fit without
    negative entries instead: it reproduces the bands better and has other values.

    Args:
      M: mel spectrogram, at least 0, `(..., n_mels, frames)`, of whatever power of the magnitude; S is of the same.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples; `1 + n_fft // 2` bins come out.
      fmin: lowest frequency in Hz, at least 0.
      fmax: highest frequency in Hz, above `fmin` and at most `sr / 2`, which `None` stands for.
      htk: the mel formula of HTK instead of Slaney's.
      norm: `slaney` (unit area) or `None` (unit height), see `mel_filterbank`.

    Raises:
      ParameterError: as `mel_filterbank`; or M is not real.

    >>> mel_to_power(jnp.ones((20, 3)), sr=8_000, n_fft=256).shape
    (129, 3)
    """
    bands = as_spectrum("M", M, "(..., n_mels, frames)")
    weights = checked_weights(sr, n_fft, bands.shape[-2], fmin, fmax, htk, norm)
    table = jnp.asarray(_pseudo_inverse(weights.tobytes(), weights.shape), bands.dtype)
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    # The pseudo-inverse makes some bins negative, which no power is.
    return jnp.maximum(jnp.einsum("...mt,fm->...ft", bands, table, precision="highest"), 0.0)


@lru_cache(maxsize=16)
def _pseudo_inverse(weights: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Invert float64 weights, which come as bytes so that the result can be kept."""
    return np.linalg.pinv(np.frombuffer(weights).reshape(shape))
