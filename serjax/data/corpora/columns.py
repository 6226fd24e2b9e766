"""Tables that come with a corpus: the lines of a CSV by the names of its columns, or the number of a bad line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from serjax.data import audio
from serjax.data.corpora.corpus import CorpusError


class Row(NamedTuple):
    """The cells of a row by column, without spaces around them, and the line of the file where the row ends."""

    line: int
    cells: dict[str, str]


def read_rows(table: Path, required: Sequence[str]) -> list[Row]:
    """Read a CSV table in UTF-8 whose first line names its columns; empty lines do not count.

    Args:
        table: path of the file.
        required: columns that must be there.

    Raises:
        CorpusError: it cannot be read, lacks a column, has no line under their names, or one of another length.
    """
    shown = audio.printable(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_rows(file, shown, required))
    except OSError as error:
        raise CorpusError(f"The table {shown} cannot be read: {error.strerror}. Give the path of a CSV.") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"The table {shown} is not UTF-8 ({error.reason}). Save it as CSV in UTF-8.") from error
    if not rows:
        raise CorpusError(f"The table {shown} has no line under the names of its columns. Give one line a clip.")
    return rows


def read_column(table: Path, key: str, value: str) -> dict[str, str]:
    """Give the column `value` of a CSV table by the column `key`; CorpusError as `read_rows`."""
    return {row.cells[key]: row.cells[value] for row in read_rows(table, (key, value))}


def _rows(file: TextIO, shown: str, required: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(file, strict=True)
    try:
        columns = [cell.strip() for cell in next(reader, [])]
        _check_columns(columns, shown, required)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                problem = f"{len(cells)} cells under {len(columns)} columns"
                advice = 'Write a cell with a comma in it in quotes ("a, b"), and leave no cell out.'
                raise CorpusError(f"{shown}, line {reader.line_num}: {problem}. {advice}")
            yield Row(reader.line_num, dict(zip(columns, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise CorpusError(f"{shown}, line {reader.line_num}: {error}. Write the line as CSV.") from error


def _check_columns(columns: Sequence[str], shown: str, required: Sequence[str]) -> None:
    missing = [column for column in required if column not in columns]
    if missing:
        there = ", ".join(columns) or "nothing"
        commas = " Put commas between them." if len(columns) == 1 and set(columns[0]) & set(";\t") else ""
        raise CorpusError(
            f"{shown}, line 1: there is no column {', '.join(missing)} in {there!r}. The first line names the columns; "
            f"expected at least {','.join(required)}.{commas}"
        )
    if len(set(columns)) < len(columns):
        raise CorpusError(f"{shown}, line 1: a column is there twice in {', '.join(columns)!r}. Rename one of them.")
