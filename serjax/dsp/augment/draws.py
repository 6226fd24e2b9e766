"""What random changes share: ranges to draw from, and the check that one example came, not a batch."""

import math
from typing import Literal

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from serjax.dsp.parameters import Number, ParameterError, as_real, check_number

Range = Number | tuple[Number, Number]
Bounds = tuple[float | Float[Array, ""], float | Float[Array, ""]]
Fill = Literal["wrap", "zero"]


def check_range(name: str, values: Range, least: float, most: float = math.inf) -> tuple[float, float]:
    """Read a range, or one number that stands for itself, after a check that it lies from `least` to `most`."""
    if isinstance(values, tuple) and len(values) != 2:
        raise ParameterError(f"{name}={values!r} cannot be: give one number or a range (low, high).")
    low, high = values if isinstance(values, tuple) else (values, values)
    check_number(name, low, least)
    check_number(name, high, float(low))
    if high > most:
        raise ParameterError(f"{name}={high!r} cannot be: give at most {most:g}.")
    return float(low), float(high)


def draw(key: PRNGKeyArray, bounds: Bounds) -> Float[Array, ""]:
    """Draw evenly from a range."""
    return jax.random.uniform(key, minval=bounds[0], maxval=bounds[1])


def one_example(name: str, values: object, ndim: int) -> Float[Array, "..."]:
    """Convert one example, a waveform (one axis) or a picture (two), and refuse a batch of them."""
    array = as_real(name, values)
    if array.ndim != ndim:
        wanted = "one waveform (N,)" if ndim == 1 else "one picture (bins, T)"
        raise ParameterError(
            f"{name} has shape {array.shape}, expected {wanted}: use jax.vmap with one key an example."
        )
    return array
