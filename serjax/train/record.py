"""The history of a training as JSON lines, cut back to the last checkpoint on resume."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

Row = dict[str, str | int | float | None]


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    os.replace(unfinished, path)


class History:
    """`history.jsonl`: one line a run and epoch, with the names of the run (stage, seed, fold, emotion) in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Mapping[str, str | int | float]]) -> None:
        """Add lines; a number that is not finite is written as null."""
        with self.path.open("a") as file:
            file.writelines(json.dumps({k: _finite(v) for k, v in row.items()}) + "\n" for row in rows)

    def read(self) -> list[Row]:
        """Return all whole lines; a last line that a kill cut short is left out."""
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def cut(self, stage: str, epoch: int) -> None:
        """Forget what was written of `stage` after `epoch`: it is about to be trained again."""
        rows = [row for row in self.read() if row["stage"] != stage or int(row["epoch"] or 0) <= epoch]
        unfinished = self.path.with_name(self.path.name + ".unfinished")
        unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(unfinished, self.path)


def _finite(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
