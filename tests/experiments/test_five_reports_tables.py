"""Tables and pictures of repeated rows, and what the page says of all rows together."""

import dataclasses
from pathlib import Path

import pytest

from experiments.five_reports.outcome import Outcome, as_json
from experiments.five_reports.page import markdown, page_text
from experiments.five_reports.pictures import confusion_name, draw, write_pictures
from experiments.five_reports.row import SIDES, AlsoReported, Losses, Side
from experiments.five_reports.rows import HEADINGS, ROWS
from experiments.five_reports.tables import cells, loss_lines, one_split, position
from tests.experiments.test_five_reports_outcome import HONEST, OUTCOME, ROW


@pytest.mark.parametrize(("reported", "says"), [(0.5, "inside"), (0.81, "above"), (0.19, "below"), (0.2, "inside")])
def test_where_a_reported_number_position(reported: float, says: str) -> None:
    assert position(reported, (0.2, 0.8)) == says
    assert position(reported, None) is None


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
    told = dataclasses.replace(ROW, also=AlsoReported(train=0.91, f1={"calm": 0.77}))
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


def test_the_page_names_the_rows_that_took_longer_than_was_meant() -> None:
    minutes = {"S1.1": (20.5, 1.0), "S1.2": (19.0, 59.0), "S2.1": (1.0, 61.0)}
    outcomes: dict[str, dict[Side, Outcome]] = {
        name: {side: dataclasses.replace(OUTCOME, minutes=took) for side, took in zip(SIDES, both, strict=True)}
        for name, both in minutes.items()
    }
    assert "longer took: S1.1, S2.1." in page_text(outcomes, made_up=False)


def test_the_page_names_the_rows_that_were_dealt_otherwise() -> None:
    by_path = dataclasses.replace(OUTCOME, dealt_by_path=True)
    outcomes: dict[str, dict[Side, Outcome]] = {
        "S1.1": {"same": OUTCOME, "independent": HONEST},
        "S1.2": {"same": by_path, "independent": HONEST},
    }
    assert "**S1.2: not to be had again to the last digit.**" in page_text(outcomes, made_up=False)
    assert "not to be had again" not in page_text({"S1.1": outcomes["S1.1"]}, made_up=False)


def test_the_page_says_how_many_actors_were_at_hand_if_outcomes_tell() -> None:
    for n_speakers, says in ((None, "CREMA-D 91."), (24, "CREMA-D 91, of whom 24 were at hand.")):
        outcome = dataclasses.replace(OUTCOME, n_speakers=n_speakers)
        assert says in page_text({"S3.1": {"same": outcome}}, made_up=False)
