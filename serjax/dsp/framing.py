"""Cutting a signal into overlapping frames, and the windows that weigh them."""

from functools import lru_cache
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import (
    PadMode,
    ParameterError,
    ParametricWindow,
    Window,
    WindowName,
    WindowSpec,
    as_audio,
    as_real,
    check_axis,
    check_choice,
    check_number,
    check_size,
)

# w[n] = sum_k (-1)^k a_k cos(2 pi k n / N); F. J. Harris, "On the use of windows for harmonic analysis with the DFT",
# Proc. IEEE 66 (1978).
_COSINE_TERMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "boxcar": (1.0,),
    "ones": (1.0,),
}

# Up to so many hops in a frame, and no rest, frames are put together of hops: 2x faster than cut one by one.
_MOST_HOPS = 16


@compiled
def frame(
    x: Shaped[Array | np.ndarray, "..."], *, frame_length: int, hop_length: int, axis: int = -1
) -> Shaped[Array, "..."]:
    """Cut an axis into overlapping frames, `frames[..., i, t] = x[..., t * hop_length + i]`.

    Args:
      x: any array; the axis has N entries.
      frame_length: entries in a frame, 1 to N.
      hop_length: entries from the start of a frame to the start of the next, at least 1.
      axis: negative: the axis becomes `(frame_length, n_frames)`; from 0 up: `(n_frames, frame_length)`.

    Returns:
      `n_frames = 1 + (N - frame_length) // hop_length` frames; a rest that fills no frame is left out.

    Raises:
      ParameterError: a size is not a positive integer, or the axis is shorter than a frame.

    >>> frame(jnp.arange(5), frame_length=3, hop_length=2).tolist()
    [[0, 2], [1, 3], [2, 4]]
    >>> frame(jnp.arange(5), frame_length=3, hop_length=2, axis=0).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    check_size("frame_length", frame_length)
    check_size("hop_length", hop_length)
    x = jnp.asarray(x)
    check_axis(axis, x.shape)
    position = axis % x.ndim
    framed = frame_rows(jnp.moveaxis(x, position, -1), frame_length, hop_length)
    framed = jnp.moveaxis(framed, -2, position)
    return jnp.moveaxis(framed, -1, position if axis < 0 else position + 1)


def frame_rows(x: Shaped[Array, "*batch N"], frame_length: int, hop_length: int) -> Shaped[Array, "*batch T L"]:
    """Cut the last axis into frames in rows, as a Fourier transform reads them; ParameterError if none is full."""
    n_samples = x.shape[-1]
    if n_samples < frame_length:
        raise ParameterError(
            f"{n_samples} samples do not fill a frame of {frame_length}: pad the signal or shorten the frame."
        )
    n_frames, n_hops = 1 + (n_samples - frame_length) // hop_length, frame_length // hop_length
    if frame_length % hop_length == 0 and n_hops <= _MOST_HOPS:
        n_in_all = n_frames - 1 + n_hops
        hops = x[..., : n_in_all * hop_length].reshape(*x.shape[:-1], n_in_all, hop_length)
        parts = [hops[..., first : first + n_frames, :] for first in range(n_hops)]
        return jnp.stack(parts, axis=-2).reshape(*x.shape[:-1], n_frames, frame_length)
    starts = hop_length * jnp.arange(n_frames)
    # Slices, not an index table: the gradient then adds whole slices instead of scattering single samples, 2x faster.
    return jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(x, start, frame_length, axis=-1), out_axes=-2)(starts)


def pad_ends(x: Float[Array, "*batch N"], width: int, mode: str) -> Float[Array, "*batch P"]:
    """Pad the last axis at both ends, in one of numpy's modes that pad with zeros or with entries of the array."""
    if mode == "constant":
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(width, width)])
    # Two small index tables: `jnp.pad` unrolls one operation a reflection, a thousand for a single sample.
    source = np.pad(np.arange(x.shape[-1]), width, mode=mode)  # type: ignore[call-overload]
    before, after = source[:width], source[width + x.shape[-1] :]
    return jnp.concatenate([x[..., before], x, x[..., after]], axis=-1)


def framed_signal(
    y: Float[ArrayLike, "*batch N"] | None, frame_length: int, hop_length: int, center: bool, pad_mode: str
) -> Float[Array, "*batch T L"]:
    """Cut a signal into rows of samples, padded at both ends if centred; ParameterError if that cannot be."""
    check_size("frame_length", frame_length)
    check_size("hop_length", hop_length)
    check_choice("pad_mode", pad_mode, get_args(PadMode))
    signal = as_audio("y", y)
    if center:
        if signal.shape[-1] == 0 and pad_mode != "constant":
            raise ParameterError(f"pad_mode={pad_mode!r} has nothing to repeat in an empty signal: use 'constant'.")
        signal = pad_ends(signal, frame_length // 2, pad_mode)
    return frame_rows(signal, frame_length, hop_length)


def fit_length(y: Float[Array, "*batch N"], length: int) -> Float[Array, "*batch length"]:
    """Cut the last axis, or append zeros, to a length."""
    missing = max(0, length - y.shape[-1])
    return jnp.pad(y[..., :length], [(0, 0)] * (y.ndim - 1) + [(0, missing)])


@compiled
def get_window(window: Window, Nx: int, *, fftbins: bool = True) -> Float[Array, " Nx"]:
    r"""Make a window of `Nx` samples, `w[n] = sum_k (-1)^k a_k cos(2 pi k n / N)`.

    Args:
      window: a name: `hann`, `hamming`, `blackman`, `blackmanharris`, `bartlett` (a triangle), `boxcar` or `ones`.
        Or a name with its parameter, as scipy has it: `("kaiser", beta)`, `("gaussian", std)` with the deviation in
        samples, `("tukey", alpha)` with the share that tapers. Or an array of `Nx` weights, which is returned as it
        is. Or a function of `Nx` that makes one, such as `np.hanning`.
      Nx: length in samples.
      fftbins: periodic, `N = Nx` (for Fourier transforms), else symmetric, `N = Nx - 1`; of names only.

    Raises:
      ParameterError: the name or its parameter is unknown, the length not positive, or the array not of that length.

    Source: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", 1978.

    >>> get_window("hann", 4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    check_size("Nx", Nx)
    if isinstance(window, str | tuple):
        return jnp.asarray(window_table(*_named(window), Nx, bool(fftbins)), dtype=float)
    weights = as_real("window", window(Nx) if callable(window) else window)
    if weights.shape != (Nx,):
        raise ParameterError(f"The window has shape {weights.shape}, expected ({Nx},): one weight per sample.")
    return weights


def _named(window: str | WindowSpec) -> tuple[str, float]:
    """Split what describes a window into its name and its parameter, 0 where it has none."""
    name, *parameters = (window,) if isinstance(window, str) else window or ("",)
    plain_names, with_one = get_args(WindowName), get_args(ParametricWindow)
    if len(parameters) != (name in with_one) or name not in (*plain_names, *with_one):
        raise ParameterError(
            f"window={window!r} is unknown: give one of {', '.join(map(repr, plain_names))}; or one of "
            f"{', '.join(f'({one!r}, number)' for one in with_one)}; or an array, or a function that makes it."
        )
    if not parameters:
        return str(name), 0.0
    (parameter,) = parameters
    check_number(f"window={name!r} with parameter", parameter, strict=name == "gaussian")
    return str(name), float(parameter)


@lru_cache(maxsize=64)
def window_table(name: str, parameter: float, length: int, periodic: bool) -> np.ndarray:
    """Tabulate a named window in float64."""
    # The formulas divide by the period, which is 0 for a symmetric window of one sample.
    if length == 1:
        return np.ones(1)
    period = length if periodic else length - 1
    phase = np.arange(length) / period
    if name == "kaiser":
        return np.i0(parameter * np.sqrt(np.maximum(0.0, 1.0 - np.square(2.0 * phase - 1.0)))) / np.i0(parameter)
    if name == "gaussian":
        return np.exp(-0.5 * np.square((phase - 0.5) * period / parameter))
    if name == "tukey":  # rises over half of the share, stays at 1, falls
        rise = min(parameter, 1.0) / 2.0
        return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(phase, 1.0 - phase) / rise, 1.0)) if rise else phase**0
    if name == "bartlett":
        return 1.0 - np.abs(2.0 * phase - 1.0)
    terms = _COSINE_TERMS[name]
    return sum((-1.0) ** k * a * np.cos(2.0 * np.pi * k * phase) for k, a in enumerate(terms))  # type: ignore[return-value]


def padded_window(window: Window, win_length: int, n_fft: int) -> Float[Array, " n_fft"]:
    """Make a periodic window, padded with zeros to the length of the transform; ParameterError if it is longer."""
    check_size("win_length", win_length)
    if win_length > n_fft:
        raise ParameterError(f"win_length={win_length} exceeds n_fft={n_fft}: give at most n_fft.")
    before = (n_fft - win_length) // 2
    return jnp.pad(get_window(window, win_length), (before, n_fft - win_length - before))
