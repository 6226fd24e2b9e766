"""Convolution as a matrix product, as shifted sums and by XLA, against Flax's own; pooling by halves against Flax's."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from serjax.models.convolution import Conv, halve

# Places, clips (any number of axes), kernel, stride.
SHAPES = [
    ((7,), (2,), (3,), 1),
    ((9,), (4, 2), (3,), 1),
    ((8,), (2,), (5,), 2),
    ((9, 6), (2,), (3, 3), 1),
    ((9, 6), (2,), (3, 3), 2),
    ((4, 4), (2,), (1, 1), 1),
    ((1, 1), (2,), (3, 3), 2),
    ((5, 8), (3,), (2, 4), 3),
]
FORMULATIONS = ("im2col", "xla")


def assert_equals_flax(ours, flax, size, clips):
    """Values and gradients of our layer, channels first and clips last, are those of Flax's with the same weights."""
    x_first = jnp.asarray(np.random.default_rng(sum(size)).normal(size=(3, *size, *clips)), jnp.float32)
    n = len(size)

    def as_flax(h):
        return jnp.moveaxis(h.reshape(*h.shape[: n + 1], -1), (-1, 0), (0, -1))

    variables = jax.jit(flax.init)(jax.random.key(0), as_flax(x_first))
    jax.tree.map(np.testing.assert_array_equal, jax.jit(ours.init)(jax.random.key(0), x_first), variables)

    def loss(apply, variables, x):
        values = apply(variables, x)
        return jnp.sum(jnp.sin(values)), values

    def both(variables, x):
        return flax.apply(variables, as_flax(x))

    of_both = [jax.jit(jax.grad(partial(loss, apply), (0, 1), has_aux=True)) for apply in (ours.apply, both)]
    (own, values), (expected, expected_values) = (gradient(variables, x_first) for gradient in of_both)
    np.testing.assert_allclose(as_flax(values), expected_values, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-5), own, expected)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize(("size", "clips", "kernel", "stride"), SHAPES)
def test_convolution_equals_flax(size, clips, kernel, stride, formulation):
    flax = nn.Conv(4, kernel, strides=stride, kernel_init=nn.initializers.he_normal())
    assert_equals_flax(Conv(4, kernel, formulation, use_bias=True, stride=stride), flax, size, clips)


@pytest.mark.parametrize(("size", "clips", "kernel", "stride"), SHAPES)
def test_bfloat16_is_the_product_of_rounded_numbers(size, clips, kernel, stride):
    """Rounded before, in float32 alone: the same values, and the same gradients of a sum whose weights are rounded."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.bfloat16).astype(jnp.float32)

    rounding, plain = (Conv(4, kernel, form, stride=stride) for form in ("bfloat16", "im2col"))
    x, params = draw(3, *size, *clips), {"params": {"kernel": draw(*kernel, 3, 4)}}
    weights = draw(*jax.eval_shape(plain.apply, params, x).shape)

    def gradient(layer):
        def loss(params, x):
            values = layer.apply(params, x)
            return jnp.sum(weights * values), values

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))

    near = 2**-10  # lost when rounded: bfloat16 tells 1 from 1 + 2⁻⁷
    moved = jax.tree.map(lambda a: a * (1 + near), (params, x))
    found, expected = gradient(rounding)(*moved), gradient(plain)(params, x)
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(found))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize(("size", "clips", "kernel", "stride"), SHAPES)
def test_depthwise_convolution_equals_flax(size, clips, kernel, stride, formulation):
    initial = nn.initializers.he_normal()
    flax = nn.Conv(3, kernel, strides=stride, use_bias=False, feature_group_count=3, kernel_init=initial)
    assert_equals_flax(Conv(3, kernel, formulation, stride=stride, depthwise=True), flax, size, clips)


@pytest.mark.parametrize("size", [(1, 1), (6, 4), (7, 5)])
def test_halving_both_axes_is_max_pooling(size):
    h = nn.relu(jax.random.normal(jax.random.key(1), (2, *size, 3)))
    np.testing.assert_array_equal(halve(halve(h, 1), 2), nn.max_pool(h, (2, 2), (2, 2), "SAME"))


def test_halving_gives_the_gradient_to_the_larger_and_of_two_equals_to_the_first():
    gradient = jax.grad(lambda h: jnp.sum(halve(h, 0) * jnp.array([1.0, 2.0, 3.0])))
    np.testing.assert_array_equal(gradient(jnp.array([4.0, 1.0, 5.0, 5.0, 7.0])), [1.0, 0.0, 2.0, 0.0, 3.0])
    not_numbers = halve(jnp.array([jnp.nan, 1.0, 1.0, jnp.nan]), 0)
    assert np.isnan(not_numbers).all()


COMPILED = """
import os, sys, serjax
if sys.argv[1] == "without":
    os.environ["XLA_FLAGS"] = ""
import jax, jax.numpy as jnp, numpy as np
from serjax.models.convolution import halve

def network(h_BTF):
    h_BTF = h_BTF - h_BTF.mean((0, 1))
    return halve(jax.nn.relu(h_BTF * jax.lax.rsqrt((h_BTF**2).mean((0, 1)) + 1e-5)), 1)

def gradient(h_BTF):
    return jax.grad(lambda h_BTF: jnp.sum(jnp.sin(3 * network(h_BTF))))(h_BTF)

h_BTF = jax.random.normal(jax.random.key(0), (16, 33, 8))
np.testing.assert_allclose(jax.jit(gradient)(h_BTF), gradient(h_BTF), atol=1e-4)  # measured 5e-6
"""


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["with", "without"])
def test_the_gradient_of_halving_is_kept_where_a_compiler_rounds_otherwise(flags):
    """In a process of its own, for tests compile without the passes that do; without flags a maximum fails here."""
    environment = {"PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", COMPILED, flags], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
