"""Supervised experiments: a run folder that holds what it should, and numbers that training rows alone determine."""

import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import main
from serjax.errors import ConfigError
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.summary import mean_fold_uar
from serjax.experiments import (
    cnn1d_pca,
    cnn_lstm_mfcc,
    cnn_mel,
    cnn_mfcc,
    dense_stats,
    logreg,
    lstm_mfcc,
    mobilenet_mel,
    reslstm,
    rnn_stats,
    vgg_mel,
)
from serjax.models.weights import save_weights
from serjax.study import trainer
from serjax.study.checks import check_training
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import ClipFeatures, Features
from serjax.study.supervised import log_softmax, make_runs
from serjax.train.runs import fit_projections, stack_inputs
from serjax.train.state import gather
from tests.study.stand_ins import METRICS
from tests.study.tiny_table import tiny_table
from tests.train import tiny

EXPERIMENTS = (
    logreg,
    cnn_mfcc,
    cnn_mel,
    cnn1d_pca,
    rnn_stats,
    dense_stats,
    lstm_mfcc,
    cnn_lstm_mfcc,
    vgg_mel,
    mobilenet_mel,
    reslstm,
)
VECTORS = {cnn1d_pca: 66, rnn_stats: 180, dense_stats: 26}
DATA = Data(synthetic_clips=96, protocol="speaker-6fold")
PICTURE = Features(sample_rate=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=12)
TRAINING = SupervisedTraining(epochs=2, batch_size=16, class_weights=True)


def config(out):
    machine = Machine(out=out, devices=2, quiet=True)
    return logreg.Config(data=DATA, features=PICTURE, training=TRAINING, machine=machine)


@pytest.mark.usefixtures("with_figures")
def test_a_run_leaves_its_folder_and_is_not_repeated(tmp_path, capsys):
    main.run(config(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics) == METRICS
    assert metrics["experiment"] == "logreg"
    held_out = read_predictions(tmp_path / "run" / "validation.csv.gz")
    assert metrics["validation_uar"] == mean_fold_uar(held_out)
    assert metrics["n_models"] == 6
    assert metrics["n_parameters"] == 8 * (2 * 5) + 8  # mean and sd of 5 coefficients, to 8 emotions
    assert set(metrics["chosen_epochs"].values()) <= {1, 2}
    assert 0 <= metrics["uar"] <= 1
    assert 0 <= metrics["train_war"] <= 1
    assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) == 1 + 96  # each clip tested once
    assert {p.name for p in (tmp_path / "run" / "figures").iterdir()} >= {"confusion.png", "roc.png", "learning.png"}
    first = capsys.readouterr().out
    main.run(config(tmp_path / "run"))
    assert capsys.readouterr().out == first


@pytest.mark.slow
def test_refit_and_components_run_through(tmp_path):
    run = replace(config(tmp_path), training=replace(TRAINING, refit=True, pca_variance=0.9, epochs=1))
    main.run(run)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["refit"]
    assert metrics["n_parameters"] < 8 * (2 * 5) + 8
    assert {row["stage"] for row in map(json.loads, (tmp_path / "history.jsonl").read_text().splitlines())} == {
        "train-0",
        "refit-train-0",
    }


def test_validation_scores_are_of_models_that_never_saw_these_rows(tmp_path):
    """Refitting, which trains on them, leaves them as they are; where nothing is chosen there are none."""
    for name, changed in {"once": {}, "refit": {"refit": True}, "last": {"keep": "last"}}.items():
        main.run(replace(config(tmp_path / name), training=replace(TRAINING, **changed)))
    assert (tmp_path / "once" / "validation.csv.gz").read_bytes() == (
        tmp_path / "refit" / "validation.csv.gz"
    ).read_bytes()
    once, refit = (read_predictions(tmp_path / name / "predictions.csv") for name in ("once", "refit"))
    assert not np.array_equal(once.scores_NK, refit.scores_NK)
    assert not (tmp_path / "last" / "validation.csv.gz").exists()
    found = {name: json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("once", "refit", "last")}
    assert found["last"]["validation_uar"] is None
    assert found["once"]["temperature"] == found["refit"]["temperature"]  # it is fixed before models are fitted again
    assert found["once"]["ece"] != found["refit"]["ece"]
    assert set(found["last"]["temperature"].values()) == {None}
    assert found["last"]["ece"] is None


@pytest.mark.usefixtures("with_figures")
def test_the_last_epoch_is_kept_where_none_is_to_be_chosen(tmp_path):
    run = replace(config(tmp_path), training=replace(TRAINING, keep="last", learning_rate=3.0, epochs=5))
    main.run(run)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics["chosen_epochs"].values()) == {5}
    assert metrics["refit"]  # as one that was trained again on validation rows: the two may be compared
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert {(row["stage"], row["validation_loss"]) for row in history} == {("train-0", None)}
    assert (tmp_path / "figures" / "learning.png").exists()


def test_validation_rows_are_scored_before_they_train_where_nothing_is_chosen(tmp_path):
    """Their scores are of models that have not met them, those of test rows of models that have."""
    base = replace(config(tmp_path), training=replace(TRAINING, keep="last", epochs=3))
    for name, refit in (("once", False), ("again", True)):
        machine = Machine(out=tmp_path / name, devices=2, quiet=True)
        main.run(replace(base, training=replace(base.training, refit=refit), machine=machine))
    once, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("once", "again"))
    assert set(again["chosen_epochs"].values()) == {3}
    assert again["refit"]
    assert once["validation_uar"] is None
    assert 0 < again["validation_uar"] <= 1
    assert (tmp_path / "once" / "predictions.csv").read_text() == (tmp_path / "again" / "predictions.csv").read_text()
    rows = [json.loads(line) for line in (tmp_path / "again" / "history.jsonl").read_text().splitlines()]
    assert {(row["stage"], row["validation_loss"]) for row in rows} == {("train-0", None), ("refit-train-0", None)}
    losses = [[row["loss"] for row in rows if row["stage"] == stage] for stage in ("train-0", "refit-train-0")]
    assert losses[0] != losses[1]  # of other rows


def test_patience_is_refused_where_nothing_is_chosen():
    with pytest.raises(ConfigError, match="--keep last chooses no epoch, --patience stops by validation rows"):
        check_training(replace(TRAINING, keep="last", patience=3))


def test_runs_start_from_the_weights_of_a_file(tmp_path):
    def fresh(rows):
        return {"params": {"logits": {"bias": np.zeros((len(rows), 3), np.float32), "kernel": np.ones((len(rows), 2))}}}

    save_weights(tmp_path / "w.safetensors", {"params": {"logits": {"bias": np.arange(3, dtype=np.float32)}}})
    found = trainer.from_file(fresh, tmp_path / "w.safetensors")(range(4, 6))["params"]["logits"]
    np.testing.assert_array_equal(found["bias"], [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(found["kernel"], np.ones((2, 2)))  # what the file lacks stays as it is


def test_a_file_of_weights_that_is_not_there_is_told_at_once(tmp_path):
    bad = replace(config(tmp_path / "run"), training=replace(TRAINING, weights=tmp_path / "none.npz"))
    with pytest.raises(ConfigError, match=r"--weights .*none.npz: there is no such file"):
        main.run(bad)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"weight_decay": -0.1},
        {"weight_decay": math.inf},
        {"weight_decay": math.nan},
        {"roll_frames": -8},
        {"noise": math.nan},
        {"warmup_steps": -5},
        {"max_rejected": 0},
        {"pca_variance": 95.0},
    ],
)
def test_numbers_that_make_no_sense_are_refused(flags, tmp_path):
    bad = replace(config(tmp_path), training=replace(TRAINING, **flags))
    with pytest.raises(ConfigError, match=f"--{next(iter(flags)).replace('_', '-')}"):
        main.run(bad)


@pytest.mark.parametrize(
    ("experiment", "model", "says"),
    [
        (dense_stats, {"hidden": (0,)}, "--hidden 0: expected a number above 0"),
        (dense_stats, {"hidden": (8, -4)}, "--hidden -4"),
        (lstm_mfcc, {"filters": (0,)}, "--filters 0"),
        (lstm_mfcc, {"hidden": ()}, "--hidden is empty: a recurrent network"),
        (mobilenet_mel, {"size": 0}, "--size 0"),
    ],
)
def test_widths_that_make_no_network_claim_no_folder(experiment, model, says, tmp_path):
    bad = replace(experiment.Config(), model=experiment.Model(**model), machine=Machine(out=tmp_path / "run"))
    with pytest.raises(ConfigError, match=says):
        main.run(bad)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flag", ["dropout", "input_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.0, math.nan])
def test_a_dropout_that_leaves_nothing_is_refused(flag, rate, tmp_path):
    bad = replace(dense_stats.Config(), model=dense_stats.Model(**{flag: rate}), machine=Machine(out=tmp_path / "run"))
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')} .*: expected a share from 0 to below 1"):
        main.run(bad)
    assert not (tmp_path / "run").exists()


def test_weights_and_sampling_against_imbalance_are_not_taken_together():
    with pytest.raises(ConfigError, match="Choose one"):
        check_training(replace(TRAINING, balanced_sampling=True))
    check_training(replace(TRAINING, balanced_sampling=True, class_weights=False))


class AboutToTrainError(Exception):
    """Everything before the training went well."""


@pytest.mark.slow
def test_optimiser_and_sampling_reach_the_training(tmp_path, monkeypatch):
    handed = []

    def stop(shares, objective, dataset, schedule, *_):
        handed.extend([schedule, shares[0].runs[0]])
        raise AboutToTrainError

    monkeypatch.setattr(trainer, "train_shares", stop)
    flags = {"class_weights": False, "balanced_sampling": True, "optimizer": "sgd", "momentum": 0.5}
    with pytest.raises(AboutToTrainError):
        main.run(replace(config(tmp_path), training=replace(TRAINING, **flags)))
    schedule, run = handed
    assert (schedule.optimizer, schedule.momentum) == ("sgd", 0.5)
    assert run.train_class_n.shape == run.train.shape
    assert schedule.steps == -(-len(run.train) // 16)


def test_where_nothing_is_chosen_validation_rows_are_trained_on(tmp_path, monkeypatch):
    sizes = []

    def stop(shares, *_):
        sizes.append([(len(run.train), len(run.validation)) for run in shares[0].runs])
        raise AboutToTrainError

    monkeypatch.setattr(trainer, "train_shares", stop)
    for keep in (None, "last"):
        with pytest.raises(AboutToTrainError):
            main.run(replace(config(tmp_path / f"{keep}"), training=replace(TRAINING, keep=keep)))
    best, last = sizes
    assert all(validation for _, validation in best)
    assert last == [(train + validation, 0) for train, validation in best]


def test_runs_say_the_class_of_the_rows_they_train_on():
    problem = tiny_table().problem
    training = SupervisedTraining(balanced_sampling=True)
    for refit in (False, True):
        runs = make_runs(problem, training, 1, refit, {})
        for run in runs:
            assert len(run.train) == (60 if refit else 48)
            np.testing.assert_array_equal(run.train_class_n, problem.truth_N[run.train])
    assert make_runs(problem, SupervisedTraining(), 1, False, {})[0].train_class_n is None


@pytest.mark.parametrize(("statistics", "width"), [("stats26", 26), ("stats180", 180)])
def test_the_statistics_of_a_clip_are_those_asked_for(statistics, width):
    frontend = ClipFeatures(statistics=statistics, sample_rate=16_000, frames=50).frontend()
    assert (frontend.n_frames, frontend.n_features, frontend.sample_rate_hz) == (1, width, 16_000)


def test_experiments_on_statistics_begin_with_those_of_their_report():
    assert dense_stats.Config().features.statistics == "stats26"
    assert rnn_stats.Config().features.statistics == cnn1d_pca.Config().features.statistics == "stats180"


def test_the_networks_are_what_the_flags_say():
    model = cnn_mfcc.Model(channels=(4, 8), dense=(), dropout=0.5, pooling="attention").build(3)
    assert (model.n_classes, model.channels, model.dense, model.dropout) == (3, (4, 8), (), 0.5)
    assert model.pooling == "attention"


def test_log_softmax_is_finite_and_normalised():
    logits_NK = np.array([[0.0, 1.0, 2.0], [1e4, 0.0, -1e4]], np.float32)
    np.testing.assert_allclose(np.exp(log_softmax(logits_NK)).sum(axis=1), 1)
    np.testing.assert_allclose(log_softmax(logits_NK)[0], [0, 1, 2] - np.log(1 + np.e + np.e**2))


def test_projections_hold_the_share_of_the_variance_of_training_rows_alone():
    runs = tiny.make_runs(2)
    x_NTC, mask_NT = np.array(tiny.DATASET.x_NTC), np.asarray(tiny.DATASET.mask_NT)
    first, second = fit_projections(x_NTC, mask_NT, runs, 0.8)
    assert first.shape == second.shape
    rows_MC = (x_NTC[runs[0].train][mask_NT[runs[0].train] > 0] - runs[0].shift_C) / runs[0].scale_C
    covariance = np.cov(rows_MC.T, bias=True)
    own = first[:, np.abs(first).sum(axis=0) > 0]
    np.testing.assert_allclose(own.T @ own, np.eye(own.shape[1]), atol=1e-6)
    held = np.trace(own.T @ covariance @ own) / np.trace(covariance)
    without_last = np.trace(own[:, :-1].T @ covariance @ own[:, :-1]) / np.trace(covariance)
    assert without_last < 0.8 <= held
    x_NTC[runs[0].validation] += 100.0
    np.testing.assert_array_equal(fit_projections(x_NTC, mask_NT, runs, 0.8)[0], first)


def test_a_batch_is_projected_and_weighted_by_class():
    run = tiny.make_runs(1)[0]
    basis_CP = np.random.default_rng(0).normal(size=(tiny.C, 2)).astype(np.float32)
    weighted = replace(run, projection_CP=basis_CP, class_weight_K=np.array([1.0, 2.0, 0.5], np.float32))
    plain, projected = (jax.tree.map(lambda a: a[0], stack_inputs([r])) for r in (run, weighted))
    rows_B, weight_B = jnp.array([3, 4, 5, 0]), jnp.array([1.0, 1.0, 1.0, 0.0])
    before, after = gather(tiny.DATASET, plain, rows_B, weight_B), gather(tiny.DATASET, projected, rows_B, weight_B)
    np.testing.assert_allclose(after.x_BTC, np.asarray(before.x_BTC) @ basis_CP, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(after.label_B, [0, 1, 2, 0])
    np.testing.assert_array_equal(after.weight_B, [1.0, 2.0, 0.5, 0.0])
    np.testing.assert_array_equal(after.mask_BT[3], 0)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_experiment_builds_its_network(experiment):
    frames, n_features = (1, VECTORS[experiment]) if experiment in VECTORS else (108, 20)
    model, picture, mask = experiment.Model().build(8), jnp.zeros((2, frames, n_features)), jnp.ones((2, frames))
    variables = jax.eval_shape(model.init, jax.random.key(0), picture, mask)
    assert jax.eval_shape(model.apply, variables, picture, mask).shape == (2, 8)
