"""One VAE per emotion on vectors whitened within classes: a clip gets the emotion whose VAE rebuilds it best.

A decoder that says nothing leaves the distance to the class mean, which is what Gaussians with one covariance go by.
What a VAE rebuilds of the clips of another emotion is lost to the decision. A tied VAE is one of all emotions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Int

from serjax.models.density.classifier import Vector
from serjax.study.density.flags import Density, Vaes
from serjax.study.density.system import Said, Vectors, best_shrinkage, reduce_vectors, rows_of
from serjax.study.density.tied_stage import TiedStage
from serjax.study.density.vae_stage import Member, Stage
from serjax.study.problem import Cell, Problem
from serjax.study.trainer import Stages, Trainer
from serjax.train.shares import Trained

MakeVectors = Callable[[Vector, int, Int[np.ndarray, " n"]], Iterable[Vectors]]  # of all members, by seed and rows
Found = dict[tuple[Vector, int, str], dict[float, list[Said]]]  # by kind, seed and fold: members, of each shrinkage


@dataclass(frozen=True, eq=False)
class VaeScores:
    """How the VAEs of all cells score the clips that select and those that they classify; others have zeros."""

    selecting: Found = field(default_factory=dict)
    final: Found = field(default_factory=dict)
    chosen_epochs: dict[str, int] = field(default_factory=dict)

    def __call__(self, kind: Vector, cell: Cell, refit: bool, shrinkages: tuple[float, ...]) -> dict[float, Said]:
        """Return what the VAEs of a cell say of all clips, for each shrinkage."""
        found = (self.final if refit else self.selecting)[kind, cell.seed, cell.fold.name]
        return {share: Said.of_all(found[share]) for share in shrinkages}


@dataclass(frozen=True, eq=False)
class VaeTraining:
    """What trains the VAEs of a study: of all kinds of vectors, cells, members and emotions."""

    problem: Problem
    trainer: Trainer
    make_vectors: MakeVectors
    density: Density
    flags: Vaes

    def train(self, kinds: Sequence[Vector]) -> Stages[VaeScores]:
        """Train all, and let them score the clips of their cells.

        Each shrinkage is tried; the best epoch of a VAE is that of the lowest loss on validation clips of its emotion.
        With `--refit` the VAEs of the shrinkage that is best on a cell's validation clips are trained again, on these
        too, for as many epochs.
        """
        found = VaeScores()
        for kind in kinds:
            shares, epochs_R = yield from self._select(kind, found)
            if self.density.refit:
                stage = self._stage(kind, True, [(share,) for share in shares])
                yield from self._train(stage, f"{kind}-refit", stage.of_members(shares), found.final, epochs_R)
        return found

    def _select(self, kind: Vector, found: VaeScores) -> Stages[tuple[list[float], Int[np.ndarray, " R"]]]:
        """Train on training clips with each shrinkage; return the best of each cell, and the best epochs with it."""
        cells = self.problem.cells
        stage = self._stage(kind, False, [self.density.shrinkages] * len(cells))
        epochs = {}
        for share in self.density.shrinkages:
            trained = yield from self._train(stage, f"{kind}-{share}", [share] * len(stage.members), found.selecting)
            epochs[share] = trained.epoch_R
        shares = [self._best(found.selecting[_name(kind, cell)], cell) for cell in cells]
        parts = [
            epochs[share][m * stage.n_models :][: stage.n_models] for m, share in enumerate(stage.of_members(shares))
        ]
        found.chosen_epochs.update(stage.by_run(np.concatenate(parts)))
        return shares, np.concatenate(parts)

    def _best(self, said: dict[float, list[Said]], cell: Cell) -> float:
        summed = {share: Said.of_all(members) for share, members in said.items()}
        return best_shrinkage(summed, self.problem.truth_N, cell.fold.validation)[0]

    def _stage(self, kind: Vector, refit: bool, shares: Sequence[Sequence[float]]) -> Stage:
        """Fit the front end in all cells; `shares` are the shrinkages of each."""
        members = []
        for cell, own in zip(self.problem.cells, shares, strict=True):
            fold, n_classes = cell.fold, len(self.problem.labels)
            scored = [fold.test] if refit else [fold.validation] if self.density.refit else [fold.validation, fold.test]
            rows = rows_of(fold, refit), np.concatenate(scored)
            for number, vectors in enumerate(self.make_vectors(kind, cell.seed, rows[0])):
                reduced = reduce_vectors(vectors, n_classes, self.density).vectors
                members.append(Member.fit((cell, number), reduced, rows, n_classes, own))
        kind_of_stage = TiedStage if self.density.density == "tied-vae" else Stage
        return kind_of_stage.of(self.problem, members, kind, refit, self.flags)

    def _train(
        self,
        stage: Stage,
        name: str,
        shares: Sequence[float],
        found: Found,
        epochs_R: Int[np.ndarray, " R"] | None = None,
    ) -> Stages[Trained]:
        """Train the VAEs of a stage, a shrinkage per member, and add their scores to those of the cells."""
        runs = stage.runs(shares, epochs_R)
        trained = yield stage.request(self.trainer, name, runs)
        scores = stage.scores(self.trainer, runs, trained.params, self.problem)
        n_parameters = stage.n_models * sum(array[0].size for array in jax.tree.leaves(trained.params))
        for member, share, scores_NK in zip(stage.members, shares, scores, strict=True):
            of_cell = found.setdefault(_name(stage.kind, member.cell), {})
            of_cell.setdefault(share, []).append(Said(scores_NK, member.log_px_N, n_parameters))
        return trained


def _name(kind: Vector, cell: Cell) -> tuple[Vector, int, str]:
    return kind, cell.seed, cell.fold.name
