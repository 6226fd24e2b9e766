"""Tables that come with a corpus: the lines of a CSV by the names of its columns, or the number of a bad line."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serjax.data.corpora.corpus import CorpusError
from serjax.data.corpora.files import show
from serjax.data.corpora.meaning import plain, suggestion


class Row(NamedTuple):
    """The cells of a row by column, without spaces around them, and the line of the file where the row ends."""

    line: int
    cells: dict[str, str]


def read_rows(table: Path, required: Sequence[str], known: Sequence[str] = ()) -> list[Row]:
    """Read a CSV table in UTF-8 whose first line names its columns; lines without a filled cell do not count.

    Args:
      table: path of the file.
      required: columns that must be there.
      known: further ones; those of both are found in any capitals, and with blanks, `-` or `_` in them or without.

    Raises:
      CorpusError: it cannot be read, lacks a column, has no line under their names, or one of another length.
    """
    where = show(table)
    try:
        content = table.read_bytes()
    except OSError as error:
        raise CorpusError(f"The table {where} cannot be read: {error.strerror}. Give the path of a CSV.") from error
    if b"\0" in content or content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise CorpusError(f"The table {where} is UTF-16, or no text at all. Save it as CSV in UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"The table {where} is not UTF-8 ({error.reason}). Save it as CSV in UTF-8.") from error
    rows = list(_rows(text, where, required, known))
    if not rows:
        raise CorpusError(f"The table {where} has no line under the names of its columns. Give one line per clip.")
    return rows


def read_column(table: Path, key: str, value: str) -> dict[str, str]:
    """Give the column `value` of a CSV table by the column `key`; CorpusError as `read_rows`."""
    return {row.cells[key]: row.cells[value] for row in read_rows(table, (key, value))}


def _rows(text: str, where: str, required: Sequence[str], known: Sequence[str]) -> Iterator[Row]:
    _check_commas(text, where, required)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        columns = _columns(next(reader, []), where, required, known)
        for cells in (list(map(_cell, cells)) for cells in reader):
            if not any(cells):
                continue
            while len(cells) > len(columns) and not cells[-1]:
                cells.pop()  # a comma behind the last cell
            if len(cells) != len(columns):
                problem = f"{len(cells)} cells under {len(columns)} columns"
                advice = 'Write a cell with a comma in it in quotes ("a, b"), and leave no cell out.'
                raise CorpusError(f"{where}, line {reader.line_num}: {problem}. {advice}")
            yield Row(reader.line_num, dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise CorpusError(f"{where}, line {reader.line_num}: {error}. Write the line as CSV.") from error


def _cell(written: str) -> str:
    """Take the blanks from around a cell, and the quotes that are none to CSV because a tab or such is before them."""
    cell = written.strip()
    return cell[1:-1].strip() if cell != written and len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _check_commas(text: str, where: str, required: Sequence[str]) -> None:
    first = text.partition("\n")[0].strip()
    others = sorted({separator for separator in ";\t|" if separator in first})
    if others and "," not in first:
        raise CorpusError(
            f"{where}, line 1: there is no column {', '.join(required)} in {first!r}. Put commas between them, not "
            f"{' or '.join(map(repr, others))}: save the table as CSV with commas."
        )


def _columns(cells: Sequence[str], where: str, required: Sequence[str], known: Sequence[str]) -> list[str]:
    """Give the names of the columns; those that are looked for as they are looked for."""
    written = [cell.strip() for cell in cells]
    while written and not written[-1]:
        written.pop()  # a comma behind the last name
    sought = {plain(column): column for column in (*required, *known)}
    columns = [sought.get(plain(cell), cell) for cell in written]
    if missing := [column for column in required if column not in columns]:
        there = ", ".join(written) or "nothing"
        raise CorpusError(
            f"{where}, line 1: there is no column {', '.join(missing)} in {there!r}. The first line names the columns; "
            f"expected at least {','.join(required)}.{suggestion(written, missing)}"
        )
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        there = ", ".join(written)
        raise CorpusError(
            f"{where}, line 1: a column is there twice in {there!r} ({twice[0]}). Rename one of them, or remove it."
        )
    return columns
