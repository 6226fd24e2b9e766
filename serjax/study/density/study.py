"""A study by densities of one or two vectors per clip, from flags to outcome: each cell is kept when it is done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from serjax.data.feature_cache import default_cache_dir
from serjax.evaluate.predictions import concatenate
from serjax.study.density.enrolment import Enrolment, name_with_enrolment, with_enrolment
from serjax.study.density.flags import (
    Density,
    FunctionalFeatures,
    Supervectors,
    Vaes,
    Vector,
    VoiceFeatures,
    check_flags,
    check_vaes,
)
from serjax.study.density.system import (
    Frames,
    Scores,
    Vectors,
    best_shrinkage,
    density_scores,
    functionals,
    rows_of,
    supervectors,
)
from serjax.study.density.vae import VaeScores, VaeTraining
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Data, Machine
from serjax.study.generative.classification import spread
from serjax.study.kept_cells import CellResult, through_cells, validation_of
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import Cell, Problem, load_parts, make_problem, offset_of
from serjax.study.progress import Progresses
from serjax.study.trainer import Stages, Trainer

Scorer = Callable[[Vector, Cell, bool, tuple[float, ...]], dict[float, Scores]]  # refit or not, for each shrinkage


@dataclass(frozen=True, kw_only=True)
class DensityConfig:
    """The flags of a classifier by densities."""

    experiment: ClassVar[str]
    data: Data = field(default_factory=lambda: Data(offset=0.0))  # silence is left out frame by frame
    features: VoiceFeatures = field(default_factory=VoiceFeatures)
    background: Supervectors = field(default_factory=Supervectors)
    density: Density = field(default_factory=Density)
    vaes: Vaes = field(default_factory=Vaes)
    machine: Machine = field(default_factory=Machine)

    def study(self) -> "DensityStudy":
        """Return the study that the flags say."""
        return DensityStudy(self.experiment, self)


@dataclass(frozen=True, eq=False, kw_only=True)
class DensityProblem(Problem):
    """A problem whose clips are pictures of a voice, with functionals beside them."""

    functionals_ND: Float[np.ndarray, "N D"]

    def _features(self) -> bytes:
        return super()._features() + np.ascontiguousarray(self.functionals_ND).tobytes()


@dataclass(frozen=True)
class DensityStudy:
    """A study by densities: its name, and everything its flags say."""

    experiment: str
    config: DensityConfig

    @property
    def flags(self) -> StudyFlags:
        """All that the flags say."""
        config = self.config
        sections = {
            "data": config.data,
            "features": config.features,
            "background": config.background,
            "density": config.density,
            "vaes": config.vaes,
        }
        problem = (config.data, config.features.frontend(), config.machine.cache, config.density.enrolment)
        return StudyFlags(self.experiment, sections, config.machine, problem)

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""
        check_flags(self.config.features, self.config.background, self.config.density)
        check_vaes(self.config.vaes)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, both kinds of features, and folds."""
        data, voice, n_clips = self.config.data, self.config.features, self.config.density.enrolment
        cache = self.config.machine.cache or default_cache_dir()
        reports = [shown.counter("frames"), shown.counter("functionals")]
        corpus, splits, (pictures, vectors) = load_parts(
            data, (voice, FunctionalFeatures(voice)), cache, reports, selecting=True
        )
        splits = with_enrolment(corpus, splits, n_clips)
        make = partial(DensityProblem, functionals_ND=vectors.values_NTD[:, 0])
        problem = make_problem(corpus, splits, pictures, offset_of(corpus, data), make=make)
        return replace(problem, protocol=name_with_enrolment(problem.protocol, n_clips))

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Fit and score cell after cell; only VAEs are trained in stacks, those of all cells before."""
        assert isinstance(problem, DensityProblem)
        config = self.config
        frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, config.features, config.background.warps)
        system = System(problem, frames, config)
        scores: Scorer = system.scores
        vaes: VaeScores | None = None
        if config.density.density == "vae":
            training = VaeTraining(problem, trainer, system.vectors, config.density, config.vaes)
            vaes = scores = yield from training.train(config.features.vectors)
        results = through_cells(
            problem,
            trainer.checkpoints / "cells",
            f"{trainer.fingerprint} {problem.digest()}",
            lambda cell: system.fit_cell(cell, scores),
            lambda done, total: trainer.report("densities", done, total, 0.0),
        )
        facts = Facts(
            model=f"{config.density.density} densities",
            refit=config.density.refit,
            n_parameters=None,
            n_models=len(problem.cells) * len(problem.labels),
            device=trainer.layout.title,
            chosen_epochs=None if vaes is None else vaes.chosen_epochs,
            chosen={name: result.facts for name, result in results.items()},
        )
        predictions = concatenate([result.test for result in results.values()])
        return Outcome(predictions, facts, validation_of(results))


@dataclass(frozen=True, eq=False)
class System:
    """What scores the clips of a cell: the sum over vectors and background models of what their densities say."""

    problem: DensityProblem
    frames: Frames
    config: DensityConfig

    def fit_cell(self, cell: Cell, scores: Scorer) -> CellResult:
        """Choose by validation clips what models of training clips leave open, then score test clips."""
        flags, validation = self.config.density, self.enrolment(cell.seed).scored(cell.fold.validation)
        selecting_NK, final_NK = np.zeros((2, len(self.problem.truth_N), len(self.problem.labels)))
        chosen: dict[str, object] = {}
        for kind in self.config.features.vectors:
            by_shrinkage = scores(kind, cell, False, flags.shrinkages)
            best, reached = best_shrinkage(by_shrinkage, self.problem.truth_N, validation)
            again = scores(kind, cell, True, (best,)) if flags.refit else by_shrinkage
            weight = 1.0 if kind == "supervector" else flags.functionals_weight
            unit = spread(by_shrinkage[best][validation]) / weight
            selecting_NK += by_shrinkage[best] / unit
            final_NK += again[best] / unit
            chosen[kind] = {"shrinkage": best, "validation_uar": reached}
        test = predict(self.problem, cell, final_NK[cell.fold.test])
        return CellResult(test, predict(self.problem, cell, selecting_NK[validation], validation), chosen)

    def scores(self, kind: Vector, cell: Cell, refit: bool, shrinkages: tuple[float, ...]) -> dict[float, Scores]:
        """Fit densities to a cell's clips; return their scores of all clips for each shrinkage."""
        summed: dict[float, Scores] = {}
        for vectors in self.vectors(kind, cell, refit):
            found = density_scores(vectors, len(self.problem.labels), self.config.density, shrinkages)
            summed = {share: summed.get(share, 0.0) + scores_NK for share, scores_NK in found.items()}
        return summed

    def vectors(self, kind: Vector, cell: Cell, refit: bool) -> Iterator[Vectors]:
        """Fit the front end to a cell's clips and give the vectors of all clips, for each background model."""
        truth_N, background, rows = self.problem.truth_N, self.config.background, rows_of(cell.fold, refit)
        centre = partial(self.enrolment(cell.seed).centre, rows_n=rows)
        if kind == "functionals":
            yield centre(functionals(self.problem.functionals_ND, rows, truth_N))
            return
        for number in range(background.backgrounds):
            yield centre(supervectors(self.frames, rows, truth_N, background, (cell.seed, number)))

    def enrolment(self, seed: int) -> Enrolment:
        """Return which clips of each speaker a seed draws."""
        return Enrolment.of(self.problem.corpus, self.config.density.enrolment, seed)
