"""Rows as text: a table for people, CSV and JSON for programs; each is written as soon as it is there."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

from serjax.data.audio import printable
from serjax.escape import csv_cell, terminal
from serjax.predict.hearing import Row

Format = Literal["table", "json", "csv"]
MARKS = {"out_of_corpus": "out of corpus", "in_training": "in training", "too_short": "too short"}
PROBLEM = ("code", "problem", "advice")


def record_of(row: Row) -> dict[str, Any]:
    """Return a row as JSON: the same names whether the file has an answer or a problem."""
    answer = row.answer
    problem = dict.fromkeys(PROBLEM) if row.problem is None else asdict(row.problem)
    return {
        "path": printable(row.path),
        "label": answer and answer.label,
        "probability": answer and answer.probabilities[answer.label],
        "probabilities": answer and answer.probabilities,
        "scores": answer and answer.scores,
        "log_px": answer and answer.evidence,
        "out_of_corpus": answer and answer.out_of_corpus,
        "in_training": row.in_training,
        "too_short": answer and answer.too_short,
        "heard_s": answer and answer.heard_s,
        **problem,
    }


def print_records(records: Iterable[dict[str, Any]], form: Format, labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Print records on standard output as they come, and give them on."""
    write: Callable[[Iterable[dict[str, Any]], tuple[str, ...]], Iterator[dict[str, Any]]]
    write = {"table": _print_table, "json": _print_json, "csv": _print_csv}[form]
    return write(records, labels)


def _print_table(records: Iterable[dict[str, Any]], labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    width = max(map(len, labels))
    for record in records:
        if record["code"]:
            text = f"{'–':{width}}     – {record['path']}  {record['problem']}. {record['advice']} [{record['code']}]"
        else:
            marks = [shown for name, shown in MARKS.items() if record.get(name)]
            text = f"{record['label']:{width}} {record['probability']:5.2f} {_place(record)}"
            text += f"  ({', '.join(marks)})" if marks else ""
        print(terminal(text), flush=True)
        yield record


def _place(record: Mapping[str, Any]) -> str:
    span = f"{record['start_s']:.1f}–{record['end_s']:.1f} s  " if "start_s" in record else ""
    return f"{span}{record['path']}"


def _print_json(records: Iterable[dict[str, Any]], labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    begin = "["
    for record in records:
        print(begin, json.dumps(record, allow_nan=False), sep="\n", end="", flush=True)
        begin = ","
        yield record
    print("[" * (begin == "["), "]", sep="\n")


def _print_csv(records: Iterable[dict[str, Any]], labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    return write_csv(records, labels, sys.stdout)


def write_csv(records: Iterable[dict[str, Any]], labels: tuple[str, ...], file: Any) -> Iterator[dict[str, Any]]:
    """Write records as CSV to an open text file, a column for each label's probability and score; give them on."""
    writer = None
    for record in records:
        flat = {**record, **_columns("p", record["probabilities"], labels), **_columns("s", record["scores"], labels)}
        del flat["probabilities"], flat["scores"]
        if writer is None:
            writer = csv.DictWriter(file, list(flat), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: "" if value is None else csv_cell(str(value)) for name, value in flat.items()})
        file.flush()
        yield record


def _columns(prefix: str, values: Mapping[str, float] | None, labels: tuple[str, ...]) -> dict[str, float | None]:
    return {f"{prefix}_{label}": values[label] if values else None for label in labels}
