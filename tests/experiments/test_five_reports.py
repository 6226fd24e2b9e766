"""Repeated rows: every command can be given, what is done stays done, failures and interruptions are told."""

import dataclasses
import importlib
import json
import os
import shlex
import signal
import threading
from pathlib import Path

import pytest
import tyro

from experiments import five_reports
from serjax.experiments.config import ConfigError
from serjax.experiments.five_reports_rows import HEADINGS, ROWS
from serjax.experiments.replication import (
    SIDES,
    Losses,
    Outcome,
    Places,
    Row,
    Side,
    Split,
    Task,
    as_json,
    command,
    make_task,
    outcome_of,
    run_tasks,
    said,
)
from serjax.experiments.replication_page import loss_lines, markdown, within
from serjax.train.loop import Interrupted

PLACES = Places({"ravdess": "--corpus synthetic"}, "runs")
ROW = Row("S9.1", "test", 0.5, "ravdess", "tabular", "--models knn")
OUTCOME = Outcome(0.4, 0.3, 0.1, 0.1, None, None, 0.8, None, None, None, "random-80-20", 2, 1.5, "python", None)
HONEST = dataclasses.replace(OUTCOME, war=0.2, sd=None, ci95=(0.1, 0.3), protocol="speaker-6fold", seeds=1)


def task(folder: Path, code: str, row: Row = ROW, members: tuple[Path, ...] = ()) -> Task:
    return Task(row, "same", folder, members, ("python", "-c", code))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_command_is_one_that_the_experiment_takes(row: Row) -> None:
    shown = dict.fromkeys(five_reports.SHOWN, "--corpus synthetic")
    module = importlib.import_module(f"serjax.experiments.{row.experiment}")
    prefixes = () if row.experiment == "tabular" else (tyro.conf.OmitArgPrefixes,)
    for side in SIDES:
        words = command(row, side, Places(shown, "runs"))
        config = tyro.cli(module.Config, args=[*words[3:], "--out", "x"], config=prefixes)
        if not row.members:
            assert config.data.protocol == row.split(side).protocol


def test_rows_are_named_once_and_votes_have_members() -> None:
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)
    assert {row.report for row in ROWS} == set(HEADINGS)
    assert all(set(row.members) <= set(names) for row in ROWS)
    assert all(row.independent.protocol.startswith("speaker") for row in ROWS)


def test_the_two_sides_differ_in_protocol_seeds_and_their_own_flags() -> None:
    row = dataclasses.replace(ROW, same=Split("random-80-20", 3, "--tune 5"))
    expected = "--corpus synthetic --models knn --protocol random-80-20 --seeds 3 --tune 5"
    assert list(command(row, "same", PLACES)) == ["python", "-m", "serjax.experiments.tabular", *shlex.split(expected)]
    assert command(row, "independent", PLACES)[-4:] == ("--protocol", "speaker-6fold", "--seeds", "1")


def test_tasks_run_and_failures_are_told(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    good = task(tmp_path / "a", "print('well')")
    bad = task(tmp_path / "b", "raise SystemExit('no such thing')")
    assert run_tasks([good, bad], 2, lambda t, well: told.append((t.folder.name, well))) == (bad,)
    assert sorted(told) == [("a", True), ("b", False)]
    assert (said(good), said(bad)) == ("well", "no such thing")


def test_a_vote_waits_for_its_members(tmp_path: Path) -> None:
    member = task(
        tmp_path / "m", "import pathlib, time; time.sleep(0.5); pathlib.Path(r'%s').touch()" % (tmp_path / "x")
    )
    vote = task(
        tmp_path / "v", f"import pathlib; assert pathlib.Path(r'{tmp_path / 'x'}').exists()", ROW, (tmp_path / "m",)
    )
    assert run_tasks([member, vote], 2, lambda t, well: None) == ()


def test_an_interruption_stops_the_commands(tmp_path: Path) -> None:
    long = task(tmp_path / "a", "import time; time.sleep(60)")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Interrupted, match=r"1 command\(s\) saved what they did, 0 left"):
        run_tasks([long], 1, lambda t, well: None)


def test_an_outcome_comes_back_from_json() -> None:
    content = json.loads(json.dumps(as_json(ROW, {"independent": HONEST})))
    assert outcome_of(content["independent"]) == HONEST
    assert (content["reported"], content["same"], content["minutes"]) == (0.5, None, 1.5)
    with pytest.raises(ConfigError, match="no outcome of a row"):
        outcome_of({"war": 0.5})


@pytest.mark.parametrize(
    ("reported", "says"), [(0.5, "yes"), (0.61, "reported higher"), (0.19, "reported lower"), (0.59, "yes")]
)
def test_within_two_standard_deviations(reported: float, says: str) -> None:
    assert within(reported, OUTCOME) == says
    assert within(reported, HONEST) is None


def test_the_page_has_both_sides_and_their_difference() -> None:
    outcomes: dict[str, dict[Side, Outcome]] = {"S9.1": {"same": OUTCOME, "independent": HONEST}}
    page = markdown("Title", "About.", [ROW], outcomes, {"S9": "a report"})
    assert "0.400 ± 0.100 (random-80-20, 2 seeds)" in page
    assert "0.200 [0.100, 0.300]" in page
    assert "| 0.200 | 3.0 |" in page  # same − new, minutes


def test_losses_are_shown_beside_what_was_reported() -> None:
    row = dataclasses.replace(ROW, reported=Losses(0.01, 0.02))
    outcome = dataclasses.replace(OUTCOME, losses={"train": [1.0, 2.0], "test": [3.0, 4.0], "all": [5.0, 6.0]})
    reported, measured = loss_lines(row, {"same": outcome})
    assert reported[4:7] == ("0.0100", "0.0200", "2.00")
    assert measured[2:7] == ("1.0000", "3.0000", "5.0000", "6.0000", "1.20")


def test_unknown_rows_and_missing_corpora_are_told() -> None:
    with pytest.raises(ConfigError, match="S7: there is no such row"):
        five_reports.chosen(("S7",))
    with pytest.raises(ConfigError, match=r"give --crema-d FOLDER"):
        five_reports.where(five_reports.Config(), five_reports.chosen(("S3",)))


def test_a_vote_brings_members_that_are_not_there(tmp_path: Path) -> None:
    rows = five_reports.with_members(five_reports.chosen(("S4.8",)), tmp_path)
    assert [row.id for row in rows] == ["S4.3", "S4.5", "S4.8"]
    for name in ("S4.3-same", "S4.3-independent"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").touch()
    assert [row.id for row in five_reports.with_members(rows[2:], tmp_path)] == ["S4.5", "S4.8"]


def test_a_row_runs_once_and_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = five_reports.chosen(("S2.4",))
    monkeypatch.setattr(five_reports, "ROWS", (dataclasses.replace(row, same=Split("random-80-20", 2)),))
    config = five_reports.Config(rows=("S2.4",), synthetic=96, jobs=2, runs=tmp_path / "runs", quiet=True)
    five_reports.run(config)
    page = (config.runs / "five_reports.md").read_text()
    kept = json.loads((config.runs / "five_reports.json").read_text())["rows"]["S2.4"]
    assert 0 <= kept["same"]["war"] <= 1
    assert kept["independent"]["ci95"][0] <= kept["independent"]["war"] <= kept["independent"]["ci95"][1]
    assert kept["command"]["same"] in page
    assert (config.runs / "five_reports_s2.png").exists()
    marks = {path: path.stat().st_mtime_ns for path in config.runs.rglob("metrics.json")}
    five_reports.run(config)
    assert {path: path.stat().st_mtime_ns for path in config.runs.rglob("metrics.json")} == marks
    assert "S2.4" in capsys.readouterr().out


def test_another_command_is_run_again() -> None:
    row = five_reports.chosen(("S2.4",))[0]
    shown = Places(five_reports.SHOWN, "runs")
    known = dataclasses.replace(OUTCOME, command=five_reports.text(row, "same", shown))
    assert [t.side for t in five_reports.missing([row], {row.id: {"same": known}}, shown, shown)] == ["independent"]
    assert make_task(row, "same", shown).folder == Path("runs/S2.4-same")
    again = {row.id: {"same": OUTCOME}}
    assert [t.side for t in five_reports.missing([row], again, shown, shown)] == ["same", "independent"]
