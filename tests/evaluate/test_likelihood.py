"""How well a model explains a clip: against float64 loops and a linear-Gaussian model whose likelihood is known."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from serjax.evaluate import likelihood
from serjax.models import VAE, Autoencoder
from serjax.train import state
from serjax.train.state import Dataset, RunInputs
from tests.reference import vae as reference

N, T, C, Z = 40, 12, 4, 8
K = 6
RNG = np.random.default_rng(0)
MASK_NT = (np.arange(T)[None, :] < RNG.integers(5, T + 1, N)[:, None]).astype(np.float32)
DATASET = Dataset(jnp.asarray(RNG.normal(3, 2, (N, T, C)), jnp.float32), jnp.asarray(MASK_NT), jnp.zeros(N, jnp.int32))
INPUTS = RunInputs(
    jnp.asarray(RNG.normal(3, 1, C), jnp.float32),
    jnp.asarray(RNG.uniform(1, 3, C), jnp.float32),
    jnp.ones(2),
    None,
    jnp.zeros(1, jnp.int32),
    jnp.zeros(1),
)
X_NTC = (np.asarray(DATASET.x_NTC, np.float64) - np.asarray(INPUTS.shift_C)) / np.asarray(INPUTS.scale_C)
X_NTC = X_NTC * MASK_NT[..., None]
MODEL = VAE(T, C, latent_dim=Z, hidden=(16,))
NAMES = [f"Actor_{n % 24:02d}/{n}.wav" for n in range(N)]
IDS = jnp.asarray(likelihood.utterance_ids(NAMES))

sample = jax.jit(likelihood.sample_posterior, static_argnums=(0, 6))


def make_params(model, *inputs):
    return reference.random_params(jax.eval_shape(model.init, jax.random.key(0), *inputs), seed=1)


PARAMS = make_params(MODEL, jnp.zeros((1, T, C)), jnp.zeros((1, Z)))


def noise(clip_id, n_samples=K, latent_dim=Z):
    return np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(0), clip_id), (n_samples, latent_dim)))


@pytest.mark.parametrize("kind", [VAE, Autoencoder])
def test_squared_error_by_coefficient_equals_a_loop(kind):
    if kind is VAE:
        model, params = MODEL, PARAMS
        output_NTC = reference.decode(params, reference.encode(params, X_NTC)[0], T)
    else:
        model = Autoencoder(T, C, latent_dim=Z, hidden=(16,))
        params = make_params(model, jnp.zeros((1, T, C)))
        output_NTC = reference.autoencoder(params, X_NTC)
    value_NC = jax.jit(likelihood.reconstruct, static_argnums=0)(model, params, INPUTS, DATASET)
    expected = [reference.squared_error(*clip) for clip in zip(X_NTC, output_NTC, MASK_NT, strict=True)]
    np.testing.assert_allclose(value_NC, expected, rtol=1e-5)  # measured 3e-7


def test_posterior_terms_equal_a_loop():
    samples = sample(MODEL, PARAMS, INPUTS, DATASET, jnp.arange(N), IDS, K)
    mean_NZ, logvar_NZ = reference.encode(PARAMS, X_NTC)
    for n in (0, 7, N - 1):
        std_Z = np.exp(0.5 * logvar_NZ[n])
        z_KZ = mean_NZ[n] + std_Z * noise(IDS[n])
        output_KTC = reference.decode(PARAMS, z_KZ, T)
        squared_K = [reference.squared_error(X_NTC[n], output_TC, MASK_NT[n]).sum() for output_TC in output_KTC]
        log_ratio_K = (stats.norm.logpdf(z_KZ) - stats.norm.logpdf(z_KZ, mean_NZ[n], std_Z)).sum(axis=1)
        kl = 0.5 * (np.exp(logvar_NZ[n]) + mean_NZ[n] ** 2 - 1 - logvar_NZ[n]).sum()
        np.testing.assert_allclose(samples.squared_error_MK[n], squared_K, rtol=1e-5)  # measured 2e-7
        np.testing.assert_allclose(samples.log_ratio_MK[n], log_ratio_K, rtol=0, atol=1e-4)  # measured 4e-6
        np.testing.assert_allclose(samples.kl_M[n], kl, rtol=1e-5)


def test_a_clip_keeps_its_score_in_any_order_and_any_part_of_the_corpus():
    """Samples belong to the utterance: only float32 sums over another block shape may differ in the last bits."""
    whole = sample(MODEL, PARAMS, INPUTS, DATASET, jnp.arange(N), IDS, K)
    order = np.random.default_rng(3).permutation(N)
    shuffled = Dataset(DATASET.x_NTC[order], DATASET.mask_NT[order], DATASET.label_N)
    again = sample(MODEL, PARAMS, INPUTS, shuffled, jnp.arange(N), IDS[order], K)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, np.asarray(b)[order], rtol=1e-5), again, whole)
    some = np.array([31, 2, 17])
    part = Dataset(DATASET.x_NTC[some], DATASET.mask_NT[some], DATASET.label_N[some])
    names = likelihood.utterance_ids([NAMES[n] for n in some])
    few = sample(MODEL, PARAMS, INPUTS, part, jnp.arange(3), jnp.asarray(names), K)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, np.asarray(b)[some], rtol=1e-4, atol=1e-5), few, whole)
    other = sample(MODEL, PARAMS, INPUTS, DATASET, jnp.arange(N), IDS + 1, K)
    assert not np.allclose(other.squared_error_MK, whole.squared_error_MK, rtol=1e-3)


def test_blocks_that_do_not_divide_the_corpus_change_nothing(monkeypatch):
    outcomes = []
    for block in (48, 7, 1):
        monkeypatch.setattr(state, "BLOCK", block)
        function = jax.jit(lambda tree: state.in_blocks(lambda x: (x**2, x.sum(axis=1)), tree))
        outcomes.append(jax.device_get(function(DATASET.x_NTC[:, 0])))
    for squares, sums in outcomes:
        np.testing.assert_allclose(squares, np.asarray(DATASET.x_NTC[:, 0]) ** 2, rtol=1e-6)
        np.testing.assert_allclose(sums, np.asarray(DATASET.x_NTC[:, 0]).sum(axis=1), rtol=1e-5)


def learned_bounds(samples, n_elements_N, is_training_N):
    """Return the bounds at the variance that these training clips teach, and the variance."""
    variance = likelihood.residual(samples, n_elements_N, is_training_N).variance
    return likelihood.bounds(samples, n_elements_N, variance), variance


class LinearGaussian:
    """`z ~ N(0, I)`, `x = W z + b + s·noise` with orthogonal columns in W: posterior and likelihood are known."""

    model = VAE(3, 2, latent_dim=2, hidden=())
    n = 300

    def __init__(self):
        rng = np.random.default_rng(5)
        self.w = np.linalg.qr(rng.normal(size=(6, 2)))[0] * [1.5, 0.8]
        self.b = rng.normal(size=6)
        z = rng.normal(size=(self.n, 2))
        self.x = z @ self.w.T + self.b + 0.5 * rng.normal(size=(self.n, 6))
        ones, none = jnp.ones((self.n, 3)), jnp.zeros(1)
        self.dataset = Dataset(jnp.asarray(self.x.reshape(-1, 3, 2), jnp.float32), ones, jnp.zeros(self.n, jnp.int32))
        self.inputs = RunInputs(jnp.zeros(2), jnp.ones(2), jnp.ones(1), None, jnp.zeros(1, jnp.int32), none)
        self.ids = jnp.arange(self.n, dtype=jnp.uint32)

    def params(self, variance, wrong_mean=0.0, wrong_scale=1.0):
        """Return a VAE whose posterior is that of the model with noise `variance`, or wrong by a shift and a factor."""
        posterior = 1 / (1 + (self.w**2).sum(axis=0) / variance)
        kernel = self.w * posterior / variance
        logvar = np.log(posterior * wrong_scale)
        tree = {
            "to_mean": {"kernel": kernel, "bias": wrong_mean - self.b @ kernel},
            "to_logvar": {"kernel": np.zeros((6, 2)), "bias": 8 * logvar / (8 - np.abs(logvar))},
            "decoder": {"Dense_0": {"kernel": self.w.T, "bias": self.b}},
        }
        return {"params": jax.tree.map(lambda a: np.asarray(a, np.float32), tree)}

    def loglik(self, variance):
        covariance = self.w @ self.w.T + variance * np.eye(6)
        return stats.multivariate_normal(self.b, covariance).logpdf(self.x)

    def bounds(self, params, n_samples):
        args = (self.inputs, self.dataset, jnp.arange(self.n), self.ids, n_samples)
        samples = sample(self.model, params, *args)
        return learned_bounds(samples, np.full(self.n, 6.0), np.ones(self.n, bool))


def test_with_the_exact_posterior_the_bounds_are_the_likelihood():
    """Learning s² and the posterior in turn is EM: at its end every importance weight is p(x), for any K."""
    world, variance = LinearGaussian(), 0.4
    for _ in range(30):
        found, learned = world.bounds(world.params(variance), 16)
        variance, moved = learned, abs(learned - variance)
    assert moved < 1e-6
    np.testing.assert_allclose(variance, 0.25, atol=0.03)  # what the clips were made with
    exact = world.loglik(variance)
    np.testing.assert_allclose(found.iwae_M, exact, rtol=0, atol=1e-4)  # measured 1e-6
    np.testing.assert_allclose(found.elbo_M.mean(), exact.mean(), rtol=0, atol=0.05)  # measured 2e-3: 300 · 16 samples


def test_elbo_below_iwae_below_likelihood_and_iwae_grows():
    """With a wrong posterior (means off by a half, variance too large by a half) on average over 300 clips."""
    world = LinearGaussian()
    params, means = world.params(0.25, wrong_mean=0.5, wrong_scale=1.5), []
    for n_samples in (1, 4, 256):
        found, variance = world.bounds(params, n_samples)
        exact = world.loglik(variance)
        means.append([found.elbo_M.mean() - exact.mean(), found.iwae_M.mean() - exact.mean()])
    (elbo_1, iwae_1), (elbo_4, iwae_4), (elbo_256, iwae_256) = means
    gap = -elbo_256
    assert gap > 0.3
    np.testing.assert_allclose([elbo_1, elbo_4, iwae_1], -gap, atol=0.25 * gap)  # one sample: the ELBO, unbiased
    assert iwae_1 + 0.1 * gap < iwae_4 < -0.1 * gap
    assert iwae_4 + 0.1 * gap < iwae_256
    np.testing.assert_allclose(iwae_256, 0.0, atol=0.05)  # measured 0.02


def test_the_learned_variance_maximises_the_training_elbo():
    samples = jax.device_get(sample(MODEL, PARAMS, INPUTS, DATASET, jnp.arange(N), IDS, K))
    n_elements_N, train = MASK_NT.sum(axis=1, dtype=np.float64) * C, np.arange(N) < 25
    found, learned = learned_bounds(samples, n_elements_N, train)

    def elbo(variance):
        squared_N = np.asarray(samples.squared_error_MK, np.float64).mean(axis=1)
        loglik_N = -0.5 * (squared_N / variance + n_elements_N * math.log(2 * math.pi * variance))
        return (loglik_N - samples.kl_M)[train].sum()

    np.testing.assert_allclose(found.elbo_M[train].sum(), elbo(learned), rtol=1e-9)
    h = 1e-4 * learned
    slope = (elbo(learned + h) - elbo(learned - h)) / (2 * h)
    curvature = n_elements_N[train].sum() / (2 * learned**2)
    assert abs(slope) < 1e-6 * curvature * learned
    assert elbo(learned) > max(elbo(0.99 * learned), elbo(1.01 * learned))


def test_only_training_clips_teach_the_variance():
    samples = jax.device_get(sample(MODEL, PARAMS, INPUTS, DATASET, jnp.arange(N), IDS, K))
    n_elements_N, train = MASK_NT.sum(axis=1, dtype=np.float64) * C, np.arange(N) < 25
    worse = replace(samples, squared_error_MK=samples.squared_error_MK * np.where(train, 1, 100)[:, None])
    (before, variance), (after, variance_after) = (learned_bounds(s, n_elements_N, train) for s in (samples, worse))
    assert variance == variance_after
    np.testing.assert_array_equal(before.iwae_M[train], after.iwae_M[train])
    assert (after.iwae_M[~train] < before.iwae_M[~train] - 100).all()


def test_residuals_of_several_models_merge():
    whole = likelihood.Residual(3.0, 10.0) + likelihood.Residual(5.0, 30.0)
    assert whole == likelihood.Residual(8.0, 40.0)
    assert whole.variance == 0.2


def test_log_mean_exp_at_its_extremes():
    x = np.array([[-3000.0, -3001.0], [1e6, -np.inf], [-np.inf, -np.inf], [5.0, 5.0]])
    expected = [-3000 + math.log((1 + math.exp(-1)) / 2), 1e6 - math.log(2), -math.inf, 5.0]
    np.testing.assert_allclose(likelihood.log_mean_exp(x), expected, rtol=1e-15)


def test_utterance_ids_are_frozen():
    """They seed the samples of published scores: the checksum of the name, of no place."""
    np.testing.assert_array_equal(likelihood.utterance_ids(["123456789", ""]), [0xCBF43926, 0])
