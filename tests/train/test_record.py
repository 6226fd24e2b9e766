"""The history file and JSON that is written whole or not at all."""

import json
import math
import os

import pytest

from serjax.train.record import History, write_json


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.append({"stage": stage, "epoch": epoch, "loss": 0.5} for stage in ("a", "b") for epoch in (1, 2, 3))
    return history


def test_numbers_that_are_not_finite_become_null(history):
    history.append([{"stage": "c", "epoch": 1, "loss": math.nan, "kl": math.inf, "other": -math.inf, "seed": 0}])
    assert history.read()[-1] == {"stage": "c", "epoch": 1, "loss": None, "kl": None, "other": None, "seed": 0}
    for line in history.path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_cut_forgets_the_later_epochs_of_one_stage(history):
    history.cut("a", 1)
    assert [(row["stage"], row["epoch"]) for row in history.read()] == [("a", 1), ("b", 1), ("b", 2), ("b", 3)]
    history.cut("b", 0)
    assert [(row["stage"], row["epoch"]) for row in history.read()] == [("a", 1)]


def test_a_last_line_cut_short_is_left_out(history):
    whole = history.path.read_text()
    rows = history.read()
    last = whole.splitlines()[-1]
    for kept in range(1, len(last)):
        history.path.write_text(whole[: len(whole) - len(last) - 1 + kept])
        assert history.read() == rows[:-1]
    history.cut("b", 2)
    history.append([{"stage": "b", "epoch": 3, "loss": 0.5}])
    assert history.path.read_text() == whole


def test_no_file_is_an_empty_history(tmp_path):
    history = History(tmp_path / "history.jsonl")
    assert history.read() == []
    history.cut("a", 3)
    assert history.read() == []


def test_write_json_writes_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, {"uar": 0.5})
    assert json.loads(path.read_text()) == {"uar": 0.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"uar": math.nan})
    with pytest.raises(TypeError):
        write_json(path, {"uar": object()})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"uar": 0.6})
    assert json.loads(path.read_text()) == {"uar": 0.5}
