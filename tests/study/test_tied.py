"""A study of tied VAEs on mel pictures: how it classifies, and what its voices are, as pictures and as sounds."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from serjax import dsp
from serjax.data import Corpus
from serjax.data.feature_cache import Features
from serjax.dsp import Frontend, LogMel
from serjax.errors import ConfigError
from serjax.experiments import tied_vae_mel
from serjax.folder.manifest import changed
from serjax.study import problem as problem_module
from serjax.study.flags import Data, Machine
from serjax.study.frontends import MelFeatures
from serjax.study.generative.tied import TiedModel, TiedStudy, TiedTraining
from serjax.study.generative.tied_start import LinearPath
from serjax.study.generative.voices import Voice, make_voices, mel_sounds, write_sounds
from serjax.study.problem import Problem, load_problem
from serjax.study.runs import pooled_runs
from serjax.study.stages import complete
from tests.reference.dsp import vowel

pytestmark = pytest.mark.slow

LABELS = ("happy", "sad")
MEL = MelFeatures(sample_rate=8_000, frames=10, n_fft=256, hop_length=128, n_mels=12)
FLAGS = tied_vae_mel.Config(
    data=Data(synthetic_clips=96, emotions=LABELS, protocol="speaker-6fold"),
    features=MEL,
    model=TiedModel(latent_dim=3, hidden=(8,)),
    training=TiedTraining(epochs=2, learning_rate=0.01, batch_size=8, roll_frames=1, refit=True),
    machine=Machine(quiet=True, devices=1),
)


def levels(corpus: Corpus, frontend: Frontend, **_: object) -> Features:
    """Give features that nobody computed: noise about a level of the clip's emotion, the last two frames not valid."""
    shape = (len(corpus.utterances), frontend.n_frames, frontend.n_features)
    level_N = np.array([6.0 if clip.emotion == "happy" else -6.0 for clip in corpus.utterances])
    values_NTD = level_N[:, None, None] + 6 * np.random.default_rng(0).normal(size=shape) - 20
    mask_NT = np.ones(shape[:2], bool)
    mask_NT[:, -2:] = False
    return Features(values_NTD.astype(np.float32), mask_NT)


@pytest.fixture(autouse=True, scope="module")
def no_sound() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem_module, "load_features", levels)
        yield


def declared(out: Path, **flags: object) -> TiedStudy:
    return replace(FLAGS, machine=replace(FLAGS.machine, out=out), **flags).study()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tied") / "o"
    complete([declared(out)])
    return out


def test_one_model_a_fold_tells_emotions_apart(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["uar"] > 0.9
    assert metrics["validation_uar"] > 0.9
    assert (metrics["model"], metrics["n_models"], metrics["refit"]) == ("TiedVAE", 6, True)
    assert set(metrics["chosen_epochs"]) == {f"0/fold-{n}" for n in range(1, 7)}
    assert (finished / "figures" / "learning.png").exists()


def test_voices_are_written_and_vouched_for(finished: Path) -> None:
    names = {path.stem for path in (finished / "samples").iterdir()}
    rows = ("real", "rebuilt", "happy-as", "new")
    assert names == {f"{row}-{label}" for row in rows for label in LABELS}
    for name in names:
        sound_N, rate_hz = soundfile.read(finished / "samples" / f"{name}.wav")
        assert rate_hz == 8_000
        assert len(sound_N) == (9 if name.startswith("new") else 8) * 128  # of ten frames eight are valid
        assert np.abs(sound_N).max() <= 1
        assert np.abs(sound_N).max() > 0
    assert (finished / "figures" / "voices.png").stat().st_size > 10_000
    assert changed(finished) == ()
    (finished / "samples" / "new-sad.wav").write_bytes(b"other")
    assert changed(finished) == ("samples/new-sad.wav",)


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return load_problem(FLAGS.data, MEL, tmp_path, lambda done, total: None)


def test_voices_are_test_clips_in_decibels_and_in_another_emotion(problem: Problem, tmp_path: Path) -> None:
    """Of a model whose class moves every band, by 2 standard deviations in all, and that says nothing else."""
    network = declared(tmp_path).network(problem)
    (run, *_) = pooled_runs(problem, False, FLAGS.training, {"beta": 1.0}, 1, 1)
    shapes = network.init(jax.random.key(0), jnp.zeros((1, 10, 12)), jnp.zeros((1, 3)), jnp.zeros((1, 2)))
    params = jax.tree.map(jnp.zeros_like, shapes)
    params["params"]["class_effect"]["kernel"] = jnp.ones((1, 120))
    params["params"]["class_means"] = jnp.array([[1.0], [-1.0]])
    voices = {voice.name: voice for voice in make_voices(problem, network, params, run)}
    test = problem.cells[0].fold.test
    first = test[problem.truth_N[test] == 0][0]
    np.testing.assert_array_equal(voices["real happy"].picture_TM, problem.x_NTC[first])
    assert [voice.n_frames for voice in voices.values()] == [8] * 6 + [10] * 2
    rebuilt, other = (voices[name].picture_TM for name in ("rebuilt happy", "happy as sad"))
    np.testing.assert_array_equal(rebuilt, voices["happy as happy"].picture_TM)
    np.testing.assert_allclose(rebuilt - other, np.broadcast_to(2 * run.scale_C, (10, 12)), rtol=1e-4)
    np.testing.assert_allclose(rebuilt, np.broadcast_to(run.shift_C, (10, 12)), rtol=1e-4)  # its code is (0, 0)


def test_a_model_starts_by_what_moments_say_of_the_emotion() -> None:
    """A step from one class mean to another moves a picture by the difference of the means; units are whitened."""
    random, label_n = np.random.default_rng(0), np.arange(300) % 3
    noise_nD = random.normal(size=(300, 20)) + 5 * random.normal(size=(300, 1))
    x_nD = (noise_nD + 2 * np.eye(3, 20)[label_n]).astype(np.float32)
    path = LinearPath.fit(x_nD, label_n, 3, 3)
    mean_KD = np.stack([x_nD[label_n == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(mean_KD @ path.axes_DU, path.means_KU, atol=1e-3)
    steps_KD = (path.means_KU - path.means_KU[:1]) @ path.effect_UD
    np.testing.assert_allclose(steps_KD, mean_KD - mean_KD[:1], atol=1e-2)
    distance_nK = np.square((x_nD @ path.axes_DU)[:, None] - path.means_KU).sum(axis=2)
    assert (distance_nK.argmin(axis=1) == label_n).mean() > 0.8
    assert not path.axes_DU[:, 2].any()  # two dimensions hold three means


def test_a_sound_has_the_mel_bands_it_is_made_of_and_is_never_too_loud(tmp_path: Path) -> None:
    frontend = LogMel(sample_rate_hz=8_000, frames=40, n_fft=512, hop_length=128, n_mels=40, fmin_hz=50.0)
    picture_TM = np.asarray(frontend.features(jnp.asarray(vowel(frontend.n_samples, 8_000)), jnp.array(9_999)))
    (sound_N,) = mel_sounds(picture_TM[None], frontend)
    again_TM = np.asarray(dsp.extract(frontend, sound_N))
    loud = picture_TM > picture_TM.max() - 30
    assert np.abs(again_TM - picture_TM)[loud].mean() < 2  # dB
    write_sounds([Voice("new a/b", picture_TM + 60, 40), Voice("new c", picture_TM, 40)], frontend, tmp_path / "s")
    too_loud_N, as_it_is_N = (soundfile.read(path)[0] for path in sorted((tmp_path / "s").iterdir()))
    assert np.abs(too_loud_N).max() == pytest.approx(1, abs=1e-3)
    assert np.abs(as_it_is_N).max() == pytest.approx(np.abs(sound_N).max(), rel=0.05)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": TiedModel(latent_dim=3, class_dim=4)}, "--class-dim 4: expected 1 to --latent-dim, 3"),
        ({"training": TiedTraining(beta=-1.0)}, "--beta -1.0: expected a number from 0 on"),
        ({"training": TiedTraining(epochs=0)}, "--epochs 0"),
    ],
)
def test_wrong_flags(tmp_path: Path, flags: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared(tmp_path, **flags).check()
