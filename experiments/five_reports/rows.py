"""The rows of the five reports: what each reported, and the command lines that repeat it.

They stand in `rows/`, a file for each report. What a report leaves unsaid was chosen from its text and the usual
defaults of its time, and is said in the remark. Rows whose recipe was changed after a first result (S4.12, S4.13,
S4.15, S4.16) say there what was tried before. Those whose published size does not fit 2 CPU cores say what was made
smaller.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.five_reports.row import AlsoReported, Losses, Row, Split
from serjax.errors import ConfigError


def row_of(content: Mapping[str, Any], texts: Mapping[str, str]) -> Row:
    """Return a row from its table in a file; `{NAME}` in its remark stands for one of `texts`."""
    reported, remark = content.get("reported"), content.get("remark", "")
    sections = {
        "reported": Losses(**reported) if isinstance(reported, dict) else reported,
        "same": Split(**content["same"]),
        "independent": Split(**content["independent"]),
        "members": tuple(content.get("members", ())),
        "anew": tuple(content.get("anew", ())),
        "also": AlsoReported(**content.get("also", {})),
        "remark": remark.format(**texts),
    }
    return Row(**{**content, **sections})


REPORTS = {
    path.stem.upper(): tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "rows").glob("*.toml"))
}
HEADINGS: dict[str, str] = {name: report["heading"] for name, report in REPORTS.items()}
ROWS = tuple(
    row_of(report["defaults"] | row, report.get("texts", {})) for report in REPORTS.values() for row in report["row"]
)


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return rows in the order of the reports.

    Args:
      names: numbers of rows (S4.5) or reports (S4); none: all rows.

    Raises:
      ConfigError: there is no such row.
    """
    known = {row.id for row in ROWS} | {row.report for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--rows {' '.join(unknown)}: there is no such row. Choose from: {', '.join(sorted(known))}.")
    return tuple(row for row in ROWS if not names or row.id in names or row.report in names)


def with_members(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Add the rows that vote in one of `rows`."""
    voting = {member for row in rows for member in row.members}
    return tuple(row for row in ROWS if row in rows or row.id in voting)
