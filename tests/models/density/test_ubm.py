"""The background model against scikit-learn's and an independent float64 definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from serjax.models.density.ubm import LEAST_VARIANCE, Ubm, fit_ubm, mean_log_likelihood, posterior, supervector

RNG = np.random.default_rng(0)
FRAMES = np.concatenate([RNG.normal(m, s, (400, 3)) for m, s in ((0.0, 1.0), (4.0, 0.5), (-3.0, 2.0))]).astype(
    np.float32
)


def test_em_ends_where_that_of_sklearn_does():
    ubm = fit_ubm(jnp.asarray(FRAMES), jax.random.key(1), n_components=3, n_iterations=200)
    x = (FRAMES - np.asarray(ubm.centre_D)) / np.asarray(ubm.scale_D)
    peer = GaussianMixture(3, covariance_type="diag", means_init=ubm.mean_KD, tol=1e-9, max_iter=2000, reg_covar=0)
    peer.fit(x.astype(np.float64))
    np.testing.assert_allclose(ubm.mean_KD, peer.means_, atol=2e-3)
    np.testing.assert_allclose(ubm.variance_KD, np.maximum(peer.covariances_, LEAST_VARIANCE), rtol=5e-3)
    np.testing.assert_allclose(ubm.weight_K, peer.weights_, atol=1e-3)
    np.testing.assert_allclose(posterior(ubm, jnp.asarray(x)), peer.predict_proba(x), atol=5e-3)


def test_one_round_of_em_is_its_definition():
    frames = FRAMES[::7]
    first, second = (fit_ubm(jnp.asarray(frames), jax.random.key(3), 4, n) for n in (0, 1))
    x = ((frames - frames.mean(0)) / (frames.std(0) + 1e-6)).astype(np.float64)
    density = np.stack([multivariate_normal(m, np.eye(3)).pdf(x) for m in np.asarray(first.mean_KD, np.float64)], 1)
    share = density / density.sum(1, keepdims=True)
    count = share.sum(0) + 1e-3
    mean = share.T @ x / count[:, None]
    variance = np.maximum(share.T @ x**2 / count[:, None] - mean**2, LEAST_VARIANCE)
    np.testing.assert_allclose(second.mean_KD, mean, atol=1e-5)
    np.testing.assert_allclose(second.variance_KD, variance, atol=1e-5)
    np.testing.assert_allclose(second.weight_K, count / count.sum(), atol=1e-6)


@pytest.fixture(scope="module")
def ubm() -> Ubm:
    return fit_ubm(jnp.asarray(FRAMES), jax.random.key(2), n_components=5)


def test_a_supervector_is_the_move_of_the_means(ubm):
    clip, mask = FRAMES[:50].copy(), np.arange(50) < 40
    clip[40:] = np.nan  # what does not count may hold anything
    found = supervector(ubm, jnp.asarray(clip), jnp.asarray(mask), relevance=8.0)
    w, m, v = (np.asarray(a, np.float64) for a in ubm[2:])
    x = ((clip[:40] - np.asarray(ubm.centre_D)) / np.asarray(ubm.scale_D)).astype(np.float64)
    density = w * np.stack([multivariate_normal(m[k], np.diag(v[k])).pdf(x) for k in range(5)], 1)
    share = density / density.sum(1, keepdims=True)
    count = share.sum(0)
    adapted = (share.T @ x + 8.0 * m) / (count + 8.0)[:, None]  # Reynolds' MAP means
    expected = (adapted - m) * np.sqrt(w)[:, None] / np.sqrt(v)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-5)


def test_a_clip_without_a_frame_moves_nothing(ubm):
    assert not supervector(ubm, jnp.zeros((7, 3)), jnp.zeros(7, bool)).any()


def test_the_log_likelihood_of_a_clip_is_the_mean_over_its_frames(ubm):
    clip, mask = FRAMES[:50].copy(), np.arange(50) < 40
    clip[40:] = np.nan
    found = mean_log_likelihood(ubm, jnp.asarray(clip), jnp.asarray(mask))
    centre, scale, weight, mean, variance = (np.asarray(array, np.float64) for array in ubm)
    parts = [
        multivariate_normal(centre + scale * m, np.diag(scale**2 * v)) for m, v in zip(mean, variance, strict=True)
    ]
    density = sum(w * part.pdf(clip[:40].astype(np.float64)) for w, part in zip(weight, parts, strict=True))
    np.testing.assert_allclose(found, np.log(density).mean(), rtol=1e-5)
