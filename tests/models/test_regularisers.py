"""Batch norm and dropout against NumPy and Flax, alike on one and on four devices, whatever is masked."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from serjax.models.regularisers import DATA_AXIS, BatchNorm, Dropout

SHAPE = (8, 5, 3, 4)


def split_batch(function, n_devices):
    """Return `function(h, mask)` of a batch in so many parts on the `"data"` axis, put together again."""

    def run(h, mask):
        parts = [a.reshape(n_devices, -1, *a.shape[1:]) for a in (h, mask)]
        return jax.vmap(function, axis_name=DATA_AXIS)(*parts)

    return run


def case(share_valid):
    rng = np.random.default_rng(0)
    mask_BT = (rng.random(SHAPE[:2]) < share_valid).astype(np.float32)
    mask_BT[:2] = 0  # one device of four has nothing
    return jnp.asarray(3 + 2 * rng.normal(size=SHAPE), jnp.float32), jnp.asarray(mask_BT)


def normalise(variables, h, mask_BT):
    return BatchNorm().apply(variables, h, mask_BT[..., None], True, mutable=["batch_stats"])


VARIABLES = {
    "params": {"scale": jnp.linspace(0.5, 2, 4), "bias": jnp.linspace(-1, 1, 4)},
    "batch_stats": {"mean": jnp.linspace(1, 2, 4), "var": jnp.linspace(0.5, 3, 4)},
}


@pytest.mark.parametrize("n_devices", [1, 4])
def test_batch_norm_equals_float64_over_what_is_valid(n_devices):
    h, mask_BT = case(0.6)
    out, moved = split_batch(functools.partial(normalise, VARIABLES), n_devices)(h, mask_BT)
    valid = np.asarray(h, np.float64)[np.asarray(mask_BT) > 0].reshape(-1, SHAPE[-1])
    mean, var = valid.mean(axis=0), valid.var(axis=0)
    scale, bias = (np.asarray(VARIABLES["params"][name], np.float64) for name in ("scale", "bias"))
    expected = (np.asarray(h, np.float64) - mean) / np.sqrt(var + 1e-5) * scale + bias
    np.testing.assert_allclose(np.asarray(out).reshape(SHAPE), expected, atol=1e-5)
    for name, value in (("mean", mean), ("var", var)):
        kept = 0.9 * np.asarray(VARIABLES["batch_stats"][name], np.float64) + 0.1 * value
        np.testing.assert_allclose(moved["batch_stats"][name], np.tile(kept, (n_devices, 1)), rtol=1e-6)


def test_batch_norm_of_everything_is_flax_with_the_same_variables():
    h, _ = case(1.0)
    flax = nn.BatchNorm(momentum=0.9)
    for train in (True, False):
        expected, kept = flax.apply(VARIABLES, h, use_running_average=not train, mutable=["batch_stats"])
        apply = functools.partial(BatchNorm().apply, VARIABLES, train=train, mutable=["batch_stats"])
        out, moved = split_batch(apply, 1)(h, jnp.ones((8, 1, 1)))
        np.testing.assert_allclose(out[0], expected, atol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-5), moved, kept)


def test_batch_norm_of_channels_on_another_axis_is_the_same():
    h, mask_BT = case(0.6)
    out, moved = split_batch(functools.partial(normalise, VARIABLES), 1)(h, mask_BT)

    def channels_first(h, mask_BT):
        h_FTSB, mask_TSB = h.transpose(3, 1, 2, 0), mask_BT.T[:, None]
        out, moved = BatchNorm(axis=0).apply(VARIABLES, h_FTSB, mask_TSB, True, mutable=["batch_stats"])
        return out.transpose(3, 1, 2, 0), moved

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        split_batch(channels_first, 1)(h, mask_BT),
        (out, moved),
    )


def test_batch_norm_of_a_mean_far_from_zero_keeps_the_variance():
    h, mask_BT = case(1.0)
    out, _ = split_batch(functools.partial(normalise, VARIABLES), 1)(1e4 + h, mask_BT)
    near, _ = split_batch(functools.partial(normalise, VARIABLES), 1)(h, mask_BT)
    np.testing.assert_allclose(out, near, atol=6e-3)  # h itself is rounded to 1e-3; measured 3.2e-3


def test_a_batch_that_is_masked_throughout_is_normalised_by_what_was_and_leaves_no_trace():
    h, mask_BT = case(0.0)
    out, moved = split_batch(functools.partial(normalise, VARIABLES), 1)(h, mask_BT)
    np.testing.assert_allclose(out[0], BatchNorm().apply(VARIABLES, h, mask_BT[..., None], False), rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-6), moved["batch_stats"], VARIABLES["batch_stats"]
    )

    def total(h, mask_BT):
        return jnp.sum(normalise(VARIABLES, h, mask_BT)[0])

    assert np.isfinite(split_batch(jax.grad(total), 1)(h, mask_BT)).all()


def test_dropout_is_the_same_on_one_and_four_devices():
    h = jnp.ones((8, 500))

    def drop(h, mask):
        return Dropout(0.3).apply({}, h, True, rngs={"dropout": jax.random.key(5)})

    whole, parts = (np.asarray(split_batch(drop, n)(h, h)).reshape(8, 500) for n in (1, 4))
    np.testing.assert_array_equal(whole, parts)
    assert set(np.unique(whole)) == {np.float32(0), np.float32(1 / 0.7)}
    np.testing.assert_allclose((whole == 0).mean(), 0.3, atol=0.03)  # sd .0072
    assert len(np.unique(whole, axis=0)) == 8, "rows draw apart"


def test_a_traced_rate_drops_as_a_constant_does():
    """Its share, its factor, its gradient; 0 drops nothing, and one program serves all rates."""
    h = jnp.linspace(1, 2, 8 * 500).reshape(8, 500)

    def drop(h, rate):
        return Dropout(rate).apply({}, h, True, rngs={"dropout": jax.random.key(5)})

    @chex.assert_max_traces(n=1)
    def total(h, rate):
        return jnp.sum(jax.vmap(drop, in_axes=(0, None), axis_name=DATA_AXIS)(h[None], rate))

    dropping = jax.jit(jax.value_and_grad(total))
    for rate in (0.0, 0.3, 0.5):
        value, factor = dropping(h, jnp.float32(rate))
        expected = np.asarray(jax.vmap(lambda h, r=rate: drop(h, r), axis_name=DATA_AXIS)(h[None])[0])
        assert set(np.unique(factor)) <= {np.float32(0), np.float32(1 / (1 - rate))}
        np.testing.assert_allclose((np.asarray(factor) == 0).mean(), rate, atol=0.03)  # sd .008
        np.testing.assert_array_equal(np.asarray(h) * np.asarray(factor), expected)
        assert float(value) == pytest.approx(expected.sum(), rel=1e-5)


def test_dropout_rests_outside_training():
    h = jnp.ones((8, 5))
    np.testing.assert_array_equal(Dropout(0.3).apply({}, h, False), h)
    np.testing.assert_array_equal(Dropout(0.0).apply({}, h, True), h)


@pytest.mark.parametrize("n_devices", [1, 4])
@pytest.mark.parametrize("share_valid", [0.6, 0.0])
def test_gradients_of_batch_norm_are_those_that_jax_derives(n_devices, share_valid):
    h, mask_BT = case(share_valid)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=SHAPE), jnp.float32)

    def total(params, h):
        variables = {**VARIABLES, "params": params}
        out = split_batch(functools.partial(normalise, variables), n_devices)(h, mask_BT)[0]
        return jnp.sum(jnp.sin(weight * out.reshape(SHAPE)))

    @jax.numpy_rank_promotion("allow")
    def plain(params, h):
        valid, kept = mask_BT[..., None, None] > 0, VARIABLES["batch_stats"]
        mean, var = kept["mean"], kept["var"]
        if share_valid > 0:
            n = SHAPE[2] * jnp.sum(valid)
            mean = jnp.sum(jnp.where(valid, h, 0), axis=(0, 1, 2)) / n
            var = jnp.sum(jnp.where(valid, jnp.square(h - mean), 0), axis=(0, 1, 2)) / n
        return jnp.sum(jnp.sin(weight * ((h - mean) / jnp.sqrt(var + 1e-5) * params["scale"] + params["bias"])))

    params = VARIABLES["params"]
    got, expected = (jax.grad(function, argnums=(0, 1))(params, h) for function in (total, plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), got, expected)
