"""Studies by densities: a run folder from sound, kept cells, and numbers that training clips alone determine."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from serjax import main
from serjax.errors import ConfigError
from serjax.evaluate.predictions import read_predictions
from serjax.experiments import generative
from serjax.models.density.classifier import Vector
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures
from serjax.study.density.study import DensityProblem, DensityStudy, Scorer, System
from serjax.study.density.system import Frames, Said, fit_members, functionals, rows_of
from serjax.study.flags import Data, Machine
from serjax.study.problem import Cell, labelled_corpus, split_for_seeds
from tests.conftest import leave_blank
from tests.study.stand_ins import METRICS

pytestmark = pytest.mark.slow

CONFIG = generative.Config(
    data=Data(synthetic_clips=96, emotions=("angry", "sad"), protocol="speaker-5fold"),
    features=VoiceFeatures(frames=101),
    background=Supervectors(components=4, backgrounds=2, background_frames=500, warps=(0.92,)),
    density=Density(axes=10, shrinkages=(0.2, 0.8)),
    machine=Machine(devices=1, quiet=True),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole run."""
    out = tmp_path_factory.mktemp("density") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serjax.folder.manifest.draw", leave_blank)
        main.run(replace(CONFIG, machine=replace(CONFIG.machine, out=out, cache=out.parent / "cache")))
    return out


def test_a_run_folder_tells_emotions_apart(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics) == set(METRICS)
    assert metrics["uar"] > 0.75  # angry and sad sound very different
    assert metrics["refit"] is True
    assert {key: set(chosen) for key, chosen in metrics["chosen"].items()} == {
        f"0/{fold}": {"n_parameters", "supervector", "functionals"} for fold in metrics["per_fold"]["0"]
    }
    test, validation = (read_predictions(finished / name) for name in ("predictions.csv", "validation.csv.gz"))
    assert sorted(test.utterance) == sorted(set(test.utterance))  # each clip once
    assert len(validation.utterance) > 0
    assert test.log_px_N.std() > 0  # of each clip its own
    assert validation.log_px_N.std() > 0
    assert metrics["n_parameters"] > 2 * 2 * 69 * 4  # two background models, means and variances


def test_a_run_that_was_stopped_fits_only_what_is_missing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, machine=replace(CONFIG.machine, out=tmp_path / "run", cache=finished.parent / "cache"))
    fit_cell, fitted = System.fit_cell, []

    def stopping(self: System, cell: Cell, scores: Scorer) -> object:
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return noting(self, cell, scores)

    def noting(self: System, cell: Cell, scores: Scorer) -> object:
        fitted.append(cell.fold.name)
        return fit_cell(self, cell, scores)

    with monkeypatch.context() as patch:
        patch.setattr(System, "fit_cell", stopping)
        with pytest.raises(KeyboardInterrupt):
            main.run(config)
    monkeypatch.setattr(System, "fit_cell", noting)
    main.run(config)
    assert len(fitted) == len(set(fitted)) == 5
    assert (tmp_path / "run/predictions.csv").read_bytes() == (finished / "predictions.csv").read_bytes()


@pytest.fixture(scope="module")
def problem() -> DensityProblem:
    """Return clips of noise whose level tells the emotion."""
    corpus = labelled_corpus(CONFIG.data)
    (split,) = split_for_seeds(corpus, CONFIG.data, selecting=True)
    rng, n_clips = np.random.default_rng(0), len(corpus.utterances)
    level_N = corpus.label_ids[:, None]
    return DensityProblem(
        corpus=corpus,
        protocol=split.protocol,
        speakers_shared=False,
        x_NTC=(rng.normal(size=(n_clips, 40, 67)) + level_N[..., None]).astype(np.float32),
        mask_NT=np.ones((n_clips, 40), np.float32),
        cells=tuple(Cell(0, fold) for fold in split.folds),
        functionals_ND=(rng.normal(size=(n_clips, 12)) + level_N).astype(np.float32),
    )


def system_of(problem: DensityProblem) -> System:
    config = replace(CONFIG, features=replace(CONFIG.features, top_db=1e9))
    frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, config.features, config.background.warps)
    return System(problem, frames, config)


def test_what_test_clips_are_changes_nothing_for_others(problem: DensityProblem) -> None:
    """Their sound and labels are poisoned: what is fitted and chosen stays the same to the last bit."""
    cell = problem.cells[0]
    poisoned_x, poisoned_f = problem.x_NTC.copy(), problem.functionals_ND.copy()
    poisoned_x[cell.fold.test] = 1e6
    poisoned_f[cell.fold.test] = -1e6
    poisoned = replace(problem, x_NTC=poisoned_x, functionals_ND=poisoned_f)
    truth_N = problem.truth_N.copy()
    truth_N[cell.fold.test] = 1 - truth_N[cell.fold.test]
    poisoned.__dict__["truth_N"] = truth_N
    systems = [system_of(one) for one in (problem, poisoned)]
    clean, other = (system.fit_cell(cell, system.scores) for system in systems)
    np.testing.assert_array_equal(clean.validation.scores_NK, other.validation.scores_NK)
    assert clean.facts == other.facts
    assert not np.array_equal(clean.test.scores_NK, other.test.scores_NK)


def test_validation_clips_are_left_out_of_what_judges_them(problem: DensityProblem) -> None:
    cell = problem.cells[0]
    poisoned_f = problem.functionals_ND.copy()
    poisoned_f[cell.fold.validation] = 1e3
    alone = replace(CONFIG, features=replace(CONFIG.features, vectors=("functionals",)))
    judged = []
    for one in (problem, replace(problem, functionals_ND=poisoned_f)):
        system = replace(system_of(one), config=alone)
        judged.append(system.scores("functionals", cell, False, (0.2,))[0.2].scores_NK[cell.fold.test])
    np.testing.assert_array_equal(*judged)


def test_functionals_are_whitened_as_they_are_where_clips_are_fewer_than_features() -> None:
    """Not projected onto principal axes first: those follow the features with the largest units."""
    rng, labels_N, train = np.random.default_rng(0), np.arange(30) % 2, np.arange(20)
    x_ND = (rng.normal(size=(30, 40)) + labels_N[:, None]) * np.geomspace(0.01, 100, 40)
    vectors = functionals(x_ND.astype(np.float32), train, labels_N)
    found = Said.by(fit_members(vectors, 2, Density(axes=4), (0.4,))[0.4], vectors)
    z_ND = (x_ND - x_ND[train].mean(axis=0)) / x_ND[train].std(axis=0)
    mean_KD = np.stack([z_ND[train][labels_N[train] == label].mean(axis=0) for label in (0, 1)])
    residual_MD = z_ND[train] - mean_KD[labels_N[train]]
    covariance_DD = residual_MD.T @ residual_MD / len(train)
    shrunk_DD = 0.6 * covariance_DD + 0.4 * np.trace(covariance_DD) / 40 * np.eye(40)
    apart_NKD = z_ND[:, None] - mean_KD
    expected = -np.einsum("nkd,de,nke->nk", apart_NKD, np.linalg.inv(shrunk_DD), apart_NKD) / 2
    np.testing.assert_allclose(found.scores_NK, expected, rtol=1e-5)  # measured 6e-7
    shrunk_DD *= np.outer(*[x_ND[train].std(axis=0)] * 2)
    centre_KD = mean_KD * x_ND[train].std(axis=0) + x_ND[train].mean(axis=0)
    of_classes_KN = [multivariate_normal(mean_D, shrunk_DD).logpdf(x_ND) for mean_D in centre_KD]
    np.testing.assert_allclose(found.log_px_N, np.logaddexp(*of_classes_KN) - np.log(2), rtol=1e-5)


@pytest.mark.parametrize(
    "density", [Density(), Density(density="pca"), Density(own=0.3), *map(Density, ("mixture", "logistic"))]
)
def test_a_fitted_classifier_scores_clips_as_its_study_did(problem: DensityProblem, density: Density) -> None:
    """One that is made of arrays alone, of frames and functionals; its scores range over 30 and more."""
    kinds: tuple[Vector, ...] = ("mfcc", "supervector", "functionals")
    config = replace(CONFIG, density=density, features=replace(CONFIG.features, vectors=kinds, top_db=1e9))
    system, cell = replace(system_of(problem), config=config), problem.cells[0]
    rows = rows_of(cell.fold, True)
    said = [system.scores(kind, cell, True, (0.2,))[0.2] for kind in kinds]
    units = dict(zip(kinds, (3.0, 2.0, 5.0), strict=True))
    classifier = system.classifier(cell.seed, rows, dict.fromkeys(kinds, 0.2), units)
    scores_NK, log_px_N = classifier(*system.frames.recorded, jnp.asarray(problem.functionals_ND))
    np.testing.assert_allclose(
        scores_NK, sum(one.scores_NK / unit for one, unit in zip(said, units.values(), strict=True)), atol=1e-4
    )
    np.testing.assert_allclose(log_px_N, said[1].log_px_N, rtol=1e-5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"features": VoiceFeatures(vectors=())}, "--vectors"),
        ({"background": Supervectors(components=0)}, "--components 0"),
        ({"background": Supervectors(warps=(3.0,))}, "--warps 3.0: expected factors from 0.5 to 2"),
        ({"density": Density(own=1.5)}, "--own 1.5: expected a share from 0 to 1"),
        ({"density": Density(own=0.5, density="pca")}, "--own goes with --density gaussian"),
        ({"density": Density(emotion_axes=400)}, "--emotion-axes 400: expected 0 to --axes, 300"),
        ({"density": Density(shrinkages=(0.0,))}, "--shrinkages"),
    ],
)
def test_flags_that_nothing_can_be_fitted_with_are_refused(flags: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DensityStudy("generative", replace(CONFIG, **flags)).check()
