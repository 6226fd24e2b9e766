"""Convolution as a matrix product and as shifted sums, against Flax's own; pooling by halves against Flax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from serjax.models.convolution import conv, depthwise_conv, halve

SHAPES = [
    ((7,), (3,), 1),
    ((2, 9), (3,), 1),
    ((8,), (5,), 2),
    ((9, 6), (3, 3), 1),
    ((9, 6), (3, 3), 2),
    ((4, 4), (1, 1), 1),
    ((1, 1), (3, 3), 2),
    ((5, 8), (2, 4), 3),
]


def layers(make, size, kernel, stride):
    """Return both formulations of a layer, an input, weights of one and the outputs and gradients of both."""
    x = jnp.asarray(np.random.default_rng(sum(size)).normal(size=(2, *size, 3)), jnp.float32)
    ours, flax = (make(kernel, formulation, stride) for formulation in ("im2col", "xla"))
    variables = flax.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, ours.init(jax.random.key(0), x))

    def loss(layer):
        return lambda variables, x: jnp.sum(jnp.sin(layer.apply(variables, x)))

    gradients = [jax.grad(loss(layer), argnums=(0, 1))(variables, x) for layer in (ours, flax)]
    return ours.apply(variables, x), flax.apply(variables, x), *gradients


@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES)
def test_im2col_equals_flax(size, kernel, stride):
    def make(kernel, formulation, stride):
        return conv(4, kernel, formulation, use_bias=True, stride=stride)

    value, expected, gradient, expected_gradient = layers(make, size, kernel, stride)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-5), gradient, expected_gradient)


@pytest.mark.parametrize(("size", "kernel", "stride"), [shape for shape in SHAPES if len(shape[0]) == len(shape[1])])
def test_shift_and_add_equals_flax(size, kernel, stride):
    def make(kernel, formulation, stride):
        return depthwise_conv(3, kernel, formulation, stride=stride)

    value, expected, gradient, expected_gradient = layers(make, size, kernel, stride)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-5), gradient, expected_gradient)


@pytest.mark.parametrize("size", [(1, 1), (6, 4), (7, 5)])
def test_halving_both_axes_is_max_pooling(size):
    h = nn.relu(jax.random.normal(jax.random.key(1), (2, *size, 3)))
    np.testing.assert_array_equal(halve(halve(h, 1), 2), nn.max_pool(h, (2, 2), (2, 2), "SAME"))
