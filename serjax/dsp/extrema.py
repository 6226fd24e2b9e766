"""The largest value along axes, with a gradient that is finite however a compiler arranges the arithmetic."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NEAR = 1e-6  # relative: what lies this close to the largest value shares its gradient


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def largest(x: Float[Array, "*shape"], axis: int | tuple[int, ...]) -> Float[Array, "*reduced"]:
    """Return the largest value along axes, which stay with length 1; −∞ of nothing.

    The gradient is shared by all values within a millionth of the largest. `jnp.max` shares it between those that
    *equal* the largest; a compiler that computes `x` twice, once with a fused multiply-add, then finds none, and the
    gradient is 0 / 0.

    >>> jax.grad(lambda x: largest(x, 0)[0])(jnp.array([1.0, 3.0, 3.0])).tolist()
    [0.0, 0.5, 0.5]
    """
    return x.max(axis=axis, keepdims=True, initial=-jnp.inf)


@largest.defjvp
def _largest_jvp(
    axis: int | tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Float[Array, "*reduced"], Float[Array, "*reduced"]]:
    (x,), (slope,) = primals, tangents
    peak = largest(x, axis)
    near = x >= peak - NEAR * jnp.abs(peak)
    count = near.sum(axis=axis, keepdims=True)
    share = jnp.where(near, slope, 0.0).sum(axis=axis, keepdims=True) / jnp.maximum(count, 1).astype(x.dtype)
    return peak, share
