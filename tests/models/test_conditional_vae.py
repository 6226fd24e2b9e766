"""The conditional VAE is the VAE beside whose inputs the class stands; both sides look at it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import VAE, ConditionalVAE
from serjax.models.conditional_vae import bind_class, bound
from tests.reference import vae as reference

RNG = np.random.default_rng(11)
X_BTC, NOISE_BZ = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((3, 11, 4), (3, 8)))
CLASS_BK = jnp.eye(5)[jnp.array([0, 3, 3])]
SIZES = {"latent_dim": 8, "hidden": (16, 6)}


def made(architecture):
    model = ConditionalVAE(11, 4, architecture=architecture, **SIZES)
    shapes = jax.eval_shape(model.init, jax.random.key(0), X_BTC, NOISE_BZ, CLASS_BK)
    return model, reference.random_params(shapes, seed=6)


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_forward_equals_float64(architecture):
    model, params = made(architecture)
    output, mean, logvar = jax.jit(model.apply)(params, X_BTC, NOISE_BZ, CLASS_BK)
    plain = {"params": params["params"]["vae"]}
    beside = np.repeat(CLASS_BK[:, None], 11, axis=1)
    expected_mean, expected_logvar = reference.encode(plain, np.concatenate([X_BTC, beside], axis=-1))
    z_BZ = expected_mean + np.exp(0.5 * expected_logvar) * NOISE_BZ
    expected = reference.decode(plain, np.concatenate([z_BZ, CLASS_BK], axis=-1), 11)
    assert output.shape == (3, 11, 4)
    for value, exact in ((output, expected), (mean, expected_mean), (logvar, expected_logvar)):
        np.testing.assert_allclose(value, exact, rtol=0, atol=5e-6)


def test_encoder_and_decoder_both_see_the_class():
    model, params = made("dense")
    other_BK = jnp.roll(CLASS_BK, 1, axis=1)
    code, other = (model.apply(params, X_BTC, y, method="encode")[0] for y in (CLASS_BK, other_BK))
    assert np.abs(code - other).max() > 1e-2
    pictures = [model.apply(params, NOISE_BZ, y, method="decode") for y in (CLASS_BK, other_BK)]
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-2


def test_without_classes_it_is_the_vae():
    """K = 0: the parameters and outputs of the plain one."""
    none_BK = jnp.zeros((3, 0))
    model, vae = ConditionalVAE(11, 4, **SIZES), VAE(11, 4, **SIZES)
    params = reference.random_params(jax.eval_shape(model.init, jax.random.key(0), X_BTC, NOISE_BZ, none_BK), seed=8)
    ours = model.apply(params, X_BTC, NOISE_BZ, none_BK)
    theirs = vae.apply({"params": params["params"]["vae"]}, X_BTC, NOISE_BZ)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_bound_to_a_class_it_is_a_vae_that_equals_the_conditional_one(architecture):
    """Bit for bit, for each of several parameters and classes side by side."""
    model, _ = made(architecture)
    shapes = jax.eval_shape(model.init, jax.random.key(0), X_BTC, NOISE_BZ, CLASS_BK)
    params_R = jax.tree.map(lambda *a: jnp.stack(a), *[reference.random_params(shapes, seed) for seed in (1, 1, 2)])
    class_R = (0, 3, 3)
    bound_to_R = bind_class(params_R, jnp.eye(5)[jnp.array(class_R)])
    assert isinstance(bound(model), VAE)
    outputs = []
    for r, k in enumerate(class_R):
        of_r, bound_to = (jax.tree.map(lambda a, r=r: a[r], tree) for tree in (params_R, bound_to_R))
        told_BK = jnp.eye(5)[jnp.full(3, k)]
        for method, given in {"encode": (X_BTC,), "decode": (NOISE_BZ,), "__call__": (X_BTC, NOISE_BZ)}.items():
            value = bound(model).apply(bound_to, *given, method=method)
            expected = model.apply(of_r, *given, told_BK, method=method)
            jax.tree.map(np.testing.assert_array_equal, value, expected)
        outputs.append(value[0])
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-2  # another class
    assert np.abs(outputs[1] - outputs[2]).max() > 1e-2  # other parameters
