"""The committed page of the five reports: it is what its file of results says, and no row leaves out what it owes.

After an edit of a remark `python experiments/five_reports.py --rows S2.4 --ravdess RAVDESS --results
experiments/results/five_reports.md` writes the page anew and runs nothing that is known.
"""

import re
from pathlib import Path

import pytest

from experiments.five_reports import __main__ as five_reports
from experiments.five_reports.page import LOSS_HEADER, lies, loss_lines, one_split
from experiments.five_reports.replication import SIDES, Losses, Outcome, Row, Side
from experiments.five_reports.rows import ROWS

PAGE = Path(five_reports.__file__).parents[1] / "results" / "five_reports.md"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[Side, Outcome]]:
    """Return what the file of results holds."""
    return five_reports.read_outcomes(PAGE)


def test_the_page_is_what_its_file_of_results_gives(
    outcomes: dict[str, dict[Side, Outcome]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(five_reports, "write_pictures", lambda *args: None)
    five_reports.write(tmp_path / PAGE.name, outcomes, made_up=False)
    for name in (PAGE.name, PAGE.with_suffix(".json").name):
        assert (tmp_path / name).read_text(encoding="utf-8") == PAGE.with_name(name).read_text(encoding="utf-8"), name
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures
    assert all(PAGE.with_name(name).exists() for name in pictures)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_both_sides_of_a_row_are_there_under_its_present_commands(
    outcomes: dict[str, dict[Side, Outcome]], row: Row
) -> None:
    for side in SIDES:
        assert five_reports.is_known(row, side, outcomes, five_reports.PLACES), side
        assert outcomes[row.id][side].seeds == row.split(side).seeds
        n_speakers = (24, 91) if "crema" in row.corpus else (19,) if row.corpus.endswith("-19") else (24,)
        assert outcomes[row.id][side].n_speakers in n_speakers
        assert outcomes[row.id][side].n_tested


def test_rows_that_do_not_give_what_was_reported_say_what_was_tried(
    outcomes: dict[str, dict[Side, Outcome]],
) -> None:
    """Or name the row that does (`As S1.3`, `see S4.4`)."""
    away = {row.id: row.remark for row in ROWS if is_away(row, outcomes[row.id]["same"])}
    assert away
    assert {name for name, remark in away.items() if not re.search(r"Tried[:,]|As S\d|see S\d", remark)} == set()


def is_away(row: Row, same: Outcome) -> bool:
    if isinstance(row.reported, Losses):
        return loss_lines(row, {"same": same})[1][LOSS_HEADER.index("reported lies")] != "inside"
    return lies(row.reported, one_split(same)) not in ("inside", None)
