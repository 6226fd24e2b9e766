"""Two stages beside one: the run folder of `tabular`, and a table of the pairs."""

import json
import sys
from pathlib import Path

import pytest

from serjax.command import run_command
from serjax.evaluate.comparison import difference
from serjax.experiments import two_stage
from serjax.experiments.two_stage import Config, folder_of
from serjax.folder.finished import read_run
from serjax.study.flags import Data
from serjax.study.tabular.flags import Choice, Output
from serjax.study.tabular.table import TableFeatures

DATA = Data(synthetic_clips=96, emotions=("happy", "sad", "angry"), protocol="speaker-5fold", offset=0.0)
FEATURES = TableFeatures(features=("mfcc",), frames=108)  # the front end that other tests have compiled


@pytest.mark.slow
def test_both_are_fitted_to_the_same_rows_and_printed_with_their_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(out=tmp_path / "o", quiet=True)
    page = tmp_path / "page.md"
    two_stage.run(Config(DATA, FEATURES, Choice(("logistic",), two_stage=True), output=output, results=page))
    one, two = (read_run(tmp_path / "o" / name) for name in ("logistic", "two-stage-logistic"))
    uars = [json.loads((run.path / "metrics.json").read_text())["uar"] for run in (one, two)]
    swapped = difference(two.predictions, one.predictions, "uar", speakers_shared=False)
    gender_war = json.loads((two.path / "metrics.json").read_text())["gender_war"]
    table = capsys.readouterr().out.split("Two stages against one")[1].split("logistic")[1].splitlines()[0]
    cells = [cell.strip() for cell in table.split("│")[1:]]
    cells = [cell.replace("−", "-") for cell in cells]
    assert cells[:3] == [f"{uars[0]:.3f}", f"{uars[1]:.3f}", f"{uars[1] - uars[0]:+.3f}"]
    low, high = map(float, cells[3].split(" … "))
    assert low <= uars[1] - uars[0] <= high
    assert float(cells[4]) == pytest.approx(swapped.p_value, abs=0.02)
    assert cells[5] == f"{gender_war:.3f}"
    assert uars[0] != uars[1]
    assert f"| logistic | {uars[0]:.3f} | {uars[1]:.3f} |" in page.read_text()
    (row,) = json.loads(page.with_suffix(".json").read_text())["rows"]
    assert (row["UAR, two stages"], row["difference"]) == (uars[1], pytest.approx(uars[1] - uars[0], abs=1e-14))


def test_its_run_folder_has_its_name_and_the_last_part_of_a_path() -> None:
    assert folder_of(Config(data=Data(corpus="/data/my.speech.csv"))).name.startswith("two_stage-my.speech-")
    assert folder_of(Config()) != folder_of(Config(choice=Choice(("tree",), two_stage=True)))


def test_one_stage_alone_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Config] = []
    monkeypatch.setattr(sys, "argv", ["two_stage", "--models", "knn", "--knn.n-neighbors", "9", "--cv-folds", "5"])
    with pytest.raises(SystemExit):
        run_command(Config, seen.append, "", prefixes=True)
    assert seen[0].choice.two_stage
    assert (seen[0].knn.n_neighbors, seen[0].fitting.cv_folds) == (9, 5)
    monkeypatch.setattr(sys, "argv", ["two_stage", "--no-two-stage"])
    with pytest.raises(SystemExit) as stop:
        run_command(Config, two_stage.run, "", prefixes=True)
    assert stop.value.code == 2
    assert "this study compares two stages with one" in capsys.readouterr().err
