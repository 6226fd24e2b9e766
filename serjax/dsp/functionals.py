"""Statistics over the frames of a clip, for one vector per utterance: padding is masked and never enters.

Features are `(..., bins, frames)`, as `mfcc` and the descriptors give them, the mask `(..., frames)`, true where a
frame counts; out comes `(..., bins)`. What is masked may hold anything, even NaN. A clip without a valid frame gives
zeros.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Real

from serjax.dsp.columns import safe_power
from serjax.dsp.compiled import compiled
from serjax.dsp.extrema import largest
from serjax.dsp.parameters import Number, ParameterError, as_real, check_number


@compiled
def masked_mean(x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]) -> Float[Array, "*batch D"]:
    """Mean over the valid frames, `sum_t m[t] x[t] / sum_t m[t]`.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`.

    Raises:
      ParameterError: the features are not real floating point, or the mask is not boolean or of another shape.

    >>> masked_mean(jnp.array([[1.0, 3.0, 99.0]]), jnp.array([True, True, False])).tolist()
    [2.0]
    """
    values, valid = _checked(x, mask)
    return _mean(values, valid)[..., 0]


@compiled
def masked_std(x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]) -> Float[Array, "*batch D"]:
    """Root of the mean square distance from the mean, `sqrt(mean_t (x[t] - mean) ** 2)`, over the valid frames.

    Its gradient is 0 where it is 0.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`.

    Raises:
      ParameterError: as `masked_mean`.

    >>> masked_std(jnp.array([[1.0, 3.0, 99.0]]), jnp.array([True, True, False])).tolist()
    [1.0]
    """
    values, valid = _checked(x, mask)
    distance = jnp.where(valid, values - _mean(values, valid), 0.0)
    # In units of the largest distance: squares of what is tiny or huge would leave the range of float32.
    unit = jax.lax.stop_gradient(jnp.abs(distance).max(axis=-1, keepdims=True, initial=0.0))
    unit = jnp.where(unit > 0, unit, 1.0)
    return (unit * safe_power(_mean(jnp.square(distance / unit), valid), 0.5))[..., 0]


@compiled
def masked_min(x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]) -> Float[Array, "*batch D"]:
    """Smallest value among the valid frames.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`.

    Raises:
      ParameterError: as `masked_mean`.

    >>> masked_min(jnp.array([[1.0, 3.0, -99.0]]), jnp.array([True, True, False])).tolist()
    [1.0]
    """
    values, valid = _checked(x, mask)
    # Masked frames are −inf after the change of sign, so that none of them is the largest.
    return _where_any(valid, -largest(jnp.where(valid, -values, -jnp.inf), -1)[..., 0])


@compiled
def masked_max(x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]) -> Float[Array, "*batch D"]:
    """Largest value among the valid frames.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`.

    Raises:
      ParameterError: as `masked_mean`.

    >>> masked_max(jnp.array([[1.0, 3.0, 99.0]]), jnp.array([True, True, False])).tolist()
    [3.0]
    """
    values, valid = _checked(x, mask)
    return _where_any(valid, largest(jnp.where(valid, values, -jnp.inf), -1)[..., 0])


@compiled
def masked_percentile(
    x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"], q: Number
) -> Float[Array, "*batch D"]:
    """Percentile of the valid frames, linear between neighbours: `sorted[(n - 1) q / 100]`, as `numpy.percentile`.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`.
      q: percent of the values below, from 0 to 100; 50: the median.

    Raises:
      ParameterError: as `masked_mean`; or `q` is out of its range.

    >>> masked_percentile(jnp.array([[4.0, 1.0, 99.0, 2.0]]), jnp.array([True, True, False, True]), 75).tolist()
    [3.0]
    """
    check_number("q", q)
    if q > 100:
        raise ParameterError(f"q={q!r} cannot be: give a percentage from 0 to 100.")
    values, valid = _checked(x, mask)
    # One entry more than there are frames, so that there is one to pick where there are none.
    ends = [(0, 0)] * (values.ndim - 1) + [(0, 1)]
    # Masked frames are sorted to the end: the first `n_valid` entries are the valid ones.
    ordered = jnp.sort(jnp.pad(jnp.where(valid, values, jnp.inf), ends, constant_values=jnp.inf), axis=-1)
    n_valid = valid.sum(axis=-1, keepdims=True)
    below, above, shares = _ranks(values.shape[-1], q)
    low = _where_any(valid, _entry(ordered, jnp.asarray(below)[n_valid]))
    high = _where_any(valid, _entry(ordered, jnp.asarray(above)[n_valid]))
    share = jnp.asarray(shares, values.dtype)[n_valid][..., 0]
    # A sort puts NaN behind all numbers, where no rank may reach it.
    return jnp.where(jnp.isnan(values).any(axis=-1), jnp.nan, low + share * (high - low))


@compiled
def masked_slope(x: Real[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]) -> Float[Array, "*batch D"]:
    """Slope of the straight line fitted to the valid frames, in units of `x` per frame; 0 for a single frame.

    `sum_t (t - mean t) (x[t] - mean x) / sum_t (t - mean t) ** 2`.

    Args:
      x: features, `(..., bins, frames)`.
      mask: which frames count, `(..., frames)`; a gap in the middle keeps its time.

    Raises:
      ParameterError: as `masked_mean`.

    >>> masked_slope(jnp.array([[1.0, 99.0, 5.0, 7.0]]), jnp.array([True, False, True, True])).tolist()
    [2.0]
    """
    values, valid = _checked(x, mask)
    frames = jnp.arange(values.shape[-1], dtype=values.dtype).reshape((1,) * (values.ndim - 1) + (-1,))
    # Both factors are centred first: large sums that cancel would cost digits in float32.
    time = jnp.where(valid, frames - _mean(jnp.where(valid, frames, 0.0), valid), 0.0)
    spread = jnp.square(time).sum(axis=-1, keepdims=True)
    centred = jnp.where(valid, values - _mean(values, valid), 0.0)
    return jnp.sum(time * centred, axis=-1) / jnp.where(spread > 0, spread, 1.0)[..., 0]


def _checked(
    x: Float[ArrayLike, "*batch D T"], mask: Bool[ArrayLike, "*batch T"]
) -> tuple[Float[Array, "*batch D T"], Bool[Array, "*batch 1 T"]]:
    """Give the features with zeros where they are masked, and the mask beside them."""
    values, valid = as_real("x", x), jnp.asarray(mask)
    if valid.dtype != bool:
        raise ParameterError(f"mask has dtype {valid.dtype}, expected bool: true where a frame counts.")
    if values.ndim < 2 or valid.shape != (*values.shape[:-2], values.shape[-1]):
        raise ParameterError(
            f"mask has shape {valid.shape} beside x of shape {values.shape}: give x as (..., bins, frames) and the "
            f"mask as (..., frames)."
        )
    valid = valid[..., None, :]
    # Chosen, not multiplied: NaN or infinity in padding would survive a product with 0.
    return jnp.where(valid, values, 0.0), valid


def _mean(values: Float[Array, "*batch D T"], valid: Bool[Array, "*batch 1 T"]) -> Float[Array, "*batch D 1"]:
    """Average over the valid frames, in two steps, of which the second takes up the rounding of the first."""
    share = valid / jnp.maximum(1, valid.sum(axis=-1, keepdims=True)).astype(values.dtype)
    # A constant to the gradient: whatever it adds is taken off again below.
    rough = jax.lax.stop_gradient(jnp.sum(values * share, axis=-1, keepdims=True))
    return rough + jnp.sum(jnp.where(valid, values - rough, 0.0) * share, axis=-1, keepdims=True)


def _where_any(valid: Bool[Array, "*batch 1 T"], values: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
    return jnp.where(valid.any(axis=-1), values, 0.0)


def _entry(ordered: Float[Array, "*batch D T"], rank: Array) -> Float[Array, "*batch D"]:
    """Pick one entry of each row."""
    rank = jnp.broadcast_to(rank, (*ordered.shape[:-1], 1))
    return jnp.take_along_axis(ordered, rank, axis=-1)[..., 0]


def _ranks(n_frames: int, q: Number) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tabulate in float64, for each number of valid frames, the entries to mix and the share of the upper one."""
    position = np.maximum(np.arange(n_frames + 1) - 1, 0) * (q / 100)
    below = np.floor(position)
    return below.astype(np.int32), np.ceil(position).astype(np.int32), position - below
