"""From scores to classes: hand-made scores whose answers are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from serjax.evaluate import generative, metrics

SCORES = np.random.default_rng(0).normal(size=(40, 3))


def test_classification_follows_bayes():
    """Two Gaussians with priors .8 and .2: the posterior from scipy's densities decides."""
    x_N, prior_K = np.linspace(-4.05, 5.95, 101), np.array([0.8, 0.2])
    density_NK = np.stack([norm.pdf(x_N, 0, 1), norm.pdf(x_N, 2, 1)], 1)
    loglik_NK = np.log(density_NK)
    expected = np.argmax(density_NK * prior_K[None] / (density_NK * prior_K[None]).sum(1, keepdims=True), 1)
    np.testing.assert_array_equal(generative.classify(loglik_NK, np.log(prior_K)), expected)
    assert (generative.classify(loglik_NK) != expected).sum() == 7  # from 1 to 1 + log(4) / 2 = 1.69


def test_classification_takes_the_first_of_equals_and_jax_arrays():
    scores = jnp.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])
    np.testing.assert_array_equal(generative.classify(scores), [0, 1])


def test_log_prior():
    counts_K = np.array([10, 30, 60])
    np.testing.assert_allclose(np.exp(generative.log_prior("empirical", counts_K)), [0.1, 0.3, 0.6], atol=1e-15)
    np.testing.assert_allclose(np.exp(generative.log_prior("uniform", counts_K)), [1 / 3] * 3, atol=1e-15)
    with pytest.raises(generative.ScoreError, match="class 1 has no training clip"):
        generative.log_prior("uniform", np.array([3, 0]))


def test_the_prior_enters_likelihoods_only():
    prior_K = np.log(np.array([0.5, 0.3, 0.2]))
    np.testing.assert_array_equal(generative.with_prior("reconstruction", SCORES, prior_K), SCORES)
    for name in ("elbo", "iwae"):
        np.testing.assert_allclose(generative.with_prior(name, SCORES, prior_K) - SCORES, prior_K[None] + 0 * SCORES)


def test_log_odds_are_those_of_the_posterior():
    posterior = np.exp(log_softmax(SCORES, axis=1))
    np.testing.assert_allclose(generative.log_odds(SCORES), np.log(posterior / (1 - posterior)), atol=1e-12)


def test_log_odds_forget_the_difficulty_of_a_clip_and_keep_its_class():
    difficulty_N1 = np.random.default_rng(1).normal(-5000, 2000, (40, 1))
    truth_N = SCORES.argmax(1)
    hard = SCORES + difficulty_N1
    np.testing.assert_array_equal(generative.classify(generative.log_odds(hard)), truth_N)
    np.testing.assert_allclose(generative.log_odds(hard), generative.log_odds(SCORES), atol=1e-9)
    assert metrics.roc_auc_ovr(truth_N, generative.log_odds(hard)).macro > 0.95
    assert metrics.roc_auc_ovr(truth_N, hard).macro < 0.6  # what bare likelihoods would have reported


def test_log_odds_do_not_saturate():
    odds = generative.log_odds(np.array([[0.0, -2000.0, -3000.0], [0.0, -1000.0, -3000.0]]))
    np.testing.assert_allclose(odds[:, 0], [2000, 1000])
    with pytest.raises(generative.ScoreError, match="1 class: log-odds need"):
        generative.log_odds(np.zeros((3, 1)))


def scores_of(prediction: list[int], n_classes: int = 3) -> np.ndarray:
    return np.eye(n_classes)[prediction]


def test_choose_score_takes_the_highest_validation_uar():
    truth_N = np.array([0, 0, 0, 0, 1, 2])
    scores = {
        "reconstruction": scores_of([1, 1, 0, 0, 1, 2]),  # accuracy 4/6, UAR 5/6
        "elbo": scores_of([0, 0, 0, 0, 1, 1]),  # accuracy 5/6, UAR 2/3
        "iwae": scores_of([0, 0, 0, 0, 0, 0]),
    }
    assert generative.choose_score(scores, truth_N) == "reconstruction"


def test_choose_score_settles_ties_by_a_fixed_order():
    same = scores_of([0, 1, 2])
    for names in (("reconstruction", "elbo", "iwae"), ("iwae", "elbo", "reconstruction")):
        assert generative.choose_score(dict.fromkeys(names, same), np.array([0, 1, 2])) == "iwae"
    assert generative.choose_score({"reconstruction": same, "elbo": same}, np.array([0, 1, 2])) == "elbo"


def test_choose_score_judges_with_the_prior():
    # without the prior every score names class 0; the prior turns the likelihoods to class 1, which is true
    scores = dict.fromkeys(("reconstruction", "elbo"), np.array([[0.1, 0.0]] * 3))
    prior_K = np.log(np.array([0.1, 0.9]))
    assert generative.choose_score(scores, np.array([1, 1, 1]), prior_K) == "elbo"
    assert generative.choose_score(scores, np.array([0, 0, 0]), prior_K) == "reconstruction"


def test_choose_score_needs_validation_clips():
    with pytest.raises(generative.ScoreError, match="on 0 validation clips"):
        generative.choose_score({"elbo": SCORES[:0]}, np.array([], int))


def test_reconstruction_matrix_is_the_mean_by_emotion():
    rng = np.random.default_rng(0)
    mse_NK, truth_N = rng.random((30, 3)), rng.integers(0, 3, 30)
    table = generative.reconstruction_matrix(mse_NK, truth_N, 3).mean()
    for vae in range(3):
        for clip in range(3):
            expected = [mse_NK[n, vae] for n in range(30) if truth_N[n] == clip]
            assert table[vae, clip] == pytest.approx(sum(expected) / len(expected), abs=1e-14)


def test_reconstruction_matrices_merge_over_unequal_folds():
    rng = np.random.default_rng(1)
    mse_NK, truth_N = rng.random((30, 3)), rng.integers(0, 3, 30)
    whole = generative.reconstruction_matrix(mse_NK, truth_N, 3)
    parts = [generative.reconstruction_matrix(mse_NK[p], truth_N[p], 3) for p in (slice(0, 5), slice(5, None))]
    np.testing.assert_allclose((parts[0] + parts[1]).mean(), whole.mean(), atol=1e-14)


def test_reconstruction_matrix_has_null_for_an_absent_emotion():
    matrix = generative.reconstruction_matrix(np.array([[0.5, 0.25]]), np.array([1]), 2)
    assert matrix.rows() == [[None, 0.5], [None, 0.25]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    scores = SCORES.copy()
    scores[7, 2] = bad
    truth_N = np.zeros(40, int)
    calls = [
        lambda: generative.classify(scores),
        lambda: generative.log_odds(scores),
        lambda: generative.with_prior("elbo", scores, np.zeros(3)),
        lambda: generative.choose_score({"iwae": scores}, truth_N),
        lambda: generative.reconstruction_matrix(scores, truth_N, 3),
    ]
    for call in calls:
        with pytest.raises(generative.ScoreError, match=r"the score of clip 7 under class 2 is .*diverged"):
            call()


def test_unknown_names_are_errors_that_list_the_known_ones():
    with pytest.raises(generative.ScoreError, match="reconstruction, elbo, iwae"):
        generative.with_prior.__wrapped__("likelihood", SCORES, np.zeros(3))
    with pytest.raises(generative.ScoreError, match="uniform, empirical"):
        generative.log_prior.__wrapped__("flat", np.array([1, 2]))
