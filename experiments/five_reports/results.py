"""The files of results: one JSON file of all outcomes, and the page and pictures that it determines."""

import json
from pathlib import Path

from experiments.five_reports.outcome import Outcome, Outcomes, as_json, from_json
from experiments.five_reports.page import page_text
from experiments.five_reports.pictures import write_pictures
from experiments.five_reports.row import SIDES, Side
from experiments.five_reports.rows import HEADINGS, ROWS
from serjax.errors import ConfigError
from serjax.files import write_json, write_text


def read_outcomes(page: Path) -> dict[str, dict[Side, Outcome]]:
    """Return what the file of results beside a page holds, nothing where there is none.

    Raises:
      ConfigError: it is damaged.
    """
    path = page.with_suffix(".json")
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {name: {side: from_json(row[side]) for side in SIDES if row[side]} for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}: {error}). Put back one that is whole, or remove it: it "
            "is made again from the run folders that are there. Or choose another by --results."
        ) from None


def results_content(outcomes: Outcomes, made_up: bool) -> dict[str, object]:
    """Return what the file of results holds.

    Args:
      outcomes: what was run, by the number of the row.
      made_up: the clips are synthetic; commands of the published size are left out.
    """
    return {"rows": {row.id: as_json(row, outcomes[row.id], made_up) for row in ROWS if row.id in outcomes}}


def write_results(page: Path, outcomes: Outcomes, made_up: bool) -> None:
    """Write the file of results, the pictures and the page.

    Args:
      page: where the page goes; everything else goes beside it.
      outcomes: what was run, by the number of the row.
      made_up: the clips are synthetic.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    write_json(page.with_suffix(".json"), results_content(outcomes, made_up))
    write_pictures(page.parent, ROWS, outcomes, HEADINGS)
    write_text(page, page_text(outcomes, made_up))
