"""The page of accuracy: one ingredient per row, and what finished runs reach beside them; nothing is trained here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import accuracy
from experiments.rewrite import markdown_of
from serjax.errors import ConfigError
from serjax.folder.finished import read_result
from serjax.results.page import read_content
from serjax.study.flags import Data, Machine
from serjax.study.stages import Study
from serjax.study.supervised import SupervisedConfig
from serjax.train.pictures import ClassifierChanges
from tests.experiments.test_declared_studies import made_up, rows
from tests.results.test_comparison import predictions, write_run

__all__ = ["made_up"]


def test_each_row_changes_one_ingredient_and_finished_runs_stand_below(made_up: list[Study], tmp_path: Path) -> None:
    found = predictions([0, 1, 2], n_seeds=2)
    write_run(tmp_path / "vote", found, {})
    page, out = tmp_path / "accuracy.md", Machine(out=tmp_path / "out", quiet=True)
    config = accuracy.Config((tmp_path / "vote",), True, (4,), 3, page, Data(synthetic_clips=96), out)
    accuracy.run(config)
    configs: list[SupervisedConfig] = [study.config for study in made_up]
    base = configs[0]
    assert base == replace(accuracy.network(config), machine=base.machine)
    assert (base.training.epochs, base.model.channels) == (3, (4,))
    for changed in configs[1:]:
        assert replace(changed, machine=base.machine) != base
        parts = [getattr(changed, name) == getattr(base, name) for name in ("training", "model", "pictures")]
        assert sum(parts) == 2
        differing = [n for n in vars(ClassifierChanges()) if vars(changed.pictures)[n] != vars(base.pictures)[n]]
        assert len(differing) <= 1 or differing == ["freq_mask", "time_mask"]
    assert rows(page)[0]["name"] == "base"
    content = read_content(page.with_suffix(".json"))
    systems, folds, commands = (table["rows"] for table in content["more"])
    assert systems[0][0] == folds[0][0] == commands[0][0] == "vote"
    per_fold = read_result(tmp_path / "vote" / "metrics.json")["per_fold"]
    np.testing.assert_allclose(folds[0][1], np.mean([of_seed["fold-1"]["uar"] for of_seed in per_fold.values()]))
    assert markdown_of(content, "accuracy.png") == page.read_text()


def test_finished_runs_are_compared_without_training(made_up: list[Study], tmp_path: Path) -> None:
    runs = tuple(write_run(tmp_path / name, predictions(wrong), {}) for name, wrong in (("a", []), ("b", [0, 1])))
    page, out = tmp_path / "accuracy.md", Machine(out=tmp_path / "out", quiet=True)
    accuracy.run(accuracy.Config(runs, ingredients=False, results=page, machine=out))
    assert not made_up
    assert [row["name"] for row in rows(page)] == ["a", "b"]
    with pytest.raises(ConfigError, match="--no-ingredients trains nothing"):
        accuracy.run(accuracy.Config(ingredients=False, machine=out))
