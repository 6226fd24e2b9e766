"""Classifiers by densities as bundles: waveforms in, the scores of the study's own classifier out."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from serjax.bundle.about import About, Calibration, Listening, Training
from serjax.bundle.bundle import Bundle, load_bundle
from serjax.bundle.folder import write_bundle
from serjax.bundle.parts import BundleError
from serjax.data import Window, load_corpus
from serjax.data.features import load_features
from serjax.data.splits import split_corpus
from serjax.errors import ConfigError
from serjax.experiments.generative import Config
from serjax.export.rebuild import check_exportable
from serjax.export.refit import cells_to_fit, of_seeds, refit_densities
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures
from serjax.study.density.study import DensityProblem, System
from serjax.study.density.system import Frames
from serjax.study.problem import Cell
from tests.export.made import write_corpus

pytestmark = pytest.mark.slow

CONFIG = Config(
    features=VoiceFeatures(vectors=("supervector", "mfcc"), frames=101, n_mfcc=8, slices=2),
    background=Supervectors(components=4, backgrounds=2, background_frames=800, warps=(1.1,)),
    density=Density(axes=6),
)
CHOSEN = {  # by four cells of a run
    f"0/{n}": {kind: {"shrinkage": share, "unit": unit} for kind in ("supervector", "mfcc")}
    for n, (share, unit) in enumerate(((0.1, 1.0), (0.2, 3.0), (0.4, 5.0), (0.2, 2.0)))
}


@pytest.fixture(scope="module")
def problem(tmp_path_factory) -> DensityProblem:
    """Two seconds of 36 clips; of functionals, which take long to compile, there are none."""
    corpus = load_corpus(str(write_corpus(tmp_path_factory.mktemp("corpus"))), None)
    found = load_features(corpus, CONFIG.features.frontend())
    folds = split_corpus(corpus, "loso").folds
    made = DensityProblem(
        corpus=corpus,
        protocol="loso",
        speakers_shared=False,
        x_NTC=found.values_NTD,
        mask_NT=found.mask_NT.astype(np.float32),
        cells=tuple(Cell(0, fold) for fold in folds),
        functionals_ND=np.zeros((len(corpus.utterances), 1), np.float32),
    )
    return replace(made, cells=cells_to_fit(made, 2))


def test_a_classifier_in_memory_and_its_bundle_agree(problem, tmp_path):
    """Two seeds; through files and from waveforms; measured 1e-7."""
    refitted = refit_densities(CONFIG.study(), {"chosen": CHOSEN}, problem, lambda done, total: None)
    assert refitted.chosen == {
        name: dict.fromkeys(("supervector", "mfcc"), at) for name, at in (("shrinkage", 0.2), ("unit", 2.5))
    }
    about = About(
        labels=problem.labels,
        system=refitted.system.describe(),
        listening=Listening(0.0, None),
        calibration=Calibration(1.0, 2.0, 1),
        training=Training(36, None),
        weights_sha256="",
    )
    write_bundle(Bundle(about, refitted.system, of_seeds(refitted.weights[:2])), tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, CONFIG.features, CONFIG.background.warps)
    own, everything = System(problem, frames, CONFIG), np.arange(36)
    shares, units = (dict.fromkeys(("supervector", "mfcc"), at) for at in (0.2, 2.5))
    said = [own.classifier(seed, everything, shares, units)(*frames.recorded, jnp.zeros((36, 1))) for seed in (0, 1)]
    expected_NK = bundle.probabilities(np.stack([scores_NK for scores_NK, _ in said]).astype(float))
    window = Window(bundle.sample_rate_hz, bundle.n_samples)
    sound = problem.corpus.source.read([clip.path for clip in problem.corpus.utterances], window)
    clips = [wav_N[:n] for wav_N, n in zip(sound.values_BN, sound.n_valid_B, strict=True)]
    answers = bundle.answers(clips)
    found_NK = [[answer.probabilities[label] for label in problem.labels] for answer in answers]
    np.testing.assert_allclose(found_NK, expected_NK, atol=1e-5)
    assert np.ptp(expected_NK, axis=0).min() > 0.1
    evidence_N = np.mean([log_px_N for _, log_px_N in said], axis=0)
    np.testing.assert_allclose([answer.evidence for answer in answers], evidence_N, rtol=1e-5)


def test_classifiers_that_files_cannot_hold_are_refused(problem):
    for flags, says in (
        (Density(density="vae"), "--density vae"),
        (Density(density="tied-vae"), "--density tied-vae"),
        (Density(enrolment=5), "--enrolment"),
    ):
        with pytest.raises(BundleError, match=f"with {says}.* is not exported"):
            check_exportable(replace(CONFIG, density=flags).study())
    check_exportable(CONFIG.study())
    for name in ("vae", "tied-vae"):  # no Gaussians instead, whoever asks
        study = replace(CONFIG, density=Density(density=name)).study()
        with pytest.raises(ConfigError, match=f"--density {name} gives no classifier"):
            refit_densities(study, {"chosen": CHOSEN}, problem, lambda *_: None)
    old = json.loads(json.dumps(CHOSEN).replace("unit", "scale"))
    with pytest.raises(BundleError, match="does not say the unit of supervector: it is older"):
        refit_densities(CONFIG.study(), {"chosen": old}, problem, lambda *_: None)
