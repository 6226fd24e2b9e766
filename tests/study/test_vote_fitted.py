"""Votes with fitted weights: each cell's from its own validation rows; seeds averaged where runs differ in them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from serjax.errors import ConfigError
from serjax.evaluate.cell_pools import average_seeds, fit_pools, pool_members
from serjax.evaluate.metrics import uar
from serjax.evaluate.predictions import read_predictions, write_predictions
from serjax.experiments import logreg, vote
from serjax.folder import manifest
from serjax.folder.finished import FinishedRun, read_run
from serjax.main import run
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import Features
from serjax.study.vote import write_vote
from tests.study.stand_ins import METRICS

pytestmark = pytest.mark.slow

PICTURE = Features(sample_rate=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=12)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return networks: two of one seed, one of two seeds."""
    root = tmp_path_factory.mktemp("networks")
    made = {"one": (1, 0.05), "slow": (1, 0.0005), "two": (2, 0.05)}
    for name, (seeds, rate) in made.items():
        training = SupervisedTraining(epochs=3, learning_rate=rate)
        machine = Machine(devices=1, quiet=True, out=root / name, cache=root / "cache")
        data = Data(synthetic_clips=48, emotions=("angry", "sad", "happy"), protocol="speaker-5fold", seeds=seeds)
        run(logreg.Config(data=data, features=PICTURE, training=training, machine=machine))
    return {name: root / name for name in made}


def test_networks_vote_with_weights_fitted_to_validation_scores(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = runs["one"], runs["slow"]
    vote.run(vote.Config(runs=members, fit=True, out=tmp_path / "vote"))
    metrics, printed = json.loads((tmp_path / "vote" / "metrics.json").read_text()), capsys.readouterr().out
    found: list[FinishedRun] = [read_run(path) for path in members]
    pools = fit_pools([one.validation for one in found if one.validation])
    assert set(metrics) == METRICS
    assert metrics["model"] == "LogLinearPool"
    assert len(pools) == 5
    for m, told in enumerate(metrics["members"]):
        assert told["weights"] == {cell: pool.weight_M[m] for cell, pool in pools.items()}
        assert told["temperatures"] == {cell: pool.temperature_M[m] for cell, pool in pools.items()}
        assert told["weight"] == pytest.approx(np.mean(list(told["weights"].values())))
        assert f"{told['weight']:.3f}" in printed
    expected = pool_members([one.predictions for one in found], pools)
    np.testing.assert_array_equal(read_predictions(tmp_path / "vote/predictions.csv").scores_NK, expected.scores_NK)
    assert json.loads((tmp_path / "vote/config.json").read_text())["config"]["penalty"] == 0.03


def test_runs_of_other_seeds_vote_once_their_seeds_are_averaged(runs: dict[str, Path], tmp_path: Path) -> None:
    pair = [runs["one"], runs["two"]]
    with pytest.raises(ConfigError, match=r"has seeds \[0\], .* \[0, 1\]: expected the same. Give --average-seeds"):
        write_vote(pair, (), tmp_path / "vote")
    for fit in (False, True):
        out = write_vote(pair, (), tmp_path / f"vote-{fit}", fit, averaged=True)
        metrics = json.loads((out / "metrics.json").read_text())
        averaged = average_seeds(read_predictions(runs["two"] / "predictions.csv"), "two")
        assert metrics["members"][1]["uar"] == uar(averaged.confusion())
        assert metrics["title"].endswith("1 seed")


def test_runs_that_have_nothing_to_fit_weights_to_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    last = shutil.copytree(runs["slow"], tmp_path / "last")
    (last / "validation.csv.gz").unlink()
    manifest.finish(last, {})
    with pytest.raises(ConfigError, match=r"last has no validation scores.*Make the run with --refit"):
        write_vote([runs["one"], last], (), tmp_path / "vote", fit=True)
    with pytest.raises(ConfigError, match="choose one of the two"):
        write_vote([runs["one"], runs["slow"]], (1.0, 2.0), tmp_path / "vote", fit=True)
    fewer = shutil.copytree(runs["slow"], tmp_path / "fewer")
    held_out = read_predictions(fewer / "validation.csv.gz")
    write_predictions(held_out.taken(np.arange(1, len(held_out.utterance))), fewer / "validation.csv.gz")
    manifest.finish(fewer, {})
    with pytest.raises(ConfigError, match="differ in 1 validation rows"):
        write_vote([runs["one"], fewer], (), tmp_path / "vote", fit=True)


def test_a_vote_has_the_leaks_of_all_its_members(runs: dict[str, Path], tmp_path: Path) -> None:
    leaky = shutil.copytree(runs["slow"], tmp_path / "leaky")
    metrics = json.loads((leaky / "metrics.json").read_text()) | {"leak": "epoch chosen on test rows"}
    (leaky / "metrics.json").write_text(json.dumps(metrics))
    manifest.finish(leaky, {})
    out = write_vote([runs["one"], leaky], (), tmp_path / "vote")
    assert json.loads((out / "metrics.json").read_text())["leak"] == "epoch chosen on test rows"
