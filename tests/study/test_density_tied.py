"""One tied VAE per background model on whitened vectors: which rows it sees, where it starts, what it learns."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serjax.errors import ConfigError
from serjax.models.density.gaussian import TiedGaussians
from serjax.models.density.whitening import class_means, fit_whitening
from serjax.study.density.system import rows_of
from serjax.study.frontends import Features
from serjax.study.problem import Problem, load_problem
from serjax.study.stages import complete
from tests.study.test_density_vae import (
    DATA,
    DENSITY,
    N_MEMBERS,
    VAES,
    K,
    Maker,
    assert_same_models,
    clips_of,
    recall_of,
    study,
    train,
    vectors_of,
)

pytestmark = pytest.mark.slow

TIED = replace(DENSITY, density="tied-vae", shrinkages=(0.1,))
NEARLY_NONE = replace(VAES, latent_dim=4, learning_rate=1e-12, vae_epochs=1)


@pytest.fixture
def problem(no_sound: None, tmp_path: Path) -> Problem:
    problem = load_problem(DATA, Features(), tmp_path, lambda done, total: None)
    return replace(problem, cells=problem.cells[:2])


def test_it_sees_all_emotions_of_the_training_clips_and_no_test_clip(problem, tmp_path):
    problem = replace(problem, cells=problem.cells[:1])
    fold, x_ND = problem.cells[0].fold, vectors_of(problem)
    poisoned_ND, vaes = x_ND.copy(), replace(VAES, vae_epochs=1)
    poisoned_ND[fold.test] = 1e3
    _, models = train(problem, x_ND, tmp_path / "clean", vaes, TIED)
    assert_same_models(models, train(problem, poisoned_ND, tmp_path / "poisoned", vaes, TIED)[1])
    for request, trained in models:
        assert [run.emotion for run in request.runs] == ["all"] * N_MEMBERS
        assert len(trained.epoch_R) == N_MEMBERS
        refit = request.name.endswith("refit")
        for run in request.runs:
            assert clips_of(request, run.train) == set(rows_of(fold, refit).tolist())
            assert clips_of(request, run.validation) == (set() if refit else set(fold.validation.tolist()))


def test_it_starts_as_gaussians_with_one_covariance(problem, tmp_path):
    """Three dimensions for the emotion, one more than class means span: it is filled up."""
    x_ND, cell = vectors_of(problem), problem.cells[1]
    density = replace(TIED, refit=False)
    scores, _ = train(problem, x_ND, tmp_path / "o", replace(NEARLY_NONE, class_dim=3), density)
    expected_NK = np.zeros((len(x_ND), K))
    for vectors in Maker(problem, x_ND)("supervector", 0, cell.fold.train):
        fitted_to = (vectors.train_MD, vectors.label_M, K)
        whiten = fit_whitening(*fitted_to, 0.1)
        density = TiedGaussians(whiten(class_means(*fitted_to)))
        expected_NK += np.asarray(density(whiten(vectors.x_ND)))
    found_NK = scores("supervector", cell, False, (0.1,))[0.1].scores_NK
    rows = cell.fold.validation
    difference_nK = (found_NK - expected_NK)[rows]
    np.testing.assert_allclose(difference_nK - difference_nK.mean(axis=1, keepdims=True), 0, atol=2e-3)
    assert np.std(expected_NK[rows] - expected_NK[rows].mean(axis=1, keepdims=True)) > 0.1


def test_it_learns_from_labels_and_tells_emotions_apart(problem, tmp_path):
    vaes = replace(VAES, latent_dim=4, hidden=(16,), learning_rate=0.01, vae_epochs=3)
    x_ND = vectors_of(problem) + 2 * np.eye(K, 6, dtype="f4")[problem.truth_N]
    scores, requests = train(problem, x_ND, tmp_path / "o", vaes, TIED)
    starts = requests[0][0].start(range(1))["params"]["class_means"]
    assert np.abs(requests[0][1].params["params"]["class_means"][:1] - starts).max() > 1e-3
    for cell in problem.cells:
        (said,) = scores.final["supervector", cell.seed, cell.fold.name].values()
        scores_NK = np.sum([member.scores_NK for member in said], axis=0)
        assert recall_of(scores_NK, problem.truth_N, cell.fold.test) > 0.8  # chance: 1/3


def test_a_study_says_so(no_sound, tmp_path):
    own, density = study(tmp_path / "o"), replace(TIED, axes=8)
    tied = replace(own, config=replace(own.config, density=density, vaes=replace(VAES, vae_epochs=1)))
    complete([tied])
    metrics = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert metrics["model"] == "tied-vae densities"
    assert len(metrics["chosen_epochs"]) == N_MEMBERS  # of one fold
    assert "0/fold-1 supervector 1/all" in metrics["chosen_epochs"]
    wrong = replace(tied.config, vaes=replace(tied.config.vaes, class_dim=3))
    with pytest.raises(ConfigError, match="--class-dim 3: expected 1 to --latent-dim, 2"):
        wrong.study().check()
