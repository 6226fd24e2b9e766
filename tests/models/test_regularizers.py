"""Batch normalisation and dropout: NumPy's moments of what is valid, keys of clips, no trace of how a batch is split."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models.regularizers import BatchNorm, Dropout

RNG = np.random.default_rng(0)
X_BTC = (RNG.normal(size=(8, 5, 3)) * [1.0, 10.0, 0.1] + [0.0, 100.0, -3.0]).astype(np.float32)
MASK_BT = (np.arange(5)[None, :] < np.array([5, 3, 1, 5, 4, 0, 2, 5])[:, None]).astype(np.float32)
KEY_B = jax.random.split(jax.random.key(0), 8)
NORM = BatchNorm(momentum=0.75)
VARIABLES = {
    "params": {"scale": jnp.array([1.0, 2.0, 0.5]), "bias": jnp.array([0.0, -1.0, 4.0])},
    "batch_stats": {"mean": jnp.array([0.5, 90.0, -2.0]), "variance": jnp.array([2.0, 50.0, 1.0])},
}


def normalised(x_BTC, mask_BT, n_shares):
    """Normalise in training, the batch split into shares of one `"data"` axis."""

    def share(x_BTC, mask_BT, key_B):
        return NORM.apply(VARIABLES, x_BTC, mask_BT, key_B, mutable=["batch_stats"])

    cut = [a.reshape(n_shares, -1, *a.shape[1:]) for a in (x_BTC, mask_BT, KEY_B)]
    y, updated = jax.jit(jax.vmap(share, axis_name="data"))(*cut)
    return np.asarray(y).reshape(x_BTC.shape), jax.tree.map(lambda a: np.asarray(a[0]), updated["batch_stats"])


def test_training_uses_the_moments_of_valid_entries():
    valid_MC = X_BTC[MASK_BT > 0].astype(np.float64)
    mean_C, variance_C = valid_MC.mean(axis=0), valid_MC.var(axis=0)
    y, moments = normalised(X_BTC, MASK_BT, 1)
    expected = (X_BTC - mean_C) / np.sqrt(variance_C + 1e-5) * [1.0, 2.0, 0.5] + [0.0, -1.0, 4.0]
    np.testing.assert_allclose(y[MASK_BT > 0], expected[MASK_BT > 0], rtol=1e-5, atol=1e-5)  # measured 3e-6
    np.testing.assert_allclose(moments["mean"], 0.75 * np.array([0.5, 90.0, -2.0]) + 0.25 * mean_C, rtol=1e-6)
    np.testing.assert_allclose(moments["variance"], 0.75 * np.array([2.0, 50.0, 1.0]) + 0.25 * variance_C, rtol=1e-5)


def test_neither_padding_nor_shares_matter():
    y, moments = normalised(X_BTC, MASK_BT, 1)
    spoiled = np.where(MASK_BT[..., None] > 0, X_BTC, 1e6).astype(np.float32)
    for x_BTC, n_shares in ((spoiled, 1), (X_BTC, 2), (X_BTC, 8)):
        other, other_moments = normalised(x_BTC, MASK_BT, n_shares)
        np.testing.assert_allclose(other[MASK_BT > 0], y[MASK_BT > 0], rtol=1e-4, atol=2e-5)  # measured 8e-6
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), other_moments, moments)


def test_without_keys_the_running_moments_stand_in():
    x_BTC, mask_BT = jnp.asarray(X_BTC), jnp.asarray(MASK_BT)
    y_BTC = NORM.apply(VARIABLES, x_BTC, mask_BT)
    expected = (X_BTC - [0.5, 90.0, -2.0]) / np.sqrt(np.array([2.0, 50.0, 1.0]) + 1e-5) * [1.0, 2.0, 0.5]
    np.testing.assert_allclose(y_BTC, expected + [0.0, -1.0, 4.0], rtol=1e-5, atol=1e-5)
    fresh = NORM.init(jax.random.key(0), x_BTC, mask_BT)
    np.testing.assert_allclose(NORM.apply(fresh, x_BTC, mask_BT), X_BTC / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_a_batch_without_valid_entries_is_finite():
    y, moments = normalised(X_BTC, np.zeros_like(MASK_BT), 1)
    assert np.isfinite(y).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(moments))


class Twice(nn.Module):
    """Two layers of dropout on the same ones."""

    @nn.compact
    def __call__(self, x_BC, key_B=None):
        return Dropout(0.3)(x_BC, key_B), Dropout(0.3)(x_BC, key_B)


ONES_BC = jnp.ones((8, 2_000))


def test_dropout_keeps_the_mean_and_drops_its_share_in_each_layer_anew():
    first, second = (np.asarray(y) for y in Twice().apply({}, ONES_BC, KEY_B))
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (first == 0).mean() == pytest.approx(0.3, abs=0.02)  # 16 000 draws: sd 0.004
    assert ((first == 0) == (second == 0)).mean() == pytest.approx(0.58, abs=0.02)


def test_dropout_of_a_clip_follows_its_key_alone():
    order = np.array([3, 0, 7, 1, 2, 6, 5, 4])
    whole, _ = Twice().apply({}, ONES_BC, KEY_B)
    moved, _ = Twice().apply({}, ONES_BC, KEY_B[order])
    np.testing.assert_array_equal(moved, np.asarray(whole)[order])
    assert not np.array_equal(whole[0], whole[1])


def test_dropout_does_nothing_without_keys_or_rate():
    np.testing.assert_array_equal(Twice().apply({}, ONES_BC)[0], ONES_BC)
    np.testing.assert_array_equal(Dropout(0.0).apply({}, ONES_BC, KEY_B), ONES_BC)
