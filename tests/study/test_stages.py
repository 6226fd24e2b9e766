"""Studies trained as one stack leave what each leaves alone, bit for bit on a CPU that maps over runs."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serjax.errors import ConfigError
from serjax.evaluate.predictions import read_predictions
from serjax.experiments import logreg
from serjax.models.vae import VAE
from serjax.study.flags import Classification, Data, Machine, Model, SupervisedTraining, Training
from serjax.study.frontends import Features as FeatureFlags
from serjax.study.generative.study import GenerativeStudy
from serjax.study.stages import complete
from serjax.study.supervised import SupervisedStudy
from serjax.train.loop import Interrupted
from serjax.train.processes import ProcessesError

pytestmark = pytest.mark.usefixtures("no_sound")

DATA = Data(synthetic_clips=96, emotions=("happy", "sad"), protocol="speaker-6fold")
FEATURES = FeatureFlags(sample_rate=8_000, n_mfcc=5, frames=6, n_fft=256, hop_length=128, n_mels=12)
TRAINING = SupervisedTraining(epochs=2, batch_size=16)
PRETRAINED = Training(epochs=2, pretrain_epochs=1, batch_size=8)
VOLATILE = ("seconds", "command", "device", "git")
RATES = (0.01, 0.1)


def linear(out: Path, rate: float, data: Data = DATA, **machine: object) -> SupervisedStudy:
    training = replace(TRAINING, learning_rate=rate, refit=True)
    flags = Machine(**{"out": out, "quiet": True, "devices": 1, **machine})
    return logreg.Config(data=data, features=FEATURES, training=training, machine=flags).study()


def vae(out: Path, beta: float) -> GenerativeStudy:
    sections = (Model(latent_dim=2, hidden=(4,)), PRETRAINED, Classification(importance_samples=2))
    return GenerativeStudy("vae_mfcc", VAE, beta, DATA, FEATURES, *sections, Machine(out=out, quiet=True, devices=1))


def assert_same(ours: Path, theirs: Path) -> None:
    """Two run folders hold the same, time and place aside."""
    files = [
        {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and "arrays" not in p.parts}
        for out in (ours, theirs)
    ]
    assert files[0] == files[1]
    for name in ("predictions.csv", "history.jsonl"):
        assert (ours / name).read_text() == (theirs / name).read_text()
    for name in ("metrics.json", "config.json"):
        found, expected = (json.loads((out / name).read_text()) for out in (ours, theirs))
        for content in (found, expected):
            content.get("config", {}).get("machine", {}).pop("out", None)
        assert {k: v for k, v in found.items() if k not in VOLATILE} == {
            k: v for k, v in expected.items() if k not in VOLATILE
        }


@pytest.mark.slow
def test_classifiers_of_several_learning_rates_are_one_stack_a_stage(tmp_path: Path, stacks: list[list[int]]) -> None:
    complete([linear(tmp_path / f"together-{rate}", rate) for rate in RATES])
    assert stacks == [[6, 6], [6, 6]]  # train, refit-train
    complete([linear(tmp_path / "alone", 0.1)])
    assert_same(tmp_path / "together-0.1", tmp_path / "alone")
    scores = [read_predictions(tmp_path / f"together-{rate}" / "predictions.csv").scores_NK for rate in RATES]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    seconds = [json.loads((tmp_path / f"together-{rate}" / "metrics.json").read_text())["seconds"] for rate in RATES]
    assert max(seconds) < 2 * min(seconds) + 5


@pytest.mark.slow
def test_vaes_of_several_betas_are_one_stack_a_stage(tmp_path: Path, stacks: list[list[int]]) -> None:
    complete([vae(tmp_path / f"together-{beta}", beta) for beta in (0.1, 10.0)])
    assert stacks == [[6, 6], [12, 12]]  # pretrain, train
    complete([vae(tmp_path / "alone", 10.0)])
    assert_same(tmp_path / "together-10.0", tmp_path / "alone")


@pytest.mark.slow
def test_a_stack_that_was_stopped_goes_on_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete([linear(tmp_path / "whole", 0.1)])
    studies = [linear(tmp_path / f"stopped-{rate}", rate) for rate in RATES]
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted, match="epoch 1 of 2"):
            complete(studies)
    assert all(list(study.flags.out.glob("checkpoints/train-0/state/000001")) for study in studies)
    complete(studies[1:2])
    assert_same(tmp_path / "stopped-0.1", tmp_path / "whole")
    complete(studies)  # what is finished stays, what is not goes on
    assert all((study.flags.out / "metrics.json").exists() for study in studies)


def stop_after_first_epoch(patch: pytest.MonkeyPatch) -> None:
    def report(self: object, stage: str, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    patch.setattr("serjax.study.progress.Progresses.training", report)


@pytest.mark.slow
def test_other_rates_seeds_and_folds_compile_nothing(
    tmp_path: Path, stacks: list[list[int]], traces: list[object]
) -> None:
    """Two rates with one seed and one rate with two seeds are as many runs; of other folds, they are other stacks."""
    complete([linear(tmp_path / f"a-{rate}", rate) for rate in RATES])
    n_traces = len(traces)
    stacks.clear()
    two_seeds = linear(tmp_path / "seeds", 0.1, replace(DATA, seeds=2))
    complete([two_seeds, *(linear(tmp_path / f"b-{rate}", rate) for rate in (0.2, 0.3))])
    assert stacks == [[12], [12], [6, 6], [6, 6]]
    assert len(traces) == n_traces


def test_a_small_stack_size_cuts_the_studies_not_the_results(tmp_path: Path, stacks: list[list[int]]) -> None:
    complete([linear(tmp_path / f"s-{rate}", rate, stack_size=6) for rate in RATES])
    assert stacks == [[6]] * 4


def test_processes_wait_for_each_folder_and_the_first_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list[list[int]]
) -> None:
    outs = [tmp_path / f"p-{rate}" for rate in RATES]
    written: list[list[bool]] = []
    wait = "serjax.study.stages.exchange"
    monkeypatch.setattr(wait, lambda: written.append([(out / "metrics.json").exists() for out in outs]))
    complete([linear(out, rate) for out, rate in zip(outs, RATES, strict=True)])
    assert written == [[True, False], [True, True]]
    stacks.clear()
    monkeypatch.setattr("serjax.study.stages.from_first", lambda finished: 1 - finished)
    complete([linear(tmp_path / "new", 0.1)])  # here it is not finished, the first sees that it is
    assert stacks == []


def test_processes_with_other_studies_are_refused_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [linear(tmp_path / f"o-{rate}", rate) for rate in RATES]

    cut = ["runs", "map", "1", "auto", "None"]  # on one device, as planned, of any size
    compared = {
        "configuration": [*cut, *(study.flags.fingerprint for study in studies)],
        "--out": [str(study.flags.out) for study in studies],
    }

    def check_same(what: str, text: str) -> None:
        assert text.split() == compared[what]
        if what == refused:
            raise ProcessesError(what)

    monkeypatch.setattr("serjax.study.stages.check_same", check_same)
    for refused in compared:
        with pytest.raises(ProcessesError, match=refused):
            complete(studies)
    assert not list(tmp_path.iterdir())


def test_what_parts_share_is_told_and_written_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = [linear(tmp_path / f"{n}", 0.1, replace(DATA, protocol="random-80-20"), quiet=False) for n in range(2)]

    def train(*_: object) -> None:
        raise ConfigError("begun")

    monkeypatch.setattr("serjax.study.stages.train_requests", train)
    with pytest.raises(ConfigError, match="begun"):
        complete(studies)
    lines = [line for line in capsys.readouterr().err.splitlines() if "Shared: " in line]
    assert len(lines) == 1  # both work on the same
    assert lines[0].startswith(
        "synthetic, random-80-20, LEAK: speakers shared, 1 seed. Shared: train–test 2 speakers, 2 "
    )
    for study in studies:
        found = json.loads((study.flags.out / "leaks.json").read_text())["found"]
        assert "speaker" in {leak["kind"] for leak in found}
    moved = [replace(study.config, data=replace(study.config.data, emotions=("calm", "sad"))) for study in studies]
    with pytest.raises(ConfigError, match="begun"):
        complete([config.study() for config in moved])  # what was only begun gives its folder up


def test_two_studies_need_two_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Two studies would write"):
        complete([linear(tmp_path, 0.1), linear(tmp_path, 0.2)])
    nothing: list[GenerativeStudy] = []
    with pytest.raises(ConfigError, match="nothing to train"):
        complete(nothing)
