"""Studies on clips that do not fit in memory (`--stream`): which can be, and what they work on."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from serjax.data.corpora import Corpus
from serjax.data.feature_cache import default_cache_dir
from serjax.data.stream import ClipStream, Report, Survey, in_blocks, survey
from serjax.study.flags import Data, Machine
from serjax.study.problem import FeatureFlags, Problem, fingerprints_of, make_problem, read_parts, window_of
from serjax.train.parallel import n_cores
from serjax.train.programs import Streamed
from serjax.train.state import Dataset

PART = 512  # clips that are scored at a time


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamedProblem(Problem):
    """A problem whose clips stay on the disk: they are decoded when they are needed, and known by their survey."""

    stream: ClipStream
    survey: Survey

    @property
    def part_size(self) -> int:
        """How many clips a part of the corpus has; the last is filled up with silence."""
        return PART

    def parts(self) -> Iterator[Dataset]:
        """Give the clips part by part, in their order, as they are decoded."""
        rows = np.arange(len(self.truth_N))
        parts = [rows[first : first + PART] for first in range(0, len(rows), PART)]
        order = [block for part in parts for block in in_blocks(part)]
        with contextlib.closing(self.stream.blocks(order)) as read:
            for part in parts:
                yield self.clips().dataset(itertools.islice(read, len(in_blocks(part))), part, PART)

    def take(self, rows: Int[np.ndarray, " n"]) -> Dataset:
        """Return some clips, decoded by this process: they are few."""
        read = replace(self.stream, n_workers=0).blocks(in_blocks(rows))
        return self.clips().dataset(read, rows, len(rows))

    def clips(self, sounding: bool = False) -> Streamed:
        """Return the clips as training takes them; `sounding`: with their waveforms."""
        return Streamed(self.stream, self.truth_N, sounding)

    def normaliser(self, rows: Int[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
        """Return mean and standard deviation of each coefficient over the valid frames of rows."""
        return self.survey.normaliser(rows)

    def ranges(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " C"]:
        """Return maximum − minimum of each coefficient over the valid frames of rows."""
        return self.survey.ranges(rows)

    def _features(self) -> bytes:
        return repr(self.survey.digest_N.tolist()).encode()


def load_streamed(
    data: Data,
    features: FeatureFlags,
    machine: Machine,
    report: Report,
    listened: Report = lambda done, total: None,
) -> Problem:
    """Go through the corpus once, and split what is readable for every seed; the cache keeps fingerprints alone."""
    frontend = features.frontend()
    n_workers = n_cores() // 4 if machine.stream_workers is None else machine.stream_workers

    def stream_of(corpus: Corpus) -> ClipStream:
        paths = tuple(clip.path for clip in corpus.utterances)
        return ClipStream(corpus.source, paths, window_of(corpus, data, frontend), frontend, n_workers)

    corpus, splits, [table] = read_parts(data, lambda corpus: [survey(stream_of(corpus), report)], selecting=True)
    make = partial(StreamedProblem, stream=stream_of(corpus), survey=table)
    prints = fingerprints_of(corpus, data, machine.cache or default_cache_dir(), listened)
    return make_problem(corpus, splits, table, window_of(corpus, data, frontend), prints, make=make)
