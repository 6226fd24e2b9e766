"""Segments of long files: where they begin and end, and how that meets an offset and a duration."""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import soundfile

from serjax.data import audio
from serjax.data.notes import Note

SLACK_S = 0.05  # a segment may end so far behind its file: times are rounded
_TIME = re.compile(r"(?:(\d+) days? ?)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Segment:
    """A part of a file: from `start_s` to `end_s` seconds, None: to the end of the file."""

    file: str
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def path(self) -> str:
        """The segment as the path of an utterance, as in W3C Media Fragments.

        >>> Segment("a/talk.flac", 61.5, 64.25).path, Segment("talk.flac", 3600.0).path
        ('a/talk.flac#t=61.5,64.25', 'talk.flac#t=3600,')
        """
        return f"{self.file}#t={_digits(self.start_s)},{'' if self.end_s is None else _digits(self.end_s)}"

    def lasts_s(self, file_s: float) -> float:
        """Return how long it is in a file of `file_s` seconds."""
        return max(0.0, (file_s if self.end_s is None else min(self.end_s, file_s)) - self.start_s)

    def within(self, offset_s: float, duration_s: float | None) -> tuple[float, float | None]:
        """Return offset and duration in the file of a part of the segment.

        Raises:
          AudioError: the part begins behind the segment's end.
        """
        if self.end_s is None:
            return self.start_s + offset_s, duration_s
        left_s = self.end_s - self.start_s - offset_s
        if left_s <= 0:
            problem = f"lasts {self.end_s - self.start_s:.3f} s and the offset is {offset_s:.3f} s"
            raise audio.AudioError("offset", Path(self.path), problem, "Choose a smaller offset.")
        return self.start_s + offset_s, left_s if duration_s is None else min(duration_s, left_s)


def seconds_of(written: str) -> float | None:
    """Read seconds, or days, hours, minutes and seconds; None: it is neither.

    >>> [seconds_of(text) for text in ("62.5", "1:02.5", "0 days 01:00:00", "-1", "1 s")]
    [62.5, 62.5, 3600.0, None, None]
    """
    if time := _TIME.fullmatch(written):
        days, hours, minutes, seconds = (float(part or 0) for part in time.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    try:
        seconds = float(written)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def length_s(path: Path) -> float | None:
    """Return how long a file is according to its header; None: it does not say, or is no sound that can be read."""
    if not path.is_file():  # opening a FIFO would wait for ever
        return None
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            return sound.frames / sound.samplerate if sound.frames < audio.UNKNOWN_FRAMES else None
    except (OSError, soundfile.LibsndfileError):
        return None


def overlap_notes(parts: Mapping[str, Segment]) -> list[Note]:
    """Name the clips that share a part of a file with one before them: a split may put them on both sides."""
    found: list[tuple[str, str]] = []
    in_order = sorted(parts.items(), key=lambda item: (item[1].file, item[1].start_s))
    for _, clips in itertools.groupby(in_order, key=lambda item: item[1].file):
        last, last_end_s = "", 0.0
        for clip, part in clips:
            if part.start_s < last_end_s:
                found.append((clip, f"as {last}"))
            if (end_s := math.inf if part.end_s is None else part.end_s) > last_end_s:
                last, last_end_s = clip, end_s
    what = "Segments of one file that overlap: keep them on one side of a split"
    return [Note("overlap", what, tuple(found))] if found else []


def _digits(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def shared_digest(path: Path) -> str:
    """Give the digest of a file that many segments are in; it is read again only once it has changed."""
    state = audio.file_state(path)
    return _digest(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest(path: Path, _size: int, _modified_ns: int) -> str:
    return audio.file_digest(path)
