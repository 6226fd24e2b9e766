"""Files decoded ahead by threads, scored in batches: every file becomes a row, whatever is wrong with it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from serjax.bundle.bundle import N_TOGETHER, Answer, Bundle
from serjax.bundle.content import HEARD_S, rate_of
from serjax.bundle.parts import BundleError
from serjax.data.audio import AudioError, decode

N_THREADS = min(8, os.cpu_count() or 1)
AHEAD = 4 * N_TOGETHER  # clips that are decoded and wait: memory does not grow with the number of files


@dataclass(frozen=True)
class Problem:
    """Why a file has no answer: a word for programs, what is wrong, and what to do."""

    code: str
    problem: str
    advice: str


@dataclass(frozen=True)
class Row:
    """What is said of a file: an answer and whether it was in training (None: unknown), or a problem."""

    path: Path
    answer: Answer | None
    in_training: bool | None
    problem: Problem | None


@dataclass(frozen=True, eq=False)
class _Heard:
    path: Path
    clip: np.ndarray | None
    in_training: bool | None
    problem: Problem | None = None

    def row(self, answer: Answer | None) -> Row:
        return row_of(self.path, answer, self.in_training) if answer else Row(self.path, None, None, self.problem)


def row_of(path: Path, answer: Answer, in_training: bool | None) -> Row:
    """Return a row with an answer, or with the problem that the answer has."""
    if answer.problem is None:
        return Row(path, answer, in_training, None)
    return Row(path, None, in_training, Problem("no-sound", answer.problem, "Listen to it; give a clip with sound."))


def rows_of(bundle: Bundle, paths: Iterable[Path], offset_s: float | None) -> Iterator[Row]:
    """Give a row for each file, in order."""
    offset_s = bundle.about.listening.offset_s if offset_s is None else offset_s
    heard = _in_turn(paths, lambda path: _hear(bundle, path, offset_s))
    first = True
    while group := list(islice(heard, N_TOGETHER)):
        clips = [one.clip for one in group if one.clip is not None]
        alone = first and len(group) == 1
        answers = iter(bundle.answers(clips, None if alone else N_TOGETHER))
        first = False
        for one in group:
            yield one.row(None if one.clip is None else next(answers))


def _hear(bundle: Bundle, path: Path, offset_s: float) -> _Heard:
    """Decode a file at its own rate, once for whether it is known and for what is heard of it."""
    try:
        rate_hz = rate_of(path)
        wav_N = decode(path, rate_hz, duration_s=max(HEARD_S, offset_s + bundle.n_samples / bundle.sample_rate_hz)).wav
        return _Heard(path, bundle.clip(wav_N, rate_hz, offset_s), bundle.in_training(wav_N, rate_hz))
    except AudioError as error:
        return _Heard(path, None, None, Problem(error.code, error.problem, error.advice))
    except BundleError:
        problem = f"has no sound behind the offset of {offset_s} s"
        return _Heard(path, None, None, Problem("too-short", problem, "Give a smaller --offset."))


def _in_turn(paths: Iterable[Path], hear: Callable[[Path], _Heard]) -> Iterator[_Heard]:
    """Give what threads make of the paths, in order, at most `AHEAD` of them ahead."""
    waiting: deque[Future[_Heard]] = deque()
    with ThreadPoolExecutor(N_THREADS) as pool:
        for path in paths:
            waiting.append(pool.submit(hear, path))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
