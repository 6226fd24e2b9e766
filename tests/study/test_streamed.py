"""Studies on clips that stay on the disk: the results of studies in memory, and what must be refused."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from serjax import main
from serjax.data import Waveforms, Window
from serjax.data.audio import UnreadableClips
from serjax.errors import ConfigError
from serjax.evaluate.predictions import read_predictions
from serjax.experiments import cnn1d_pca, cnn_mfcc, dense_stats, logreg, vae_mfcc
from serjax.study import streamed
from serjax.study.augmentation import Augmentation
from serjax.study.flags import Classification, Data, Machine, Model, SupervisedTraining, Training
from serjax.study.frontends import Features
from serjax.study.problem import Problem, load_problem
from serjax.study.streamed import load_streamed
from serjax.train import programs

pytestmark = pytest.mark.slow

DATA = Data(synthetic_clips=96, emotions=("happy", "sad"), protocol="speaker-5fold")
PICTURE = Features(sample_rate=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=12)
MACHINE = Machine(devices=1, quiet=True, stream_workers=0)
VAE = vae_mfcc.Config(
    data=DATA,
    features=PICTURE,
    model=Model(latent_dim=4, hidden=(8,)),
    training=Training(epochs=2, pretrain_epochs=1, batch_size=4, refit=True),
    classification=Classification(importance_samples=2),
    machine=MACHINE,
)
LOGREG = logreg.Config(
    data=DATA, features=PICTURE, training=SupervisedTraining(epochs=2, batch_size=4), machine=MACHINE
)
AUGMENTED = replace(LOGREG, augmentation=Augmentation(picks=1, pitch_semitones=0.0))


@dataclass(frozen=True)
class Hiss:
    """Noise of a clip's own, told from its path; clips `wild` are not finite, and `silent`: all are silence."""

    wild: str = ""
    silent: bool = False

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        values_BN, n_valid_B = np.zeros((len(paths), window.n_samples), np.float32), np.zeros(len(paths), np.int32)
        for row, path in enumerate(paths):
            seed, level = zlib.crc32(path.encode()), np.nan if path == self.wild else 0.0 if self.silent else 0.1
            n_valid_B[row] = window.n_samples - seed % 500
            values_BN[row, : n_valid_B[row]] = level * np.random.default_rng(seed).normal(size=n_valid_B[row])
        return Waveforms(values_BN, n_valid_B)

    def digest(self, path: str) -> str:
        return path


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hiss], None]:
    """Take the plan of the synthetic corpus and sound that costs nothing; another source may be set."""
    load = Data.load

    def set_source(source: Hiss) -> None:
        monkeypatch.setattr(Data, "load", lambda data: replace(load(data), source=source))

    set_source(Hiss())
    return set_source


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let windows and parts be short, so that there are several."""
    for module, name, size in ((programs, "WINDOW", 20), (programs, "SOUNDING_WINDOW", 20), (streamed, "PART", 8)):
        monkeypatch.setattr(module, name, size)


def finished(config: vae_mfcc.Config | logreg.Config, out: Path, stream: bool) -> Path:
    main.run(replace(config, machine=replace(config.machine, out=out, stream=stream)))
    return out


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("config", [VAE, LOGREG, AUGMENTED], ids=["vae", "logreg", "augmented"])
def test_a_streamed_study_ends_as_one_in_memory(config, tmp_path):
    held, own = (finished(config, tmp_path / f"{stream}", stream) for stream in (False, True))
    for name in ("predictions.csv", "validation.csv.gz"):
        expected, found = (read_predictions(out / name) for out in (held, own))
        assert found.utterance == expected.utterance
        np.testing.assert_array_equal(found.prediction, expected.prediction)
        np.testing.assert_allclose(found.scores_NK, expected.scores_NK, rtol=1e-4, atol=1e-4)
    histories = [[json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()] for out in (held, own)]
    for expected, found in zip(*histories, strict=True):
        assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, v in expected.items()}
        losses = [[row[what] or 0.0 for what in ("loss", "validation_loss")] for row in (found, expected)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
    assert (held / "leaks.json").read_bytes() == (own / "leaks.json").read_bytes()
    if config is VAE:
        tables = [json.loads((out / "reconstruction.json").read_text()) for out in (held, own)]
        for part in ("train", "validation", "test"):
            np.testing.assert_allclose(tables[1]["minmax"][part], tables[0]["minmax"][part], rtol=1e-5)


@pytest.fixture
def both(sound: object) -> tuple[Problem, Problem]:
    """The same clips in memory and streamed."""
    held = load_problem(DATA, PICTURE, None, lambda done, total: None)
    return held, load_streamed(DATA, PICTURE, replace(MACHINE, stream=True), lambda done, total: None)


def test_a_pass_over_the_clips_finds_what_features_in_memory_tell(both):
    held, own = both
    np.testing.assert_array_equal(own.mask_NT, held.mask_NT)
    assert own.leaks == held.leaks
    rows = held.cells[0].fold.train
    for found, expected in zip(own.normaliser(rows), held.normaliser(rows), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(own.ranges(rows), held.ranges(rows))
    few = np.array([5, 2, 9])
    for name in ("x_NTC", "mask_NT", "label_N"):
        np.testing.assert_allclose(getattr(own.take(few), name), getattr(held.take(few), name), rtol=1e-5)


def test_parts_of_the_clips_are_all_of_them_in_turn(both, short):
    held, own = both
    n_clips = len(held.truth_N)
    parts = list(own.parts())
    assert own.part_size == 8
    assert {len(part.label_N) for part in parts} == {8}
    np.testing.assert_allclose(np.concatenate([part.x_NTC for part in parts])[:n_clips], held.x_NTC, rtol=1e-5)


def test_clips_with_features_that_are_not_finite_are_left_out_as_far_as_is_allowed(both, sound):
    wild = both[0].corpus.utterances[7].path
    sound(Hiss(wild=wild))
    given = PICTURE, replace(MACHINE, stream=True), lambda done, total: None
    with pytest.raises(UnreadableClips, match="not finite"):
        load_streamed(DATA, *given)
    own = load_streamed(replace(DATA, max_bad=1.0), *given)
    assert wild not in {clip.path for clip in own.corpus.utterances} | set(own.stream.paths)
    assert len(own.survey.mean_NC) == len(own.truth_N) == len(both[0].truth_N) - 1
    rows = own.cells[0].fold.train
    expected = load_problem(replace(DATA, max_bad=1.0), PICTURE, None, lambda done, total: None).normaliser(rows)
    np.testing.assert_allclose(own.normaliser(rows), expected, rtol=1e-6)


def test_silence_is_refused(sound):
    sound(Hiss(silent=True))
    with pytest.raises(ConfigError, match="All clips have the same features"):
        load_streamed(DATA, PICTURE, replace(MACHINE, stream=True), lambda done, total: None)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (dense_stats.Config(), "one vector per clip"),
        (cnn1d_pca.Config(), "one vector per clip"),
        (replace(cnn_mfcc.Config(), training=SupervisedTraining(pca_variance=0.9)), "--pca-variance"),
        (
            replace(
                cnn_mfcc.Config(data=Data(protocol="random-5fold")),
                augmentation=Augmentation(picks=1, copies_before_split=2),
            ),
            "--copies-before-split",
        ),
    ],
)
def test_what_cannot_be_streamed_says_so_and_claims_no_folder(config, says, tmp_path):
    machine = Machine(stream=True, out=tmp_path / "run", quiet=True)
    with pytest.raises(ConfigError, match=f"--stream .*{says}"):
        main.run(replace(config, machine=machine))
    assert not (tmp_path / "run").exists()


def test_fewer_workers_than_none_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="--stream-workers -1"):
        main.run(replace(LOGREG, machine=Machine(stream=True, stream_workers=-1, out=tmp_path / "run")))
