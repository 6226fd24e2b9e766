"""What a trained classifier says of every clip of a corpus."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from serjax.models.classifiers import Classifier
from serjax.train.state import Dataset, RunInputs, gather_all, in_blocks


def classify_all(
    model: Classifier, params: chex.ArrayTree, inputs: RunInputs, dataset: Dataset, rolls: Sequence[int] = (0,)
) -> Float[Array, "N K"]:
    """Return the logits of every clip under one run's parameters and normaliser.

    Of several copies of a clip, each rolled by so many frames, it is the logarithm of their mean probability.
    """

    def one_block(rows_B: Array) -> Float[Array, "B K"]:
        batch = gather_all(dataset, inputs, rows_B)
        copies = ((jnp.roll(batch.x_BTC, n, axis=1), jnp.roll(batch.mask_BT, n, axis=1)) for n in rolls)
        logits_MBK = jnp.stack([model.apply(params, *copy) for copy in copies])
        if len(rolls) == 1:
            return logits_MBK[0]
        return jax.nn.logsumexp(jax.nn.log_softmax(logits_MBK), axis=0) - jnp.log(len(rolls))

    return in_blocks(one_block, jnp.arange(dataset.x_NTC.shape[0]))


def even_rolls(n_copies: int, most: int) -> tuple[int, ...]:
    """Return by how many frames copies of a clip are rolled: evenly from `-most` to `most`.

    >>> even_rolls(5, 8)
    (-8, -4, 0, 4, 8)
    >>> even_rolls(1, 8)
    (0,)
    """
    return tuple(np.linspace(-most, most, n_copies).round().astype(int).tolist()) if n_copies > 1 else (0,)
