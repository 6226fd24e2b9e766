"""The committed page of the five reports: it follows from its file of results, and its remarks say what was tried.

After an edit of a remark `python -m experiments.five_reports --rows S2.4 --ravdess RAVDESS --results
experiments/results/five_reports.md` writes the page anew and runs nothing that is known.
"""

import json
import re
from pathlib import Path

import pytest

from experiments.five_reports import __main__ as five_reports
from experiments.five_reports.commands import ON_PAGE, Locations
from experiments.five_reports.outcome import Outcome
from experiments.five_reports.page import page_text
from experiments.five_reports.results import read_outcomes, results_content
from experiments.five_reports.row import SIDES, Losses, Row, Side
from experiments.five_reports.rows import ROWS
from experiments.five_reports.study import is_known, missing
from experiments.five_reports.tables import LOSS_HEADER, loss_lines, one_split, position

PAGE = Path(five_reports.__file__).parents[1] / "results" / "five_reports.md"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[Side, Outcome]]:
    """Return what the file of results holds."""
    return read_outcomes(PAGE)


def test_the_page_is_what_its_file_of_results_gives(outcomes: dict[str, dict[Side, Outcome]]) -> None:
    assert page_text(outcomes, made_up=False).encode() == PAGE.read_bytes()
    content = json.dumps(results_content(outcomes, made_up=False), indent=2) + "\n"
    assert content.encode() == PAGE.with_suffix(".json").read_bytes()


def test_pictures_of_the_page_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures
    assert all(PAGE.with_name(name).exists() for name in pictures)


def test_nothing_of_the_page_would_be_run_again(outcomes: dict[str, dict[Side, Outcome]], tmp_path: Path) -> None:
    """Not even where no run folder is left, nor where the corpora lie elsewhere."""
    elsewhere = Locations({name: f"--root {tmp_path}" for name in ON_PAGE.corpora}, str(tmp_path))
    assert missing(ROWS, outcomes, ON_PAGE, elsewhere) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_both_sides_of_a_row_are_there_under_its_present_commands(
    outcomes: dict[str, dict[Side, Outcome]], row: Row
) -> None:
    for side in SIDES:
        assert is_known(row, side, outcomes, ON_PAGE), side
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
    return position(row.reported, one_split(same)) not in ("inside", None)
