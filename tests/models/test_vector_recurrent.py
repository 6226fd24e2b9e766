"""A recurrent network along a vector: the steps are its numbers, in their order, and padding rows are nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import VectorRecurrent
from tests.reference.vae import dense, random_params

H, K = 4, 3
X_BTC = jnp.asarray(np.random.default_rng(3).normal(size=(3, 1, 6)), jnp.float32)
MASK_BT = jnp.array([[1.0], [1.0], [0.0]])
MODEL = VectorRecurrent(K, "rnn", (H,), dropout=0.0)
PARAMS = random_params(jax.eval_shape(MODEL.init, jax.random.key(0), X_BTC, MASK_BT), seed=1)


def loop(x_C):
    """Return the logits of one clip by a loop over its numbers, in float64."""
    (recurrent,) = PARAMS["params"].values()
    (stack, head) = recurrent["RecurrentStack_0"], recurrent["Head_0"]
    cell, h = stack["RecurrentLayer_0"]["scan"]["cell"], np.zeros(H)
    for x in np.asarray(x_C, np.float64):
        h = np.tanh(dense(cell["input"], np.array([x])) + h @ np.asarray(cell["recurrent"]["kernel"], np.float64))
    return dense(head["logits"], h)


def test_a_clip_is_read_number_by_number():
    logits_BK = jax.jit(MODEL.apply)(PARAMS, X_BTC, MASK_BT)
    expected = [loop(x_TC[0]) for x_TC in X_BTC[:2]]
    np.testing.assert_allclose(logits_BK[:2], expected, atol=1e-6)
    assert np.abs(expected[0] - loop(X_BTC[0, 0, ::-1])).max() > 1e-2  # their order counts


def test_a_row_that_fills_up_a_batch_is_no_number():
    apply = jax.jit(MODEL.apply)
    other = X_BTC.at[2].set(jnp.nan)
    np.testing.assert_array_equal(apply(PARAMS, other, MASK_BT), apply(PARAMS, X_BTC, MASK_BT))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_every_cell_reads_180_statistics(kind):
    model, x_BTC, mask_BT = VectorRecurrent(K, kind, (8, 6), dense=(5,)), jnp.zeros((2, 1, 180)), jnp.ones((2, 1))
    variables = jax.eval_shape(model.init, jax.random.key(0), x_BTC, mask_BT)
    assert jax.eval_shape(model.apply, variables, x_BTC, mask_BT).shape == (2, K)
    widths = {leaf.shape[0] for path, leaf in jax.tree_util.tree_leaves_with_path(variables) if "input" in str(path)}
    assert 1 in widths  # a step is one number


def test_masked_frames_of_a_longer_picture_add_nothing():
    mask_BT = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    params = random_params(jax.eval_shape(MODEL.init, jax.random.key(0), jnp.tile(X_BTC, (1, 2, 1)), mask_BT), seed=2)
    zeros, junk = (jnp.concatenate([X_BTC, jnp.full_like(X_BTC, value)], axis=1) for value in (0.0, 7.0))
    apply = jax.jit(MODEL.apply)
    np.testing.assert_array_equal(apply(params, junk, mask_BT), apply(params, zeros, mask_BT))
