"""The named axis that splits a batch over devices, and keys that do not depend on how."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

DATA_AXIS = "data"


def example_keys(key: Key[Array, ""], n_local: int) -> Key[Array, " B"]:
    """Return one key per clip, by its place in the batch that the `"data"` axis splits.

    An axis of one is not asked for its index: the answer would be an array with that axis, and all that follows too.
    """
    share = jax.lax.axis_index(DATA_AXIS) if jax.lax.axis_size(DATA_AXIS) > 1 else 0
    place_B = share * n_local + jnp.arange(n_local)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, place_B)


def fold_each(key_B: Key[Array, " B"], purpose: int | Int[Array, ""]) -> Key[Array, " B"]:
    """Return a key of each key for one purpose, so that no two draws share one."""
    return jax.vmap(lambda key: jax.random.fold_in(key, purpose))(key_B)
