"""`--score auto`: what it chooses by, that test rows have no say, and that folds which chose differently pool."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serjax.data.corpora.corpus import Corpus, FileSource, Utterance
from serjax.data.splits import Fold
from serjax.evaluate.metrics import roc_auc_ovr
from serjax.evaluate.summary import mean_fold_uar
from serjax.models import VAE
from serjax.study.flags import Training
from serjax.study.generative.classification import classify_by_all, spread
from serjax.study.generative.models import Models
from serjax.study.generative.scores import Explained
from serjax.study.problem import Cell, Problem
from serjax.study.runs import emotion_runs
from serjax.train.shares import Trained

N, LABELS = 24, ("happy", "sad", "angry")


@pytest.fixture
def problem():
    clips = tuple(
        Utterance(f"{n:02d}.wav", LABELS[n % 3], f"speaker-{n // 3}", None, None, None, None, "made up")
        for n in range(N)
    )
    rows = np.arange(N, dtype=np.int32)
    folds = (Fold("fold-1", rows[:6], rows[6:12], rows[12:18]), Fold("fold-2", rows[:6], rows[12:18], rows[18:]))
    corpus = Corpus("made up", clips, FileSource(Path()), LABELS)
    empty_NTC, empty_NT = np.zeros((N, 1, 1), np.float32), np.ones((N, 1), np.float32)
    return Problem(corpus, "speaker-6fold", False, empty_NTC, empty_NT, tuple(Cell(0, fold) for fold in folds))


@pytest.fixture
def models(problem):
    runs = emotion_runs(problem, False, Training(), {"beta": 0.1}, 1, 1)
    trained = Trained({}, np.ones(len(runs), np.int32), np.zeros(len(runs), np.float32))
    return Models(VAE(1, 1), runs, {}, runs, trained)


def explained(problem, seed=0, better=("reconstruction", "elbo"), noise=0.5):
    """Return errors and bounds of which, in each cell, `better` knows the classes and the others do not."""
    rng = np.random.default_rng(seed)
    truth_KN = np.arange(len(LABELS))[:, None] == problem.truth_N
    knows = {name: [truth_KN if b == name else np.roll(truth_KN, 1, axis=0) for b in better] for name in set(better)}
    rows = {name: np.concatenate(parts) + noise * rng.normal(size=(6, N)) for name, parts in knows.items()}
    elbo_RN = 500.0 * rows["elbo"] - 3000.0
    error_RN = 0.4 - 0.01 * rows["reconstruction"]
    return Explained(error_RN, error_RN[..., None], elbo_RN, elbo_RN - 1.0, None)


def test_each_fold_chooses_by_its_own_validation_rows(problem, models):
    of = explained(problem, noise=0.1)
    found = classify_by_all(problem, models, of, of, "uniform")
    assert found.chosen == {"0/fold-1": "reconstruction", "0/fold-2": "iwae"}
    assert np.array_equal(found.test["auto"].prediction, problem.truth_N[12:])
    reached = {name: mean_fold_uar(predictions) for name, predictions in found.validation.items()}
    assert reached == {"reconstruction": 0.5, "elbo": 0.5, "iwae": 0.5, "auto": 1.0}


def test_the_scores_of_test_rows_have_no_say_in_the_choice(problem, models):
    of, rng = explained(problem), np.random.default_rng(1)
    error_RN, elbo_RN = of.error_RN.copy(), of.elbo_RN.copy()
    for values_RN in (error_RN, elbo_RN):
        values_RN[:3, 12:18], values_RN[3:, 18:] = rng.normal(size=(2, 3, 6))
    other = replace(of, error_RN=error_RN, elbo_RN=elbo_RN, iwae_RN=elbo_RN)
    found = [classify_by_all(problem, models, e, e, "uniform") for e in (of, other)]
    assert found[0].chosen == found[1].chosen
    assert not np.array_equal(*(found.test["auto"].prediction for found in found))


def test_refitted_models_classify_and_do_not_choose(problem, models):
    selecting, final = explained(problem), explained(problem, better=("elbo", "reconstruction"))
    found = classify_by_all(problem, models, final, selecting, "uniform")
    assert found.chosen == classify_by_all(problem, models, selecting, selecting, "uniform").chosen


def test_auto_pools_folds_that_chose_scores_of_other_units(problem, models):
    of = explained(problem, noise=0.3)
    auto = classify_by_all(problem, models, of, of, "uniform").test["auto"]
    assert roc_auc_ovr(auto.truth, auto.scores_NK).macro > 0.95
    spreads = [np.std(auto.scores_NK[rows]) for rows in (slice(0, 6), slice(6, 12))]
    assert max(spreads) < 3 * min(spreads)


def test_log_px_is_the_mean_likelihood_of_a_clip_over_the_models_of_its_cell(problem, models):
    of = explained(problem)
    of = replace(of, iwae_RN=of.iwae_RN / 500)
    found = classify_by_all(problem, models, of, of, "uniform").test["reconstruction"]
    mean_N = np.exp(of.iwae_RN).reshape(2, 3, N).mean(axis=1)
    expected = np.concatenate([mean_N[0, 12:18], mean_N[1, 18:]])
    np.testing.assert_allclose(np.exp(found.log_px_N), expected)
    plain = replace(of, elbo_RN=None, iwae_RN=None)
    assert classify_by_all(problem, models, plain, plain, "uniform").test["auto"].log_px_N is None


def test_spread_is_about_each_clips_own_mean():
    assert spread(np.array([[1.0, 3.0], [101.0, 103.0]])) == 1.0
    assert spread(np.array([[5.0, 5.0]])) == 1.0
