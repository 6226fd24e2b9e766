"""A corpus as a CSV table of one's own: `path,emotion,speaker` and, where known, `gender,text,intensity,channel`."""

import os
import posixpath
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serjax.data import audio
from serjax.data.corpora.columns import Row, read_rows
from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import duplicate_notes

REQUIRED = ("path", "emotion", "speaker")
OPTIONAL = ("gender", "text", "intensity", "channel")
SPELT_ONE_WAY = ("emotion", "speaker", "gender", "text")  # classes, and what protocols keep apart


class _Problem(NamedTuple):
    line: int
    what: str  # with what to do about it


def load_table(table: Path, root: Path | None = None) -> Corpus:
    """Read a corpus from a CSV table in UTF-8: the names of the columns, then one line a clip.

    A speaker is one person throughout the table and has one gender, so that no protocol puts somebody on both sides.
    Empty cells of the optional columns say that it is not known.

    Args:
        table: with columns `path`, `emotion`, `speaker`; optional ones are `OPTIONAL`, others are not used.
        root: the folder that the paths start from; None: the table's own.

    Raises:
        CorpusError: a table that cannot be read or has no line; a line with too few or too many cells, an empty cell
            where one is required, a path that is not there, not below the root or in two lines; a speaker of two
            genders; two emotions, speakers, genders or texts that differ in capitals or accents' encoding only. The
            message names the line.
    """
    base = table.parent if root is None else root
    rows = read_rows(table, REQUIRED)
    _raise_first(table, [problem for row in rows if (problem := _check_row(row, base))])
    utterances = [_utterance(row, base, table.stem) for row in rows]
    lines = [row.line for row in rows]
    _raise_first(table, [*_repeated(utterances, lines), *_contradicting(utterances, lines)])
    source, in_order = FileSource(base), tuple(sorted(utterances, key=lambda u: u.path))
    unused = [column or '""' for column in rows[0].cells if column not in (*REQUIRED, *OPTIONAL)]
    return Corpus(
        name=table.stem,
        utterances=in_order,
        source=source,
        labels=tuple(sorted({utterance.emotion for utterance in utterances})),
        notes=(
            *([f"Columns of the table that are not used: {', '.join(unused)}."] if unused else []),
            *duplicate_notes(in_order, source),
        ),
    )


def _check_row(row: Row, base: Path) -> _Problem | None:
    """Find what is wrong with a line alone."""
    empty = [column for column in REQUIRED if not row.cells[column]]
    if empty:
        return _Problem(row.line, f"no {' and no '.join(empty)} is given. Fill it in, or remove the line")
    given, shown = row.cells["path"], audio.printable(base)
    path = _below(given, base)
    if path is None:
        what = f"{given} does not lie below {shown}. Give paths relative to it, or the folder they start from (--root)"
        return _Problem(row.line, what)
    if not (base / path).is_file():
        slashes = " Folders are written with / between them." if "\\" in path else ""
        what = f"there is no file {path!r} in {shown}.{slashes} Mend the path, or give the folder of all (--root)"
        return _Problem(row.line, what)
    return None


def _below(path: str, base: Path) -> str | None:
    """Give a path relative to `base`, in posix form without detours; None if it leads out of it."""
    if posixpath.isabs(path):
        path = os.path.relpath(path, base.absolute())
    normal = posixpath.normpath(Path(path).as_posix())
    return None if normal.split("/")[0] in ("..", ".") else normal


def _utterance(row: Row, base: Path, corpus: str) -> Utterance:
    path = _below(row.cells["path"], base)
    assert path is not None  # _check_row has seen to it
    gender, text, intensity, channel = (row.cells.get(column) or None for column in OPTIONAL)
    emotion, speaker = row.cells["emotion"], row.cells["speaker"]
    return Utterance(path, emotion, speaker, gender, text, intensity, channel, corpus)


def _repeated(utterances: Sequence[Utterance], lines: Sequence[int]) -> Iterator[_Problem]:
    first: dict[str, int] = {}
    for utterance, line in zip(utterances, lines, strict=True):
        if utterance.path in first:
            what = f"{utterance.path} is in line {first[utterance.path]} already. Remove one of the two"
            yield _Problem(line, what)
        first.setdefault(utterance.path, line)


def _contradicting(utterances: Sequence[Utterance], lines: Sequence[int]) -> Iterator[_Problem]:
    """Find speakers of two genders, and what is one word, with and without capitals."""
    genders: dict[str, tuple[str, int]] = {}
    spellings: dict[tuple[str, str], tuple[str, int]] = {}
    for utterance, line in zip(utterances, lines, strict=True):
        gender = utterance.gender or "unknown"
        known, where = genders.setdefault(utterance.speaker, (gender, line))
        if gender != known:
            what = f"the gender of speaker {utterance.speaker} is {gender}, in line {where} it is {known}"
            yield _Problem(line, f"{what}. Write the same in all lines of a speaker, or give two people two names")
        for column in SPELT_ONE_WAY:
            word = getattr(utterance, column) or ""
            plain = unicodedata.normalize("NFC", word).casefold()
            spelling, where = spellings.setdefault((column, plain), (word, line))
            if word != spelling:
                what = f"the {column} is {word!r}, in line {where} it is {spelling!r}"
                yield _Problem(line, f"{what}. Write it one way")


def _raise_first(table: Path, problems: Sequence[_Problem]) -> None:
    if problems:
        line, what = min(problems)
        more = f" ({len(problems) - 1} more such problems)" if len(problems) > 1 else ""
        raise CorpusError(f"{audio.printable(table)}, line {line}: {what}.{more}")
