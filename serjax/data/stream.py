"""Clips that stay on the disk: one grain pipeline decodes them, block by block, in the order in which they are needed.

What is to be known of all clips at once is found in one pass over them (`survey`).
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, runtime_checkable

import grain
import jax
import numpy as np
from absl import flags
from jaxtyping import Bool, Float32, Float64, Int

from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.corpora.corpus import AudioSource, Window
from serjax.data.features import BLOCK, Block, features_of, not_finite, read_block
from serjax.data.leaks import feature_digests
from serjax.data.notes import Note, gather
from serjax.dsp import Frontend

AHEAD = 4  # blocks that each worker has ready: 56 MB of clips of 2.5 s
Report = Callable[[int, int], None]  # of (clips done, clips in all)
RowsRead = tuple[Int[np.ndarray, " b"], Block]


@runtime_checkable
class Order(Protocol):
    """Rows of clips in blocks of at most `BLOCK`, any of which can be asked for: workers share them between them."""

    def __len__(self) -> int:
        """Return how many blocks there are."""

    def __getitem__(self, number: int) -> Int[np.ndarray, " b"]:
        """Return the rows of a block; it may have none."""


def in_blocks(rows: Int[np.ndarray, " n"]) -> list[Int[np.ndarray, " b"]]:
    """Return rows in blocks, one after another.

    >>> [len(block) for block in in_blocks(np.arange(100))]
    [64, 36]
    """
    return [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]


@dataclass(frozen=True, eq=False)
class ClipStream:
    """The clips of a corpus, decoded as they are needed by so many processes; 0: by a thread of this one."""

    source: AudioSource
    paths: tuple[str, ...]
    window: Window
    frontend: Frontend
    n_workers: int

    def blocks(self, order: Order | list[Int[np.ndarray, " b"]], first: int = 0) -> Generator[RowsRead, None, None]:
        """Give the rows and clips of each block of an order from the `first` on; close it when done."""
        flags.FLAGS.mark_as_parsed()  # which grain takes for granted once it starts workers (its issue 1355)
        read = partial(_read, self.source, self.paths, self.window)
        blocks = grain.MapDataset.source(order).map(read)[first:]
        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
        workers = grain.MultiprocessingOptions(self.n_workers, per_worker_buffer_size=AHEAD)
        decoded = blocks.to_iter_dataset(ahead).mp_prefetch(workers, worker_init_fn=_prepare_worker)
        with contextlib.closing(iter(decoded)) as iterator:
            yield from iterator

    def features(self, block: Block) -> tuple[Float32[np.ndarray, "b T C"], Bool[np.ndarray, "b T"]]:
        """Give the features of a block that could be read when the corpus was surveyed, and the mask of their frames.

        Raises:
          UnreadableClips: some of it cannot be read any more.
        """
        if block.errors:
            raise UnreadableClips(tuple(block.errors.values()))
        return features_of(self.frontend, block.waveforms)


def _read(source: AudioSource, paths: Sequence[str], window: Window, rows: Int[np.ndarray, " b"]) -> RowsRead:
    return rows, read_block(source, [paths[row] for row in rows], window)


def _prepare_worker(worker: int, n_workers: int) -> None:
    """Let a worker compute on CPU alone, leave signals to the process that reads the stream, and end with that one."""
    jax.config.update("jax_platforms", "cpu")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that came: nobody else would end it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over the clips has found of each: which frames are valid, and the moments and range of features.

    `squared_NC` are sums of squared deviations from the clip's own mean. `digest_N` are hashes as `feature_digests`
    gives them. A clip that could not be read has no valid frame; `errors` has it by its path.
    """

    mask_NT: Bool[np.ndarray, "N T"]
    mean_NC: Float64[np.ndarray, "N C"]
    squared_NC: Float64[np.ndarray, "N C"]
    low_NC: Float32[np.ndarray, "N C"]
    high_NC: Float32[np.ndarray, "N C"]
    digest_N: np.ndarray
    notes: tuple[Note, ...] = field(default=(), kw_only=True)
    errors: Mapping[str, AudioError] = field(default_factory=dict, kw_only=True)

    @classmethod
    def of(cls, x_NTC: Float32[np.ndarray, "N T C"], mask_NT: Bool[np.ndarray, "N T"]) -> "Survey":
        """Survey the features of some clips."""
        valid_NT1 = mask_NT[..., None]
        n_N1 = np.maximum(mask_NT.sum(axis=1, keepdims=True), 1)
        mean_NC = np.sum(x_NTC, axis=1, where=valid_NT1, dtype=np.float64) / n_N1
        deviation_NTC = x_NTC - mean_NC[:, None]
        return cls(
            mask_NT,
            mean_NC,
            np.sum(deviation_NTC**2, axis=1, where=valid_NT1),
            x_NTC.min(axis=1, where=valid_NT1, initial=np.inf),
            x_NTC.max(axis=1, where=valid_NT1, initial=-np.inf),
            np.array(feature_digests(x_NTC, mask_NT, np.zeros(len(x_NTC), bool)), object),
        )

    @property
    def values_NTD(self) -> Float32[np.ndarray, "0 T C"]:
        """Features of no clip, of the shape that clips have: they are not kept."""
        return np.empty((0, self.mask_NT.shape[1], self.mean_NC.shape[1]), np.float32)

    def differs(self) -> bool:
        """Whether two valid frames of any clips have other features."""
        return bool((self.low_NC.min(axis=0) != self.high_NC.max(axis=0)).any())

    def keeping(self, kept_N: Bool[np.ndarray, " N"]) -> "Survey":
        """Return what was found of some of the clips, without notes and errors."""
        return Survey(*(array[kept_N] for array in self._arrays))

    @classmethod
    def joined(cls, parts: Sequence["Survey"]) -> "Survey":
        """Return what was found of the clips of all parts, without notes and errors."""
        return cls(*map(np.concatenate, zip(*(part._arrays for part in parts), strict=True)))

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.mask_NT, self.mean_NC, self.squared_NC, self.low_NC, self.high_NC, self.digest_N

    def digests(self, silent_N: Bool[np.ndarray, " N"]) -> list[str]:
        """Return the hash of each clip, empty for silent ones too."""
        return np.where(silent_N, "", self.digest_N).tolist()

    def normaliser(self, rows: Int[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, " C"], Float32[np.ndarray, " C"]]:
        """Return mean and standard deviation of each coefficient over the valid frames of `rows`.

        Moments of clips are joined as Chan, Golub and LeVeque (1979) join those of samples.
        """
        n_N1 = self.mask_NT[rows].sum(axis=1, keepdims=True)
        mean_C = (n_N1 * self.mean_NC[rows]).sum(axis=0) / n_N1.sum()
        between_NC = n_N1 * (self.mean_NC[rows] - mean_C) ** 2
        variance_C = (self.squared_NC[rows] + between_NC).sum(axis=0) / n_N1.sum()
        return mean_C.astype(np.float32), np.maximum(np.sqrt(variance_C), 1e-6).astype(np.float32)

    def ranges(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " C"]:
        """Return maximum − minimum of each coefficient over the valid frames of `rows`."""
        return self.high_NC[rows].max(axis=0).astype(np.float64) - self.low_NC[rows].min(axis=0)


def survey(stream: ClipStream, report: Report) -> Survey:
    """Go through all clips once; clips that cannot be read, or give features that are not finite, are errors."""
    parts: list[Survey] = []
    notes: list[Note] = []
    errors: dict[str, AudioError] = {}
    for rows, block in stream.blocks(in_blocks(np.arange(len(stream.paths)))):
        x_BTC, mask_BT = features_of(stream.frontend, block.waveforms)
        paths = [stream.paths[row] for row in rows]
        bad = block.errors | not_finite(paths, x_BTC)
        is_bad_B = np.array([path in bad for path in paths])
        parts.append(Survey.of(np.where(is_bad_B[:, None, None], 0.0, x_BTC), mask_BT & ~is_bad_B[:, None]))
        notes.extend(block.waveforms.notes)
        errors |= bad
        report(int(rows[-1]) + 1, len(stream.paths))
    return replace(Survey.joined(parts), notes=gather(notes), errors=errors)
