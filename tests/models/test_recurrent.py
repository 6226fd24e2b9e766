"""Recurrent cells against loops in float64, the masked state, both directions, and how their weights start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models.recurrent import RecurrentLayer, RecurrentStack
from tests.reference.vae import dense, random_params

H = 5
RNG = np.random.default_rng(7)
X_BTD = jnp.asarray(RNG.normal(size=(4, 9, 3)), jnp.float32)
MASK_BT = jnp.asarray(RNG.random((4, 9)) < 0.6, jnp.float32).at[:, 0].set(0).at[0].set(1).at[3].set(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_frame(kind, params, state, x_D):
    """Return the next state of one clip, `(h, c)`; c stays 0 but in an LSTM."""
    h, c = state
    w, u = dense(params["input"], x_D), h @ np.asarray(params["recurrent"]["kernel"], np.float64)
    if kind == "rnn":
        return np.tanh(w + u), c
    if kind == "lstm":
        i, f, g, o = (w + u).reshape(4, H)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (r_x, z_x, n_x), (r_h, z_h, n_h) = w.reshape(3, H), dense(params["recurrent"], h).reshape(3, H)
    z = sigmoid(z_x + z_h)
    return (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * h, c


def loop(kind, params, order):
    """Return the states of every clip by a loop over its valid frames; a masked frame has that of the one before."""
    states = np.zeros((*X_BTD.shape[:2], H))
    for b in range(len(X_BTD)):
        state = (np.zeros(H), np.zeros(H))
        for t in order:
            if MASK_BT[b, t]:
                state = one_frame(kind, params, state, np.asarray(X_BTD[b, t], np.float64))
            states[b, t] = state[0]
    return states


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_layer_equals_a_loop_in_float64(kind, reverse):
    layer = RecurrentLayer(kind, H, reverse)
    params = random_params(jax.eval_shape(layer.init, jax.random.key(0), X_BTD, MASK_BT), seed=4)
    states_BTH, last_BH = jax.jit(layer.apply)(params, X_BTD, MASK_BT)
    order = range(9)[::-1] if reverse else range(9)
    expected = loop(kind, params["params"]["scan"]["cell"], order)
    np.testing.assert_allclose(states_BTH, expected, atol=1e-6)
    np.testing.assert_allclose(last_BH, expected[:, order[-1]], atol=1e-6)
    assert np.abs(expected[:3]).max() > 0.1
    np.testing.assert_array_equal(last_BH[3], 0)


def test_both_directions_stand_side_by_side_in_every_layer():
    stack = RecurrentStack("gru", (H, 2), bidirectional=True)
    params = random_params(jax.eval_shape(stack.init, jax.random.key(0), X_BTD, MASK_BT), seed=5)
    states_BTH, last_BH = stack.apply(params, X_BTD, MASK_BT)
    below = X_BTD
    for first, width in ((0, H), (2, 2)):
        parts = [
            RecurrentLayer("gru", width, reverse).apply(
                {"params": params["params"][f"RecurrentLayer_{first + reverse}"]}, jnp.asarray(below), MASK_BT
            )
            for reverse in (False, True)
        ]
        below, last = (np.concatenate(pair, axis=-1) for pair in zip(*parts, strict=True))
    np.testing.assert_allclose(states_BTH, below, atol=1e-6)
    np.testing.assert_allclose(last_BH, last, atol=1e-6)


def test_weights_start_orthogonal_a_gate_and_the_forget_gate_open():
    cell = RecurrentLayer("lstm", H).init(jax.random.key(1), X_BTD, MASK_BT)["params"]["scan"]["cell"]
    np.testing.assert_array_equal(cell["input"]["bias"], np.repeat([0, 1, 0, 0], H))
    blocks = np.split(np.asarray(cell["recurrent"]["kernel"]), 4, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-5)
    assert all(np.abs(blocks[0] - block).max() > 0.1 for block in blocks[1:])
    gru = RecurrentLayer("gru", H).init(jax.random.key(1), X_BTD, MASK_BT)["params"]["scan"]["cell"]
    assert not np.any(gru["input"]["bias"])
