"""The arguments that signal functions share: their types, and one error for a value that is out of place."""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from serjax.errors import SerjaxError

# A whole number is as good a frequency as a float; strict run-time checkers tell the two apart.
Number = int | float
WindowName = Literal["hann", "hamming", "blackman", "blackmanharris", "bartlett", "boxcar", "ones"]
Window = WindowName | Float[ArrayLike, " W"]
Transform = Literal["fft", "matmul"]
PadMode = Literal["constant", "edge", "reflect", "symmetric"]
MelNorm = Literal["slaney"]
DctType = Literal[1, 2, 3]
DctNorm = Literal["ortho"]
DeltaMode = Literal["interp", "nearest", "mirror", "constant", "wrap"]


class ParameterError(SerjaxError):
    """An argument of a signal function has a value that it cannot have."""


def check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    """Refuse a value that is not one of the known ones."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in known):
        raise ParameterError(f"{name}={value!r} is unknown: give one of {', '.join(map(repr, known))}.")


def check_size(name: str, value: object, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`, known when the function is traced."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ParameterError(f"{name}={value!r} cannot be: give a Python integer of at least {least}.")


def check_axis(axis: int, shape: tuple[int, ...]) -> None:
    """Refuse an axis that an array of this shape does not have."""
    if not -len(shape) <= axis < len(shape):
        raise ParameterError(f"axis={axis} does not exist in an array of shape {shape}.")


def check_number(name: str, value: object, least: float = 0.0, strict: bool = False) -> None:
    """Refuse what is not a finite number, known when traced, of at least `least` (above it, if `strict`)."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or value < least or (strict and value == least):  # type: ignore[arg-type, operator]
        bound = "above" if strict else "of at least"
        raise ParameterError(f"{name}={value!r} cannot be: give a finite Python number {bound} {least:g}.")


def check_fraction(name: str, value: object) -> None:
    """Refuse what is not a number between 0 and 1, both excluded."""
    check_number(name, value, strict=True)
    if value >= 1:  # type: ignore[operator]
        raise ParameterError(f"{name}={value!r} cannot be: give a number between 0 and 1.")


def upper_edge_hz(sr: Number, fmin: Number, fmax: Number | None) -> float:
    """Return `fmax`, or half the sampling rate, after a check that `0 <= fmin < fmax <= sr / 2`."""
    check_number("sr", sr, strict=True)
    check_number("fmin", fmin)
    top = sr / 2 if fmax is None else fmax
    check_number("fmax", top, strict=True)
    if not fmin < top <= sr / 2:
        raise ParameterError(
            f"The band from fmin={fmin:g} to fmax={top:g} Hz does not fit a sampling rate of {sr:g} Hz: "
            f"give 0 <= fmin < fmax <= {sr / 2:g}."
        )
    return float(top)


def as_real(name: str, values: object) -> Array:
    """Convert to a real floating array of at least float32; whole numbers (PCM) and complex ones are refused."""
    array = jnp.asarray(values)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ParameterError(
            f"{name} has dtype {array.dtype}, expected real floating point: scale integer PCM to [-1, 1] first, take "
            f"the absolute value of complex spectra."
        )
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))
