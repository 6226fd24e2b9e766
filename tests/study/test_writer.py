"""What every classification leaves: its tables name the classes, its learning curve names the loss."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from serjax.data.labels import label_by
from serjax.data.leaks import FoundLeak, Leak
from serjax.data.notes import Note
from serjax.figures import training
from serjax.figures.training import draw_training
from serjax.folder.finished import read_result
from serjax.folder.manifest import LEAKS, METRICS
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.specs import Knn
from serjax.results.show import class_column, print_calibration, print_notes, print_reports
from serjax.study.outcome import Facts, Outcome, Setting
from serjax.study.progress import progresses
from serjax.study.tabular.cells import Row, Tuning, fit_cell
from serjax.study.vote import write_vote
from serjax.study.writer import write_outcome
from serjax.train.record import History
from tests.study.tiny_table import TEST, tiny_table, write_row


def test_labels_that_are_no_emotions_are_called_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tiny_table()
    labelled, cells = label_by(table.problem.corpus, "emotion-gender"), table.problem.cells[:1]
    note = Note("silent", "Every sample is zero", tuple((f"{n}.wav", "") for n in range(9)))
    leak = FoundLeak(Leak("content", ("train", "test"), "a.wav = b.wav"), ("0/fold-1",))
    problem = replace(
        table.problem,
        corpus=replace(labelled, notes=(note,)),
        cells=cells,
        leaks=(leak,),
        windows={"test": {"offset_s": 0.25, "seconds": 2.0}},
    )
    table = replace(table, problem=problem)
    fitted = fit_cell(Row("knn", "knn", Knn()), table, cells[0], Tuning(0, 3, Path("journal")))
    places = [tmp_path / name for name in "ab"]
    for place in places:
        with open_run_folder(place, "knn", "x") as folder:
            folder.claim({})
            write_outcome(folder, Setting.of(problem), Outcome(fitted.test, Facts("Knn", True, None, 1)))
    vote = write_vote(places, (), tmp_path / "vote")
    for place in (*places, vote):
        metrics = read_result(place / METRICS)
        assert metrics["told_apart"] == "emotion × gender"
        assert metrics["title"] == "test, emotion × gender, speaker-5fold, 1 seed"
        assert len(metrics["corpus_notes"][0]["clips"]) == 9  # whole, and in one line:
        print_notes(metrics)
        assert capsys.readouterr().out.splitlines() == [
            "test: clips are read from 0.25 s on, 2 s of each at most.",
            "Noted in the corpus: Every sample is zero: 9 clips (0.wav, 1.wav, 2.wav, …).",
        ]
        assert read_result(place / LEAKS)["found"][0]["what"] == "a.wav = b.wav"
        print_reports({"knn": metrics})
        printed = capsys.readouterr().out
        assert "┃ class " in printed
        assert "┃ emotion" not in printed


@pytest.mark.usefixtures("with_figures")
def test_labels_of_test_clips_leave_temperatures_as_they_are(tmp_path: Path) -> None:
    """And the picture says whether probabilities are calibrated."""
    emotion_N = np.tile(np.arange(3), 24)
    poisoned_N = np.where(np.arange(72) < TEST[0], emotion_N, (emotion_N + 1) % 3)
    found = []
    for name, named_N in {"as they are": emotion_N, "poisoned": poisoned_N}.items():
        with open_run_folder(tmp_path / name, "knn", "x") as folder, progresses(True) as shown:
            folder.claim({})
            table = tiny_table(emotion_N=named_N)
            write_row(Row("knn", "knn", Knn()), table, folder, Tuning(0, 3, tmp_path / "journal"), shown)
        found.append(read_result(tmp_path / name / METRICS))
        assert (tmp_path / name / "figures" / "reliability.png").exists()
    assert set(found[0]["temperature"]) == {"0/fold-1", "1/fold-1"}
    assert all(temperature > 0 for temperature in found[0]["temperature"].values())
    assert found[0]["temperature"] == found[1]["temperature"]
    assert found[0]["ece"] != found[1]["ece"]


def test_the_table_of_probabilities_says_what_temperatures_change(capsys: pytest.CaptureFixture[str]) -> None:
    raw = {"title": "test", "ece_uncalibrated": 0.5, "nll_uncalibrated": 2.0}
    fitted = {"ece": 0.25, "nll": 1.0, "temperature": {"0/a": 9.5, "0/b": 0.25}}
    print_calibration(
        {
            "knn": {**raw, **fitted},
            "last": {**raw, "ece": None, "nll": None, "temperature": {"0/a": None}},
            "of an older version": {"title": "test"},
        }
    )
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == "Probabilities: test"
    assert "│ knn │ 0.250 (0.500) │ 1.000 (2.000) │ 0.25 – 9.5 │" in printed
    assert "│ last │ – (0.500) │ – (2.000) │ – │" in printed
    assert not any("older" in line for line in printed)
    print_calibration({"of an older version": {"title": "test"}})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        ({"told_apart": "emotion"}, "emotion"),
        ({"told_apart": "merged emotion"}, "emotion"),
        ({"told_apart": "emotion × gender"}, "class"),
        ({"told_apart": "gender"}, "class"),
    ],
)
def test_the_column_of_classes(metrics: dict, name: str) -> None:
    assert class_column(metrics) == name


def test_the_learning_curve_names_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(training, "save", lambda figure, path: drawn.append(figure))
    row = {"stage": "train-0", "emotion": "all", "seed": 0, "fold": "f", "loss": 2.0, "validation_loss": math.nan}
    history = History(tmp_path / "history.jsonl")
    history.append("train-0", [{**row, "epoch": e} for e in (1, 2)])
    draw_training(history.read, 1, ("all",), "cross-entropy / nats per clip", "title", tmp_path)
    assert drawn[0].get_supylabel() == "cross-entropy / nats per clip"
