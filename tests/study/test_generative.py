"""The generative study end to end, small: what the run folder holds, and on what its figures do not depend."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from serjax import main
from serjax.data.corpora import Corpus
from serjax.evaluate.generative import ReconstructionMatrix
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.summary import mean_fold_uar, summarise
from serjax.experiments import ae_mfcc, vae_mfcc
from serjax.study.flags import Classification, Data, Machine, Model, Training
from serjax.study.generative.reconstruction import over_seeds
from serjax.study.trainer import pad_rows, stacks
from tests.study.stand_ins import METRICS

DATA = Data(synthetic_clips=48, emotions=("happy", "sad"), protocol="speaker-5fold")
TRAINING = Training(epochs=3, pretrain_epochs=2, batch_size=8)
CLASSIFICATION = Classification(importance_samples=2)
SMALL = vae_mfcc.Config(
    data=DATA,
    model=Model(latent_dim=4, hidden=(8,)),
    training=TRAINING,
    classification=CLASSIFICATION,
    machine=Machine(quiet=True, devices=1),
)


def run(config: vae_mfcc.Config, out: Path, **machine: object) -> dict:
    main.run(replace(config, machine=replace(config.machine, out=out, **machine)))
    return json.loads((out / "metrics.json").read_text())


def figures(metrics: dict) -> dict:
    volatile = ("seconds", "command", "device", "git")
    return {name: value for name, value in metrics.items() if name not in volatile}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "o"
    run(SMALL, out)
    return out


def test_the_run_folder_holds_what_the_design_promises(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics) == METRICS
    assert set(metrics["scores"]) == {"reconstruction", "elbo", "iwae", "auto"}
    assert metrics["uar"] == metrics["scores"]["reconstruction"]["uar"]
    assert sorted(p.name for p in (finished / "figures").iterdir()) == [
        "confusion.png",
        "latents.png",
        "learning.png",
        "reconstruction_matrix.png",
        "reconstructions.png",
        "reliability.png",
        "roc.png",
    ]
    for name in ("config.json", "predictions.csv", "history.jsonl", "reconstruction.json"):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "checkpoints").glob("train-0/best/*/manifest.json"))


def test_metrics_follow_from_the_predictions_file(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    again = summarise(read_predictions(finished / "predictions.csv"), speakers_shared=False)
    assert {name: metrics[name] for name in again} == again


def test_each_folds_validation_rows_are_scored_by_each_score(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    held_out, tested = (read_predictions(finished / name) for name in ("validation.csv.gz", "predictions.csv"))
    for fold in set(tested.fold):
        clips = [set(np.array(table.utterance)[np.array(table.fold) == fold]) for table in (held_out, tested)]
        assert clips[0]
        assert not clips[0] & clips[1]
    assert metrics["validation_uar"] == mean_fold_uar(held_out) == metrics["scores"]["reconstruction"]["validation_uar"]
    reached = {name: score["validation_uar"] for name, score in metrics["scores"].items()}
    assert reached["auto"] >= max(reached.values()) - 1e-12  # chosen per fold on these rows
    assert metrics["chosen_scores"].keys() == {f"0/{fold}" for fold in held_out.fold}


def test_every_clip_is_tested_once_and_names_its_speaker(finished):
    with (finished / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["utterance"] for row in rows}) == len(rows) > 0
    assert all(row["utterance"].startswith(f"Actor_{row['speaker']}/") for row in rows)


def test_reconstruction_matrices_have_every_part_and_a_harder_test_than_training(finished):
    content = json.loads((finished / "reconstruction.json").read_text())
    assert content["labels"] == ["happy", "sad"]
    for part in ("train", "validation", "test", "all"):
        assert np.shape(content[part]) == np.shape(content["minmax"][part]) == (2, 2)
    assert np.mean(content["train"]) < np.mean(content["test"])
    assert np.mean(content["minmax"]["test"]) < 0.1 * np.mean(content["test"])  # a range is several deviations
    assert content["by_seed"] == {"0": {part: content[part] for part in ("train", "validation", "test", "all")}}


def test_reconstruction_matrices_over_seeds_count_every_clip_once():
    def parts(total: float, n: int) -> dict[str, ReconstructionMatrix]:
        matrix = ReconstructionMatrix(np.full((2, 2), total), np.full((2, 2), n))
        return dict.fromkeys(("train", "validation", "test"), matrix)

    both = over_seeds({0: parts(6.0, 3), 1: parts(2.0, 1)})
    np.testing.assert_array_equal(both["test"].mean(), np.full((2, 2), 2.0))


def test_history_has_each_epoch_of_each_run_once(finished):
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    names = [(row["stage"], row["fold"], row["emotion"], row["epoch"]) for row in rows]
    assert len(set(names)) == len(names)
    assert sum(row["stage"].startswith("train-") for row in rows) == 5 * 2 * 3
    assert sum(row["stage"].startswith("pretrain-") for row in rows) == 5 * 2


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "machine",
    [
        {"devices": 4, "stack_size": 7},
        pytest.param({"devices": 8}, marks=SLOW),
        pytest.param({"devices": 4}, marks=SLOW),
        pytest.param({"stack_size": 5}, marks=SLOW),
    ],
)
def test_figures_do_not_depend_on_the_machine(finished, tmp_path, machine):
    expected = figures(json.loads((finished / "metrics.json").read_text()))
    found = figures(run(SMALL, tmp_path / "o", **machine))
    assert found["uar"] == pytest.approx(expected["uar"], abs=0.01)
    ours, theirs = (read_predictions(out / "predictions.csv") for out in (finished, tmp_path / "o"))
    assert np.mean(ours.prediction == theirs.prediction) >= 0.98
    np.testing.assert_allclose(ours.scores_NK, theirs.scores_NK, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_data_sharding_trains_the_same_models(finished, tmp_path):
    run(SMALL, tmp_path / "o", devices=4, shard="data")
    losses = []
    for out in (finished, tmp_path / "o"):
        rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows if row["stage"].startswith("pretrain-")])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_shuffled_labels_score_at_chance(tmp_path, monkeypatch):
    load = Data.load

    def shuffled(data: Data) -> Corpus:
        corpus = load(data)
        emotions = np.random.default_rng(0).permutation([u.emotion for u in corpus.utterances])
        clips = tuple(replace(u, emotion=str(e)) for u, e in zip(corpus.utterances, emotions, strict=True))
        return replace(corpus, utterances=clips)

    monkeypatch.setattr(Data, "load", shuffled)
    data = replace(DATA, synthetic_clips=192)
    metrics = run(replace(SMALL, data=data, training=replace(TRAINING, epochs=20)), tmp_path / "o")
    for score in metrics["scores"].values():
        assert score["uar_ci95"][0] <= 0.5 <= score["uar_ci95"][1]


@pytest.mark.slow
def test_the_autoencoder_runs_through_the_same_study(tmp_path):
    config = ae_mfcc.Config(
        data=DATA,
        model=SMALL.model,
        training=replace(TRAINING, refit=False),
        machine=replace(SMALL.machine, out=tmp_path / "o"),
    )
    main.run(config)
    metrics = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert set(metrics["scores"]) == {"reconstruction", "auto"}
    assert metrics["score"] == "reconstruction"


def test_the_card_is_met_by_default():
    config = vae_mfcc.Config()
    assert config.model.latent_dim == 128
    assert config.data.corpus == "synthetic"
    assert len(jax.local_devices()) == 8


def test_stacks_cover_all_runs_once_and_keep_their_size():
    for n_runs in range(1, 30):
        for size in range(1, 12):
            cut = stacks(n_runs, size)
            assert [r for rows in cut for r in rows] == list(range(n_runs))
            assert max(map(len, cut)) <= size
            assert len(cut) == -(-n_runs // size)


def test_rows_are_padded_to_one_width():
    np.testing.assert_array_equal(pad_rows([np.array([4, 5, 6]), np.array([9])], 4), [[4, 5, 6, 0], [9, 0, 0, 0]])
