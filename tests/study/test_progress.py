"""What is said while work goes on: how much is left to people, lines of JSON to programs, nothing when quiet."""

import json
from pathlib import Path

import pytest

from serjax.experiments import logreg
from serjax.study import progress
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import Features
from serjax.study.progress import Progresses, progresses
from serjax.study.stages import complete


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the time that the module sees, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def go(shown: Progresses, clock: list[float]) -> None:
    """Do 30 of 100 parts in 30 s after 10 that were there, then the rest, then something brief."""
    for at_s, done in ((100, 10), (110, 20), (130, 40), (190, 100)):
        clock[0] = at_s
        shown.update("tuning", done, 100, loss=0.5)
    shown.update("scoring", 1, 2)
    shown.update("scoring", 2, 2)


def test_lines_say_how_much_is_left(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progresses(quiet=False)
    go(shown, clock)
    assert capsys.readouterr().err.splitlines() == ["tuning: 40 % loss 0.5000, 60 s left", "tuning: 100 % loss 0.5000"]
    shown.update("tuning", 5, 10)  # begins again
    clock[0] += 20
    shown.update("tuning", 6, 10)
    assert capsys.readouterr().err == "tuning: 60 %, 80 s left\n"


def test_json_has_a_line_a_second(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progresses(quiet=False, log_json=True)
    shown.say("é\x1b[2J")
    go(shown, clock)
    shown.update("train", 1, 3, loss=float("inf"))
    written = capsys.readouterr().err
    assert written.isascii()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in written.splitlines()]
    assert all(line.pop("time") > 1e9 for line in lines)
    assert lines[0] == {"event": "message", "text": "é\x1b[2J"}
    told = [(line["task"], line["done"], line["total"], line["remaining_s"], line["loss"]) for line in lines[1:]]
    first, after, *_ = ("tuning", 10, 100, None, 0.5), ("tuning", 20, 100, 80.0, 0.5)
    assert told[:4] == [first, after, ("tuning", 40, 100, 60.0, 0.5), ("tuning", 100, 100, 0.0, 0.5)]
    assert told[4:] == [("scoring", 1, 2, None, None), ("scoring", 2, 2, 0.0, None), ("train", 1, 3, None, None)]


@pytest.mark.parametrize("log_json", [False, True])
def test_quiet_says_nothing(log_json: bool, clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progresses(quiet=True, log_json=log_json) as shown:
        go(shown, clock)
        shown.say("text")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_sound")
def test_a_run_tells_training_and_scoring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(out=tmp_path / "o", cache=tmp_path / "cache", devices=1, log_json=True)
    features = Features(sample_rate=8_000, n_mfcc=5, frames=6, n_fft=256, hop_length=128, n_mels=12)
    training = SupervisedTraining(epochs=2, batch_size=16)
    data = Data(synthetic_clips=96, emotions=("happy", "sad"))
    complete([logreg.Config(data=data, features=features, training=training, machine=machine).study()])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    ended = {line["task"] for line in lines if line["event"] == "progress" and line["done"] == line["total"]}
    assert {"train", "scoring"} <= ended
