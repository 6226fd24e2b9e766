"""A long file as a row of overlapping windows: probabilities over time, as records, CSV and a picture."""

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serjax.bundle.bundle import N_TOGETHER, Bundle
from serjax.bundle.content import rate_of
from serjax.data.audio import AudioError, decode
from serjax.errors import ConfigError
from serjax.escape import file_name
from serjax.files import replacing
from serjax.predict.hearing import Problem, Row, row_of
from serjax.predict.tables import record_of, write_csv

PART_S = 120.0  # of a file that is decoded at a time


@dataclass(frozen=True)
class Windows:
    """Windows of so many seconds, so many seconds from one to the next."""

    window_s: float
    hop_s: float

    def __post_init__(self) -> None:
        if not (0.1 <= self.window_s <= PART_S and 0 < self.hop_s < float("inf")):
            raise ConfigError(
                f"--window {self.window_s} --hop {self.hop_s}: expected a window of .1 to {PART_S:g} s, a hop above 0."
            )


def timeline_of(bundle: Bundle, path: Path, windows: Windows) -> Iterator[dict[str, Any]]:
    """Give a record for each window of a file, `start_s` and `end_s` in it; one with the problem if there is one.

    A window hears what the bundle's front end takes of it. The last one may be shorter, but not below half of a window,
    except where it is the first.
    """
    try:
        for starts_s, clips in _parts(bundle, path, windows):
            answers = bundle.answers(clips, N_TOGETHER)
            for start_s, answer in zip(starts_s, answers, strict=True):
                end_s = start_s + min(windows.window_s, answer.heard_s)
                yield {"start_s": start_s, "end_s": end_s, **record_of(row_of(path, answer, None))}
    except AudioError as error:
        problem = Problem(error.code, error.problem, error.advice)
        yield {"start_s": None, "end_s": None, **record_of(Row(path, None, None, problem))}


def _parts(bundle: Bundle, path: Path, windows: Windows) -> Iterator[tuple[list[float], list[np.ndarray]]]:
    """Decode a file part by part, each as long as whole windows; give where windows start, and their samples."""
    rate_hz, n_in_part = rate_of(path), max(1, int((PART_S - windows.window_s) / windows.hop_s) + 1)
    number = 0
    while True:
        start_s = number * windows.hop_s
        part_s = (n_in_part - 1) * windows.hop_s + windows.window_s
        try:
            wav_N = decode(path, rate_hz, offset_s=start_s, duration_s=part_s).wav
        except AudioError as error:
            if number and error.code in ("offset", "too-short"):
                return  # the file has ended with the part before
            raise
        starts_s = [n * windows.hop_s for n in range(n_in_part)]
        spans = [wav_N[round(at_s * rate_hz) :][: round(windows.window_s * rate_hz)] for at_s in starts_s]
        least = windows.window_s * rate_hz / 2
        kept = [n for n, span in enumerate(spans) if len(span) >= least or (number == n == 0)]
        yield [start_s + starts_s[n] for n in kept], [bundle.clip(spans[n], rate_hz, 0.0) for n in kept]
        if len(wav_N) < round(part_s * rate_hz):
            return
        number += n_in_part


def write_timeline(
    records: list[dict[str, Any]], labels: tuple[str, ...], hop_s: float, path: Path, folder: Path, title: str
) -> None:
    """Write the records of one file as `NAME.timeline.csv` and `NAME.timeline.png` in a folder."""
    from serjax.figures.timeline import draw_timeline  # brings matplotlib, for which others should not wait

    folder.mkdir(parents=True, exist_ok=True)
    table, picture = (folder / f"{file_name(path.name)}.timeline.{kind}" for kind in ("csv", "png"))
    with replacing(table) as file:
        text = io.StringIO(newline="")
        deque(write_csv(records, labels, text), maxlen=0)
        file.write(text.getvalue().encode())
    middle_W = np.array([(record["start_s"] + record["end_s"]) / 2 for record in records])
    rows = [record["probabilities"] or dict.fromkeys(labels, np.nan) for record in records]
    probability_WK = np.array([[row[label] for label in labels] for row in rows])
    draw_timeline(middle_W, hop_s / 2, probability_WK, labels, title, picture)
