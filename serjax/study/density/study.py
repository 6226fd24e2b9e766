"""A study by densities of one vector per clip, from flags to outcome: each cell is kept when it is done."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from serjax.data.feature_cache import default_cache_dir
from serjax.evaluate.generative import classify
from serjax.evaluate.metrics import confusion, uar
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures, check_flags
from serjax.study.density.system import Frames, density_scores, supervectors
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Data, Machine
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import Cell, Problem, load_problem
from serjax.study.progress import Progresses
from serjax.study.trainer import Stages, Trainer


@dataclass(frozen=True, kw_only=True)
class DensityConfig:
    """The flags of a classifier by densities."""

    experiment: ClassVar[str]
    data: Data = field(default_factory=Data)
    features: VoiceFeatures = field(default_factory=VoiceFeatures)
    vectors: Supervectors = field(default_factory=Supervectors)
    density: Density = field(default_factory=Density)
    machine: Machine = field(default_factory=Machine)

    def study(self) -> "DensityStudy":
        """Return the study that the flags say."""
        return DensityStudy(self.experiment, self)


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
            "vectors": config.vectors,
            "density": config.density,
        }
        problem = (config.data, config.features, config.machine.cache)
        return StudyFlags(self.experiment, sections, config.machine, problem)

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""
        check_flags(self.config.vectors, self.config.density)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        cache = self.config.machine.cache or default_cache_dir()
        return load_problem(self.config.data, self.config.features, cache, shown.counter("features"))

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Fit and score cell after cell; nothing is trained in stacks."""
        config = self.config
        frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, config.features, config.vectors.warps)
        results = []
        for n, cell in enumerate(problem.cells):
            results.append(score_cell(problem, cell, frames, config))
            trainer.report("densities", n + 1, len(problem.cells), results[-1].loss)
        yield from ()
        held_out = [result.validation for result in results if result.validation is not None]
        return Outcome(
            predictions=concatenate([result.test for result in results]),
            facts=Facts(
                model=f"{config.density.density} densities of supervectors",
                refit=config.density.refit,
                n_parameters=None,
                n_models=len(problem.cells) * config.vectors.backgrounds,
                device=trainer.layout.title,
                chosen={
                    f"{cell.seed}/{cell.fold.name}": result.chosen
                    for cell, result in zip(problem.cells, results, strict=True)
                },
            ),
            validation=concatenate(held_out) if held_out else None,
        )


@dataclass(frozen=True, eq=False)
class CellResult:
    """Predictions of a cell's clips, and what its validation clips chose."""

    test: Predictions
    validation: Predictions | None
    chosen: dict[str, float]
    loss: float


def score_cell(problem: Problem, cell: Cell, frames: Frames, config: DensityConfig) -> CellResult:
    """Choose by validation clips what models of training clips leave open, then score test clips."""
    fold, flags = cell.fold, config.density
    by_shrinkage = system_scores(problem, cell, fold.train, frames, config, flags.shrinkages)
    reached = {share: _uar(problem, scores_NK, fold.validation) for share, scores_NK in by_shrinkage.items()}
    chosen = max(reached, key=lambda share: reached[share])
    selecting_NK = by_shrinkage[chosen]
    rows = np.sort(np.concatenate([fold.train, fold.validation]))
    final_NK = system_scores(problem, cell, rows, frames, config, (chosen,))[chosen] if flags.refit else selecting_NK
    return CellResult(
        test=predict(problem, cell, final_NK[fold.test]),
        validation=predict(problem, cell, selecting_NK[fold.validation], fold.validation),
        chosen={"shrinkage": chosen},
        loss=1 - reached[chosen],
    )


def system_scores(
    problem: Problem,
    cell: Cell,
    rows: Int[np.ndarray, " n"],
    frames: Frames,
    config: DensityConfig,
    shrinkages: tuple[float, ...],
) -> dict[float, Float[np.ndarray, "N K"]]:
    """Fit every member to the clips `rows`; return the sum of the members' scores of all clips, by shrinkage."""
    summed: dict[float, Float[np.ndarray, "N K"]] = {}
    for background in range(config.vectors.backgrounds):
        seed = (cell.seed, background)
        vectors = supervectors(frames, rows, problem.truth_N, config.vectors, seed)
        found = density_scores(vectors, len(problem.labels), config.density, shrinkages)
        summed = {share: summed.get(share, 0.0) + scores_NK for share, scores_NK in found.items()}
    return summed


def _uar(problem: Problem, scores_NK: Float[np.ndarray, "N K"], rows: Int[np.ndarray, " n"]) -> float:
    return uar(confusion(problem.truth_N[rows], classify(scores_NK[rows]), len(problem.labels)))
