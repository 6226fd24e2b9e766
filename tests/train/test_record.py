"""The history: which of its lines count after a kill or damage; and JSON that is written whole or not at all."""

import json
import logging
import math
import os
import random

import pytest

from serjax.files import write_json
from serjax.train.record import History, HistoryError, check_whole

STAGES = ("pretrain-0", "train-0")


def rows(stage, epochs=(1, 2, 3)):
    return [{"stage": stage, "seed": 0, "fold": "f", "emotion": "all", "epoch": e, "loss": 0.5} for e in epochs]


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path / "history.jsonl")
    for stage in STAGES:
        history.append(stage, rows(stage))
    return history


def again(history, marks):
    """Return the history as the next process finds it, whose checkpoints have these marks."""
    found = History(history.path)
    for stage, mark in marks.items():
        found.keep(stage, mark)
    return found


def test_numbers_that_are_not_finite_become_null(history):
    history.append("c", [{"stage": "c", "loss": math.nan, "kl": math.inf, "other": -math.inf, "seed": 0}])
    assert history.read()[-1] == {"stage": "c", "loss": None, "kl": None, "other": None, "seed": 0}
    for line in history.path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_what_came_after_the_checkpoint_is_forgotten(history, caplog):
    """Of the stage that is trained again alone, and in silence: that is what a kill leaves."""
    early = History(history.path.with_name("early"))
    early.append("train-0", rows("train-0", (1,)))
    whole = history.path.read_text()
    with history.path.open("a") as file:
        file.write('{"stage": "train-0", "epo')
    found = again(history, {"pretrain-0": history.mark("pretrain-0"), "train-0": early.mark("train-0")})
    assert found.read() == [*rows("pretrain-0"), *rows("train-0", (1,))]
    found.append("train-0", rows("train-0", (2, 3)))
    assert history.path.read_text() == whole
    assert found.mark("train-0") == history.mark("train-0")
    assert again(history, {"pretrain-0": None, "train-0": found.mark("train-0")}).read() == rows("train-0")
    assert not caplog.records


def test_a_stage_that_no_checkpoint_knows_is_dropped(history):
    assert again(history, {"train-0": history.mark("train-0")}).read() == rows("train-0")
    assert len(history.path.read_text().splitlines()) == 3


def test_a_flip_costs_the_lines_of_its_stage_and_is_said(history, caplog):
    draw = random.Random(0)
    whole, marks = history.path.read_bytes(), {stage: history.mark(stage) for stage in STAGES}
    for _ in range(60):
        place, caught = draw.randrange(len(whole)), {stage: rows(stage) for stage in STAGES}
        history.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        del caught[STAGES[place >= len(whole) // 2 - 3]]
        caplog.clear()
        found = again(history, marks)
        left = found.read()
        assert left in ([row for stage in caught.values() for row in stage], []), place
        assert "its lines are dropped" in caplog.text
        with pytest.raises(HistoryError, match=r"lines of the history are lost: it holds \d of 2 runs"):
            check_whole([row | {"emotion": row["stage"]} for row in left], 2)


BAD = (b"[]", b"null", b'"x"', b"\xff\xfe", b"\0" * 9, b"{}", b'{"stage": 1}', b"[" * 100_000, b'{"stage": NaN}', b"")


@pytest.mark.parametrize("line", [*BAD, b'{"stage": "train-9", "epoch": 1}'])
def test_lines_that_are_none_of_ours_are_left_out(history, line):
    whole, marks = history.path.read_bytes(), {stage: history.mark(stage) for stage in STAGES}
    history.path.write_bytes(line + b"\n" + whole + line)
    assert again(history, marks).read() == [row for stage in STAGES for row in rows(stage)]
    assert history.path.read_bytes() == whole


@pytest.mark.parametrize("mark", [{}, [], 1, {"lines": "3"}, {"lines": 3, "sha256": 1}, {"lines": True}, {"lines": 9}])
def test_a_mark_that_is_none_vouches_for_nothing(history, mark, caplog):
    caplog.set_level(logging.WARNING)
    assert again(history, {"train-0": mark}).read() == []
    assert "does not hold what was written of train-0" in caplog.text


@pytest.mark.parametrize("how", ["deleted", "empty", "last line lost"])
def test_a_history_that_was_lost_is_said(history, how, caplog):
    marks = {stage: history.mark(stage) for stage in STAGES}
    lines = history.path.read_bytes().splitlines(keepends=True)
    history.path.unlink() if how == "deleted" else history.path.write_bytes(b"".join(lines[: 5 * (how[0] == "l")]))
    left = again(history, marks).read()
    assert left == (rows("pretrain-0") if how == "last line lost" else [])
    assert "its lines are dropped" in caplog.text


@pytest.mark.parametrize("epochs", [(), (2, 3), (1, 3), (1, 2, 2)])
def test_gaps_are_no_whole_history(epochs):
    check_whole(rows("train-0"), 1)
    with pytest.raises(HistoryError, match="holds 0 of 1 runs"):
        check_whole(rows("train-0", epochs), 1)


def test_no_file_is_an_empty_history(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.keep("a", None)
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
