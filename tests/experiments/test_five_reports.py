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
from experiments.five_reports.page import (
    cells,
    confusion_name,
    draw,
    lies,
    loss_lines,
    markdown,
    one_split,
    write_pictures,
)
from experiments.five_reports.replication import (
    SIDES,
    Beside,
    Losses,
    Outcome,
    Places,
    Row,
    Side,
    Split,
    Task,
    _losses,
    _voted,
    as_json,
    command,
    make_task,
    outcome_of,
    published_command,
    run_tasks,
    said,
)
from experiments.five_reports.rows import HEADINGS, ROWS
from serjax.data import load_corpus
from serjax.errors import ConfigError
from serjax.train.loop import Interrupted

PLACES = Places({"ravdess": "--corpus synthetic"}, "runs")
ROW = Row("S9.1", "test", 0.5, "ravdess", "tabular", "--models knn")
OUTCOME = Outcome(0.4, 0.3, 0.1, 0.1, None, None, 0.8, None, None, None, "random-80-20", 2, 1.5, "python", None)
HONEST = dataclasses.replace(
    OUTCOME, war=0.2, sd=None, ci95=(0.1, 0.3), protocol="speaker-6fold", seeds=1, n_clips=96, n_speakers=6
)


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


def test_nothing_is_left_running_when_the_report_of_a_task_fails(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    long = task(tmp_path / "long", f"import os, time; open(r'{pid}', 'w').write(str(os.getpid())); time.sleep(60)")
    short = task(tmp_path / "short", f"import os, time\nwhile not os.path.exists(r'{pid}'): time.sleep(0.05)")

    def fail(task: Task, well: bool) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run_tasks([long, short], 2, fail)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_outcome_comes_back_from_json() -> None:
    content = json.loads(json.dumps(as_json(ROW, {"independent": HONEST})))
    assert outcome_of(content["independent"]) == HONEST
    assert (content["reported"], content["same"], content["minutes"]) == (0.5, None, 1.5)
    with pytest.raises(ConfigError, match="no outcome of a row"):
        outcome_of({"war": 0.5})


@pytest.mark.parametrize(("reported", "says"), [(0.5, "inside"), (0.81, "above"), (0.19, "below"), (0.2, "inside")])
def test_where_a_reported_number_lies(reported: float, says: str) -> None:
    assert lies(reported, (0.2, 0.8)) == says
    assert lies(reported, None) is None


@pytest.mark.parametrize(
    ("seeds", "n_tested", "reach"),
    [(3, None, 4.968 * 0.1), (10, None, 2.373 * 0.1), (10, 6, 2.373 * 0.2), (10, 600, 2.373 * 0.1)],
)
def test_one_further_split_lies_within_its_interval(seeds: int, n_tested: int | None, reach: float) -> None:
    """By tables of Student's t: 4.3027 √(4/3) for three seeds, 2.2622 √1.1 for ten; √(.4 · .6 / 6) is .2."""
    found = one_split(dataclasses.replace(OUTCOME, seeds=seeds, n_tested=n_tested))
    assert found == pytest.approx((0.4 - reach, 0.4 + reach), abs=1e-4)
    assert one_split(HONEST) is None


def test_the_page_and_its_picture_show_that_interval() -> None:
    same = dataclasses.replace(OUTCOME, seeds=10, sd=0.02, n_tested=100)
    low, high = one_split(same) or (0.0, 0.0)
    assert f"| [{low:.3f}, {high:.3f}] | inside |" in markdown("T", "A.", [ROW], {"S9.1": {"same": same}}, {"S9": "r"})
    row = dataclasses.replace(ROW, id="S2.1")
    bar = draw("S2", HEADINGS["S2"], [row], {"S2.1": {"same": same}}).axes[0].lines[0]
    assert tuple(bar.get_xdata()) == (low, high)


def test_the_page_has_both_sides_and_their_difference() -> None:
    outcomes: dict[str, dict[Side, Outcome]] = {"S9.1": {"same": OUTCOME, "independent": HONEST}}
    page = markdown("Title", "About.", [ROW], outcomes, {"S9": "a report"})
    assert "0.400 ± 0.100 (random-80-20, 2 seeds)" in page
    assert "0.200 [0.100, 0.300]" in page
    assert "| 0.200 | 3.0 |" in page  # same − new, minutes
    assert page.count("clips of") == page.count("96 clips of 6 speakers tested") == 1
    assert "LEAK" not in page


def test_what_else_was_reported_stands_beside_ours(tmp_path: Path) -> None:
    told = dataclasses.replace(ROW, beside=Beside(train=0.91, f1={"calm": 0.77}))
    silent = dataclasses.replace(ROW, id="S9.2")
    found = dataclasses.replace(
        OUTCOME, train_war=0.82, f1={"calm": 0.4, "sad": 0.2}, confusion=[[3, 1], [2, 2]], roc_auc=0.73
    )
    outcomes: dict[str, dict[Side, Outcome]] = {row.id: {"same": found} for row in (told, silent)}
    page = markdown("Title", "About.", [told, silent], outcomes, {"S9": "a report"})
    assert "| S9.1 test | 0.910 | 0.820 | – | – | – | 0.730 |" in page
    assert "| class | S9.1, reported F1 | S9.1 |" in page
    assert "| calm | 0.770 | 0.600 / 0.750 / 0.667 |\n| sad | – | 0.667 / 0.500 / 0.571 |" in page
    assert "S9.2 test | – " not in page
    write_pictures(tmp_path, [told, silent], outcomes, {"S9": "a report"})
    assert {path.name for path in tmp_path.glob("*confusion*")} == {confusion_name(told)}
    assert f"]({confusion_name(told)})" in page
    older: dict[str, dict[Side, Outcome]] = {"S9.1": {"same": OUTCOME}}
    page = markdown("Title", "About.", [told], older, {"S9": "a report"})
    assert "F1 of each class as reported; our run was made before" in page
    assert "| class | S9.1, reported F1 |\n" in page
    assert "| class |" not in markdown("Title", "About.", [told], {"S9.1": {"independent": HONEST}}, {"S9": "a report"})
    never = dataclasses.replace(found, confusion=[[3, 0], [2, 0]])
    page = markdown("Title", "About.", [told], {"S9.1": {"same": never}}, {"S9": "a report"})
    assert "| sad | – | – / 0.000 / 0.000 |" in page


def test_the_published_size_has_a_command_too(tmp_path: Path) -> None:
    smaller = [row for row in ROWS if any(flag in row.flags for flag in ("--size", "--filters 16", "--n-mels"))]
    assert [row.id for row in ROWS if published_command(row, five_reports.PLACES)] == [row.id for row in smaller] != []
    for row in smaller:
        made_up = Places(dict.fromkeys(five_reports.SHOWN, "--corpus synthetic"), "runs")
        words = shlex.split(published_command(row, made_up) or "")
        module = importlib.import_module(f"serjax.experiments.{row.experiment}")
        config = tyro.cli(module.Config, args=[*words[3:], "--out", "x"], config=(tyro.conf.OmitArgPrefixes,))
        assert config.data.protocol == row.same.protocol
        sizes = {getattr(config.model, "size", 0), getattr(config.features, "n_mels", 0)} | set(
            getattr(config.model, "filters", ())
        )
        assert sizes & {224, 64, 128}
    five_reports.write(tmp_path / "page.md", {smaller[0].id: {"same": OUTCOME}}, made_up=False)
    command_line = published_command(smaller[0], five_reports.PLACES)
    assert f"  - at the published size: `{command_line}`" in (tmp_path / "page.md").read_text()
    content = json.loads((tmp_path / "page.json").read_text())["rows"]
    assert content[smaller[0].id]["published_size"] == command_line


def test_classes_of_what_was_reported_are_those_of_the_corpus() -> None:
    for row in ROWS:
        assert not row.beside.f1 or set(row.beside.f1) == set(load_corpus("synthetic", synthetic_clips=96).labels)


def test_a_leak_stands_beside_its_number() -> None:
    rows = [row for row in ROWS if "--copies-before-split" in row.same.flags]
    assert [row.id for row in rows] == [row.id for row in ROWS if row.same.leak] != []
    page = markdown("Title", "About.", rows[:1], {rows[0].id: {"same": OUTCOME}}, HEADINGS)
    assert "(random-80-20, 2 seeds, LEAK: copies of a recording on both sides)" in page
    assert as_json(rows[0], {})["leak"] == rows[0].same.leak


def test_a_row_without_a_reported_number_is_drawn_without_a_ring() -> None:
    rows = [dataclasses.replace(ROW, id="S2.1", reported=reported) for reported in (None, 0.5)]
    unrun = dataclasses.replace(ROW, id="S2.2")
    outcomes: dict[str, dict[Side, Outcome]] = {"S2.1": {"same": OUTCOME, "independent": HONEST}}
    rings = []
    for row in rows:
        axes = draw("S2", HEADINGS["S2"], [row, unrun], outcomes).axes[0]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["S2.1 test"]  # the row that was run
        rings.append(sum(line.get_markerfacecolor() == "none" for line in axes.lines))
    assert rings == [0, 1]
    assert cells(rows[0], outcomes["S2.1"])[1:5:3] == (None, None)


def test_the_title_fits_the_picture() -> None:
    outcomes: dict[str, dict[Side, Outcome]] = {"S1.1": {"same": OUTCOME}}
    figure = draw("S1", "a report whose heading is long, and " * 4, ROWS, outcomes)
    figure.draw_without_rendering()
    assert figure._suptitle.get_window_extent().width < figure.bbox.width


def test_losses_are_shown_beside_what_was_reported() -> None:
    row = dataclasses.replace(ROW, reported=Losses(0.01, 0.02))
    outcome = dataclasses.replace(OUTCOME, losses={"train": [1.0, 2.0], "test": [3.0, 4.0], "all": [5.0, 6.0]})
    reported, measured = loss_lines(row, {"same": outcome})
    assert reported[4:7] == ("0.0100", "0.0200", "2.00")
    assert measured[2:7] == ("1.0000", "3.0000", "5.0000", "6.0000", "1.20")
    spread = {"train": [0.1, 9.0], "test": [0.2, 9.0], "all": [0.3, 0.4], "ratio": [0.05]}
    _, measured = loss_lines(row, {"same": dataclasses.replace(outcome, losses_sd=spread)})
    shown = ("1.0000 ± 0.1000", "3.0000 ± 0.2000", "5.0000 ± 0.3000", "6.0000 ± 0.4000", "1.20 ± 0.05")
    assert measured[2:7] == shown
    assert (reported[7:9], measured[8]) == ((None, None), "above")  # 12.7 √1.5 · .05 above 1.2 is 1.98
    spread = spread | {"ratio": [0.06]}
    assert loss_lines(row, {"same": dataclasses.replace(outcome, losses_sd=spread)})[1][8] == "inside"


def test_losses_and_their_ratio_deviate_over_seeds(tmp_path: Path) -> None:
    def parts(happy: float, sad: float) -> dict[str, list[list[float]]]:
        return {part: [[9.0, 9.0], [sad, happy]] for part in ("train", "validation", "test", "all")}

    by_seed = {"0": parts(1.0, 2.0), "1": parts(3.0, 4.0)}
    path = tmp_path / "reconstruction.json"
    path.write_text(json.dumps({"labels": ["sad", "happy"], "minmax": parts(2.0, 3.0) | {"by_seed": by_seed}}))
    losses, spread = _losses(path)
    assert losses["all"] == [2.0, 3.0]
    assert spread["all"] == pytest.approx([2**0.5, 2**0.5])
    assert spread["ratio"] == pytest.approx([(2 - 4 / 3) / 2**0.5])
    path.write_text(
        json.dumps({"labels": ["sad", "happy"], "minmax": parts(1.0, 2.0) | {"by_seed": {"0": parts(1.0, 2.0)}}})
    )
    assert _losses(path) == ({part: [1.0, 2.0] for part in ("train", "test", "all")}, None)


def test_unknown_rows_and_missing_corpora_are_told() -> None:
    with pytest.raises(ConfigError, match="S7: there is no such row"):
        five_reports.chosen(("S7",))
    with pytest.raises(ConfigError, match=r"give --crema-d FOLDER"):
        five_reports.where(five_reports.Config(), five_reports.chosen(("S3",)))
    with pytest.raises(ConfigError, match=r"--ravdess nowhere: there is no such folder"):
        five_reports.where(five_reports.Config(ravdess=Path("nowhere")), five_reports.chosen(("S2",)))


def test_a_root_of_its_own_holds_nineteen_actors(tmp_path: Path) -> None:
    (row,) = five_reports.chosen(("S2.4-19",))
    with pytest.raises(ConfigError, match=r"need ravdess-19: give --ravdess-19 FOLDER"):
        five_reports.where(five_reports.Config(ravdess=tmp_path), (row,))
    corpora = five_reports.where(five_reports.Config(ravdess_19=tmp_path), (row,))
    assert corpora == {"ravdess-19": f"--corpus ravdess --root {tmp_path}"}


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    corpus = tmp_path / "it's here"
    corpus.mkdir()
    row = five_reports.chosen(("S2.4",))[0]
    corpora = five_reports.where(five_reports.Config(ravdess=corpus), (row,))
    assert str(corpus) in command(row, "same", Places(corpora, "runs"))


def test_the_page_names_the_rows_that_took_longer_than_was_meant(tmp_path: Path) -> None:
    minutes = {"S1.1": (20.5, 1.0), "S1.2": (19.0, 59.0), "S2.1": (1.0, 61.0)}
    outcomes: dict[str, dict[Side, Outcome]] = {
        name: {side: dataclasses.replace(OUTCOME, minutes=took) for side, took in zip(SIDES, both, strict=True)}
        for name, both in minutes.items()
    }
    five_reports.write(tmp_path / "page.md", outcomes, made_up=False)
    assert "longer took: S1.1, S2.1." in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    "damaged", ["{", "[]", "{}", '{"rows": {"S2.4": {}}}', '{"rows": {"S2.4": {"same": {"war": 1}}}}']
)
def test_a_damaged_file_of_results_is_told(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "five_reports.json").write_text(damaged)
    with pytest.raises(ConfigError, match=r"five_reports\.json is damaged .* made again from the run folders"):
        five_reports.read_outcomes(tmp_path / "five_reports.md")


def test_made_up_clips_have_a_folder_and_a_page_of_their_own(tmp_path: Path) -> None:
    assert five_reports.Config(synthetic=96).folder != five_reports.Config().folder
    row = five_reports.chosen(("S2.4",))[0]
    five_reports.write(tmp_path / "page.md", {row.id: {"same": OUTCOME}}, made_up=True)
    assert "made-up clips" in (tmp_path / "page.md").read_text()
    assert "RAVDESS has 24 actors" not in (tmp_path / "page.md").read_text()


def known(rows: Sequence[Row], shown: Places) -> dict[str, dict[Side, Outcome]]:
    """Return an outcome of both sides of each row, under its present command."""
    texts = {row.id: {side: five_reports.text(row, side, shown) for side in SIDES} for row in rows}
    return {name: {side: dataclasses.replace(OUTCOME, command=texts[name][side]) for side in SIDES} for name in texts}


def test_a_vote_brings_members_that_cannot_vote_yet(tmp_path: Path) -> None:
    vote, shown, places = five_reports.chosen(("S4.8",)), Places(five_reports.SHOWN, "runs"), tmp_path / "runs"

    def lacking(rows: Sequence[Row], outcomes: dict[str, dict[Side, Outcome]]) -> set[str]:
        return {t.name for t in five_reports.missing(rows, outcomes, shown, Places(five_reports.SHOWN, str(places)))}

    several = ("S4.3 same", "S4.3 independent", "S4.5 same", "S4.5 independent")
    assert lacking(vote, {}) == {*several, "S4.8 same", "S4.8 independent"}
    members = known(five_reports.chosen(("S4.3", "S4.5")), shown)
    assert lacking(vote, members) == {*several, "S4.8 same", "S4.8 independent"}  # known, but their folders are gone
    for name in ("S4.3-same", "S4.3-independent"):
        (places / name).mkdir(parents=True)
        (places / name / "metrics.json").write_text(json.dumps({"uar": OUTCOME.uar}))
    assert lacking(vote, members) == {*several[2:], "S4.8 same", "S4.8 independent"}
    (places / "S4.3-same" / "metrics.json").write_text(json.dumps({"uar": OUTCOME.uar + 0.1}))  # of another run
    assert lacking(vote, members) == {"S4.3 same", *several[2:], "S4.8 same", "S4.8 independent"}


def test_what_is_known_of_a_vote_needs_no_folder_of_its_members(tmp_path: Path) -> None:
    rows, shown = five_reports.chosen(("S4.3", "S4.5", "S4.8")), Places(five_reports.SHOWN, "runs")
    outcomes = known(rows, shown)
    assert five_reports.missing(rows, outcomes, shown, Places(five_reports.SHOWN, str(tmp_path))) == []
    del outcomes["S4.8"]["same"]
    lacking = five_reports.missing(rows, outcomes, shown, Places(five_reports.SHOWN, str(tmp_path)))
    assert [t.name for t in lacking] == ["S4.3 same", "S4.5 same", "S4.8 same"]


@pytest.mark.slow
def test_a_row_runs_once_and_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = five_reports.chosen(("S2.3",))
    monkeypatch.setattr(five_reports, "ROWS", (dataclasses.replace(row, same=Split("random-80-20", 2)),))
    runs = tmp_path / "runs"
    config = five_reports.Config(rows=("S2.3",), synthetic=96, jobs=2, runs=runs, quiet=True)
    five_reports.run(config)
    page = (runs / "five_reports.md").read_text()
    kept = json.loads((runs / "five_reports.json").read_text())["rows"]["S2.3"]
    assert 0 <= kept["same"]["war"] <= 1
    assert kept["independent"]["ci95"][0] <= kept["independent"]["war"] <= kept["independent"]["ci95"][1]
    assert kept["independent"]["n_clips"] == 96
    assert kept["command"]["same"] in page
    assert (kept["same"]["seeds"], len(kept["same"]["war_by_seed"])) == (2, 2)
    assert kept["same"]["war"] == pytest.approx(sum(kept["same"]["war_by_seed"]) / 2)
    assert (runs / "five_reports_s2.png").exists()
    assert (runs / "five_reports_s2.3_roc.png").read_bytes() == (runs / "S2.3-same/figures/roc.png").read_bytes()
    assert "](five_reports_s2.3_roc.png)" in page
    marks = {path: path.stat().st_mtime_ns for path in runs.rglob("metrics.json")}
    five_reports.run(config)
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("metrics.json")} == marks
    assert "S2.3" in capsys.readouterr().out


def test_another_command_is_run_again() -> None:
    row = five_reports.chosen(("S2.4",))[0]
    shown = Places(five_reports.SHOWN, "runs")
    known = dataclasses.replace(OUTCOME, command=five_reports.text(row, "same", shown))
    assert [t.side for t in five_reports.missing([row], {row.id: {"same": known}}, shown, shown)] == ["independent"]
    assert make_task(row, "same", shown).folder == Path("runs/S2.4-same")
    again = {row.id: {"same": OUTCOME}}
    assert [t.side for t in five_reports.missing([row], again, shown, shown)] == ["same", "independent"]


def test_a_vote_is_run_again_where_a_member_is(tmp_path: Path) -> None:
    rows, shown = five_reports.chosen(("S4.3", "S4.5", "S4.8")), Places(five_reports.SHOWN, "runs")
    outcomes = known(rows, shown)
    outcomes["S4.3"]["same"] = dataclasses.replace(OUTCOME, command="another")
    lacking = five_reports.missing(rows, outcomes, shown, Places(five_reports.SHOWN, str(tmp_path)))
    assert [t.name for t in lacking] == ["S4.3 same", "S4.5 same", "S4.8 same"]


def test_a_vote_of_other_runs_than_those_on_the_page_is_run_again(tmp_path: Path) -> None:
    rows, shown = five_reports.chosen(("S4.3", "S4.5", "S4.8")), Places(five_reports.SHOWN, "runs")
    outcomes = known(rows, shown)
    for uar, expected in ((OUTCOME.uar, []), (OUTCOME.uar + 0.01, ["S4.3 same", "S4.5 same", "S4.8 same"])):
        members = {"S4.3": OUTCOME.uar, "S4.5": uar}
        outcomes["S4.8"]["same"] = dataclasses.replace(outcomes["S4.8"]["same"], members=members)
        lacking = five_reports.missing(rows, outcomes, shown, Places(five_reports.SHOWN, str(tmp_path)))
        assert [t.name for t in lacking] == expected
    (vote,) = five_reports.chosen(("S4.8",))
    assert five_reports.is_known(dataclasses.replace(vote, anew=("S4.5",)), "same", outcomes, shown)
    assert not five_reports.is_known(dataclasses.replace(vote, anew=("S4.3",)), "same", outcomes, shown)


def test_a_vote_remembers_what_its_members_reached(tmp_path: Path) -> None:
    (vote,) = five_reports.chosen(("S4.8",))
    metrics = {"members": [{"run": "a", "uar": 0.5}, {"run": "b", "uar": 0.6}]}
    assert _voted(task(tmp_path, "", vote), metrics) == {"S4.5": 0.5, "S4.3": 0.6}
    assert _voted(task(tmp_path, ""), {}) is None


def test_the_page_names_the_rows_that_were_dealt_otherwise(tmp_path: Path) -> None:
    by_path = dataclasses.replace(OUTCOME, dealt_by_path=True)
    outcomes: dict[str, dict[Side, Outcome]] = {
        "S1.1": {"same": OUTCOME, "independent": HONEST},
        "S1.2": {"same": by_path, "independent": HONEST},
    }
    five_reports.write(tmp_path / "page.md", outcomes, made_up=False)
    assert "**S1.2: not to be had again to the last digit.**" in (tmp_path / "page.md").read_text()
    five_reports.write(tmp_path / "page.md", {"S1.1": outcomes["S1.1"]}, made_up=False)
    assert "not to be had again" not in (tmp_path / "page.md").read_text()


def test_the_page_says_how_many_actors_were_at_hand_if_outcomes_tell(tmp_path: Path) -> None:
    for n_speakers, says in ((None, "CREMA-D 91."), (24, "CREMA-D 91, of whom 24 were at hand.")):
        outcome = dataclasses.replace(OUTCOME, n_speakers=n_speakers)
        five_reports.write(tmp_path / "page.md", {"S3.1": {"same": outcome}}, made_up=False)
        assert says in (tmp_path / "page.md").read_text()


def test_what_a_member_gives_outdates_its_votes() -> None:
    shown = Places(five_reports.SHOWN, "runs")
    outcomes = known(five_reports.chosen(("S4.3", "S4.5", "S4.8", "S4.12")), shown)
    member = make_task(five_reports.chosen(("S4.3",))[0], "same", shown)
    left = five_reports.without_votes_of(member, outcomes)
    assert left.pop("S4.8") == {"independent": outcomes["S4.8"]["independent"]}
    assert left == {name: outcomes[name] for name in ("S4.3", "S4.5", "S4.12")}
