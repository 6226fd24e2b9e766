"""Statistics, mean and attention over the valid frames, against NumPy clip by clip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models.pooling import AttentionPooling, FramePooling, masked_softmax, statistics_pooling
from tests.reference.vae import dense, random_params

RNG = np.random.default_rng(3)
H_BTC = RNG.normal(size=(5, 9, 4)).astype(np.float32)
MASK_BT = (RNG.random((5, 9)) < 0.6).astype(np.float32)
MASK_BT[4] = 0


def valid_frames():
    return [h_TC[mask_T > 0].astype(np.float64) for h_TC, mask_T in zip(H_BTC[:4], MASK_BT[:4], strict=True)]


def test_statistics_are_those_of_the_valid_frames():
    pooled_BD = statistics_pooling(jnp.asarray(H_BTC), jnp.asarray(MASK_BT))
    expected = [np.concatenate([h.mean(axis=0), h.std(axis=0)]) for h in valid_frames()]
    np.testing.assert_allclose(pooled_BD[:4], expected, atol=1e-6)
    np.testing.assert_array_equal(pooled_BD[4], 0)


def test_attention_equals_numpy():
    pooling = AttentionPooling(units=6)
    shapes = jax.eval_shape(pooling.init, jax.random.key(0), H_BTC, MASK_BT)
    params = random_params(shapes, seed=1)
    pooled_BC = jax.jit(pooling.apply)(params, H_BTC, MASK_BT)
    for pooled_C, h_TC in zip(pooled_BC, valid_frames(), strict=False):
        hidden = np.tanh(dense(params["params"]["hidden"], h_TC))
        weight_T = np.exp(hidden @ np.asarray(params["params"]["score"]["kernel"], np.float64))[:, 0]
        np.testing.assert_allclose(pooled_C, weight_T @ h_TC / weight_T.sum(), atol=1e-6)
    np.testing.assert_array_equal(pooled_BC[4], 0)


def test_attentive_statistics_equal_numpy():
    pooling = AttentionPooling(units=6, deviation=True)
    params = random_params(jax.eval_shape(pooling.init, jax.random.key(0), H_BTC, MASK_BT), seed=1)
    pooled_BD = jax.jit(pooling.apply)(params, H_BTC, MASK_BT)
    for pooled_D, h_TC in zip(pooled_BD, valid_frames(), strict=False):
        hidden = np.tanh(dense(params["params"]["hidden"], h_TC))
        weight_T = np.exp(hidden @ np.asarray(params["params"]["score"]["kernel"], np.float64))[:, 0]
        weight_T /= weight_T.sum()
        mean_C = weight_T @ h_TC
        deviation_C = np.sqrt(weight_T @ (h_TC - mean_C) ** 2 + 1e-5)
        np.testing.assert_allclose(pooled_D, np.concatenate([mean_C, deviation_C]), atol=1e-5)
    np.testing.assert_array_equal(pooled_BD[4], 0)


@pytest.mark.parametrize("pooling", ["flatten", "mean", "statistics", "attention", "attentive-statistics"])
def test_masked_frames_and_clips_give_no_gradient_and_no_nan(pooling):
    layer = FramePooling(pooling)
    mask_BT = jnp.asarray(MASK_BT)
    params = random_params(jax.eval_shape(layer.init, jax.random.key(0), H_BTC, MASK_BT), seed=2)
    gradient_BTC = jax.grad(lambda h_BTC: jnp.sum(jnp.sin(layer.apply(params, h_BTC, mask_BT))))(jnp.asarray(H_BTC))
    assert np.isfinite(gradient_BTC).all()
    np.testing.assert_array_equal(np.any(np.asarray(gradient_BTC) != 0, axis=2), MASK_BT > 0)


def test_softmax_sums_to_one_where_anything_is_valid():
    weight_BT = masked_softmax(jnp.asarray(100 * H_BTC[..., 0]), jnp.asarray(MASK_BT))
    np.testing.assert_allclose(weight_BT.sum(axis=1), [1, 1, 1, 1, 0], rtol=1e-6)
    assert (np.asarray(weight_BT)[MASK_BT == 0] == 0).all()
