"""What random changes share: ranges to draw from, and the check that one example came, not a batch."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from serjax.dsp.parameters import Number, ParameterError, as_audio, as_real, check_number

Range = Number | tuple[Number, Number]
Bounds = tuple[float | Float[Array, ""], float | Float[Array, ""]]
Fill = Literal["wrap", "zero"]


def check_range(name: str, values: Range, least: float, most: float = math.inf) -> tuple[float, float]:
    """Read a range, or one number that stands for itself; ParameterError if it leaves `least` to `most`."""
    if isinstance(values, tuple) and len(values) != 2:
        raise ParameterError(f"{name}={values!r} cannot be: give one number or a range (low, high).")
    low, high = values if isinstance(values, tuple) else (values, values)
    check_number(name, low, least)
    check_number(name, high, float(low))
    if high > most:
        raise ParameterError(f"{name}={high!r} cannot be: give at most {most:g}.")
    return float(low), float(high)


def draw(key: PRNGKeyArray, bounds: Bounds, dtype: DTypeLike) -> Float[Array, ""]:
    """Draw evenly from a range, in the precision of what it is for."""
    return jax.random.uniform(key, dtype=dtype, minval=bounds[0], maxval=bounds[1])


def one_example(name: str, values: object, ndim: int) -> Float[Array, "..."]:
    """Convert one example, a waveform (one axis) or a picture (two); ParameterError for a batch of them."""
    array = as_audio(name, values) if ndim == 1 else as_real(name, values)
    if array.ndim != ndim:
        wanted = "one waveform (N,)" if ndim == 1 else "one picture (bins, T)"
        raise ParameterError(
            f"{name} has shape {array.shape}, expected {wanted}: use jax.vmap with one key per example."
        )
    return array


def as_came(changed: Float[Array, "*shape"], example: object) -> Float[Array, "*shape"]:
    """Give what was computed, in float32 at least, in the precision that the example came in; whole numbers have none.

    So that changes can be chosen among and carried through loops.
    """
    came = jnp.asarray(example).dtype
    return changed.astype(came) if jnp.issubdtype(came, jnp.floating) else changed
