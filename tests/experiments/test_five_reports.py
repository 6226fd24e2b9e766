"""Repeated rows: every command can be given, what is done stays done, failures and interruptions are told."""

import dataclasses
import importlib
import json
import os
import shlex
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import tyro

from experiments.five_reports import __main__ as five_reports
from experiments.five_reports.commands import ON_PAGE, SHOWN, Locations, command, command_line, published_command
from experiments.five_reports.outcome import Outcome
from experiments.five_reports.results import write_results
from experiments.five_reports.row import SIDES, Row, Side, Split
from experiments.five_reports.rows import HEADINGS, ROWS, chosen
from experiments.five_reports.study import is_known, missing, without_votes_of
from experiments.five_reports.tasks import Task, last_lines, make_task, run_tasks
from serjax.data import load_corpus
from serjax.errors import ConfigError
from serjax.signals import Interrupted
from tests.experiments.test_five_reports_outcome import OUTCOME, ROW

LOCATIONS = Locations({"ravdess": "--corpus synthetic"}, "runs")


def task(folder: Path, code: str, row: Row = ROW, members: tuple[Path, ...] = ()) -> Task:
    return Task(row, "same", folder, members, ("python", "-c", code))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_command_is_one_that_the_experiment_takes(row: Row) -> None:
    shown = dict.fromkeys(SHOWN, "--corpus synthetic")
    module = importlib.import_module(f"serjax.experiments.{row.experiment}")
    prefixes = () if row.experiment == "tabular" else (tyro.conf.OmitArgPrefixes,)
    for side in SIDES:
        words = command(row, side, Locations(shown, "runs"))
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
    assert list(command(row, "same", LOCATIONS)) == [
        "python",
        "-m",
        "serjax.experiments.tabular",
        *shlex.split(expected),
    ]
    assert command(row, "independent", LOCATIONS)[-4:] == ("--protocol", "speaker-6fold", "--seeds", "1")


def test_tasks_run_and_failures_are_told(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    good = task(tmp_path / "a", "print('well')")
    bad = task(tmp_path / "b", "raise SystemExit('no such thing')")
    assert run_tasks([good, bad], 2, lambda t, succeeded: told.append((t.folder.name, succeeded))) == (bad,)
    assert sorted(told) == [("a", True), ("b", False)]
    assert (last_lines(good), last_lines(bad)) == ("well", "no such thing")


def test_a_vote_waits_for_its_members(tmp_path: Path) -> None:
    member = task(
        tmp_path / "m", "import pathlib, time; time.sleep(0.5); pathlib.Path(r'%s').touch()" % (tmp_path / "x")
    )
    vote = task(
        tmp_path / "v", f"import pathlib; assert pathlib.Path(r'{tmp_path / 'x'}').exists()", ROW, (tmp_path / "m",)
    )
    assert run_tasks([member, vote], 2, lambda t, succeeded: None) == ()


def test_an_interruption_stops_the_commands(tmp_path: Path) -> None:
    long = task(tmp_path / "a", "import time; time.sleep(60)")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Interrupted, match=r"1 command\(s\) saved what they did, 0 left"):
        run_tasks([long], 1, lambda t, succeeded: None)


def test_nothing_is_left_running_when_the_report_of_a_task_fails(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    long = task(tmp_path / "long", f"import os, time; open(r'{pid}', 'w').write(str(os.getpid())); time.sleep(60)")
    short = task(tmp_path / "short", f"import os, time\nwhile not os.path.exists(r'{pid}'): time.sleep(0.05)")

    def fail(task: Task, succeeded: bool) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run_tasks([long, short], 2, fail)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_the_published_size_has_a_command_too(tmp_path: Path) -> None:
    smaller = [row for row in ROWS if any(flag in row.flags for flag in ("--size", "--filters 16", "--n-mels"))]
    assert [row.id for row in ROWS if published_command(row, ON_PAGE)] == [row.id for row in smaller] != []
    for row in smaller:
        made_up = Locations(dict.fromkeys(SHOWN, "--corpus synthetic"), "runs")
        words = shlex.split(published_command(row, made_up) or "")
        module = importlib.import_module(f"serjax.experiments.{row.experiment}")
        config = tyro.cli(module.Config, args=[*words[3:], "--out", "x"], config=(tyro.conf.OmitArgPrefixes,))
        assert config.data.protocol == row.same.protocol
        sizes = {getattr(config.model, "size", 0), getattr(config.features, "n_mels", 0)} | set(
            getattr(config.model, "filters", ())
        )
        assert sizes & {224, 64, 128}
    write_results(tmp_path / "page.md", {smaller[0].id: {"same": OUTCOME}}, made_up=False)
    line = published_command(smaller[0], ON_PAGE)
    assert f"  - at the published size: `{line}`" in (tmp_path / "page.md").read_text()
    content = json.loads((tmp_path / "page.json").read_text())["rows"]
    assert content[smaller[0].id]["published_size"] == line


def test_classes_of_what_was_reported_are_those_of_the_corpus() -> None:
    for row in ROWS:
        assert not row.also.f1 or set(row.also.f1) == set(load_corpus("synthetic", synthetic_clips=96).labels)


def test_unknown_rows_and_missing_corpora_are_told() -> None:
    with pytest.raises(ConfigError, match="S7: there is no such row"):
        chosen(("S7",))
    with pytest.raises(ConfigError, match=r"give --crema-d FOLDER"):
        five_reports.corpus_flags(five_reports.Config(), chosen(("S3",)))
    with pytest.raises(ConfigError, match=r"--ravdess nowhere: there is no such folder"):
        five_reports.corpus_flags(five_reports.Config(ravdess=Path("nowhere")), chosen(("S2",)))


def test_a_root_of_its_own_holds_nineteen_actors(tmp_path: Path) -> None:
    (row,) = chosen(("S2.4-19",))
    with pytest.raises(ConfigError, match=r"need ravdess-19: give --ravdess-19 FOLDER"):
        five_reports.corpus_flags(five_reports.Config(ravdess=tmp_path), (row,))
    corpora = five_reports.corpus_flags(five_reports.Config(ravdess_19=tmp_path), (row,))
    assert corpora == {"ravdess-19": f"--corpus ravdess --root {tmp_path}"}


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    corpus = tmp_path / "it's here"
    corpus.mkdir()
    row = chosen(("S2.4",))[0]
    corpora = five_reports.corpus_flags(five_reports.Config(ravdess=corpus), (row,))
    assert str(corpus) in command(row, "same", Locations(corpora, "runs"))


def test_made_up_clips_have_a_folder_and_a_page_of_their_own(tmp_path: Path) -> None:
    assert five_reports.Config(synthetic=96).folder != five_reports.Config().folder
    row = chosen(("S2.4",))[0]
    write_results(tmp_path / "page.md", {row.id: {"same": OUTCOME}}, made_up=True)
    assert "made-up clips" in (tmp_path / "page.md").read_text()
    assert "RAVDESS has 24 actors" not in (tmp_path / "page.md").read_text()


def known(rows: Sequence[Row], shown: Locations) -> dict[str, dict[Side, Outcome]]:
    """Return an outcome of both sides of each row, under its present command."""
    texts = {row.id: {side: command_line(row, side, shown) for side in SIDES} for row in rows}
    return {name: {side: dataclasses.replace(OUTCOME, command=texts[name][side]) for side in SIDES} for name in texts}


def test_a_vote_brings_members_that_cannot_vote_yet(tmp_path: Path) -> None:
    vote, shown, places = chosen(("S4.8",)), Locations(SHOWN, "runs"), tmp_path / "runs"

    def lacking(rows: Sequence[Row], outcomes: dict[str, dict[Side, Outcome]]) -> set[str]:
        return {t.name for t in missing(rows, outcomes, shown, Locations(SHOWN, str(places)))}

    several = ("S4.3 same", "S4.3 independent", "S4.5 same", "S4.5 independent")
    assert lacking(vote, {}) == {*several, "S4.8 same", "S4.8 independent"}
    members = known(chosen(("S4.3", "S4.5")), shown)
    assert lacking(vote, members) == {*several, "S4.8 same", "S4.8 independent"}  # known, but their folders are gone
    for name in ("S4.3-same", "S4.3-independent"):
        (places / name).mkdir(parents=True)
        (places / name / "metrics.json").write_text(json.dumps({"uar": OUTCOME.uar}))
    assert lacking(vote, members) == {*several[2:], "S4.8 same", "S4.8 independent"}
    (places / "S4.3-same" / "metrics.json").write_text(json.dumps({"uar": OUTCOME.uar + 0.1}))  # of another run
    assert lacking(vote, members) == {"S4.3 same", *several[2:], "S4.8 same", "S4.8 independent"}


def test_what_is_known_of_a_vote_needs_no_folder_of_its_members(tmp_path: Path) -> None:
    rows, shown = chosen(("S4.3", "S4.5", "S4.8")), Locations(SHOWN, "runs")
    outcomes = known(rows, shown)
    assert missing(rows, outcomes, shown, Locations(SHOWN, str(tmp_path))) == []
    del outcomes["S4.8"]["same"]
    lacking = missing(rows, outcomes, shown, Locations(SHOWN, str(tmp_path)))
    assert [t.name for t in lacking] == ["S4.3 same", "S4.5 same", "S4.8 same"]


@pytest.mark.slow
@pytest.mark.usefixtures("with_figures")
def test_a_row_runs_once_and_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    config = five_reports.Config(rows=("S2.3",), synthetic=96, jobs=2, runs=runs, quiet=True)
    five_reports.run(config)
    page = (runs / "five_reports.md").read_text()
    kept = json.loads((runs / "five_reports.json").read_text())["rows"]["S2.3"]
    assert 0 <= kept["same"]["war"] <= 1
    assert kept["independent"]["ci95"][0] <= kept["independent"]["war"] <= kept["independent"]["ci95"][1]
    assert kept["independent"]["n_clips"] == 96
    assert kept["command"]["same"] in page
    assert (kept["same"]["seeds"], len(kept["same"]["war_by_seed"])) == (10, 10)
    assert kept["same"]["war"] == pytest.approx(sum(kept["same"]["war_by_seed"]) / 10)
    assert (runs / "five_reports_s2.png").exists()
    assert (runs / "five_reports_s2.3_roc.png").read_bytes() == (runs / "S2.3-same/figures/roc.png").read_bytes()
    assert "](five_reports_s2.3_roc.png)" in page
    marks = {path: path.stat().st_mtime_ns for path in runs.rglob("metrics.json")}
    five_reports.run(config)
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("metrics.json")} == marks
    assert "S2.3" in capsys.readouterr().out


def test_another_command_is_run_again() -> None:
    row = chosen(("S2.4",))[0]
    shown = Locations(SHOWN, "runs")
    known = dataclasses.replace(OUTCOME, command=command_line(row, "same", shown))
    assert [t.side for t in missing([row], {row.id: {"same": known}}, shown, shown)] == ["independent"]
    assert make_task(row, "same", shown).folder == Path("runs/S2.4-same")
    again = {row.id: {"same": OUTCOME}}
    assert [t.side for t in missing([row], again, shown, shown)] == ["same", "independent"]


def test_a_vote_is_run_again_where_a_member_is(tmp_path: Path) -> None:
    rows, shown = chosen(("S4.3", "S4.5", "S4.8")), Locations(SHOWN, "runs")
    outcomes = known(rows, shown)
    outcomes["S4.3"]["same"] = dataclasses.replace(OUTCOME, command="another")
    lacking = missing(rows, outcomes, shown, Locations(SHOWN, str(tmp_path)))
    assert [t.name for t in lacking] == ["S4.3 same", "S4.5 same", "S4.8 same"]


def test_a_vote_of_other_runs_than_those_on_the_page_is_run_again(tmp_path: Path) -> None:
    rows, shown = chosen(("S4.3", "S4.5", "S4.8")), Locations(SHOWN, "runs")
    outcomes = known(rows, shown)
    for uar, expected in ((OUTCOME.uar, []), (OUTCOME.uar + 0.01, ["S4.3 same", "S4.5 same", "S4.8 same"])):
        members = {"S4.3": OUTCOME.uar, "S4.5": uar}
        outcomes["S4.8"]["same"] = dataclasses.replace(outcomes["S4.8"]["same"], members=members)
        lacking = missing(rows, outcomes, shown, Locations(SHOWN, str(tmp_path)))
        assert [t.name for t in lacking] == expected
    (vote,) = chosen(("S4.8",))
    assert is_known(dataclasses.replace(vote, anew=("S4.5",)), "same", outcomes, shown)
    assert not is_known(dataclasses.replace(vote, anew=("S4.3",)), "same", outcomes, shown)


def test_what_a_member_gives_outdates_its_votes() -> None:
    shown = Locations(SHOWN, "runs")
    outcomes = known(chosen(("S4.3", "S4.5", "S4.8", "S4.12")), shown)
    member = make_task(chosen(("S4.3",))[0], "same", shown)
    left = without_votes_of(member, outcomes)
    assert left.pop("S4.8") == {"independent": outcomes["S4.8"]["independent"]}
    assert left == {name: outcomes[name] for name in ("S4.3", "S4.5", "S4.12")}
