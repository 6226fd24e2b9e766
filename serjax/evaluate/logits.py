"""What a trained classifier says of every clip of a corpus."""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from serjax.models.classifiers import Classifier
from serjax.train.state import Dataset, RunInputs, gather_all, in_blocks


def classify_all(model: Classifier, params: chex.ArrayTree, inputs: RunInputs, dataset: Dataset) -> Float[Array, "N K"]:
    """Return the logits of every clip under one run's parameters and normaliser."""

    def one_block(rows_B: Array) -> Float[Array, "B K"]:
        batch = gather_all(dataset, inputs, rows_B)
        return model.apply(params, batch.x_BTC, batch.mask_BT)

    return in_blocks(one_block, jnp.arange(dataset.x_NTC.shape[0]))
