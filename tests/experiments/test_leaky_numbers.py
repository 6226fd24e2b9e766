"""The ladder: what chooses on each rung, and that test rows are looked at where it says so, and never trained on."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import leaky_numbers, rewrite
from experiments.chosen_on_test import LEAK, ChosenOnTest, best_in_each_fold, best_of_all
from serjax.errors import ConfigError
from serjax.evaluate.calibration import cells_of
from serjax.evaluate.predictions import Predictions, concatenate, read_predictions
from serjax.experiments import logreg
from serjax.folder.finished import read_run
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import Features
from serjax.study.progress import progresses
from serjax.study.stages import complete

pytestmark = pytest.mark.slow

PICTURE = Features(sample_rate=8_000, n_mfcc=5, frames=12, n_fft=256, hop_length=128, n_mels=12)
DATA = Data(synthetic_clips=48, emotions=("angry", "sad"), protocol="speaker-5fold")


def network(out: Path) -> logreg.Config:
    training = SupervisedTraining(epochs=3, learning_rate=0.01)
    return logreg.Config(
        data=DATA, features=PICTURE, training=training, machine=Machine(devices=1, quiet=True, out=out)
    )


def judged(right: dict[str, int]) -> Predictions:
    """Return eight clips of two classes in each fold, of which the first ones are taken right."""
    truth_N = np.arange(8) % 2
    folds = []
    for fold, n_right in right.items():
        prediction_N = np.where(np.arange(8) < n_right, truth_N, 1 - truth_N)
        names = tuple(f"{fold}{n}" for n in range(8))
        about = (("s",) * 8, (fold,) * 8, np.zeros(8, int), truth_N, prediction_N)
        folds.append(Predictions(names, *about, np.eye(2)[prediction_N] + n_right, ("sad", "happy")))
    return concatenate(folds)


def test_each_fold_takes_the_setting_that_its_own_judged_rows_prefer() -> None:
    tested = [judged({"a": 4, "b": 8}), judged({"a": 6, "b": 2})]
    validated = [judged({"a": 8, "b": 2}), judged({"a": 2, "b": 4})]
    honest, on_test = best_in_each_fold(tested, validated), best_in_each_fold(tested, tested)
    right = {name: found.truth == found.prediction for name, found in (("honest", honest), ("on_test", on_test))}
    counts = {n: [int(right[n][cells_of(honest) == f"0/{fold}"].sum()) for fold in "ab"] for n in right}
    assert counts == {"honest": [4, 2], "on_test": [6, 8]}
    assert best_of_all(tested) is tested[0]
    assert best_of_all(tested[::-1]) is tested[0]


@pytest.mark.usefixtures("no_figures")
def test_a_study_chosen_on_test_validates_on_test_rows_and_says_so(tmp_path: Path) -> None:
    leaky = ChosenOnTest(network(tmp_path / "leaky").study(), all_others=True)
    honest = network(tmp_path / "honest").study()
    with progresses(True) as shown:
        problem, before = leaky.load(shown), honest.load(shown)
    for cell, own in zip(problem.cells, before.cells, strict=True):
        np.testing.assert_array_equal(cell.fold.validation, own.fold.test)
        np.testing.assert_array_equal(cell.fold.test, own.fold.test)
        assert set(cell.fold.train) == set(own.fold.train) | set(own.fold.validation)
        assert not set(cell.fold.train) & set(cell.fold.test)
        assert not set(own.fold.validation) & set(own.fold.test)
    complete([leaky, honest])
    found = json.loads((tmp_path / "leaky" / "metrics.json").read_text())
    assert found["leak"] == LEAK
    assert "LEAK: epochs chosen on test rows" in found["title"]
    assert json.loads((tmp_path / "honest" / "metrics.json").read_text())["leak"] is None
    tested, chosen = (read_predictions(tmp_path / "leaky" / name) for name in ("predictions.csv", "validation.csv.gz"))
    assert set(tested.utterance) == set(chosen.utterance)
    assert leaky.flags.fingerprint != honest.flags.fingerprint


@pytest.mark.parametrize("training", [{"refit": True}, {"keep": "last"}])
def test_rows_that_choose_and_test_are_never_trained_on(training: dict, tmp_path: Path) -> None:
    config = network(tmp_path)
    config = replace(config, training=replace(config.training, **training))
    with pytest.raises(ConfigError, match="which are test rows here"):
        ChosenOnTest(config.study(), all_others=True).check()


@pytest.mark.usefixtures("no_figures")
def test_the_ladder_ends_on_the_honest_rung_and_its_page_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def settings(self: leaky_numbers.Config, system: str, protocol: str) -> dict[str, logreg.Config]:
        config = network(tmp_path)
        data, training = replace(DATA, protocol=protocol), replace(config.training, refit=self.refit)
        rates = {str(rate): replace(training, learning_rate=rate) for rate in self.rates}
        return {name: replace(config, data=data, training=one) for name, one in rates.items()}

    def noting(tested: Sequence[Predictions], judged: Sequence[Predictions]) -> Predictions:
        pairs = [
            {(cell, clip) for cell, clip in zip(cells_of(one), one.utterance, strict=True)}
            for one in (tested[0], judged[0])
        ]
        noted.append((len(judged), len(pairs[0] & pairs[1]), pairs[0] == pairs[1]))
        found = best_in_each_fold(tested, judged)
        wrong_N = np.arange(len(found.truth)) < 2 * len(noted)  # the more, the later it is asked for
        return replace(found, prediction=np.where(wrong_N, 1 - found.truth, found.truth))

    noted: list[tuple[int, int, bool]] = []
    monkeypatch.setattr(leaky_numbers.Config, "network", settings)  # in place of networks that take minutes
    monkeypatch.setattr(leaky_numbers, "best_in_each_fold", noting)
    config = leaky_numbers.Config(
        systems=("cnn",),
        refit=False,
        rates=(0.03, 0.0003),
        data=replace(DATA, protocol=None),
        machine=Machine(devices=1, quiet=True, out=tmp_path / "out"),
        results=tmp_path / "page.md",
    )
    leaky_numbers.run(config)
    on_test, honest = (2, 12, True), (2, 0, False)  # clips in common
    assert noted == [honest, on_test, honest, (1, 12, True)]
    content = json.loads((tmp_path / "page.json").read_text())
    rows = content["cells"]
    assert [row[1][0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row[4] is None for row in rows] == [True, True, False, False, False]  # speakers shared: no interval
    assert rows[1][2] > rows[0][2] > rows[4][2] > rows[2][2]  # in the order of `noted`
    assert rows[4][5] == "+0.000"
    speakers = [tmp_path / "out" / "cnn" / "speaker-6fold" / str(rate) for rate in config.rates]
    assert rows[3][2] in [read_run(path).uar for path in speakers]
    folders = {
        path.parent.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("metrics.json")
    }
    each = {f"cnn/{protocol}/{rate}" for protocol in ("random-5fold", "speaker-6fold") for rate in config.rates}
    leaky = {f"cnn/random-5fold-on-test/{rate}" for rate in config.rates} | {"cnn/speaker-6fold-on-test/0.03"}
    assert folders == each | leaky
    page = (tmp_path / "page.md").read_text()
    assert rewrite.render(tmp_path / "page.md") == page
    assert "Rungs 1, 3 and 4 look at test clips on purpose" in page
    with pytest.raises(ConfigError, match="leave it out"):
        leaky_numbers.run(replace(config, data=DATA))


def test_the_grid_is_every_setting_and_reaches_every_system() -> None:
    config = leaky_numbers.Config(rates=(0.1, 0.2), dropouts=(0.3, 0.5), shrinkages=(0.2, 0.8), epochs=7)
    for system in ("cnn", "reslstm"):
        networks = config.network(system, "random-5fold").values()
        grid = {(one.training.learning_rate, one.model.dropout) for one in networks}
        assert grid == {(rate, dropout) for rate in (0.1, 0.2) for dropout in (0.3, 0.5)}
        assert {(one.training.epochs, one.data.protocol, one.training.refit) for one in networks} == {
            (7, "random-5fold", True)
        }
    assert [one.density.shrinkages for one in config.densities("loso").values()] == [(0.2,), (0.8,)]
