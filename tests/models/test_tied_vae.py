"""The tied VAE in float64, its score as a difference of bounds, and the model that is Gaussians with one covariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import TiedVAE
from serjax.models.density.gaussian import TiedGaussians
from serjax.models.vae import kl_to_standard_normal
from tests.reference import vae as reference

RNG = np.random.default_rng(3)
X_BTC, NOISE_BZ = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((4, 11, 4), (4, 8)))
CLASS_BK = jnp.eye(5)[jnp.array([0, 3, 3, 4])]
U = 3


def made(architecture="dense"):
    model = TiedVAE(11, 4, latent_dim=8, hidden=(16, 6), architecture=architecture, class_dim=U, n_classes=5)
    shapes = jax.eval_shape(model.init, jax.random.key(0), X_BTC, NOISE_BZ, CLASS_BK)
    return model, reference.random_params(shapes, seed=6)


def exact(params, x_BTC):
    """Return mean, log-variance and the prior's means and deviations in float64; those of the free part are 0 and 1."""
    own = jax.tree.map(lambda array: np.asarray(array, np.float64), params["params"])
    mean_BZ, logvar_BZ = reference.encode(params, np.asarray(x_BTC))
    mean_BZ[:, :U] += np.asarray(x_BTC).reshape(len(x_BTC), -1) @ own["class_axes"]["kernel"]
    means_KZ, scale_Z = np.zeros((5, 8)), np.ones(8)
    means_KZ[:, :U], scale_Z[:U] = own["class_means"], np.exp(own["log_scale"])
    return mean_BZ, logvar_BZ, means_KZ, scale_Z


@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_forward_and_kl_equal_float64(architecture):
    model, params = made(architecture)
    output, mean, logvar = jax.jit(model.apply)(params, X_BTC, NOISE_BZ, CLASS_BK)
    mean_BZ, logvar_BZ, means_KZ, scale_Z = exact(params, X_BTC)
    z_BZ = mean_BZ + np.exp(0.5 * logvar_BZ) * np.asarray(NOISE_BZ)
    linear_BD = z_BZ[:, :U] @ np.asarray(params["params"]["class_effect"]["kernel"], np.float64)
    expected = reference.decode(params, z_BZ, 11) + linear_BD.reshape(-1, 11, 4)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
    between_BZ = (
        np.exp(logvar_BZ) + (mean_BZ - np.asarray(CLASS_BK) @ means_KZ) ** 2
    ) / scale_Z**2  # KL(q(z|x) || p(z|c))
    kl_B = 0.5 * np.sum(between_BZ - 1 - logvar_BZ + 2 * np.log(scale_Z), axis=1)
    np.testing.assert_allclose(kl_to_standard_normal(mean, logvar), kl_B, rtol=1e-5)


def test_the_score_is_the_difference_of_bounds_to_the_background():
    model, params = made()
    bound_BK = np.zeros((4, 5))
    for k in range(5):
        told_BK = jnp.tile(jnp.eye(5)[k], (4, 1))
        output, mean, logvar = model.apply(params, X_BTC, NOISE_BZ, told_BK)
        bound_BK[:, k] = -0.5 * np.sum((output - X_BTC) ** 2, axis=(1, 2)) - kl_to_standard_normal(mean, logvar)
    background_B1 = np.log(np.mean(np.exp(bound_BK), axis=1, keepdims=True))
    ratio_BK = model.apply(params, X_BTC, method="class_log_ratio")
    np.testing.assert_allclose(ratio_BK, bound_BK - background_B1, atol=1e-4)
    assert np.std(ratio_BK) > 0.1


def test_of_linear_paths_alone_it_scores_as_gaussians_with_one_covariance():
    mean_KP = RNG.normal(size=(3, 6))
    mean_KP -= mean_KP.mean(axis=0)
    axes_UP = np.linalg.svd(mean_KP, full_matrices=False)[2][:2]
    model = TiedVAE(1, 6, latent_dim=4, hidden=(5,), class_dim=2, n_classes=3)
    x_NP = jnp.asarray(RNG.normal(size=(7, 6)), jnp.float32)
    params = jax.tree.map(
        np.zeros_like, model.init(jax.random.key(0), x_NP[:, None], jnp.zeros((7, 4)), jnp.zeros((7, 3)))
    )
    params["params"]["class_axes"]["kernel"] = axes_UP.T.astype(np.float32)
    params["params"]["class_means"] = (mean_KP @ axes_UP.T).astype(np.float32)
    expected_NK = np.asarray(TiedGaussians(jnp.asarray(mean_KP, jnp.float32))(x_NP))
    ratio_NK = model.apply(params, x_NP[:, None], method="class_log_ratio")
    difference_NK = ratio_NK - expected_NK
    np.testing.assert_allclose(difference_NK, np.repeat(difference_NK[:, :1], 3, axis=1), atol=1e-4)


def test_another_class_moves_the_class_part_alone_and_samples_have_the_prior_of_theirs():
    model, params = made()
    mean_BZ, _, means_KZ, scale_Z = exact(params, X_BTC)
    other_BK = jnp.roll(CLASS_BK, 1, axis=1)
    changed = model.apply(params, X_BTC, CLASS_BK, other_BK, method="change_class")
    moved_BZ = jnp.asarray(mean_BZ + np.asarray(other_BK - CLASS_BK) @ means_KZ, jnp.float32)
    np.testing.assert_allclose(changed, model.apply(params, moved_BZ, method="decode"), atol=1e-5)
    drawn = model.apply(params, jax.random.key(1), CLASS_BK, method="sample_prior")
    z_BZ = np.asarray(jax.random.normal(jax.random.key(1), (4, 8))) * scale_Z + np.asarray(CLASS_BK) @ means_KZ
    np.testing.assert_allclose(drawn, model.apply(params, jnp.asarray(z_BZ, jnp.float32), method="decode"), atol=1e-5)
