"""Waveform augmentation in an experiment: honest in the train step, and a leak, called one, before the split."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from serjax import main
from serjax.data import load_corpus
from serjax.data.corpora.corpus import Waveforms, Window
from serjax.data.feature_cache import Features as Table
from serjax.dsp import extract
from serjax.errors import ConfigError
from serjax.experiments import logreg
from serjax.folder.finished import read_run
from serjax.results.comparison import make_table
from serjax.study.augmentation import Augmentation, check_augmentation, with_waveforms
from serjax.study.copies import CopiedSource, copied, copy_key, full_clips
from serjax.study.fingerprint import fingerprint
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import Features
from serjax.study.problem import load_problem

pytestmark = pytest.mark.slow

DATA = Data(synthetic_clips=96, protocol="random-80-20")
PICTURE = Features(sample_rate=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=12)
TRAINING = SupervisedTraining(epochs=1, batch_size=32)
RECIPE = Augmentation(picks=2, noise_share=0.05, pitch_semitones=0.0, shift_samples=200)


def run(out, augmentation, **training):
    """Run the experiment, and return its configuration and its figures."""
    machine = Machine(out=out, devices=1, quiet=True)
    training = replace(TRAINING, **training)
    sections = {"data": DATA, "features": PICTURE, "training": training, "augmentation": augmentation}
    main.run(logreg.Config(**sections, machine=machine))
    return (json.loads((out / name).read_text()) for name in ("config.json", "metrics.json"))


def test_training_hears_changed_clips_and_tests_the_originals(tmp_path):
    config, metrics = run(tmp_path / "augmented", RECIPE)
    plain_config, plain = run(tmp_path / "plain", Augmentation())
    assert config["config"]["augmentation"]["shift_samples"] == 200
    assert metrics["leak"] is None
    assert metrics["title"] == plain["title"] == "synthetic, random-80-20, LEAK: speakers shared, 1 seed"
    assert plain_config["fingerprint"] == fingerprint(
        "logreg", {"data": DATA, "features": PICTURE, "model": logreg.Model(), "training": TRAINING}
    )
    assert config["fingerprint"] != plain_config["fingerprint"]
    tested, plainly = (read_run(tmp_path / name).predictions for name in ("augmented", "plain"))
    assert tested.utterance == plainly.utterance
    assert (tested.scores_NK != plainly.scores_NK).any()


def test_copies_before_the_split_are_rows_of_their_own_and_every_title_says_leak(tmp_path, capsys):
    config, metrics = run(tmp_path / "copies", replace(RECIPE, copies_before_split=2))
    assert config["config"]["augmentation"]["copies_before_split"] == 2
    tested = read_run(tmp_path / "copies")
    assert len(tested.predictions.utterance) in (38, 39)  # a fifth of 192 copies
    assert {path[-2:] for path in tested.predictions.utterance} == {"#1", "#2"}
    assert "2 augmented copies of each recording" in metrics["leak"]
    assert f"LEAK: {metrics['leak']}" in metrics["title"]
    assert tested.leak == metrics["leak"]
    assert "LEAK: 2 augmented copies" in make_table([tested], "uar", anyway=False).rows[0].protocol
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("LEAK: 2 augmented copies") == 3  # comparison, report, probabilities


def test_waveforms_are_those_that_the_features_were_computed_from(tmp_path):
    problem = with_waveforms(load_problem(DATA, PICTURE, tmp_path, lambda done, total: None), DATA, PICTURE.frontend())
    sound = problem.sounding_dataset.sound
    x_NTC = extract(PICTURE.frontend(), sound.wav_NL, n_valid=sound.n_valid_N)
    np.testing.assert_allclose(x_NTC, problem.x_NTC, atol=1e-3)
    assert problem.dataset.sound is None


class Numbered:
    """Clips of one value each, read from their names; how often each is read is counted."""

    def __init__(self):
        self.n_read = 0

    def read(self, paths, window):
        self.n_read += len(paths)
        return Waveforms(np.array([np.arange(20.0) + float(p) for p in paths], np.float32), np.full(len(paths), 20))

    def digest(self, path):
        return f"digest of {path}"


def test_a_copy_is_a_function_of_path_and_number():
    window, recipe = Window(8_000, 20), replace(RECIPE, shift_samples=5).recipe
    source = CopiedSource(Numbered(), recipe)
    paths = [f"{clip}#{number}" for clip in (1, 2, 3) for number in (1, 2, 3, 4)]
    among = source.read(paths, window)
    assert source.source.n_read == 3
    backwards, alone = source.read(paths[::-1], window), source.read(paths[5:6], window)
    np.testing.assert_array_equal(among.values_BN, backwards.values_BN[::-1])
    np.testing.assert_array_equal(among.values_BN[5], alone.values_BN[0])
    assert len({row.tobytes() for row in among.values_BN}) > 6  # one in nine is the untouched clip
    np.testing.assert_array_equal(among.n_valid_B, 20)
    digests = {source.digest(path) for path in paths}
    other = CopiedSource(Numbered(), replace(recipe, noise_share=0.5))
    assert len(digests) == 12
    keys = [jax.random.key_data(copy_key(path)).tolist() for path in ("a/1.wav#1", "b/c/1.flac#1", "a/1.wav#2")]
    assert keys[0] == keys[1] != keys[2]
    assert not digests & {other.digest(path) for path in paths}


def test_copies_that_do_not_fill_all_frames_are_left_out_with_a_note():
    copies = copied(load_corpus("synthetic", synthetic_clips=96), RECIPE.recipe, 3)
    assert len(copies.utterances) == 288
    mask_NT = np.ones((288, 4), bool)
    mask_NT[[0, 100], 3] = False
    corpus, table = full_clips(
        copies, Table(np.arange(288.0, dtype=np.float32)[:, None, None] + np.zeros((1, 4, 2), np.float32), mask_NT)
    )
    assert [u.path for u in corpus.utterances] == [u.path for n, u in enumerate(copies.utterances) if n not in (0, 100)]
    np.testing.assert_array_equal(table.values_NTD[:, 0, 0], np.delete(np.arange(288), [0, 100]))
    left_out = [copies.utterances[n].path for n in (0, 100)]
    assert [path for path, _ in corpus.notes[-1].clips] == left_out
    with pytest.raises(ConfigError, match="fewer --frames"):
        full_clips(copies, Table(np.zeros((288, 4, 2), np.float32), np.zeros((288, 4), bool)))


@pytest.mark.parametrize(
    ("flags", "protocol", "message"),
    [
        ({"picks": -1}, None, "--picks -1"),
        ({"noise_share": -0.1}, None, "--noise-share"),
        ({"pitch_semitones": 30.0}, None, "-24 to 24"),
        ({"stretch_rate": 0.1}, None, "--stretch-rate 0.1"),
        ({"shift_samples": -5}, None, "--shift-samples"),
        ({"picks": 1, "noise_share": 0.0, "shift_samples": 0}, None, "nothing to pick from"),
        ({"copies_before_split": 3}, None, "random-80-20 or random-5fold.*here: default"),
        ({"copies_before_split": 3}, "speaker-6fold", "both sides of the split.*speaker-6fold"),
        ({"copies_before_split": 3}, "text", "both sides of the split"),
        ({"copies_before_split": 3, "picks": 0}, "random-5fold", "--picks"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, protocol, message):
    with pytest.raises(ConfigError, match=message):
        check_augmentation(replace(RECIPE, **flags), protocol)


def test_flags_that_make_sense_are_not():
    for augmentation, protocol in ((Augmentation(), None), (RECIPE, "loso")):
        check_augmentation(augmentation, protocol)
    check_augmentation(Augmentation(picks=2, pitch_semitones=-3.0, copies_before_split=3), "random-5fold")
