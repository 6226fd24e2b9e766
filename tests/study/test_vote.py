"""Votes of finished runs: the mean of probabilities, clip by clip, and only of runs that belong together."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.evaluate.calibration import fit_temperatures, log_posterior
from serjax.evaluate.generative import log_odds
from serjax.evaluate.predictions import Predictions, read_predictions
from serjax.evaluate.summary import summarise
from serjax.experiments import vote
from serjax.folder import manifest
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.fitting import fit
from serjax.models.classical.packages import ClassicalError
from serjax.models.classical.specs import DecisionTree, Knn, LogisticRegression, Single
from serjax.models.classical.voting import soft_vote
from serjax.study.progress import progresses
from serjax.study.tabular.cells import Row, Tuning
from serjax.study.vote import combine, parse, probabilities, write_vote
from tests.study.stand_ins import METRICS
from tests.study.tiny_table import TEST, tiny_table, write_row

MEMBERS = {"logistic": LogisticRegression(), "tree": DecisionTree(max_depth=2), "knn": Knn()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the run folders of three models."""
    root = tmp_path_factory.mktemp("runs")
    for name, model in MEMBERS.items():
        make_run(root / name, name, model)
    return {name: root / name for name in MEMBERS}


def make_run(out: Path, name: str, model: Single, shared: bool = False) -> None:
    table = tiny_table(shared=shared)
    with open_run_folder(out, f"tabular/{name}", f"{name}{shared}") as folder, progresses(True) as shown:
        folder.claim({})
        write_row(Row(name, name, model), table, folder, Tuning(0, 3, out / "journal"), shown)


def read(run: Path) -> Predictions:
    return read_predictions(run / "predictions.csv")


def test_log_odds_turn_back_into_probabilities() -> None:
    probability_NK = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    np.testing.assert_allclose(probabilities(log_odds(np.log(probability_NK))), probability_NK, rtol=1e-9)
    extreme_NK = np.array([[800.0, -800.0, -900.0], [-800.0, -801.0, -900.0]])
    np.testing.assert_allclose(probabilities(extreme_NK).sum(1), 1.0)
    np.testing.assert_allclose(np.exp(log_posterior(extreme_NK)), probabilities(extreme_NK), rtol=1e-12, atol=0)


def test_a_vote_of_runs_is_the_vote_of_models(runs: dict[str, Path]) -> None:
    table = tiny_table()
    members, weights = tuple(MEMBERS.values()), (3.0, 2.0, 1.0)
    voted = combine([read(run) for run in runs.values()], weights, list(runs))
    fitted = [fit(model, table.x_ND[:60], table.alphabetical_N[:60], 0) for model in members]
    expected_NK = soft_vote(np.stack([one.predict_proba(table.x_ND[TEST]) for one in fitted]), weights)[:, table.rank_K]
    first = voted.rows(voted.seed == 0)
    np.testing.assert_array_equal(first.prediction, expected_NK.argmax(axis=1))
    np.testing.assert_allclose(probabilities(first.scores_NK), expected_NK, rtol=1e-6)
    assert (first.prediction != read(runs["tree"]).rows(voted.seed == 0).prediction).any()


def test_a_vote_has_validation_scores_where_all_members_have(runs: dict[str, Path], tmp_path: Path) -> None:
    vote_of = [runs["logistic"], runs["knn"]]
    out = write_vote(vote_of, (1.0, 2.0), tmp_path / "vote")
    held_out = [read_predictions(run / "validation.csv.gz") for run in vote_of]
    expected = combine(held_out, (1.0, 2.0), ["logistic", "knn"])
    np.testing.assert_array_equal(read_predictions(out / "validation.csv.gz").scores_NK, expected.scores_NK)
    metrics = [json.loads((run / "metrics.json").read_text()) for run in (out, runs["knn"])]
    assert set(metrics[0]) == set(metrics[1]) == METRICS
    assert metrics[0]["temperature"] == fit_temperatures(read(out), expected)
    assert metrics[0]["temperature"] != metrics[1]["temperature"]
    lacking = shutil.copytree(runs["knn"], tmp_path / "lacking")
    (lacking / "validation.csv.gz").unlink()
    manifest.finish(lacking, {})
    assert not (write_vote([runs["logistic"], lacking], (), tmp_path / "other") / "validation.csv.gz").exists()


def test_a_vote_has_the_parameters_of_all_models_of_its_members(runs: dict[str, Path], tmp_path: Path) -> None:
    """A generative run tells those of one model, of which it has one per emotion in each cell."""
    generative = tmp_path / "generative"
    shutil.copytree(runs["knn"], generative)
    metrics = json.loads((generative / "metrics.json").read_text()) | {"n_parameters": 10, "n_models": 6}
    (generative / "metrics.json").write_text(json.dumps(metrics))
    manifest.finish(generative, {})
    one = json.loads((runs["logistic"] / "metrics.json").read_text())["n_parameters"]
    voted = write_vote([runs["logistic"], generative], (), tmp_path / "vote")
    assert json.loads((voted / "metrics.json").read_text())["n_parameters"] == one + 30


def test_runs_that_are_broken_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    broken = {
        "foreign": "lacks experiment, corpus, protocol",
        "cut": "predictions.csv is not what the run wrote",
        "lost": "predictions.csv is not there",
        "mixed": r"is .* in metrics.json and .* by predictions.csv: the files are not of one run",
    }
    for name in broken:
        shutil.copytree(runs["knn"], tmp_path / name)
    (tmp_path / "foreign" / "metrics.json").write_text('{"uar": 1}')
    (tmp_path / "lost" / "predictions.csv").unlink()
    lines = (tmp_path / "cut" / "predictions.csv").read_text().splitlines(keepends=True)
    (tmp_path / "cut" / "predictions.csv").write_text("".join(lines[:-3]))
    shutil.copyfile(runs["tree"] / "predictions.csv", tmp_path / "mixed" / "predictions.csv")
    for name in ("foreign", "mixed"):
        manifest.finish(tmp_path / name, {})
    for name, says in broken.items():
        with pytest.raises(ConfigError, match=says):
            write_vote([runs["knn"], tmp_path / name], (), tmp_path / "vote")


def test_rows_of_members_may_stand_in_any_order(runs: dict[str, Path]) -> None:
    one, other = read(runs["logistic"]), read(runs["tree"])
    turned = other.rows(np.ones(len(other.truth), bool))
    order = np.arange(len(other.truth))[::-1]
    turned = replace(
        other,
        utterance=tuple(other.utterance[n] for n in order),
        speaker=tuple(other.speaker[n] for n in order),
        fold=tuple(other.fold[n] for n in order),
        seed=other.seed[order],
        truth=other.truth[order],
        prediction=other.prediction[order],
        scores_NK=other.scores_NK[order],
    )
    straight, mixed = (combine([one, second], (1.0, 1.0), ["a", "b"]) for second in (other, turned))
    np.testing.assert_array_equal(straight.scores_NK, mixed.scores_NK)


def test_a_heavy_member_decides(runs: dict[str, Path]) -> None:
    both = [read(runs["logistic"]), read(runs["knn"])]
    for n in range(2):
        weights = [1e9 if m == n else 1.0 for m in range(2)]
        np.testing.assert_array_equal(combine(both, weights, ["a", "b"]).prediction, both[n].prediction)
    assert (both[0].prediction != both[1].prediction).any()


def test_runs_that_do_not_belong_together_are_refused(runs: dict[str, Path]) -> None:
    one = read(runs["logistic"])
    turned = (one.truth + 1) % 3
    others = {
        "labels": replace(one, labels=("happy", "sad", "angry")),
        "60.wav in fold fold-1 under seed 0 is in one only": replace(one, fold=("fold-2",) * 24),
        r"one has seeds \[0, 1\], other \[0\]: expected the same. Give --average-seeds": one.rows(one.seed == 0),
        "differ in 1 test rows; 60.wav in fold fold-1 under seed 0": one.taken(np.arange(1, 24)),
        "differ in 48 test rows; .* its emotion differs": replace(one, truth=turned),
    }
    for message, other in others.items():
        with pytest.raises(ConfigError, match=message):
            combine([one, other], (1.0, 1.0), ["one", "other"])


def test_other_protocols_and_unfinished_runs_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    make_run(tmp_path / "shared", "knn", Knn(), shared=True)
    with pytest.raises(ConfigError, match=r"speakers_shared True, .* has False"):
        write_vote([runs["knn"], tmp_path / "shared"], (), tmp_path / "o")
    with pytest.raises(ConfigError, match="nothing is not there: give the folder of a finished run"):
        write_vote([runs["knn"], tmp_path / "nothing"], (), tmp_path / "o")
    shutil.copytree(runs["knn"], tmp_path / "begun")
    (tmp_path / "begun" / "manifest.json").unlink()
    with pytest.raises(ConfigError, match=r"begun is not finished .*Give its command again"):
        write_vote([runs["knn"], tmp_path / "begun"], (), tmp_path / "o")
    with pytest.raises(ConfigError, match="1 run votes"):
        write_vote([runs["knn"]], (), tmp_path / "o")
    with pytest.raises(ClassicalError, match="one number above 0 for each"):
        write_vote(list(runs.values()), (1.0, 2.0), tmp_path / "o")
    assert not (tmp_path / "o" / "config.json").exists()


@pytest.mark.usefixtures("with_figures")
def test_the_command_writes_a_run_folder_and_prints_it(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    two = [str(runs["logistic"]), str(runs["tree"])]
    monkeypatch.setattr(sys, "argv", ["vote", *two, "--weights", "3", "2", "--out", str(out)])
    with pytest.raises(SystemExit) as stop:
        run_command(vote.Config, vote.run, "")
    assert not stop.value.code
    metrics = json.loads((out / "metrics.json").read_text())
    assert {key: metrics[key] for key in summarise(read(out), False)} == summarise(read(out), False)
    assert [(m["run"], m["weight"]) for m in metrics["members"]] == [("logistic", 3.0), ("tree", 2.0)]
    assert metrics["title"] == "test, speaker-5fold, 2 seeds"
    assert sorted(p.name for p in (out / "figures").iterdir()) == ["confusion.png", "reliability.png", "roc.png"]
    assert f"{metrics['uar']:.3f}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="another configuration"):
        write_vote([runs["logistic"], runs["tree"]], (2.0, 3.0), out)
    stamp = (out / "metrics.json").stat().st_mtime_ns
    write_vote([runs["logistic"], runs["tree"]], (3.0, 2.0), out)
    assert (out / "metrics.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("text", ["mlp", "mlp+mlp", "mlp+svm", "0*mlp+knn", "x*mlp+knn", "mlp+", "-1*mlp+knn", ""])
def test_votes_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NAME\\+NAME"):
        parse(text, ("mlp", "knn"))
