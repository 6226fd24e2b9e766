"""What a side of a row reached: read from a run folder, kept as JSON, read back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.five_reports.outcome import Outcome, as_json, from_json, read_outcome
from experiments.five_reports.results import read_outcomes
from experiments.five_reports.row import AlsoReported, Losses, Row
from experiments.five_reports.rows import chosen
from serjax.errors import ConfigError
from serjax.evaluate.predictions import Predictions, write_predictions
from serjax.evaluate.summary import summarise
from serjax.folder.manifest import METRICS, PREDICTIONS, RECONSTRUCTION
from serjax.study.outcome import Facts

ROW = Row("S9.1", "test", 0.5, "ravdess", "tabular", "--models knn")
OUTCOME = Outcome(0.4, 0.3, 0.1, 0.1, None, None, 0.8, None, None, None, "random-80-20", 2, 1.5, "python", None)
HONEST = dataclasses.replace(
    OUTCOME, war=0.2, sd=None, ci95=(0.1, 0.3), protocol="speaker-6fold", seeds=1, n_clips=96, n_speakers=6
)


LABELS = ("sad", "happy")
PARTS = ("train", "validation", "test", "all")


def run_folder(folder: Path, **facts: object) -> Path:
    """Write what a finished run leaves: four clips of two speakers under each of two seeds, 3 and 2 of them right."""
    predictions = Predictions(
        utterance=("a", "b", "c", "d") * 2,
        speaker=("01", "01", "02", "02") * 2,
        fold=("0",) * 8,
        seed=np.repeat([0, 1], 4),
        truth=np.array([0, 0, 1, 1] * 2),
        prediction=np.array([0, 0, 1, 0, 1, 0, 0, 1]),
        scores_NK=np.array([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]] * 2),
        labels=LABELS,
    )
    setting = {"protocol": "random-80-20", "speakers_shared": True, "labels": LABELS, "seconds": 90.0, "git": "abc"}
    models = Facts("MLP", refit=False, n_parameters=None, n_models=2)
    metrics = setting | summarise(predictions, speakers_shared=True) | dataclasses.asdict(models) | facts
    folder.mkdir(exist_ok=True)
    write_predictions(predictions, folder / PREDICTIONS)
    (folder / METRICS).write_text(json.dumps(metrics))
    return folder


def test_an_outcome_is_read_from_a_run_folder(tmp_path: Path) -> None:
    run = run_folder(tmp_path, train_war=0.9)
    outcome = read_outcome(ROW, run, "python -m x")
    assert (outcome.war, outcome.war_by_seed, outcome.sd) == (0.625, [0.75, 0.5], pytest.approx(0.25 / 2**0.5))
    assert (outcome.uar, outcome.uar_sd, outcome.ci95) == (0.625, pytest.approx(0.25 / 2**0.5), None)
    assert (outcome.train_war, outcome.cv_war, outcome.minutes, outcome.git) == (0.9, None, 1.5, "abc")
    assert (outcome.seeds, outcome.n_clips, outcome.n_speakers, outcome.n_tested) == (2, 4, 2, 4)
    assert (outcome.command, outcome.protocol) == ("python -m x", "random-80-20")
    assert (outcome.f1, outcome.confusion, outcome.members, outcome.losses) == (None,) * 4
    assert outcome.roc_auc == pytest.approx(0.75)  # in each seed 2 of 4 pairs in order, the others of equal score
    shown = read_outcome(dataclasses.replace(ROW, also=AlsoReported(by_class=True)), run, "")
    assert (shown.confusion, shown.f1) == (
        [[3, 1], [2, 2]],
        {"sad": pytest.approx(2 / 3), "happy": pytest.approx(4 / 7)},
    )


def test_an_unfinished_run_has_no_outcome(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.json is not there"):
        read_outcome(ROW, tmp_path, "")


def test_losses_and_their_ratio_deviate_over_seeds(tmp_path: Path) -> None:
    row, run = dataclasses.replace(ROW, reported=Losses(0.01, 0.02)), run_folder(tmp_path)
    write_losses(run, {"0": (1.0, 2.0), "1": (3.0, 4.0)}, (2.0, 3.0))
    several = read_outcome(row, run, "")
    assert several.losses == {part: [2.0, 3.0] for part in ("train", "test", "all")}
    assert several.losses_sd is not None
    assert several.losses_sd["all"] == pytest.approx([2**0.5, 2**0.5])
    assert several.losses_sd["ratio"] == pytest.approx([(2 - 4 / 3) / 2**0.5])
    write_losses(run, {"0": (1.0, 2.0)}, (1.0, 2.0))
    one = read_outcome(row, run, "")
    assert (one.losses, one.losses_sd) == ({part: [1.0, 2.0] for part in ("train", "test", "all")}, None)


def write_losses(run: Path, by_seed: dict[str, tuple[float, float]], over_seeds: tuple[float, float]) -> None:
    """Write `reconstruction.json`: losses of happy and sad clips under the model of happy ones."""

    def parts(happy: float, sad: float) -> dict[str, list[list[float]]]:
        return {part: [[9.0, 9.0], [sad, happy]] for part in PARTS}

    minmax = parts(*over_seeds) | {"by_seed": {seed: parts(*losses) for seed, losses in by_seed.items()}}
    (run / RECONSTRUCTION).write_text(json.dumps({"labels": LABELS, "minmax": minmax}))


def test_a_vote_remembers_what_its_members_reached(tmp_path: Path) -> None:
    (vote,) = chosen(("S4.8",))
    run = run_folder(tmp_path, members=[{"run": "a", "uar": 0.5}, {"run": "b", "uar": 0.6}])
    assert read_outcome(vote, run, "").members == {"S4.5": 0.5, "S4.3": 0.6}


def test_an_outcome_comes_back_from_json() -> None:
    content = json.loads(json.dumps(as_json(ROW, {"independent": HONEST})))
    assert from_json(content["independent"]) == HONEST
    assert (content["reported"], content["same"], content["minutes"]) == (0.5, None, 1.5)
    with pytest.raises(ConfigError, match="no outcome of a row"):
        from_json({"war": 0.5})


@pytest.mark.parametrize(
    "damaged", ["{", "[]", "{}", '{"rows": {"S2.4": {}}}', '{"rows": {"S2.4": {"same": {"war": 1}}}}']
)
def test_a_damaged_file_of_results_is_told(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "five_reports.json").write_text(damaged)
    with pytest.raises(ConfigError, match=r"five_reports\.json is damaged .* made again from the run folders"):
        read_outcomes(tmp_path / "five_reports.md")
