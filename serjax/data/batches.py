"""The index stream that feeds a stack of runs: grain elements, seeded, resumable, the same on any device count."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import grain
import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class IndexBlocks:
    """A random-access source whose element `c` is the index block `[R, epochs, steps, B]` of chunk `c`.

    Run `r` reads its rows in one endless sequence of shuffles, each a function of the run's seed and the shuffle's
    number alone; block `c` is the c-th piece of that sequence. All runs take equally many steps, so that runs with
    fewer rows reshuffle sooner.
    """

    rows: Sequence[Int[np.ndarray, " _"]]  # each of its own length
    seeds: Sequence[tuple[int, ...]]
    batch_size: int
    steps: int
    epochs: int
    n_chunks: int

    def __len__(self) -> int:
        return self.n_chunks

    def __getitem__(self, chunk: int) -> Int[np.ndarray, "R E S B"]:
        n = self.epochs * self.steps * self.batch_size
        pieces = [
            shuffled_rows(rows, seed, chunk * n, (chunk + 1) * n)
            for rows, seed in zip(self.rows, self.seeds, strict=True)
        ]
        return np.stack(pieces).reshape(len(pieces), self.epochs, self.steps, self.batch_size)

    def fingerprint(self) -> str:
        """Return a hash of everything the stream depends on; an iterator state fits no stream but its own."""
        digest = hashlib.sha256()
        for rows, seed in zip(self.rows, self.seeds, strict=True):
            digest.update(repr((seed, rows.tolist())).encode())
        digest.update(repr((self.batch_size, self.steps, self.epochs, self.n_chunks)).encode())
        return digest.hexdigest()

    def iterator(self) -> grain.DatasetIterator:
        """Return a grain iterator over the blocks; close it when done."""
        return iter(grain.MapDataset.source(self).to_iter_dataset())


def shuffled_rows(rows: Int[np.ndarray, " n"], seed: tuple[int, ...], start: int, stop: int) -> Int[np.ndarray, " m"]:
    """Return places `start` to `stop` of the endless sequence of shuffles of `rows`.

    >>> rows = np.array([3, 5, 8])
    >>> sorted(shuffled_rows(rows, (0,), 3, 6).tolist())
    [3, 5, 8]
    """
    n = len(rows)
    rounds = range(start // n, -(-stop // n))
    sequence = np.concatenate([np.random.default_rng([*seed, r]).permutation(rows) for r in rounds])
    first = start - rounds.start * n
    return sequence[first : first + stop - start].astype(np.int32)
