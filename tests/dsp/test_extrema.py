"""The largest value and its gradient, which no rounding of a compiler may turn into 0 / 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.dsp.extrema import largest


@pytest.mark.parametrize("axis", [-1, -2, (-2, -1)])
def test_is_the_maximum_and_stays_broadcastable(axis):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(largest(jnp.asarray(x), axis), x.max(axis=axis, keepdims=True))


def test_nothing_is_minus_infinity():
    assert largest(jnp.zeros((2, 0)), -1).tolist() == [[-np.inf], [-np.inf]]


def test_gradient_is_shared_by_what_a_rounding_may_have_set_apart():
    x = jnp.array([1.0, 1.0 - 1e-7, 0.5])
    np.testing.assert_allclose(jax.grad(lambda x: largest(x, 0)[0])(x), [0.5, 0.5, 0.0])


def test_gradient_is_the_slope_of_the_largest():
    x = jnp.array([[1.0, -2.0], [-3.0, -1.0]])
    slope = jax.grad(lambda x: jnp.sum(largest(x, -1) * jnp.array([[2.0], [5.0]])))(x)
    np.testing.assert_allclose(slope, [[2.0, 0.0], [0.0, 5.0]])


@pytest.mark.parametrize("value", [0.0, -np.inf, 1e30])
def test_gradient_is_finite_everywhere(value):
    slope = jax.jit(jax.grad(lambda x: largest(x, 0)[0]))(jnp.full(3, value, jnp.float32))
    assert np.isfinite(slope).all()
