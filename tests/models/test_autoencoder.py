"""The autoencoder against a float64 forward pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import Autoencoder
from tests.reference import vae as reference


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_forward_equals_float64(architecture):
    model = Autoencoder(11, 4, latent_dim=8, hidden=(16, 6), architecture=architecture)
    x_BTC = np.random.default_rng(1).normal(size=(3, 11, 4)).astype(np.float32)
    params = reference.random_params(jax.eval_shape(model.init, jax.random.key(0), x_BTC), seed=2)
    output = jax.jit(model.apply)(params, x_BTC)
    expected = reference.autoencoder(params, x_BTC)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(output, expected, rtol=0, atol=5e-6)  # measured 4e-7


def test_encode_and_decode_are_its_two_halves():
    model = Autoencoder(12, 4, latent_dim=8, hidden=(16,))
    x_BTC = jnp.asarray(np.random.default_rng(2).normal(size=(2, 12, 4)), jnp.float32)
    params = reference.random_params(jax.eval_shape(model.init, jax.random.key(0), x_BTC), seed=3)
    whole = model.apply(params, x_BTC)
    code_BZ = model.apply(params, x_BTC, method="encode")
    assert code_BZ.shape == (2, 8)
    np.testing.assert_array_equal(model.apply(params, code_BZ, method="decode"), whole)


def test_the_code_has_128_numbers_unless_told_otherwise():
    x_BTC = jax.ShapeDtypeStruct((2, 12, 4), jnp.float32)
    shapes = jax.eval_shape(Autoencoder(12, 4).init, jax.random.key(0), x_BTC)
    assert shapes["params"]["to_code"]["kernel"].shape == (256, 128)
