"""Encoder and decoder trunks: shapes at any frame count, and values from an independent convolution."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models.layers import make_decoder, make_encoder
from tests.reference import vae as reference


@pytest.mark.parametrize("frames", [1, 7, 12, 108])
@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_shapes(architecture, frames):
    """Traced only: an encoder's width is that of its last layer, a decoder gives exactly the frames asked for."""
    key, x_BTC = jax.random.key(0), jax.ShapeDtypeStruct((3, frames, 4), jnp.float32)
    h, _ = jax.eval_shape(make_encoder(architecture, (6, 5)).init_with_output, key, x_BTC)
    assert h.shape == (3, 5)
    z_BZ = jax.ShapeDtypeStruct((3, 8), jnp.float32)
    x, _ = jax.eval_shape(make_decoder(architecture, (6, 5), frames, 4).init_with_output, key, z_BZ)
    assert x.shape == (3, frames, 4)


def test_dense_decoder_mirrors_the_encoder():
    _, params = jax.eval_shape(
        make_decoder("dense", (6, 5), 3, 2).init_with_output, jax.random.key(0), jax.ShapeDtypeStruct((1, 8), "float32")
    )
    widths = [params["params"][f"Dense_{i}"]["kernel"].shape for i in range(3)]
    assert widths == [(8, 5), (5, 6), (6, 6)]
    assert all(a[1] == b[0] for a, b in pairwise(widths))


@pytest.mark.parametrize("frames", [11, 12])
def test_conv_encoder_equals_a_loop(frames):
    x_BTC = np.random.default_rng(frames).normal(size=(2, frames, 4)).astype(np.float32)
    encoder = make_encoder("conv", (6, 5))
    params = reference.random_params(jax.eval_shape(encoder.init, jax.random.key(0), x_BTC), seed=frames)
    h_BH = jax.jit(encoder.apply)(params, x_BTC)
    expected = reference.encode_trunk(params["params"], x_BTC)
    np.testing.assert_allclose(h_BH, expected, rtol=0, atol=2e-6)  # measured 2e-7
