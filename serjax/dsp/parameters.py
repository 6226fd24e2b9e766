"""The arguments that signal functions share: their types, and one error for a value that is out of place."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import AbstractArray, Array, Float, Real

from serjax.errors import SerjaxError

# A whole number is as good a frequency as a float; strict run-time checkers tell the two apart.
Number = int | float
WindowName = Literal["hann", "hamming", "blackman", "blackmanharris", "bartlett", "boxcar", "ones"]
ParametricWindow = Literal["kaiser", "gaussian", "tukey"]
WindowSpec = tuple[str | Number, ...]
Window = WindowName | WindowSpec | Real[ArrayLike, " W"] | Callable[[int], ArrayLike]
Transform = Literal["fft", "matmul"]
PadMode = Literal["constant", "edge", "reflect", "symmetric"]
MelNorm = Literal["slaney"]
DctType = Literal[1, 2, 3]
DctNorm = Literal["ortho"]
DeltaMode = Literal["interp", "nearest", "mirror", "constant", "wrap"]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class ParameterError(SerjaxError):
    """An argument of a signal function has a value that it cannot have."""


def plain_arguments(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function of the public: numbers and strings of NumPy become Python's, except where arrays are meant.

    Sizes and rates come out of tables and files as `np.int64` and 0-d arrays, which programs cannot be made of.
    """
    parameters = inspect.signature(function).parameters
    names = list(parameters)
    of_arrays = {name for name in names if array_kinds(parameters[name].annotation)}

    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        positional = [plain(value, i < len(names) and names[i] in of_arrays) for i, value in enumerate(args)]
        named = {name: plain(value, name in of_arrays) for name, value in kwargs.items()}
        return function(*positional, **named)  # type: ignore[arg-type]

    return called


def array_kinds(annotation: object) -> list[type[AbstractArray]]:
    """List the kinds of arrays that an annotation allows."""
    kinds = get_args(annotation) or (annotation,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, AbstractArray)]


def plain(value: Any, is_array: bool = False) -> Any:
    """Give the Python number or string that a NumPy scalar, or a 0-d array that is not traced, stands for."""
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, tuple):
        return tuple(plain(one) for one in value) if type(value) is tuple else value
    if is_array or isinstance(value, jax.core.Tracer):
        return value
    number = isinstance(value, np.generic | np.ndarray | jax.Array) and value.ndim == 0
    return value.item() if number and value.dtype.kind in "biuf" else value


def check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    """Raise ParameterError unless a value is one of the known ones."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in known):
        raise ParameterError(f"{name}={value!r} is unknown: give one of {', '.join(map(repr, known))}.")


def check_size(name: str, value: object, least: int = 1) -> None:
    """Raise ParameterError unless a value is an integer of at least `least`, known when the function is traced."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ParameterError(f"{name}={value!r} cannot be: give a Python integer of at least {least}.")


def check_axis(axis: int, shape: tuple[int, ...]) -> None:
    """Raise ParameterError for an axis that an array of this shape does not have."""
    if not -len(shape) <= axis < len(shape):
        raise ParameterError(f"axis={axis} does not exist in an array of shape {shape}.")


def check_number(name: str, value: object, least: float = 0.0, strict: bool = False) -> None:
    """Raise ParameterError unless a value is a finite number, known when traced, >= `least` (`strict`: > `least`)."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or value < least or (strict and value == least):  # type: ignore[arg-type, operator]
        bound = "above" if strict else "of at least"
        raise ParameterError(f"{name}={value!r} cannot be: give a finite Python number {bound} {least:g}.")


def check_fraction(name: str, value: object) -> None:
    """Raise ParameterError unless a value is a number between 0 and 1, both excluded."""
    check_number(name, value, strict=True)
    if value >= 1:  # type: ignore[operator]
        raise ParameterError(f"{name}={value!r} cannot be: give a number between 0 and 1.")


def upper_edge_hz(sr: Number, fmin: Number, fmax: Number | None) -> float:
    """Return `fmax`, or half the sampling rate; ParameterError unless `0 <= fmin < fmax <= sr / 2`."""
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


def as_floats(name: str, values: object) -> Array:
    """Convert to a real floating array, float32 at least; ParameterError for whole numbers (PCM) and complex ones."""
    array = _as_array(name, values)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ParameterError(
            f"{name} has dtype {array.dtype}, expected real floating point: scale integer PCM to [-1, 1] first, take "
            f"the absolute value of complex spectra."
        )
    floats = jnp.asarray(array)
    return floats.astype(jnp.promote_types(floats.dtype, jnp.float32))


def as_audio(name: str, values: object) -> Float[Array, "*batch N"]:
    """Convert a signal, or a batch of signals, see `as_floats`; ParameterError for a single number."""
    array = as_floats(name, values)
    if array.ndim == 0:
        raise ParameterError(f"{name} is a single number, expected a signal of shape (..., n).")
    return array


def as_real(name: str, values: object) -> Array:
    """Convert what is no audio to a real floating array, float32 at least; ParameterError for complex numbers."""
    array = _as_array(name, values)
    if jnp.issubdtype(array.dtype, jnp.integer):
        array = array.astype(jnp.result_type(float))
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ParameterError(
            f"{name} has dtype {array.dtype}, expected real numbers: take the absolute value of complex ones."
        )
    return as_floats(name, array)


def as_spectrum(name: str, values: object, layout: str = "(..., bins, frames)") -> Float[Array, "*batch F T"]:
    """Convert what has columns, one per frame, see `as_real`; ParameterError if it has none."""
    array = as_real(name, values)
    if array.ndim < 2:
        raise ParameterError(f"{name} has shape {array.shape}, expected {layout}.")
    return array


def _as_array(name: str, values: object) -> Array | np.ndarray | np.generic:
    if isinstance(values, np.ndarray | np.generic | jax.Array):
        return values
    try:
        return jnp.asarray(float(values) if type(values) is int else values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ParameterError(f"{name} is a {type(values).__name__} that makes no array of numbers: {error}") from error
