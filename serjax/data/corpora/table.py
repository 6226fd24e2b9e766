"""A corpus as a CSV table of one's own: `path,emotion,speaker` and, where known, the columns of `OPTIONAL`."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serjax.data.corpora import spelling
from serjax.data.corpora.columns import Row, read_rows
from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import duplicate_notes
from serjax.data.corpora.files import show
from serjax.data.corpora.meaning import changes_meaning, is_side, ours
from serjax.data.notes import Note
from serjax.data.segments import SLACK_S, Segment, length_s, overlap_notes, seconds_of

REQUIRED = ("path", "emotion", "speaker")
OPTIONAL = ("gender", "text", "intensity", "channel", "split")
SPAN = ("start", "end")  # seconds: the line is a segment of the file
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
COMPARED: dict[str, Callable[[str], str]] = {  # classes, and what protocols keep apart
    "emotion": spelling.word,
    "speaker": spelling.person,
    "gender": spelling.gender,
    "text": spelling.word,
}
MISSING = ("nan", "null", "n/a", "#n/a", "<na>", "nat")  # as programs write an empty cell
TWO_PEOPLE = ", or give two people names that differ in more than capitals, blanks, zeros, - and _"
LONGEST = {column: spelling.MAX_LENGTH for column in ("emotion", "speaker", "gender")} | {"path": 4096}


class _Problem(NamedTuple):
    line: int
    what: str  # with what to do about it


def load_table(table: Path, root: Path | None = None) -> Corpus:
    """Read a corpus from a CSV table in UTF-8: the names of the columns, then one line per clip.

    A speaker is one person throughout the table and has one gender, so that no protocol puts somebody on both sides.
    Empty cells of the optional columns say that it is not known. A line is a whole file, or the segment of it from
    `start` to `end`: seconds, or times such as `00:01:02.5` and `0 days 00:01:02.5` (audformat). An empty start is
    the file's start, an empty end its end.

    Args:
      table: with columns `path`, `emotion`, `speaker`; optional ones are `OPTIONAL` and `SPAN`, others are not used.
      root: the folder that the paths start from; None: the table's own.

    Raises:
      CorpusError: the table cannot be read or has no line. A column makes a line another part of a file, or no clip
        at all. A line has too few or too many cells, or an empty one where it is required. A path is not there,
        not below the root, or in two lines. A segment is no time, ends before it starts, or lies behind the end
        of its file. A speaker has two genders. Two emotions, speakers, genders or texts differ in spelling alone
        (`COMPARED`). The message names the line.
    """
    base = table.parent if root is None else root
    rows = list(map(_without_missing, read_rows(table, REQUIRED, (*OPTIONAL, *SPAN))))
    unused = [column for column in rows[0].cells if column not in (*REQUIRED, *OPTIONAL, *SPAN)]
    _check_meaning(table, unused)
    paths = [_find(row.cells["path"], base) for row in rows]
    _raise_first(table, [problem for row in rows for problem in _wrong_cells(row)])
    _raise_first(table, [p for row, path in zip(rows, paths, strict=True) if (p := _wrong_path(row, path, base))])
    parts = [_segment(row, path or "") for row, path in zip(rows, paths, strict=True)]
    _raise_first(table, _wrong_segments(rows, parts, base))
    clips = [part.path if _is_part(part) else part.file for part in parts]
    _raise_first(table, [*_repeated(rows, clips), *_contradicting(rows), *_half_split(rows)])
    utterances = [_utterance(row, clip, table.stem) for row, clip in zip(rows, clips, strict=True)]
    segments = {part.path: part for part in parts if _is_part(part)}
    source, in_order = FileSource(base, segments=segments), tuple(sorted(utterances, key=lambda u: u.path))
    return Corpus(
        name=table.stem,
        utterances=in_order,
        source=source,
        labels=tuple(sorted({utterance.emotion for utterance in utterances})),
        notes=(
            *_notes(unused, in_order),
            *overlap_notes(dict(zip(clips, parts, strict=True))),
            *duplicate_notes(in_order, source),
        ),
    )


def _segment(row: Row, path: str) -> Segment:
    start, end = (row.cells.get(column, "") for column in SPAN)
    return Segment(path, (seconds_of(start) or 0.0) if start else 0.0, seconds_of(end) if end else None)


def _is_part(segment: Segment) -> bool:
    return segment.start_s > 0 or segment.end_s is not None


def _wrong_segments(rows: Sequence[Row], parts: Sequence[Segment], base: Path) -> list[_Problem]:
    """Find segments that are empty, or behind the end of their file; each file's header is read once."""
    lengths = {file: length_s(base / file) for file in {part.file for part in parts if _is_part(part)}}
    problems = []
    for row, part in zip(rows, parts, strict=True):
        if part.end_s is not None and part.end_s <= part.start_s:
            what = f"the segment ends at {row.cells['end']} and starts at {row.cells.get('start') or 0}"
            problems.append(_Problem(row.line, f"{what}. Write seconds from the start of the file, the end behind it"))
        elif (there_s := lengths.get(part.file)) is not None and max(part.start_s, part.end_s or 0) > there_s + SLACK_S:
            what = f"the segment reaches beyond its file, which lasts {there_s:.3f} s"
            problems.append(
                _Problem(row.line, f"{what}. Write seconds from the start of the file (not samples, not ms)")
            )
    return problems


def _check_meaning(table: Path, unused: Sequence[str]) -> None:
    """Refuse columns that change what a line means."""
    for column in unused:
        if problem := changes_meaning(column):
            raise CorpusError(
                f"{show(table)}, line 1: column {column!r} would change what a line is, but {problem}. If each line is "
                "a whole file that counts, remove the column."
            )


def _without_missing(row: Row) -> Row:
    return Row(row.line, {column: "" if cell.casefold() in MISSING else cell for column, cell in row.cells.items()})


def _wrong_cells(row: Row) -> Iterator[_Problem]:
    """Find what is wrong with a line alone."""
    if empty := [column for column in REQUIRED if not spelling.clean(row.cells[column])]:
        yield _Problem(row.line, f"no {' and no '.join(empty)} is given. Fill it in, or remove the line")
    for column in SPAN:
        if (written := row.cells.get(column, "")) and seconds_of(written) is None:
            what = f"the {column} is {written!r}; expected seconds such as 62.5, or a time such as 00:01:02.5"
            yield _Problem(row.line, f"{what}. Write one of these, or leave the cell empty")
    for column, longest in LONGEST.items():
        if (length := len(row.cells.get(column, ""))) > longest:
            what = f"the {column} has {length} letters; expected at most {longest}"
            yield _Problem(row.line, f"{what}. Shorten it, or look for a missing quote or comma")
    if is_side(row.cells.get("channel", "")):
        what = f"the channel is {row.cells['channel']!r}, but the column says what is heard: speech or song"
        yield _Problem(row.line, f"{what}. Channels of a file are averaged: write one (sox IN OUT.wav remix NUMBER)")
    if (split := row.cells.get("split")) and _part(split) is None:
        expected = ", ".join("/".join(words) for words in SPLITS.values())
        yield _Problem(row.line, f"the split is {split!r}; expected {expected}. Write one of these")


def _part(split: str) -> str | None:
    return next((part for part, words in SPLITS.items() if spelling.word(split) in words), None)


def _wrong_path(row: Row, path: str | None, base: Path) -> _Problem | None:
    """Find out what a path leads to, if it is no file below `base`."""
    given, where = row.cells["path"], show(base)
    if spelling.has_control(given):
        return _Problem(row.line, f"the path {given!a} has control characters in it. Rename the file")
    if path is None:
        what = f"{given} does not lie below {where}. Give paths relative to it, or the folder they start from (--root)"
        return _Problem(row.line, what)
    if not os.path.isfile(os.path.join(base, path)):
        what = f"there is no file {path!r} in {where}.{_advice(given)} Fix the path, or give the folder of all (--root)"
        return _Problem(row.line, what)
    return None


def _advice(given: str) -> str:
    """Say what a path is written as, where it is not the way of paths here."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", given):
        return " It is a URL; write the path of a file on this machine."
    if given.startswith("~"):
        return " ~ is not replaced by a home folder here; write it out."
    if "\\" in given:
        return " Folders are written with / between them."
    return ""


def _find(given: str, base: Path) -> str | None:
    """Give a path relative to `base` as it is on disk, however its accents are encoded; None if it leads out of it."""
    for form in (given, *(unicodedata.normalize(form, given) for form in ("NFC", "NFD"))):
        path = _below(form, base)
        if path and os.path.isfile(os.path.join(base, path)):
            return path
    return _below(given, base)


def _below(path: str, base: Path) -> str | None:
    """Give a path relative to `base`, in posix form without detours; None if it leads out of it, links followed too."""
    whole = os.path.join(base, path)
    relative = os.path.relpath(whole, base)
    if _leads_out(relative):
        relative = os.path.relpath(os.path.realpath(whole), os.path.realpath(base))
    return None if _leads_out(relative) else Path(relative).as_posix()


def _leads_out(relative: str) -> bool:
    return relative.split(os.sep)[0] in (os.pardir, os.curdir)


def _utterance(row: Row, path: str, corpus: str) -> Utterance:
    cells = {column: spelling.clean(cell) for column, cell in row.cells.items()}
    gender, text, intensity, channel, split = (cells.get(column) or None for column in OPTIONAL)
    part = _part(split) if split else None
    return Utterance(path, cells["emotion"], cells["speaker"], gender, text, intensity, channel, corpus, part)


def _repeated(rows: Sequence[Row], paths: Sequence[str]) -> Iterator[_Problem]:
    first: dict[str, int] = {}
    for row, path in zip(rows, paths, strict=True):
        name = unicodedata.normalize("NFC", path)
        if name in first:
            yield _Problem(row.line, f"{path} is in line {first[name]} already. Remove one of the two")
        first.setdefault(name, row.line)


def _contradicting(rows: Sequence[Row]) -> Iterator[_Problem]:
    """Find speakers of two genders, and what is one word, or one person, in two spellings."""
    genders: dict[str, tuple[str, int]] = {}
    spellings: dict[tuple[str, str], tuple[str, int]] = {}
    for row in rows:
        speaker, gender = row.cells["speaker"], row.cells.get("gender") or "unknown"
        known, where = genders.setdefault(speaker, (gender, row.line))
        if gender != known:
            what = f"the gender of speaker {spelling.clean(speaker)} is {gender}, in line {where} it is {known}"
            yield _Problem(row.line, f"{what}. Write the same in all lines of a speaker, or give two people two names")
        for column, compared in COMPARED.items():
            written = row.cells.get(column, "")
            spelt, where = spellings.setdefault((column, compared(written)), (written, row.line))
            if written != spelt:
                what = f"the {column} is {written!r}, in line {where} it is {spelt!r}{spelling.codes(written, spelt)}"
                yield _Problem(row.line, f"{what}. Write it one way{TWO_PEOPLE if column == 'speaker' else ''}")


def _half_split(rows: Sequence[Row]) -> Iterator[_Problem]:
    """Find lines that say of no part of the split that they are in it, where others do."""
    if any(row.cells.get("split") for row in rows):
        for row in rows:
            if not row.cells["split"]:
                yield _Problem(row.line, "no split is given, but in other lines. Fill it in, or remove the line")


def _notes(unused: Sequence[str], utterances: Sequence[Utterance]) -> list[Note]:
    notes = []
    if unused:
        said = ", ".join(_as_meant(column) for column in unused)
        notes.append(Note("columns", f"Columns of the table that are not used: {said}"))
    if any(utterance.split for utterance in utterances):
        notes.append(Note("split", "The table has a split of its own; --protocol given takes it"))
    return notes


def _as_meant(column: str) -> str:
    name = spelling.clean(column) or '""'
    return f"{name} (it is used under the name {ours(column)})" if ours(column) in OPTIONAL else name


def _raise_first(table: Path, problems: Sequence[_Problem]) -> None:
    if problems:
        line, what = min(problems)
        more = f" ({len(problems) - 1} more such problems)" if len(problems) > 1 else ""
        raise CorpusError(f"{show(table)}, line {line}: {what}.{more}")
