"""Mean reconstruction losses of a model of one of two emotions, read from the `reconstruction.json` of a run.

Losses are mean squared errors per valid element, each coefficient divided by its range over training rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Pair = tuple[float, float]


@dataclass(frozen=True)
class Losses:
    """Losses of the model on clips of its own emotion and on those of the other, `(own, other)`.

    Args:
      train: on training clips.
      test: on test clips.
      all: on all clips, each counted once per fold.
    """

    train: Pair
    test: Pair
    all: Pair

    @property
    def ratio(self) -> float:
        """The loss on the other's clips over that on own clips, all clips."""
        own, other = self.all
        return other / own if own else math.inf

    @property
    def figures(self) -> tuple[float, float, float, float, float]:
        """What tables show, in the order of `loss_columns`."""
        return self.train[0], self.test[0], *self.all, self.ratio


@dataclass(frozen=True)
class LossesOfRun:
    """Losses over all seeds, and of each seed."""

    over_seeds: Losses
    by_seed: tuple[Losses, ...]

    def sd(self) -> dict[str, list[float]] | None:
        """Return deviations over seeds (n − 1) of each part's pair, and of the ratio; None for one seed."""
        if len(self.by_seed) < 2:
            return None
        values = {part: [getattr(seed, part) for seed in self.by_seed] for part in ("train", "test", "all")}
        values["ratio"] = [(seed.ratio,) for seed in self.by_seed]
        return {part: np.std(pairs, axis=0, ddof=1).tolist() for part, pairs in values.items()}


def loss_columns(own: str, other: str) -> tuple[str, ...]:
    """Return the names of the columns that `Losses.figures` fills.

    >>> loss_columns("happy", "sad")
    ('happy, train', 'happy, test', 'happy, all', 'sad, all', 'sad / happy')
    """
    return f"{own}, train", f"{own}, test", f"{own}, all", f"{other}, all", f"{other} / {own}"


def losses_of(reconstruction: Mapping[str, Any], own: str) -> LossesOfRun:
    """Return the losses of one emotion's model.

    Args:
      reconstruction: the content of a `reconstruction.json` of two emotions.
      own: the emotion whose model it is.

    Raises:
      ValueError: the run has other emotions, or more than two.
    """
    labels = reconstruction["labels"]
    if len(labels) != 2 or own not in labels:
        raise ValueError(f"reconstruction losses of {labels}: expected two emotions, {own} among them")
    matrices, row = reconstruction["minmax"], labels.index(own)
    return LossesOfRun(_losses(matrices, row), tuple(_losses(seed, row) for seed in matrices["by_seed"].values()))


def _losses(matrices: Mapping[str, Any], row: int) -> Losses:
    train, test, both = ((matrices[part][row][row], matrices[part][row][1 - row]) for part in ("train", "test", "all"))
    return Losses(train, test, both)
