"""Classical models as an experiment: what a cell may look at, what the run folder holds, how it goes on."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from serjax.command import run_command
from serjax.data.feature_cache import default_cache_dir
from serjax.errors import ConfigError
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.summary import summarise
from serjax.experiments import tabular
from serjax.folder.run_folder import RunFolderError, open_run_folder
from serjax.models.classical.fitting import fit
from serjax.models.classical.packages import ClassicalError
from serjax.models.classical.pictures import moments
from serjax.models.classical.specs import KMeans, Knn, LogisticRegression, Mlp, OnComponents, Svm
from serjax.models.classical.two_stage import TwoStage
from serjax.study.flags import Data
from serjax.study.progress import progresses
from serjax.study.tabular import cells as tabular_cells
from serjax.study.tabular import study
from serjax.study.tabular.cells import Row, Tuning, fit_cell
from serjax.study.tabular.flags import Choice, Fitting, ModelName, Output
from serjax.study.tabular.table import FeatureSet, TableFeatures, load_table
from tests.study.tiny_table import LABELS, TEST, tiny_table, write_row

DATA = Data(synthetic_clips=96, emotions=("happy", "sad", "angry"), protocol="speaker-5fold", offset=0.0)
FEATURES = TableFeatures(features=("mfcc",), frames=108)  # the front end that other tests have compiled
CHOICE = Choice(models=("logistic", "tree"), two_stage=True, votes=("logistic+2*tree",))
NO_SEARCH = Tuning(0, 3, Path("journal"))


def config(out: Path, **sections: object) -> tabular.Config:
    output = Output(out=out, quiet=True)
    return replace(tabular.Config(data=DATA, features=FEATURES, choice=CHOICE, output=output), **sections)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tabular") / "o"
    tabular.run(config(out))
    return out


def metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def figures(run: Path) -> dict:
    return {key: value for key, value in metrics(run).items() if key not in ("seconds", "command", "git")}


def test_every_model_gets_the_run_folder_that_the_design_promises(finished: Path) -> None:
    promised = "experiment corpus protocol labels uar war macro_f1 uar_ci95 per_fold per_class confusion n_parameters"
    names = ["logistic", "two-stage-logistic", "tree", "two-stage-tree", "vote-logistic+2xtree"]
    for run in (finished, *(finished / name for name in names)):
        assert set(f"{promised} seconds device versions git roc_auc".split()) <= set(metrics(run))
        assert sorted(p.name for p in (run / "figures").iterdir()) == ["confusion.png", "reliability.png", "roc.png"]
        assert (run / "config.json").exists()
        predictions = read_predictions(run / "predictions.csv")
        again = summarise(predictions, speakers_shared=False)
        assert {key: metrics(run)[key] for key in again} == again
        assert len(set(predictions.utterance)) == len(predictions.utterance)
    assert list(metrics(finished)["models"]) == names
    assert metrics(finished)["uar"] == metrics(finished / "logistic")["uar"]
    assert metrics(finished)["uar"] > 0.4


def test_the_gender_stage_is_reported(finished: Path) -> None:
    assert 0.5 < metrics(finished / "two-stage-logistic")["gender_war"] <= 1
    assert metrics(finished / "logistic")["gender_war"] is None


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_folds_that_are_missing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[str] = []
    whole = tabular_cells.fit_cell

    def killed(row: Row, table: object, cell: tabular_cells.Cell, tuning: object) -> object:
        if len(fitted) == 7:
            raise KeyboardInterrupt
        fitted.append(f"{row.name} {cell.fold.name}")
        return whole(row, table, cell, tuning)  # type: ignore[arg-type]

    monkeypatch.setattr(tabular_cells, "fit_cell", killed)
    with pytest.raises(KeyboardInterrupt):
        tabular.run(config(tmp_path / "o"))
    assert fitted[-1] == "two-stage-logistic fold-2"
    before, n_rows = fitted.copy(), 2 * len(CHOICE.models)
    fitted[:] = ["again"] * 8
    tabular.run(config(tmp_path / "o"))
    assert not set(before) & set(fitted)
    assert len(before) + len(fitted) - 8 == n_rows * 5
    for name in ("logistic", "two-stage-logistic", "tree", "vote-logistic+2xtree"):
        assert figures(tmp_path / "o" / name) == figures(finished / name)


def test_cells_of_one_table_are_not_put_beside_those_of_another(tmp_path: Path) -> None:
    other = {"one": tiny_table(), "label": tiny_table(emotion_N=np.tile([1, 0, 2], 24)), "number": tiny_table(key=1)}
    digests = {name: table.digest() for name, table in other.items()}
    assert len(set(digests.values())) == 3
    with open_run_folder(tmp_path, "tabular", "mark") as folder:
        folder.claim({})
        folder.check_clips(digests["number"])
        folder.keep_plan({"stack_size": 8})
        folder.check_clips(digests["one"])  # nothing is computed yet
        assert folder.plan is None
        folder.write_json("folds.json", {})
    with open_run_folder(tmp_path, "tabular", "mark") as folder:
        folder.check_clips(digests["one"])
        with pytest.raises(RunFolderError, match="begun with other clips"):
            folder.check_clips(digests["label"])


def test_a_changed_table_is_noticed_when_a_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = config(tmp_path / "o", choice=Choice(models=("knn",)))
    tabular.run(run)
    (tmp_path / "o" / "metrics.json").unlink()
    monkeypatch.setattr(study, "load_table", lambda *_: tiny_table())
    with pytest.raises(RunFolderError, match="begun with other clips"):
        tabular.run(run)


def test_models_of_one_table_stand_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished model is not read again: what is fitted beside it must be of the same clips."""
    run = config(tmp_path / "o", choice=Choice(models=("knn", "logistic")))
    tabular.run(run)
    for name in ("metrics.json", "logistic/metrics.json"):
        (tmp_path / "o" / name).unlink()
    for path in (tmp_path / "o" / "logistic").rglob("*"):
        if path.is_file():
            path.unlink()
    monkeypatch.setattr(study, "load_table", lambda *_: tiny_table())
    with pytest.raises(RunFolderError, match="begun with other clips"):
        tabular.run(run)


@pytest.mark.parametrize("models", [("knn",), ("logistic", "knn")])
def test_a_command_with_a_wrong_value_keeps_no_folder_from_the_mended_one(
    tmp_path: Path, models: tuple[ModelName, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(config(tmp_path / "o", choice=Choice(models=models[-1:])), knn=Knn(n_neighbors=0))
    with pytest.raises(ClassicalError, match="n_neighbors"):
        tabular.run(wrong)
    mine = tmp_path / "o" / "mine" / "config.json"
    mine.parent.mkdir()
    mine.write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(study, "load_table", lambda *_: (_ for _ in ()).throw(ConfigError("no corpus there")))
        with pytest.raises(ConfigError, match="no corpus there"):
            tabular.run(config(tmp_path / "o", choice=Choice(models=models)))
    tabular.run(config(tmp_path / "o", choice=Choice(models=models)))
    assert mine.read_text() == "{}"
    with pytest.raises(RunFolderError, match="another configuration"):
        tabular.run(wrong)


def test_a_speaker_may_be_named_with_a_slash(tmp_path: Path) -> None:
    table = tiny_table()
    folds = [replace(cell, fold=replace(cell.fold, name="speaker-../LS/84")) for cell in table.problem.cells]
    table = replace(table, problem=replace(table.problem, cells=tuple(folds)))
    with open_run_folder(tmp_path / "o", "tabular", "mark") as folder, progresses(quiet=True) as shown:
        folder.claim({})
        write_row(Row("knn", "knn", Knn()), table, folder, NO_SEARCH, shown)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    assert set(read_predictions(tmp_path / "o" / "predictions.csv").fold) == {"speaker-../LS/84"}


def test_a_finished_run_is_printed_not_fitted(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study, "load_table", None)
    tabular.run(config(finished))
    printed = capsys.readouterr().out
    for name in CHOICE.models:
        assert f"two-stage-{name}" in printed
    assert f"{metrics(finished / 'tree')['war']:.3f}" in printed


def test_one_model_is_the_run_folder_itself(finished: Path, tmp_path: Path) -> None:
    tabular.run(config(tmp_path / "o", choice=Choice(models=("tree",))))
    assert figures(tmp_path / "o") == figures(finished / "tree")
    assert not (tmp_path / "o" / "tree").exists()


@pytest.mark.slow
def test_tuning_is_repeated_in_each_fold_and_shared_by_two_stages(tmp_path: Path) -> None:
    choice = Choice(models=("knn",), two_stage=True)
    tabular.run(config(tmp_path / "o", choice=choice, fitting=Fitting(tune=2, pca_variance=0.9)))
    single, staged = (metrics(tmp_path / "o" / name) for name in ("knn", "two-stage-knn"))
    assert len(single["chosen"]) == 5
    assert all(value is not None for value in single["inner_uar"].values())
    assert {fold: model["emotion"] for fold, model in staged["chosen"].items()} == single["chosen"]
    assert len(list((tmp_path / "o").glob("*/tuning.journal"))) == 1


@pytest.mark.parametrize("model", [Knn(), OnComponents(LogisticRegression()), TwoStage(Knn(), Knn())])
def test_model_and_standardiser_know_training_rows_only(model: Knn | OnComponents | TwoStage) -> None:
    plain, other = tiny_table(), tiny_table()
    other.x_ND[TEST[1:]] = -100.0
    parts = [fit_cell(Row("m", "m", model), t, t.problem.cells[0], NO_SEARCH) for t in (plain, other)]
    np.testing.assert_array_equal(parts[0].test.scores_NK[0], parts[1].test.scores_NK[0])
    for key in ("train_war", "n_parameters"):
        assert parts[0].facts[key] == parts[1].facts[key]


def test_all_rows_that_are_not_tested_train() -> None:
    table = tiny_table()
    predictions = fit_cell(Row("knn", "knn", Knn()), table, table.problem.cells[0], NO_SEARCH).test
    expected_NK = fit(Knn(), table.x_ND[:60], table.problem.truth_N[:60], 0).predict_proba(table.x_ND[TEST])
    np.testing.assert_array_equal(predictions.prediction, expected_NK.argmax(1))
    fewer_NK = fit(Knn(), table.x_ND[:48], table.problem.truth_N[:48], 0).predict_proba(table.x_ND[TEST])
    assert not np.allclose(expected_NK, fewer_NK)


def test_validation_rows_are_scored_by_a_model_without_them() -> None:
    table, cell = tiny_table(), tiny_table().problem.cells[0]
    found = fit_cell(Row("knn", "knn", Knn()), table, cell, NO_SEARCH).validation
    assert found is not None
    expected_NK = fit(Knn(), table.x_ND[:48], table.problem.truth_N[:48], 0).predict_proba(table.x_ND[48:60])
    np.testing.assert_array_equal(found.prediction, expected_NK.argmax(1))
    assert found.utterance == tuple(f"{n:02d}.wav" for n in range(48, 60))
    whole_NK = fit(Knn(), table.x_ND[:60], table.problem.truth_N[:60], 0).predict_proba(table.x_ND[48:60])
    assert not np.allclose(expected_NK, whole_NK)


def test_without_validation_rows_or_a_class_beside_them_there_are_no_scores_of_them() -> None:
    row = Row("knn", "knn", Knn())
    none = replace(tiny_table(), held_out_cells=())
    assert fit_cell(row, none, none.problem.cells[0], NO_SEARCH).validation is None
    emotion_N = np.where(np.arange(72) < 48, np.arange(72) % 2, np.arange(72) % 3)
    rare = tiny_table(emotion_N=emotion_N)  # the third emotion is in validation and test alone
    assert fit_cell(row, rare, rare.problem.cells[0], NO_SEARCH).validation is None


def test_classes_keep_their_names() -> None:
    table = tiny_table(shift=50.0)
    for model in (Knn(), KMeans(), TwoStage(Knn(), Knn())):
        found = fit_cell(Row("m", "m", model), table, table.problem.cells[0], NO_SEARCH)
        np.testing.assert_array_equal(found.test.prediction, found.test.truth)
        assert found.facts["train_war"] == 1.0


def test_raw_numbers_of_clusters_are_no_better_than_matched_ones() -> None:
    table = tiny_table(shift=2.0)
    cell = table.problem.cells[1]
    wars = [
        fit_cell(Row("m", "m", KMeans(ids)), table, cell, NO_SEARCH).facts["train_war"] for ids in ("matched", "raw")
    ]
    assert wars[0] > 0.7
    assert wars[0] >= wars[1]


def test_raw_clusters_are_counted_along_the_alphabet() -> None:
    table = tiny_table(shift=50.0)
    raw = fit_cell(Row("m", "m", KMeans("raw")), table, table.problem.cells[0], NO_SEARCH).test
    train = np.arange(60)
    cluster_N = fit(KMeans("raw"), table.x_ND[train], table.alphabetical_N[train], 0).predict_proba(table.x_ND[TEST])
    names = [sorted(LABELS)[c] for c in cluster_N.argmax(1)]
    assert [LABELS[k] for k in raw.prediction] == names


def test_feature_sets_stand_side_by_side(finished: Path) -> None:
    with progresses(True) as shown:
        one = load_table(DATA, FEATURES, default_cache_dir(), shown)
        two = load_table(DATA, replace(FEATURES, features=("mfcc", "mfcc")), default_cache_dir(), shown)
        flat = load_table(DATA, replace(FEATURES, view="flat"), default_cache_dir(), shown)
    pictures_NTC, mask_NT = one.problem.x_NTC, one.problem.mask_NT > 0
    np.testing.assert_array_equal(one.x_ND, moments(pictures_NTC, mask_NT))
    np.testing.assert_array_equal(two.x_ND, np.concatenate([one.x_ND, one.x_ND], axis=1))
    np.testing.assert_array_equal(flat.x_ND, pictures_NTC.reshape(-1, 108 * 20))
    assert all(len(cell.fold.validation) == 0 for cell in one.problem.cells)


@pytest.mark.parametrize(
    ("kind", "view", "shape"),
    [
        ("stats26", "moments", (1, 26)),
        ("stats180", "flat", (1, 180)),
        ("mel-means", "flat", (1, 128)),
        ("mfcc", "moments", (280, 20)),
        ("mel", "flat", (108, 128)),
        ("chroma", "flat", (108, 12)),
        ("descriptors", "moments", (280, 6)),
    ],
)
def test_statistics_are_of_the_whole_clip(kind: FeatureSet, view: Literal["moments", "flat"], shape: tuple) -> None:
    frontend = TableFeatures(view=view).frontend(kind)
    assert (frontend.n_frames, frontend.n_features) == shape
    assert frontend.frames == (108 if view == "flat" and kind not in ("stats180", "mel-means") else 280)


def test_flags_reach_sections_and_models(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = "--models mlp knn --mlp.hidden 64 32 --mlp.alpha 0.1 --knn.n-neighbors 9 --tune 5 --corpus ravdess"
    monkeypatch.setattr(sys, "argv", ["tabular", *flags.split()])
    seen: list[tabular.Config] = []
    with pytest.raises(SystemExit):
        run_command(tabular.Config, seen.append, "", prefixes=True)
    assert seen[0].model("mlp") == Mlp(hidden=(64, 32), alpha=0.1)
    assert seen[0].model("knn") == Knn(n_neighbors=9)
    assert seen[0].fitting.tune == 5
    assert seen[0].data.corpus == "ravdess"
    assert seen[0].data.offset is None


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"choice": Choice(models=())}, "at least one model"),
        ({"choice": Choice(models=("knn", "knn"))}, "each once"),
        ({"choice": Choice(models=("knn",), votes=("knn+svm",))}, "--votes"),
        ({"fitting": Fitting(tune=-1)}, "--tune -1"),
        ({"fitting": Fitting(tune=1, inner_folds=0)}, "--inner-folds"),
        ({"fitting": Fitting(cv_folds=1)}, "--cv-folds 1"),
        ({"fitting": Fitting(cv_folds=2, cv_seeds=0)}, "--cv-seeds 0"),
        ({"fitting": Fitting(class_weights=True), "choice": Choice(models=("tree", "mlp"))}, "mlp cannot weigh"),
        ({"features": TableFeatures(features=())}, "--features"),
        ({"svm": Svm(c=math.inf), "choice": Choice(models=("svm",))}, "svm c inf: expected finite numbers"),
    ],
)
def test_flags_that_make_no_sense_claim_no_folder(tmp_path: Path, sections: dict, message: str) -> None:
    with pytest.raises((ConfigError, RunFolderError), match=message):
        tabular.run(config(tmp_path / "o", **sections))
    assert not (tmp_path / "o" / "config.json").exists()


def test_shared_speakers_have_no_interval(tmp_path: Path) -> None:
    with open_run_folder(tmp_path / "o", "tabular/knn", "x") as folder, progresses(True) as shown:
        folder.claim({})
        write_row(Row("knn", "knn", Knn()), tiny_table(shared=True), folder, NO_SEARCH, shown)
    assert metrics(tmp_path / "o")["uar_ci95"] is None
    assert metrics(tmp_path / "o")["uar_sd"] is not None
