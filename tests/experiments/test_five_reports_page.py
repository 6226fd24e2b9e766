"""The committed page of the five reports: it is what its file of results says, and no row leaves out what it owes."""

import re
from pathlib import Path

import pytest

from experiments import five_reports
from serjax.experiments.five_reports_rows import ROWS
from serjax.experiments.replication import SIDES, Losses, Row
from serjax.experiments.replication_page import LOSS_HEADER, loss_lines, within

PAGE = Path(five_reports.__file__).parent / "results" / "five_reports.md"
OUTCOMES = five_reports.read_outcomes(PAGE)


def test_the_page_is_what_its_file_of_results_gives(tmp_path: Path) -> None:
    five_reports.write(tmp_path / PAGE.name, OUTCOMES, made_up=False)
    assert (tmp_path / PAGE.name).read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
    results = PAGE.with_suffix(".json").name
    assert (tmp_path / results).read_text(encoding="utf-8") == PAGE.with_name(results).read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures
    assert all(PAGE.with_name(name).exists() for name in pictures)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_both_sides_of_a_row_are_there_under_its_present_commands(row: Row) -> None:
    shown = five_reports.Places(five_reports.SHOWN, "runs/five_reports")
    for side in SIDES:
        assert five_reports.is_known(row, side, OUTCOMES, shown), side
        assert OUTCOMES[row.id][side].seeds == (row.split(side).seeds)
        assert OUTCOMES[row.id][side].n_speakers == 24  # all actors of RAVDESS, those of CREMA-D that are at hand


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_that_does_not_give_what_was_reported_says_what_was_tried(row: Row) -> None:
    """Or names the row that does (`As S1.3`, `see S3.2-voted`); S5.3-cnn lies in the range that was reported."""
    same = OUTCOMES[row.id]["same"]
    if isinstance(row.reported, Losses):
        is_away = loss_lines(row, {"same": same})[1][LOSS_HEADER.index("reported within 2 sd")] != "ratio: yes"
    else:
        is_away = within(row.reported, same) not in ("yes", None)
    if is_away:
        assert re.search(r"Tried[:,]|As S\d|see S\d|\(S\d|where ours lies", row.remark)
