"""Going over all clips of a corpus in blocks, so that memory does not grow with it."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from serjax.train.state import Batch, Dataset, RunInputs, gather

BLOCK = 48


def gather_all(dataset: Dataset, inputs: RunInputs, rows_B: Int[Array, " B"]) -> Batch:
    """Take rows of the data set, all of which count."""
    return gather(dataset, inputs, rows_B, jnp.ones(rows_B.shape))


def in_blocks(function: Callable, tree: chex.ArrayTree) -> chex.ArrayTree:
    """Apply `function` to blocks of the leading axis, one after another."""
    n = jax.tree.leaves(tree)[0].shape[0]
    short = -n % min(BLOCK, n)

    def cut(a: Array) -> Array:
        return jnp.concatenate([a, a[:short]]).reshape(-1, min(BLOCK, n), *a.shape[1:])

    blocked = jax.lax.map(function, jax.tree.map(cut, tree))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], blocked)
