"""Exported runs: what is refitted, what is measured on held-out clips alone, what the bundle says, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from serjax.bundle.content import content_of_file
from serjax.bundle.parts import BundleError
from serjax.data import load_corpus
from serjax.data.corpora.joined import JoinedSource
from serjax.data.segments import Segment
from serjax.errors import ConfigError
from serjax.evaluate.calibration import fit_temperature, log_posterior, tempered
from serjax.evaluate.predictions import read_predictions
from serjax.experiments import vae_mfcc
from serjax.export.__main__ import Config, content_hashes, export
from serjax.export.measure import HeldOut, find_shortest
from serjax.export.rebuild import from_json, read_exported
from serjax.export.refit import chosen_score
from serjax.study.generative.models import Models
from serjax.study.generative.scores import explain
from serjax.study.supervised import compute_logits
from tests.export.made import EMOTIONS, vae_config

pytestmark = pytest.mark.slow


def read(path):
    return json.loads(path.read_text())


def test_a_network_in_memory_and_its_bundle_agree(network):
    """The study's own way from features to logits, two seeds, against a waveform given to the bundle."""
    [(asked, trained)] = network.trained
    logits_SNK = compute_logits(asked, trained)[:2].astype(np.float64)
    about = network.bundle.about
    bundle = replace(network.bundle, about=replace(about, calibration=replace(about.calibration, temperature=0.5)))
    expected_NK = np.mean([np.exp(tempered(logits_NK, 0.5)) for logits_NK in logits_SNK], axis=0)
    answers = [bundle(*soundfile.read(path, dtype="float32")) for path in network.clips]
    found_NK = [[answer.probabilities[label] for label in asked.problem.labels] for answer in answers]
    np.testing.assert_allclose(found_NK, expected_NK, atol=1e-5)
    assert np.ptp(expected_NK, axis=0).min() > 1e-3  # clips differ by more than is tolerated
    assert answers[0].scores is None
    assert answers[0].out_of_corpus is None


def test_autoencoders_in_memory_and_their_bundle_agree(vae):
    """By reconstruction, as the study computes it; measured 2e-7."""
    asked, trained = vae.trained[-1]
    models = Models(asked.recipe.objective.model, asked.runs, trained.params, asked.runs, trained)
    explained = explain(asked.problem, models, lambda _: np.zeros(0, np.int64), 2, asked.trainer)
    bundle = vae.bundle
    by_error = replace(bundle, system=replace(bundle.system, score="reconstruction"))
    found = [by_error(*soundfile.read(path, dtype="float32")).scores for path in vae.clips]
    found_KN = [[-scores[label] for scores in found] for label in asked.problem.labels]
    np.testing.assert_allclose(found_KN, explained.error_RN[:3], rtol=1e-5)


@pytest.mark.parametrize("score", ["elbo", "iwae"])
def test_bounds_of_the_likelihood_are_those_of_the_study(vae, score, monkeypatch):
    """The study's in float64, of the same noise for every clip; measured 2e-7."""
    monkeypatch.setattr("serjax.study.trainer.utterance_ids", lambda names: np.zeros(len(names), np.uint32))
    asked, trained = vae.trained[-1]
    models = Models(asked.recipe.objective.model, asked.runs, trained.params, asked.runs, trained)
    explained = explain(asked.problem, models, lambda _: np.arange(len(asked.problem.truth_N)), 2, asked.trainer)
    bundle = vae.bundle
    own = replace(bundle.system, score=score, n_samples=2, log_prior=(0.0, -1.0, 0.0))
    weights = {**bundle.weights, "variance": explained.variance_c[:1, None].astype(np.float32)}
    known = replace(bundle, system=own, weights=weights)
    found = [known(*soundfile.read(path, dtype="float32")).scores for path in vae.clips[:8]]
    expected_RN = explained.elbo_RN if score == "elbo" else explained.iwae_RN
    found_KN = np.array([[scores[label] for scores in found] for label in asked.problem.labels])
    np.testing.assert_allclose(found_KN + np.array([[0.0], [1.0], [0.0]]), expected_RN[:3, :8], rtol=1e-5)


def test_all_rows_are_fitted_and_folds_keep_their_validation_rows_out(network):
    [(asked, _)] = network.trained
    n_clips = len(asked.problem.truth_N)
    assert [len(run.train) for run in asked.runs[:2]] == [n_clips, n_clips]
    assert [run.seed for run in asked.runs[:2]] == [0, 1]
    held_out = asked.problem.cells[2:]
    assert len(held_out) == 4
    for run, cell in zip(asked.runs[2:], held_out, strict=True):
        assert cell.fold.test.size
        assert not set(run.train) & set(cell.fold.test)


def test_numbers_are_medians_of_what_the_run_chose(network, vae):
    epochs = list(read(network.run / "metrics.json")["chosen_epochs"].values())
    assert network.bundle.about.refit["epochs"] == round(np.median(epochs))
    chosen = read(vae.run / "metrics.json")["chosen_epochs"]
    for label in (*EMOTIONS, "all"):
        of_label = [epoch for name, epoch in chosen.items() if name.endswith(f"/{label}")]
        assert vae.bundle.about.refit["epochs"][label] == round(np.median(of_label))
        assert len(of_label) == 4
    asked, _ = vae.trained[-1]
    assert [run.epochs for run in asked.runs[:3]] == [vae.bundle.about.refit["epochs"][label] for label in EMOTIONS]


def test_of_scores_the_most_frequent_counts_then_the_better_on_validation():
    scores = {name: {"validation_uar": uar} for name, uar in (("elbo", 0.4), ("iwae", 0.3), ("reconstruction", 0.5))}
    chosen = {"0/a": "elbo", "0/b": "iwae", "0/c": "iwae"}
    assert chosen_score("auto", {"scores": scores, "chosen_scores": chosen}) == "iwae"
    assert chosen_score("auto", {"scores": scores, "chosen_scores": {**chosen, "0/d": "elbo"}}) == "elbo"
    assert chosen_score("reconstruction", {}) == "reconstruction"


def test_the_temperature_is_that_of_the_stored_validation_scores(network):
    held_out = read_predictions(network.run / "validation.csv.gz")
    calibration = network.bundle.about.calibration
    assert calibration.temperature == fit_temperature(log_posterior(held_out.scores_NK), held_out.truth)
    assert calibration.n_clips == len(held_out.truth)


def test_the_shortest_cut_is_the_first_that_is_nearly_as_good():
    """Of ten clips a cut of .5 s gets 5, one of 1 s 9, whole ones 9: a UAR of .9."""
    truth_N = np.repeat([0, 1], 5)
    scores_CNK = np.zeros((5, 10, 2))
    for cut, n_right in enumerate((5, 9, 8, 9, 9)):
        scores_CNK[cut, np.arange(10), np.where(np.arange(10) < n_right, truth_N, 1 - truth_N)] = 1
    found = find_shortest(HeldOut(scores_CNK, None, truth_N, 1.0))
    assert found.shortest_s == found.needed_s == 1.0
    assert found.uar == ((0.5, 0.5), (1.0, 0.9), (1.5, 0.8), (2.0, 0.9))
    none = find_shortest(HeldOut(scores_CNK[[0, 0, 0, 0, 4]], None, truth_N, 1.0))
    assert (none.shortest_s, none.needed_s) == (None, 2.0)


def test_the_card_says_what_the_run_reached(vae):
    text = (vae.folder / "README.md").read_text()
    metrics = read(vae.run / "metrics.json")
    front = text.split("---\n")[1]
    index = json.loads(next(line for line in front.splitlines() if line.startswith("model-index")).partition(": ")[2])
    assert index[0]["results"][0]["metrics"][0] == {"type": "uar", "value": metrics["uar"], "name": "uar"}
    for heading in ("Intended use", "Limits", "By gender of the speaker", "By length"):
        assert f"\n## {heading}\n" in text
    assert f"{metrics['uar']:.3f}" in text
    assert set(vae.bundle.about.run["uar_by_gender"]) == {"female", "male"}


def test_files_of_joined_corpora_and_of_segments_are_hashed_too(vae):
    corpus = load_corpus(str(vae.corpus), None)
    hashes = vae.bundle.about.training.sha256
    named = tuple(replace(clip, path=f"a/{clip.path}") for clip in corpus.utterances)
    joined = replace(corpus, utterances=named, source=JoinedSource({"a": corpus.source}, {"a": 0.0}))
    parts = {clip.path: Segment(vae.clips[0].name, 0.0, 1.0) for clip in corpus.utterances}
    segments = replace(corpus, source=replace(corpus.source, segments=parts))
    assert content_hashes(joined) == content_hashes(corpus) == hashes
    assert content_hashes(segments) == (content_of_file(vae.clips[0]),)
    assert content_hashes(load_corpus("synthetic", None)) is None


def test_flags_come_back_from_json(vae):
    content = read(vae.run / "config.json")["config"]
    assert from_json(vae_mfcc.Config, {**content, "machine": {}}).data == vae_config(vae.corpus).data
    moved = read_exported(vae.run, vae.corpus.parent / "elsewhere").study
    assert moved.data.root == vae.corpus.parent / "elsewhere"


def test_what_cannot_be_exported_is_refused(vae, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(BundleError, match="is no bundle: give a new folder"):
        export(Config(vae.run, tmp_path / "full"))
    with pytest.raises(ConfigError, match="is not there: give the folder of a finished run"):
        export(Config(tmp_path / "gone", tmp_path / "b"))
    with pytest.raises(ConfigError, match="--seeds 0"):
        export(Config(vae.run, tmp_path / "b", seeds=0))
