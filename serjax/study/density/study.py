"""A study by densities of one or two vectors per clip, from flags to outcome: each cell is kept when it is done."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from serjax.data.feature_cache import default_cache_dir
from serjax.errors import ConfigError
from serjax.evaluate.predictions import concatenate
from serjax.models.density.classifier import DensityClassifier, Vector
from serjax.study.density.enrolment import Enrolment, name_with_enrolment, with_enrolment
from serjax.study.density.flags import (
    Density,
    FunctionalFeatures,
    Supervectors,
    Vaes,
    VoiceFeatures,
    check_flags,
    check_vaes,
)
from serjax.study.density.system import (
    Frames,
    Said,
    Vectors,
    background_vectors,
    best_shrinkage,
    fit_members,
    functionals,
    rows_of,
    slices,
)
from serjax.study.density.vae import VaeScores, VaeTraining
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Data, Machine
from serjax.study.generative.classification import spread
from serjax.study.kept_cells import CellResult, through_cells, validation_of
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import Cell, Problem, fingerprints_of, load_parts, make_problem, window_of
from serjax.study.progress import Progresses
from serjax.study.trainer import Stages, Trainer

Scorer = Callable[[Vector, Cell, bool, tuple[float, ...]], dict[float, Said]]  # refit or not, for each shrinkage


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
        prints = fingerprints_of(corpus, data, cache, shown.counter("fingerprints"))
        problem = make_problem(corpus, splits, pictures, window_of(corpus, data, voice.frontend()), prints, make=make)
        return replace(problem, protocol=name_with_enrolment(problem.protocol, n_clips))

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Fit and score cell after cell; only VAEs are trained in stacks, those of all cells before."""
        assert isinstance(problem, DensityProblem)
        config = self.config
        frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, config.features, config.background.warps)
        system = System(problem, frames, config)
        scores: Scorer = system.scores
        vaes: VaeScores | None = None
        if config.density.density in ("vae", "tied-vae"):
            training = VaeTraining(problem, trainer, system.vectors, config.density, config.vaes)
            vaes = scores = yield from training.train(config.features.vectors)
        results = through_cells(
            problem,
            trainer.checkpoints / "cells",
            f"{trainer.fingerprint} {problem.digest()}",
            lambda cell: system.fit_cell(cell, scores),
            lambda done, total: trainer.report("densities", done, total, None),
        )
        facts = Facts(
            model=f"{config.density.density} densities",
            refit=config.density.refit,
            n_parameters=max(int(str(result.facts["n_parameters"])) for result in results.values()),
            n_models=len(problem.cells),
            device=trainer.layout.title,
            chosen_epochs=None if vaes is None else vaes.chosen_epochs,
            chosen={name: result.facts for name, result in results.items()},
        )
        predictions = concatenate([result.test for result in results.values()])
        return Outcome(predictions, facts, validation_of(results))


class Chosen(NamedTuple):
    """Of one kind of vectors what the models say that validation clips chose, and what those say that classify."""

    tried: Said
    final: Said
    facts: dict[str, float]

    @property
    def unit(self) -> float:
        """By what scores are divided before those of several kinds are summed."""
        return self.facts["unit"]


@dataclass(frozen=True, eq=False)
class System:
    """What scores the clips of a cell: the sum over vectors and background models of what their densities say."""

    problem: DensityProblem
    frames: Frames
    config: DensityConfig

    def fit_cell(self, cell: Cell, scores: Scorer) -> CellResult:
        """Choose by validation clips what models of training clips leave open, then score test clips."""
        held_out, test = self.enrolment(cell.seed).scored(cell.fold.validation), cell.fold.test
        chosen = {kind: self._choose(kind, cell, scores, held_out) for kind in self.config.features.vectors}
        background = chosen.get("supervector") or next(iter(chosen.values()))
        validation_nK = np.sum([one.tried.scores_NK[held_out] / one.unit for one in chosen.values()], axis=0)
        test_nK = np.sum([one.final.scores_NK[test] / one.unit for one in chosen.values()], axis=0)
        return CellResult(
            test=predict(self.problem, cell, test_nK, test, background.final.log_px_N[test]),
            validation=predict(self.problem, cell, validation_nK, held_out, background.tried.log_px_N[held_out]),
            facts={
                "n_parameters": sum(one.final.n_parameters for one in chosen.values()),
                **{kind: one.facts for kind, one in chosen.items()},
            },
        )

    def _choose(self, kind: Vector, cell: Cell, scores: Scorer, validation: Int[np.ndarray, " v"]) -> Chosen:
        flags = self.config.density
        tried = scores(kind, cell, False, flags.candidates)
        best, reached = best_shrinkage(tried, self.problem.truth_N, validation)
        again = scores(kind, cell, True, (best,)) if flags.refit else tried
        weight = 1.0 if kind == "supervector" else flags.functionals_weight
        # From held-out clips: on clips that they were fitted to, densities are surer than on others.
        unit = spread(tried[best].scores_NK[validation]) / weight
        return Chosen(tried[best], again[best], {flags.candidate: best, "unit": unit, "validation_uar": reached})

    def scores(self, kind: Vector, cell: Cell, refit: bool, shrinkages: tuple[float, ...]) -> dict[float, Said]:
        """Fit densities to a cell's clips; return what they say of all clips for each shrinkage."""
        said: dict[float, list[Said]] = {share: [] for share in shrinkages}
        for vectors in self.vectors(kind, cell.seed, rows_of(cell.fold, refit)):
            for share, member in fit_members(
                vectors, len(self.problem.labels), self.config.density, shrinkages
            ).items():
                said[share].append(Said.by(member, vectors))
        return {share: Said.of_all(members) for share, members in said.items()}

    def vectors(self, kind: Vector, seed: int, rows: Int[np.ndarray, " n"]) -> Iterator[Vectors]:
        """Fit the front end to some clips and give the vectors of all clips, for each background model."""
        truth_N, background = self.problem.truth_N, self.config.background
        centre = partial(self.enrolment(seed).centre, rows_n=rows)
        if kind == "functionals":
            yield centre(functionals(self.problem.functionals_ND, rows, truth_N))
            return
        if kind == "mfcc":
            yield centre(slices(self.frames, rows, truth_N, self.config.features))
            return
        for number in range(background.backgrounds):
            yield centre(background_vectors(self.frames, rows, truth_N, background, (seed, number)))

    def classifier(
        self, seed: int, rows: Int[np.ndarray, " n"], chosen: Mapping[Vector, float], units: Mapping[Vector, float]
    ) -> DensityClassifier:
        """Fit to some clips the classifier that scores any: by what was chosen for each kind of vectors, and units.

        Raises:
          ConfigError: the densities are VAEs, which are trained in stacks and are no arrays of a `DensityClassifier`.
        """
        if self.config.density.density in ("vae", "tied-vae"):
            raise ConfigError(f"--density {self.config.density.density} gives no classifier of arrays; choose another.")
        n_classes, flags, members = len(self.problem.labels), self.config.density, {}
        for kind in self.config.features.vectors:
            share, fitted = chosen[kind], self.vectors(kind, seed, rows)
            members[kind] = tuple(fit_members(vectors, n_classes, flags, (share,))[share] for vectors in fitted)
        arrays = {kind: jnp.float32(unit) for kind, unit in units.items()}
        return DensityClassifier(members, arrays, jnp.float32(self.config.background.relevance))

    def enrolment(self, seed: int) -> Enrolment:
        """Return which clips of each speaker a seed draws."""
        return Enrolment.of(self.problem.corpus, self.config.density.enrolment, seed)
