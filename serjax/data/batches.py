"""The index stream that feeds a stack of runs: grain elements, seeded, resumable, the same on any device count."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grain
import numpy as np
from jaxtyping import Int

_BALANCED = 0xBA1A4CED  # tells the seeds of a class's own shuffles from those of the whole


@dataclass(frozen=True, eq=False)
class IndexBlocks:
    """A random-access source whose element `e` is the index block `[R, steps, B]` of epoch `e`.

    Run `r` reads its rows in one endless sequence of shuffles, each a function of the run's seed and the shuffle's
    number alone; block `e` is the e-th piece of that sequence. All runs take equally many steps, so that runs with
    fewer rows reshuffle sooner. Given `classes`, the shuffles are `balanced_rows`: classes come equally often.
    """

    rows: Sequence[Int[np.ndarray, " _"]]  # each of its own length
    seeds: Sequence[tuple[int, ...]]
    batch_size: int
    steps: int
    n_epochs: int
    classes: Sequence[Int[np.ndarray, " _"]] | None = None  # of every row of every run

    def __len__(self) -> int:
        return self.n_epochs

    def __getitem__(self, epoch: int) -> Int[np.ndarray, "R S B"]:
        n = self.steps * self.batch_size
        pieces = [self._places(run, epoch * n, (epoch + 1) * n) for run in range(len(self.rows))]
        return np.stack(pieces).reshape(len(pieces), self.steps, self.batch_size)

    def _places(self, run: int, start: int, stop: int) -> Int[np.ndarray, " m"]:
        if self.classes is None:
            return shuffled_rows(self.rows[run], self.seeds[run], start, stop)
        return balanced_rows(self.rows[run], self.classes[run], self.seeds[run], start, stop)

    def fingerprint(self) -> str:
        """Return a hash of everything the stream depends on; an iterator state fits no stream but its own."""
        digest = hashlib.sha256()
        for rows, seed in zip(self.rows, self.seeds, strict=True):
            digest.update(repr((seed, rows.tolist())).encode())
        digest.update(repr((self.batch_size, self.steps, self.n_epochs)).encode())
        for classes in self.classes or ():
            digest.update(repr(classes.tolist()).encode())
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

    def shuffle(index: int) -> Int[np.ndarray, " n"]:
        return np.random.default_rng([*seed, index]).permutation(rows)

    return _places(shuffle, len(rows), start, stop)


def balanced_rows(
    rows: Int[np.ndarray, " n"], classes: Int[np.ndarray, " n"], seed: tuple[int, ...], start: int, stop: int
) -> Int[np.ndarray, " m"]:
    """Return places `start` to `stop` of an endless sequence of shuffles in which classes are equally frequent.

    A shuffle has of every class as many rows as the largest class has. Those of a smaller one are the next of its own
    endless sequence of shuffles, so that all its rows come equally often, give or take one.

    >>> rows, classes = np.array([3, 5, 8]), np.array([0, 0, 1])
    >>> sorted(balanced_rows(rows, classes, (0,), 0, 4).tolist())
    [3, 5, 8, 8]
    """
    of_class = {int(label): rows[classes == label] for label in np.unique(classes)}
    n_largest = max(map(len, of_class.values()))

    def shuffle(index: int) -> Int[np.ndarray, " n"]:
        first, last = index * n_largest, (index + 1) * n_largest
        drawn = [shuffled_rows(own, (*seed, _BALANCED, label), first, last) for label, own in of_class.items()]
        return np.random.default_rng([*seed, index]).permutation(np.concatenate(drawn))

    return _places(shuffle, n_largest * len(of_class), start, stop)


def _places(shuffle: Callable[[int], Int[np.ndarray, " _"]], n: int, start: int, stop: int) -> Int[np.ndarray, " m"]:
    """Cut places out of the sequence of shuffles of `n` rows each."""
    rounds = range(start // n, -(-stop // n))
    sequence = np.concatenate([shuffle(index) for index in rounds])
    first = start - rounds.start * n
    return sequence[first : first + stop - start].astype(np.int32)
