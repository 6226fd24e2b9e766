"""Whitening and densities against scikit-learn and definitions in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from serjax.models.density.gaussian import TiedGaussians, fit_gaussians, fit_linear_autoencoders
from serjax.models.density.whitening import Whitening, class_means, fit_whitening, pooled_covariance, principal_axes

RNG = np.random.default_rng(0)
N_CLASSES, SHRINKAGE = 3, 0.3
LABELS = np.repeat(np.arange(N_CLASSES), (30, 40, 50))
X = (RNG.normal(size=(120, 6)) @ RNG.normal(size=(6, 6)) + RNG.normal(size=(N_CLASSES, 6))[LABELS]).astype(np.float32)
NEW = RNG.normal(size=(20, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def whiten() -> Whitening:
    return fit_whitening(jnp.asarray(X), jnp.asarray(LABELS), N_CLASSES, SHRINKAGE)


def log_odds(scores: np.ndarray) -> np.ndarray:
    return scores - scores[:, :1]


def test_tied_gaussians_are_linear_discriminant_analysis(whiten):
    """Of equal priors, and of features with standard deviation 1, as shrinkage depends on their units."""
    gaussians = fit_gaussians(whiten(jnp.asarray(X)), jnp.asarray(LABELS), N_CLASSES, 0.0, SHRINKAGE)
    found = gaussians(whiten(jnp.asarray(NEW)))
    scaled = X / X.std(0)
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=None, priors=np.full(N_CLASSES, 1 / N_CLASSES))
    peer.covariance_estimator = Pooled()
    peer.set_params(covariance_estimator=Pooled()).fit(scaled.astype(np.float64), LABELS)
    np.testing.assert_allclose(
        log_odds(np.asarray(found)), log_odds(peer.predict_log_proba(NEW / X.std(0))), rtol=1e-4, atol=1e-4
    )


class Pooled:
    """Shrinks the covariance of one class; the analysis averages over classes, in which shrinking is linear."""

    def fit(self, x: np.ndarray) -> "Pooled":
        self.covariance_ = shrunk_covariance(np.cov(x.T, bias=True), SHRINKAGE)
        return self


def test_tied_gaussians_are_gaussians_without_a_covariance_of_their_own(whiten):
    z, label = whiten(jnp.asarray(X)), jnp.asarray(LABELS)
    new = whiten(jnp.asarray(NEW))
    tied = TiedGaussians(class_means(z, label, N_CLASSES))(new)
    np.testing.assert_allclose(tied, fit_gaussians(z, label, N_CLASSES, 0.0, SHRINKAGE)(new), rtol=1e-4, atol=1e-4)


def test_the_covariance_within_classes_becomes_the_identity():
    exact = fit_whitening(jnp.asarray(X), jnp.asarray(LABELS), N_CLASSES, 0.0)
    within = pooled_covariance(exact(jnp.asarray(X)), jnp.asarray(LABELS), N_CLASSES)
    np.testing.assert_allclose(within, np.eye(6), atol=1e-4)


def test_principal_axes_are_those_of_sklearn():
    tall = RNG.normal(size=(200, 60)) * np.linspace(5, 0.1, 60)
    found = np.asarray(principal_axes(jnp.asarray(tall, jnp.float32), 4), np.float64)
    expected = PCA(4, svd_solver="full").fit(tall).components_.T
    np.testing.assert_allclose(np.abs(np.sum(found * expected, axis=0)), 1, atol=1e-4)


@pytest.mark.parametrize("own", [0.0, 0.4, 1.0])
def test_a_gaussian_between_tied_and_own_is_its_definition(whiten, own):
    z = np.asarray(whiten(jnp.asarray(X)), np.float64)
    new = np.asarray(whiten(jnp.asarray(NEW)), np.float64)
    found = fit_gaussians(jnp.asarray(z, jnp.float32), jnp.asarray(LABELS), N_CLASSES, own, 0.2)(
        jnp.asarray(new, jnp.float32)
    )
    expected = []
    for k in range(N_CLASSES):
        mine = z[k == LABELS]
        covariance = own * shrunk_covariance(np.cov(mine.T, bias=True), 0.2) + (1 - own) * np.eye(6)
        expected.append(multivariate_normal(mine.mean(0), covariance).logpdf(new) + 3 * np.log(2 * np.pi))
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_axes", [0, 2])
def test_a_linear_autoencoder_scores_by_what_its_axes_leave(n_axes):
    found = fit_linear_autoencoders(jnp.asarray(X), jnp.asarray(LABELS), N_CLASSES, n_axes)(jnp.asarray(NEW))
    for k in range(N_CLASSES):
        mine = X[k == LABELS].astype(np.float64)
        rebuilt = np.tile(mine.mean(0), (len(NEW), 1))
        if n_axes:
            peer = PCA(n_axes, svd_solver="full").fit(mine)
            rebuilt = peer.inverse_transform(peer.transform(NEW))
        np.testing.assert_allclose(found[:, k], -np.square(NEW - rebuilt).sum(1), rtol=1e-4, atol=1e-4)
