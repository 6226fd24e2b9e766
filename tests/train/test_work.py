"""How much programs compute: products counted from shapes, against counting by hand."""

import jax
import jax.numpy as jnp
import pytest

from serjax.models.convolution import Conv
from serjax.train.work import program_products

A, B = jax.ShapeDtypeStruct((3, 5), jnp.float32), jax.ShapeDtypeStruct((5, 7), jnp.float32)
STACK = jax.ShapeDtypeStruct((4, 3, 5), jnp.float32)


def test_a_matrix_product_and_a_batch_of_them() -> None:
    assert program_products(jnp.matmul, A, B) == 3 * 5 * 7
    assert program_products(jax.vmap(jnp.matmul, (0, None)), STACK, B) == 4 * 3 * 5 * 7
    assert program_products(jnp.sin, A) == 0


def test_a_gradient_has_the_products_of_both_ways() -> None:
    def loss(b: jax.Array, a: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(a @ b))

    assert program_products(jax.grad(loss, (0, 1)), B, A) == 3 * 3 * 5 * 7


def test_a_loop_counts_as_often_as_it_runs_and_of_branches_the_larger() -> None:
    assert program_products(lambda a, b: jax.lax.map(lambda one: one @ b, a), STACK, B) == 4 * 3 * 5 * 7

    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.lax.cond(a[0, 0] > 0, lambda: a @ b, lambda: (a @ b) @ b.T @ b)

    assert program_products(choose, A, B) == 3 * 3 * 5 * 7


@pytest.mark.parametrize("formulation", ["xla", "im2col"])
def test_a_convolution_has_as_many_however_it_is_computed(formulation: str) -> None:
    image = jnp.zeros((2, 8, 9, 4))  # features, height, width, batch
    layer = Conv(6, (3, 3), formulation)
    variables = layer.init(jax.random.key(0), image)
    assert program_products(layer.apply, variables, image) == 8 * 9 * 4 * 6 * (3 * 3 * 2)
