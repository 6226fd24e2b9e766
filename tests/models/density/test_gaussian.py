"""Whitening and densities against scikit-learn and definitions in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from serjax.models.density.gaussian import TiedGaussians, fit_gaussians, fit_linear_autoencoders
from serjax.models.density.logistic import fit_logistic
from serjax.models.density.mixture import fit_mixtures
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


def test_a_mixture_is_a_mixture_of_gaussians_of_one_covariance_fitted_by_em():
    """Twenty rounds from the same start as a loop in float64; each class alone."""
    x, label, key = jnp.asarray(X), jnp.asarray(LABELS), jax.random.key(3)
    found = fit_mixtures(x, label, key, N_CLASSES, n_parts=2)
    for k in range(N_CLASSES):
        own = X[k == LABELS].astype(np.float64)
        weight = (k == LABELS).astype(np.float32)
        drawn = X[np.asarray(jax.random.choice(jax.random.fold_in(key, k), len(X), (2,), False, weight / weight.sum()))]
        means, shares = own.mean(0) + (drawn - drawn.mean(0)) / 3, np.full(2, 0.5)
        for _ in range(20):
            joint = np.stack(
                [s * multivariate_normal(m, np.eye(6)).pdf(own) for s, m in zip(shares, means, strict=True)]
            )
            belongs = joint / joint.sum(0)
            shares, means = belongs.mean(1), belongs @ own / belongs.sum(1, keepdims=True)
        np.testing.assert_allclose(np.exp(found.log_weight_KM[k]), shares, atol=1e-5)
        np.testing.assert_allclose(found.mean_KMP[k], means, atol=1e-4)
        density = sum(s * multivariate_normal(m, np.eye(6)).pdf(NEW) for s, m in zip(shares, means, strict=True))
        np.testing.assert_allclose(found(jnp.asarray(NEW))[:, k] - 3 * np.log(2 * np.pi), np.log(density), rtol=1e-4)


def test_logistic_regression_is_that_of_sklearn(whiten):
    z, new = (np.asarray(whiten(jnp.asarray(array))) for array in (X, NEW))
    found = fit_logistic(jnp.asarray(z), jnp.asarray(LABELS), N_CLASSES, 0.03)
    peer = LogisticRegression(C=1 / (0.03 * len(z)), class_weight="balanced", tol=1e-9, max_iter=1000).fit(z, LABELS)
    np.testing.assert_allclose(
        jax.nn.log_softmax(found(jnp.asarray(new))), peer.predict_log_proba(new), atol=1e-3
    )  # measured 1.2e-4: the search ends where float32 sees no slope
