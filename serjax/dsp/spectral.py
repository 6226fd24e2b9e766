"""Short-time Fourier transform, spectrograms and decibels."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float, Real

from serjax.dsp.compiled import compiled
from serjax.dsp.extrema import largest
from serjax.dsp.framing import framed_signal, padded_window
from serjax.dsp.parameters import (
    Number,
    PadMode,
    ParameterError,
    Transform,
    Window,
    as_audio,
    as_real,
    check_choice,
    check_number,
    check_size,
)


@compiled
def stft(
    y: Float[ArrayLike, "*batch N"],
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    transform: Transform = "fft",
) -> Complex[Array, "*batch F T"]:
    r"""Short-time Fourier transform, `D[f, t] = sum_n w[n] y[t * hop + n] exp(-2 pi i f n / n_fft)`.

    Args:
      y: signal, `(..., n)`.
      n_fft: length of the transform in samples; `1 + n_fft // 2` bins come out.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window, at most `n_fft`, which stands in the middle; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.
      pad_mode: what is padded: zeros (`constant`), `edge`, `reflect` or `symmetric`.
      transform: `fft`, or `matmul`: a product with the `n_fft (n_fft + 2)` numbers of the Fourier matrix, for
        accelerators that multiply matrices much faster than they transform (TPU). Equal to 1e-6 of the largest
        magnitude; a hundred times the operations.

    Returns:
      `(..., 1 + n_fft // 2, frames)`, with `1 + n // hop_length` frames if centred and `n_fft` is even.

    Raises:
      ParameterError: a size is not positive, a name unknown, the signal is not real floating point, or shorter
        than a frame and not centred.

    Source: J. B. Allen and L. R. Rabiner, "A unified approach to short-time Fourier analysis and synthesis", 1977.

    >>> stft(jnp.ones(16), n_fft=8, window="ones")[:, 4].real.tolist()
    [8.0, 0.0, 0.0, 0.0, 0.0]
    """
    check_size("n_fft", n_fft)
    check_choice("pad_mode", pad_mode, get_args(PadMode))
    check_choice("transform", transform, get_args(Transform))
    signal = as_audio("y", y)
    win_length = n_fft if win_length is None else win_length
    weights = padded_window(window, win_length, n_fft)
    hop_length = max(1, win_length // 4) if hop_length is None else hop_length
    check_size("hop_length", hop_length)
    frames = framed_signal(signal, n_fft, hop_length, center, pad_mode)
    weights = weights.astype(frames.dtype).reshape((1,) * (frames.ndim - 1) + (n_fft,))
    spectrum = jnp.fft.rfft(frames * weights) if transform == "fft" else _matrix_transform(frames * weights)
    return jnp.swapaxes(spectrum, -1, -2)


def _matrix_transform(frames: Float[Array, "*batch T L"]) -> Complex[Array, "*batch T F"]:
    """Transform rows by a product with the Fourier matrix, real and imaginary part side by side."""
    table = jnp.asarray(_fourier_matrix(frames.shape[-1]), frames.dtype)
    # "highest": accelerators would otherwise multiply in bfloat16 or TF32, good for three digits.
    real, imag = jnp.split(jnp.einsum("...tl,lf->...tf", frames, table, precision="highest"), 2, axis=-1)
    return jax.lax.complex(real, imag)


@lru_cache(maxsize=4)
def _fourier_matrix(n_fft: int) -> np.ndarray:
    """Tabulate `cos(2 pi n f / n_fft)` and, beside it, `-sin`, in float64."""
    # Whole turns are taken off while the numbers are whole: large angles would cost digits of the cosine.
    turns = np.outer(np.arange(n_fft), np.arange(1 + n_fft // 2)) % n_fft / n_fft
    return np.concatenate([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], axis=1)


@compiled
def spectrogram(
    y: Float[ArrayLike, "*batch N"],
    *,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    power: Number = 1,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    transform: Transform = "fft",
) -> Float[Array, "*batch F T"]:
    """Magnitude of the short-time Fourier transform raised to a power, `S = |D| ** power`.

    Unlike `abs(stft(y)) ** power` it has a finite gradient where the spectrum is zero (it is 0 there).

    Args:
      y: signal, `(..., n)`.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: pad by `n_fft // 2` at both ends, so that frame t is centred at sample `t * hop_length`.
      pad_mode: what is padded, see `stft`.
      transform: `fft` or `matmul`, see `stft`.
      power: exponent above 0; 1: magnitude, 2: power.

    Raises:
      ParameterError: as `stft`; or the power is not above 0.

    >>> spectrogram(jnp.ones(16), n_fft=8, window="ones", hop_length=2, power=2)[0, 4].item()
    64.0
    """
    check_number("power", power, strict=True)
    D = stft(
        y,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        transform=transform,
    )
    if power == 1:
        return magnitude_of(D.real, D.imag)
    energy = energy_of(D.real, D.imag)
    return energy if power == 2 else safe_power(energy, power / 2)


def energy_of(real: Float[Array, "*shape"], imag: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square the magnitude of a complex number."""
    return jnp.square(real) + jnp.square(imag)


@jax.custom_jvp
def magnitude_of(real: Float[Array, "*shape"], imag: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Give the magnitude of a complex number, with the slope 0 at 0.

    The slope `(real d real + imag d imag) / |.|` is made of shares up to 1: that of the root of the square would leave
    the range of float32 where the magnitude is tiny.
    """
    return safe_power(energy_of(real, imag), 0.5)


@magnitude_of.defjvp
def _magnitude_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    length = magnitude_of(*primals)
    shares = [part / jnp.where(length == 0, 1.0, length) for part in primals]
    slope = sum(share * tangent for share, tangent in zip(shares, tangents, strict=True))
    return length, jnp.where(length == 0, 0.0, slope)


def safe_power(values: Float[Array, "*shape"], exponent: Number) -> Float[Array, "*shape"]:
    """Raise what is not negative to a power above 0, with the slope 0 at 0; NaN stays NaN."""
    if exponent == 1:
        return values
    # Two selections: one for the value at zero, one that keeps the infinite slope there out of the gradient.
    zero = values <= 0
    base = jnp.where(zero, 1.0, values)
    return jnp.where(zero, 0.0, jnp.sqrt(base) if exponent == 0.5 else base**exponent)


@compiled
def power_to_db(
    S: Real[ArrayLike, "*shape"],
    *,
    ref: Number | Callable[[Array], ArrayLike] = 1.0,
    amin: Number = 1e-10,
    top_db: Number | None = 80.0,
) -> Float[Array, "*shape"]:
    """Power to decibels, `10 log10(max(S, amin) / max(ref, amin))`, floored at `top_db` below the clip's peak.

    Args:
      S: power, `(..., bins, frames)`; leading axes are independent clips.
      ref: power that becomes 0 dB, or a function that finds it in one clip `(bins, frames)`, such as `jnp.max`.
      amin: smallest power, above 0.
      top_db: range below the maximum *of each clip* in dB, at least 0; `None`: no floor.

    Raises:
      ParameterError: `S` is not real, `amin` not above 0, `top_db` negative, or `ref` gives no scalar or is one of
        NumPy's functions that cannot be traced: give that of `jax.numpy`.

    >>> power_to_db(jnp.array([1.0, 100.0, 1e-12]), top_db=None).round(4).tolist()
    [0.0, 20.0, -100.0]
    """
    check_number("amin", amin, strict=True)
    power = as_real("S", S)
    return _decibels(power, _reference(power, ref), amin, top_db)


def _decibels(
    power: Float[Array, "*shape"], reference: Float[Array, "..."], amin: Number, top_db: Number | None
) -> Float[Array, "*shape"]:
    # A difference of logarithms, as librosa has it: a quotient could leave the range of float32.
    decibels = 10.0 * jnp.log10(jnp.maximum(power, amin)) - 10.0 * jnp.log10(jnp.maximum(reference, amin))
    if top_db is None:
        return decibels
    check_number("top_db", top_db)
    clip = tuple(range(max(0, power.ndim - 2), power.ndim))
    # `largest`, not `max`, whose gradient is lost where a compiler computes the peak twice.
    return jnp.maximum(decibels, largest(decibels, clip) - top_db)


def _reference(S: Float[Array, "*shape"], ref: Number | Callable[[Array], ArrayLike]) -> Float[Array, "..."]:
    """Find the reference of each clip, in a shape that broadcasts against the clips."""
    if not callable(ref):
        check_number("abs(ref)", abs(ref))
        return jnp.full((1,) * S.ndim, abs(ref), S.dtype)
    lead, clip = S.shape[:-2], S.shape[-2:]
    try:
        # One clip at a time: a callable that got the whole batch would mix neighbours.
        found = jax.vmap(lambda one: jnp.asarray(ref(one)))(S.reshape(math.prod(lead), *clip))
    except jax.errors.JAXTypeError as error:
        name = getattr(ref, "__name__", repr(ref))
        like = f"jnp.{name}" if hasattr(jnp, name) else "one made of jax.numpy, such as jnp.median"
        raise ParameterError(f"ref={name} asks for values while S is traced: give {like}.") from error
    if found.ndim != 1:
        raise ParameterError(f"ref gave an array of shape {found.shape[1:]} for one clip, expected a scalar.")
    return found.reshape(lead + (1,) * len(clip))


@compiled
def db_to_power(S_db: Real[ArrayLike, "*shape"], *, ref: Number = 1.0) -> Float[Array, "*shape"]:
    """Decibels to power, `ref * 10 ** (S_db / 10)`, the inverse of `power_to_db` where that did not clip.

    Args:
      S_db: decibels, any shape.
      ref: power at 0 dB, at least 0.

    Raises:
      ParameterError: `S_db` is not real, or `ref` negative.

    >>> db_to_power(jnp.array(0.0), ref=2.0).item()
    2.0
    """
    check_number("ref", ref)
    return ref * 10.0 ** (as_real("S_db", S_db) / 10.0)


@compiled
def amplitude_to_db(
    S: Real[ArrayLike, "*shape"],
    *,
    ref: Number | Callable[[Array], ArrayLike] = 1.0,
    amin: Number = 1e-5,
    top_db: Number | None = 80.0,
) -> Float[Array, "*shape"]:
    """Amplitude to decibels, `power_to_db(S ** 2, ref=ref ** 2, amin=amin ** 2, top_db=top_db)`.

    Args:
      S: amplitude, `(..., bins, frames)`; leading axes are independent clips.
      ref: amplitude that becomes 0 dB, or a function that finds it in one clip `(bins, frames)`.
      amin: smallest amplitude, above 0.
      top_db: range below the maximum of each clip in dB, at least 0; `None`: no floor.

    Raises:
      ParameterError: as `power_to_db`.

    >>> amplitude_to_db(jnp.array([1.0, 10.0])).round(4).tolist()
    [0.0, 20.0]
    """
    check_number("amin", amin, strict=True)
    amplitude = jnp.abs(as_real("S", S))
    return _decibels(jnp.square(amplitude), jnp.square(_reference(amplitude, ref)), amin**2, top_db)
