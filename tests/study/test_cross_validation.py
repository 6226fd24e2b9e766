"""What is done inside a cell's training rows beside fitting: cross-validation with the chosen model, class weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serjax.errors import ConfigError
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.fitting import fit
from serjax.models.classical.specs import Knn, LogisticRegression, Model, Single
from serjax.models.classical.two_stage import TwoStage
from serjax.results.show import print_comparison
from serjax.study.progress import progresses
from serjax.study.tabular import cells as tabular_cells
from serjax.study.tabular.cells import Row, Tuning, _facts, cross_validated_war, fit_cell
from serjax.study.tabular.flags import Choice, Fitting, TabularConfig
from serjax.study.tabular.study import rows_of
from serjax.study.tabular.tuning import Search, TrainingRows, Tuned, fold_uar, inner_folds
from tests.study.tiny_table import TEST, tiny_table, write_row

KNN = Row("knn", "knn", Knn(3, weights="uniform"))
UNEVEN_N = np.where(np.arange(72) % 5 == 0, np.arange(72) % 3, 0)


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_the_mean_accuracy_that_scikit_learn_finds_in_the_training_rows(shared: bool) -> None:
    table = tiny_table(shared=shared)
    cell = table.problem.cells[1]
    kind, speaker_N = (StratifiedKFold, None) if shared else (StratifiedGroupKFold, table.speaker_N[:60])
    folds = kind(5, shuffle=True, random_state=cell.seed)
    x_ND, label_N = table.x_ND[:60], table.alphabetical_N[:60]
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(3))
    expected = cross_val_score(model, x_ND, label_N, groups=speaker_N, cv=folds, scoring="accuracy")
    assert cross_validated_war(KNN, table, cell, 5) == pytest.approx(expected.mean(), abs=1e-12)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize("model", [Knn(), TwoStage(LogisticRegression(), Knn())])
def test_rows_of_the_test_have_no_part_in_it(model: Knn | TwoStage) -> None:
    plain, other = tiny_table(), tiny_table()
    other.x_ND[TEST] = 100.0
    found = [cross_validated_war(Row("m", "m", model), t, t.problem.cells[0], 3) for t in (plain, other)]
    assert found[0] == found[1]
    assert 1 / 3 < found[0] < 1


def test_it_is_that_of_the_model_that_tuning_chose(tmp_path: Path) -> None:
    table = tiny_table()
    cell = table.problem.cells[0]
    facts = fit_cell(KNN, table, cell, Tuning(3, 3, tmp_path / "tuning.journal", n_cv_folds=4)).facts
    chosen = replace(KNN, model=Knn(**facts["model"]))  # type: ignore[arg-type]
    assert chosen != KNN
    assert facts["cv_war"] == cross_validated_war(chosen, table, cell, 4)


def test_more_folds_than_there_can_be_name_their_flag() -> None:
    table = tiny_table()
    with pytest.raises(ConfigError, match="--cv-folds 6: there are 5 training speakers"):
        cross_validated_war(KNN, table, table.problem.cells[0], 6)


def test_seeds_that_are_not_cross_validated_do_not_count(tmp_path: Path) -> None:
    table = tiny_table()
    first = table.problem.cells[0]
    later = replace(first, seed=1)
    tuning = Tuning(0, 3, tmp_path / "journal", n_cv_folds=4, n_cv_seeds=1)
    told = {f"{cell.seed}": fit_cell(KNN, table, cell, tuning).facts for cell in (later, first)}
    assert ["cv_war" in facts for facts in told.values()] == [False, True]
    assert _facts(KNN, told).cv_war == cross_validated_war(KNN, table, first, 4)


def test_the_run_folder_has_the_mean_over_cells_and_the_table_a_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, found = tiny_table(), {}
    for name, n_folds in (("with", 4), ("without", 0)):
        with open_run_folder(tmp_path / name, "tabular/knn", name) as folder, progresses(True) as shown:
            folder.claim({})
            write_row(KNN, table, folder, Tuning(0, 3, Path("journal"), n_folds), shown)
        found[name] = json.loads((tmp_path / name / "metrics.json").read_text())
    cells = [cross_validated_war(KNN, table, cell, 4) for cell in table.problem.cells]
    assert cells[0] != cells[1]
    assert found["with"]["cv_war"] == pytest.approx(np.mean(cells))
    assert found["without"]["cv_war"] is None
    print_comparison(found)
    printed = capsys.readouterr().out
    assert "WAR in CV" in printed
    assert f"{np.mean(cells):.3f}" in printed
    print_comparison({"without": found["without"]})
    assert "WAR in CV" not in capsys.readouterr().out


def test_class_weights_reach_the_models_of_a_cell_its_search_and_its_cross_validation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tiny_table(emotion_N=UNEVEN_N)
    row = Row("logistic", "logistic", LogisticRegression(), class_weights=True)
    cell = table.problem.cells[0]
    predictions = fit_cell(row, table, cell, Tuning(0, 3, Path("journal"))).test
    expected = fit(row.model, table.x_ND[:60], table.problem.truth_N[:60], 0, class_weights=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(predictions.prediction, expected.predict_proba(table.x_ND[TEST]).argmax(1))
    seen: list[bool] = []

    def watched_fit(model: Model, x_ND: np.ndarray, label_N: np.ndarray, seed: int, k: int, weights: bool) -> object:
        seen.append(weights)
        return fit(model, x_ND, label_N, seed, k, weights)

    def watched_tune(model: Single, rows: TrainingRows, search: Search) -> Tuned:
        seen.append(rows.class_weights)
        return Tuned(model, 0.5)

    monkeypatch.setattr(tabular_cells, "fit", watched_fit)
    monkeypatch.setattr(tabular_cells, "tune", watched_tune)
    fit_cell(row, table, cell, Tuning(1, 3, tmp_path / "journal", n_cv_folds=2))
    assert seen == [True] * 5  # the search, the cell's model, two folds, the model without validation rows


def test_a_trial_is_judged_with_class_weights() -> None:
    table = tiny_table(emotion_N=UNEVEN_N)
    rows = TrainingRows(table.x_ND[:60], table.alphabetical_N[:60], table.speaker_N[:60], 3, by_speaker=False)
    fold = next(inner_folds(rows, 3, seed=0))
    found = [fold_uar(LogisticRegression(), replace(rows, class_weights=on), fold, 0) for on in (False, True)]
    assert found[0] < found[1]


def test_the_flag_is_that_of_all_rows() -> None:
    config = TabularConfig(choice=Choice(models=("tree", "svm"), two_stage=True), fitting=Fitting(class_weights=True))
    assert [row.class_weights for row in rows_of(config)] == [True] * 4
