"""The history of a training as JSON lines; the checkpoints of a stage say which of its lines are to be trusted."""

import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from serjax.errors import SerjaxError
from serjax.files import replacing

Row = dict[str, str | int | float | None]
Recorded = Mapping[str, str | int | float]


class HistoryError(SerjaxError):
    """A history that was damaged and lost lines by it."""


class History:
    """`history.jsonl`: one line per run and epoch, with the names of the run (stage, seed, fold, emotion) in it.

    A line counts if this process wrote it, or if a checkpoint of its stage vouches for it by number and sha256.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: Callable[[Sequence[Recorded]], None] | None = None  # told of lines as they are written
        self._trusted: dict[str, Trusted] = {}

    def append(self, stage: str, rows: Iterable[Recorded]) -> None:
        """Add lines of a stage; a number that is not finite is written as null."""
        rows = list(rows)
        lines = [json.dumps({k: _finite(v) for k, v in row.items()}).encode() + b"\n" for row in rows]
        self._trusted.setdefault(stage, Trusted()).add(lines)
        with self.path.open("ab") as file:
            file.writelines(lines)
        if self.heard is not None:
            self.heard(rows)

    def mark(self, stage: str) -> dict[str, object]:
        """Return what a checkpoint is to keep: how many lines of the stage there are, and their sha256."""
        return self._trusted.setdefault(stage, Trusted()).mark

    def keep(self, stage: str, mark: object) -> None:
        """Forget of a stage what its checkpoint does not vouch for; where there is none (`mark` is None), all of it.

        What came after the checkpoint is about to be trained again. If the lines before it are not those that were
        written, all of the stage go, with a word.
        """
        n_lines = mark["lines"] if isinstance(mark, dict) and type(mark.get("lines")) is int else 0
        found = self._trusted[stage] = Trusted()
        found.add([line for at, line in self._lines() if at == stage][:n_lines])
        if mark is not None and found.mark != mark:
            self._trusted[stage] = Trusted()
            logging.getLogger(__name__).warning(
                f"{self.path} does not hold what was written of {stage}: its lines are dropped. No result needs them."
            )
        self._write(self._lines())

    def read(self) -> list[Row]:
        """Return all lines that count, and drop the others from the file."""
        return [json.loads(line) for line in self._write([pair for pair in self._lines() if pair[0] in self._trusted])]

    def _write(self, lines: list[tuple[str, bytes]]) -> list[bytes]:
        """Write lines anew, of each stage that is known no more than are trusted; return them."""
        kept, seen = [], Counter[str]()
        for stage, line in lines:
            seen[stage] += 1
            if stage not in self._trusted or seen[stage] <= self._trusted[stage].n_lines:
                kept.append(line)
        with replacing(self.path) as file:
            file.writelines(kept)
        return kept

    def _lines(self) -> list[tuple[str, bytes]]:
        """Return every whole line of the file that names its stage, with that."""
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        return [(stage, line) for line in lines if (stage := _stage(line)) is not None]


def check_whole(rows: list[Row], n_runs: int) -> None:
    """Raise HistoryError unless the rows are those of so many runs, from their first epoch on without a gap."""
    epochs: dict[tuple[object, ...], list[object]] = {}
    for row in rows:
        epochs.setdefault(tuple(row.get(name) for name in ("seed", "fold", "emotion")), []).append(row["epoch"])
    n_whole = sum(sorted(own) == list(range(1, len(own) + 1)) for own in epochs.values())  # type: ignore[type-var]
    if n_whole < n_runs:
        raise HistoryError(
            f"lines of the history are lost: it holds {n_whole} of {n_runs} runs from their first epoch on"
        )


class Trusted:
    """Lines of a stage that are those that were written."""

    def __init__(self) -> None:
        self.n_lines, self._sha256 = 0, hashlib.sha256()

    def add(self, lines: list[bytes]) -> None:
        """Count more lines."""
        self.n_lines += len(lines)
        self._sha256.update(b"".join(lines))

    @property
    def mark(self) -> dict[str, object]:
        """Return number and sha256."""
        return {"lines": self.n_lines, "sha256": self._sha256.hexdigest()}


def _stage(line: bytes) -> str | None:
    """Return the stage that a line names, None if the line is not one of a history."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    stage = row.get("stage") if isinstance(row, dict) else None
    return stage if isinstance(stage, str) else None


def _finite(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
