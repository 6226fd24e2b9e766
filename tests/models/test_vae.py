"""The VAE against a float64 forward pass, its terms against scipy and integrals, and numbers no clip should have."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from serjax.models import VAE
from serjax.models.vae import (
    kl_to_standard_normal,
    soft_bound,
    squared_error_by_feature,
    standard_normal_logpdf,
)
from tests.reference import vae as reference

RNG = np.random.default_rng(0)


def small_vae(architecture="dense", frames=11):
    return VAE(frames, 4, latent_dim=8, hidden=(16, 6), architecture=architecture)


def test_the_latent_has_128_dimensions_unless_told_otherwise():
    model = VAE(frames=12, n_features=4)
    x_BTC = jax.ShapeDtypeStruct((2, 12, 4), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x_BTC, jax.ShapeDtypeStruct((2, 128), jnp.float32))
    assert shapes["params"]["to_mean"]["kernel"].shape == (256, 128)
    assert shapes["params"]["to_logvar"]["kernel"].shape == (256, 128)


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_forward_equals_float64(architecture):
    model = small_vae(architecture)
    x_BTC, noise_BZ = (RNG.normal(size=s).astype(np.float32) * 2 for s in ((3, 11, 4), (3, 8)))
    params = reference.random_params(jax.eval_shape(model.init, jax.random.key(0), x_BTC, noise_BZ), seed=4)
    output, mean, logvar = jax.jit(model.apply)(params, x_BTC, noise_BZ)
    for value, expected in zip((output, mean, logvar), reference.vae(params, x_BTC, noise_BZ), strict=True):
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(value, expected, rtol=0, atol=5e-6)  # measured 1e-6


def test_soft_bound_formula():
    x = np.concatenate([np.linspace(-50, 50, 1001), [-1e6, 1e6]]).astype(np.float32)
    exact = 8.0 * x.astype(np.float64) / (8.0 + np.abs(x.astype(np.float64)))
    np.testing.assert_allclose(soft_bound(jnp.asarray(x), 8.0), exact, rtol=3e-7, atol=0)  # measured 1.2e-7
    largest = soft_bound(jnp.array([jnp.finfo(jnp.float32).max, -jnp.finfo(jnp.float32).max]), 8.0)
    np.testing.assert_array_equal(largest, [8.0, -8.0])


def test_soft_bound_slope_is_exact_and_never_lost():
    """Against the slope in float64 and a central difference of the formula; also where the quotient rule cancels."""
    x = np.array([0.0, 0.5, -3.0, 1e3, -1e3, 1e6, -1e6, 1e8, 1e15], np.float32)
    slope = jax.vmap(jax.grad(lambda x: soft_bound(x, 8.0)))(jnp.asarray(x))
    exact = (8.0 / (8.0 + np.abs(x.astype(np.float64)))) ** 2
    np.testing.assert_allclose(slope, exact, rtol=1e-6)  # measured 2e-7
    assert (np.asarray(slope) > 0).all()
    near, h = x[:3].astype(np.float64), 1e-5
    formula = [8.0 * (near + s) / (8.0 + np.abs(near + s)) for s in (h, -h)]
    np.testing.assert_allclose(slope[:3], (formula[0] - formula[1]) / (2 * h), rtol=2e-6)


@pytest.mark.parametrize(("mean", "logvar"), [(0.0, 0.0), (1.5, -2.0), (-0.7, 1.3)])
def test_kl_is_the_integral(mean, logvar):
    q = stats.norm(mean, math.exp(0.5 * logvar))
    integral, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), mean - 12 * q.std(), mean + 12 * q.std()
    )
    kl = kl_to_standard_normal(jnp.full((1, 2), mean), jnp.full((1, 2), logvar))
    np.testing.assert_allclose(kl, [2 * integral], rtol=1e-6, atol=1e-6)


def test_the_density_of_codes_equals_scipys():
    z_BZ = RNG.normal(size=(6, 8)) * 3
    np.testing.assert_allclose(standard_normal_logpdf(jnp.asarray(z_BZ)), stats.norm.logpdf(z_BZ).sum(-1), rtol=1e-6)


def test_squared_error_counts_valid_frames_only():
    x_BTC, output_BTC = RNG.normal(size=(2, 3, 7, 4)).astype(np.float32)
    mask_BT = (RNG.random((3, 7)) < 0.6).astype(np.float32)
    value = squared_error_by_feature(jnp.asarray(x_BTC), jnp.asarray(output_BTC), jnp.asarray(mask_BT))
    expected = [reference.squared_error(*clip) for clip in zip(x_BTC, output_BTC, mask_BT, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_silence_extremes_and_wild_log_variances_stay_finite():
    """Silence, loud and tiny pictures, through log-variances of ±1e3 before the bound: value and gradient."""
    model = small_vae()
    x_BTC = jnp.stack([jnp.zeros((11, 4)), jnp.full((11, 4), 1e6), jnp.full((11, 4), -1e6), jnp.full((11, 4), 1e-30)])
    noise_BZ = jnp.tile(jnp.linspace(-5, 5, 8), (4, 1))
    params = reference.random_params(jax.eval_shape(model.init, jax.random.key(0), x_BTC, noise_BZ), seed=5)

    def loss(params):
        output_BTC, mean_BZ, logvar_BZ = model.apply(params, x_BTC, noise_BZ)
        return jnp.mean((output_BTC - x_BTC) ** 2) + jnp.mean(kl_to_standard_normal(mean_BZ, logvar_BZ))

    value_and_grad = jax.jit(jax.value_and_grad(loss))
    for bias in (0.0, 1e3, -1e3):
        params["params"]["to_logvar"]["bias"] = jnp.full(8, bias)
        value, gradient = value_and_grad(params)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        assert (np.abs(gradient["params"]["to_logvar"]["bias"]) > 0).all()
