"""Tuning sees the training rows of its fold only, tries the same whether or not it is killed, and knows its bounds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from serjax.errors import ConfigError
from serjax.evaluate.metrics import confusion, uar
from serjax.models.classical.fitting import fit
from serjax.models.classical.specs import (
    Bagging,
    DecisionTree,
    KMeans,
    Knn,
    LightGbm,
    LogisticRegression,
    Mlp,
    OnComponents,
    RandomForest,
    Single,
    Svm,
    XgBoost,
)
from serjax.models.classical.two_stage import TwoStage
from serjax.study.tabular import cells as tabular_cells
from serjax.study.tabular import search_space
from serjax.study.tabular import tuning as tune
from serjax.study.tabular.cells import Row, Tuning, fit_cell
from serjax.study.tabular.tuning import Search, TrainingRows, fold_uar, inner_folds
from tests.study.tiny_table import TEST, tiny_table

KINDS = (Knn(), DecisionTree(), RandomForest(), Bagging(), LightGbm(), XgBoost(), Svm(), Mlp(), LogisticRegression())


def rows(n: int = 60, by_speaker: bool = True) -> TrainingRows:
    table = tiny_table()
    return TrainingRows(table.x_ND[:n], table.alphabetical_N[:n], table.speaker_N[:n], 3, by_speaker)


def search(folder: Path, n_trials: int = 6) -> Search:
    return Search(n_trials, 3, folder / "tuning.journal", "knn/0/fold-1", 0)


def trials(journal: Path) -> list[tuple[dict, str, float | None]]:
    """Return parameters, state and value of the trials that were finished."""
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.load_study(study_name="knn/0/fold-1", storage=optuna.storages.JournalStorage(backend))
    assert all(t.state.is_finished() for t in study.trials)
    done = [t for t in study.trials if t.state.name in ("COMPLETE", "PRUNED")]
    return [(t.params, t.state.name, t.value if t.state.name == "COMPLETE" else None) for t in done]


def test_inner_folds_keep_speakers_apart() -> None:
    there = rows()
    judged = []
    for fitted_n, judged_m in inner_folds(there, 3, seed=0):
        assert not set(there.speaker_N[fitted_n]) & set(there.speaker_N[judged_m])
        assert sorted([*fitted_n, *judged_m]) == list(range(60))
        judged.extend(judged_m)
    assert sorted(judged) == list(range(60))


def test_inner_folds_are_stratified_where_speakers_are_shared() -> None:
    there = rows(by_speaker=False)
    for fitted_n, judged_m in inner_folds(there, 4, seed=0):
        assert np.ptp(np.bincount(there.label_N[judged_m])) <= 1
        assert set(there.speaker_N[fitted_n]) & set(there.speaker_N[judged_m])


def test_more_inner_folds_than_speakers_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are 5 training speakers"):
        list(inner_folds(rows(), 6, seed=0))


def test_a_fold_is_judged_by_a_model_of_the_other_rows() -> None:
    there = rows()
    fitted_n, judged_m = next(inner_folds(there, 3, seed=0))
    model = fit(Knn(3), there.x_ND[fitted_n], there.label_N[fitted_n], 0)
    predicted_M = model.predict_proba(there.x_ND[judged_m]).argmax(1)
    expected = uar(confusion(there.label_N[judged_m], predicted_M, 3))
    assert fold_uar(Knn(3), there, (fitted_n, judged_m), 0) == expected < 1


def test_the_first_trial_is_the_model_as_given_and_the_best_is_kept(tmp_path: Path) -> None:
    given = Knn(n_neighbors=7, weights="uniform", p=1.0)
    found = tune.tune(given, rows(), search(tmp_path))
    tried = trials(tmp_path / "tuning.journal")
    assert len(tried) == 6
    assert tried[0][0] == {"n_neighbors": 7, "weights": "uniform", "p": 1.0}
    best = max((t for t in tried if t[2] is not None), key=lambda t: t[2] or 0)
    assert found.uar == best[2]
    assert found.model == Knn(**best[0])
    folds = list(inner_folds(rows(), 3, 0))
    assert found.uar == pytest.approx(np.mean([fold_uar(found.model, rows(), fold, 0) for fold in folds]))


def test_a_search_that_is_killed_tries_what_it_would_have_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = tune.tune(Knn(), rows(), search(whole))
    judged = tune.fold_uar

    def killed_after(n_folds: int) -> None:
        left = iter(range(n_folds))

        def judge(*arguments: object) -> float:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return judged(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(tune, "fold_uar", judge)

    for n_folds in (0, 2, 7):
        killed_after(n_folds)
        with pytest.raises(KeyboardInterrupt):
            tune.tune(Knn(), rows(), search(cut))
        with (cut / "tuning.journal").open("a") as file:
            file.write('{"op_code": 5, "worker')  # as a kill leaves it
        tune._open(search(cut)).ask()  # a trial that nobody ends
    monkeypatch.setattr(tune, "fold_uar", judged)
    assert tune.tune(Knn(), rows(), search(cut)) == expected
    assert trials(cut / "tuning.journal") == trials(whole / "tuning.journal")


@pytest.mark.parametrize("name", ["tuning.journal", "tuning.journal.sha256"])
def test_a_journal_that_was_changed_is_begun_anew(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Else a digit of a value that was reached would choose another model."""
    expected = tune.tune(Knn(), rows(), search(tmp_path, 2))
    path, whole = tmp_path / name, (tmp_path / name).read_bytes()
    tried = trials(tmp_path / "tuning.journal")
    for place in (1, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        caplog.clear()
        tune._drop_unsealed(tmp_path / "tuning.journal")
        assert (tmp_path / "tuning.journal").read_bytes() == b""
        assert "tuning.journal" in caplog.text
        (tmp_path / "tuning.journal").write_bytes(whole if name == "tuning.journal" else b"{}")
    assert tune.tune(Knn(), rows(), search(tmp_path, 2)) == expected
    assert trials(tmp_path / "tuning.journal") == tried


def test_poor_trials_are_pruned(tmp_path: Path) -> None:
    tune.tune(LogisticRegression(), rows(), replace(search(tmp_path, 14), name="knn/0/fold-1"))
    assert "PRUNED" in {state for _, state, _ in trials(tmp_path / "tuning.journal")}


@pytest.mark.parametrize("model", [Knn(), OnComponents(LogisticRegression(), 0.9), TwoStage(Knn(), Knn())])
def test_test_rows_do_not_enter_what_is_tuned(tmp_path: Path, model: Single | OnComponents | TwoStage) -> None:
    plain = tiny_table()
    labels_N = plain.problem.truth_N.astype(int)
    labels_N[TEST] = np.roll(labels_N[TEST], 1)
    leaking = tiny_table(emotion_N=labels_N)
    leaking.x_ND[TEST] = 1e6 * np.eye(5)[labels_N[TEST]]  # a feature that says the label, in test rows only
    facts = []
    for n, table in enumerate((plain, leaking)):
        tuning = Tuning(4, 3, tmp_path / f"{n}.journal")
        found = fit_cell(Row("m", "m", model), table, table.problem.cells[0], tuning)
        facts.append({k: v for k, v in found.facts.items() if k != "gender_war"})
        assert len(found.test.truth) == 12
    assert facts[0] == facts[1]
    assert facts[0]["inner_uar"] is not None


def test_the_objective_is_handed_the_training_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tiny_table()
    handed = []
    monkeypatch.setattr(tabular_cells, "tune", lambda model, there, how: handed.append(there) or tune.Tuned(model, 0.5))
    for shared in (False, True):
        table = tiny_table(shared=shared)
        fit_cell(Row("knn", "knn", Knn()), table, table.problem.cells[0], Tuning(3, 3, tmp_path / "j"))
    for there, by_speaker in zip(handed, (True, False), strict=True):
        np.testing.assert_array_equal(there.x_ND, table.x_ND[:60])  # training and validation rows
        np.testing.assert_array_equal(there.label_N, table.alphabetical_N[:60])
        assert set(there.speaker_N) == {"s0", "s1", "s2", "s3", "s4"}
        assert there.by_speaker is by_speaker


@pytest.mark.parametrize("model", KINDS, ids=lambda model: type(model).__name__)
def test_bounds_are_fields_and_hold_the_start(model: Single) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    first = search_space.start(model)
    study.enqueue_trial(first)
    assert first
    for n in range(4):
        drawn = search_space.with_values(model, study.ask(search_space.ranges(model)).params)
        assert type(drawn) is type(model)
        assert drawn != model or n == 0
        if n == 0:
            kept = {name: getattr(drawn, name) for name in first}
            assert json.dumps(kept) == json.dumps({name: getattr(model, name) for name in first})


def test_nothing_of_k_means_is_tuned() -> None:
    assert search_space.ranges(KMeans()) == {}
