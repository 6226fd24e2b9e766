"""The history of a training as event files, which TensorBoard shows while it goes on."""

import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from serjax.models.classical.packages import require
from serjax.train.record import Recorded

NAMES = ("stage", "seed", "fold", "emotion")  # of a run; what else a line has are figures, but for the epoch
FILE = "events.out.tfevents.serjax"


def check_installed() -> None:
    """Raise ClassicalError, which says what to install, where the package that writes events is missing."""
    require("tensorboardX", "tensorboard")


class EventFiles:
    """One event file per stage and run in `folder`, so that TensorBoard lays the curves of runs over each other.

    A training that was killed computes its last epochs again, with the same figures: they stand there twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events = require("tensorboardX.proto.event_pb2", "tensorboard")
        self._summaries = require("tensorboardX.proto.summary_pb2", "tensorboard")
        self._checksum = require("tensorboardX.record_writer", "tensorboard").masked_crc32c

    def append(self, rows: Sequence[Recorded]) -> None:
        """Add lines of a history, each with the names of its run, its epoch and figures."""
        lines: dict[Path, list[Recorded]] = {}
        for row in rows:
            names = [quote(str(row[name]), safe=" ") for name in NAMES if name in row]  # a fold may have a slash
            lines.setdefault(self.folder / names[0] / "-".join(names[1:]), []).append(row)
        for place, own in lines.items():
            place.mkdir(parents=True, exist_ok=True)
            with (place / FILE).open("ab") as file:
                file.writelines(self._records(own, is_new=file.tell() == 0))

    def _records(self, rows: Sequence[Recorded], is_new: bool) -> Iterator[bytes]:
        """Give the records of an event file: length, checksum of that, event, checksum of that."""
        now_s = time.time()
        events = [self._events.Event(wall_time=now_s, file_version="brain.Event:2")] if is_new else []
        for row in rows:
            figures = {name: value for name, value in row.items() if name not in (*NAMES, "epoch")}
            values = [self._summaries.Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
            summary = self._summaries.Summary(value=values)
            events.append(self._events.Event(wall_time=now_s, step=row["epoch"], summary=summary))
        for event in events:
            content = event.SerializeToString()
            length = struct.pack("<Q", len(content))
            checksums = [struct.pack("<I", self._checksum(part)) for part in (length, content)]
            yield length + checksums[0] + content + checksums[1]
