"""One generative study from flags to outcome: one (variational) autoencoder per emotion classifies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import numpy as np

from serjax.data.feature_cache import default_cache_dir
from serjax.errors import ConfigError
from serjax.evaluate.summary import mean_fold_uar, summarise
from serjax.folder.manifest import RECONSTRUCTION
from serjax.models.autoencoder import Autoencoder
from serjax.models.conditional_vae import ConditionalVAE
from serjax.study.checks import check_pictures, check_positive, check_stream, check_training
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Classification, Data, Machine, Model, Training
from serjax.study.frontends import Features
from serjax.study.generative import figures
from serjax.study.generative.classification import Classified, classify_by_all
from serjax.study.generative.models import Kind, Models, make_recipe, train_models
from serjax.study.generative.reconstruction import reconstruction_content, reconstruction_matrices
from serjax.study.generative.scores import Explained, explain
from serjax.study.outcome import Facts, Outcome
from serjax.study.problem import FeatureFlags, Problem, load_problem
from serjax.study.progress import Progresses
from serjax.study.streamed import load_streamed
from serjax.study.trainer import Recipe, Stages, Trainer
from serjax.train.pictures import PictureChanges
from serjax.train.runs import Run


@dataclass(frozen=True, kw_only=True)
class GenerativeConfig:
    """The flags of a generative experiment; each adds what its kind of model has beside."""

    experiment: ClassVar[str]
    data: Data = field(default_factory=Data)
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    classification: Classification = field(default_factory=Classification)
    machine: Machine = field(default_factory=Machine)
    pictures: PictureChanges = field(default_factory=PictureChanges)

    def study_of(self, kind: Kind, beta: float) -> "GenerativeStudy":
        """Return the study that the flags say of a kind of model, with a weight of the KL term."""
        sections = (self.data, self.features, self.model, self.training, self.classification, self.machine)
        return GenerativeStudy(self.experiment, kind, beta, *sections, self.pictures)


@dataclass(frozen=True)
class GenerativeStudy:
    """A generative study: which kind of model, and everything its flags say."""

    experiment: str
    kind: Kind
    beta: float
    data: Data
    features: FeatureFlags
    model: Model
    training: Training
    classification: Classification
    machine: Machine
    pictures: PictureChanges = field(default_factory=PictureChanges)

    @property
    def flags(self) -> StudyFlags:
        """All that the flags say; changes of pictures that are off are no section, as before there were any."""
        sections = {
            "beta": self.beta,
            "conditional": self.conditional,
            "data": self.data,
            "features": self.features,
            "model": self.model,
            "training": self.training,
            "classification": self.classification,
            "pictures": self.pictures if self.pictures.strengths else None,
        }
        problem = (self.data, self.features, self.machine.cache, self.machine.stream)
        return StudyFlags(self.experiment, sections, self.machine, problem)

    @property
    def conditional(self) -> bool:
        """Whether one model serves all emotions of a cell."""
        return self.kind is ConditionalVAE

    @property
    def name(self) -> str:
        """What titles call it."""
        return self.experiment + ", conditional" * self.conditional

    def check(self) -> None:
        """Raise ConfigError for a number that makes no sense."""
        check_flags(self)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        cache = self.machine.cache or default_cache_dir()
        report, listened = shown.counter("features"), shown.counter("fingerprints")
        if self.machine.stream:
            return load_streamed(self.data, self.features, self.machine, report, listened)
        return load_problem(self.data, self.features, cache, report, listened)

    def recipe(self, problem: Problem) -> Recipe:
        """Return how its models are trained."""
        frontend = self.features.frontend()
        return make_recipe(self.kind, self.model, self.training, self.pictures, frontend, problem)

    @property
    def numbers(self) -> dict[str, Any]:
        """What the flags say that is a number of each run, beside those of training."""
        return {"beta": self.beta, "pictures": self.pictures.strengths}

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Train the models, score validation and test clips, and classify them."""
        recipe, numbers = self.recipe(problem), self.numbers
        selected = yield from train_models(problem, trainer, recipe, numbers)
        refitted = None
        if self.training.refit:
            refitted = yield from train_models(problem, trainer, recipe, numbers, selected)
        n_samples = self.classification.importance_samples
        selecting, final = explain_both(problem, selected, refitted, n_samples, trainer)
        classified = classify_by_all(problem, refitted or selected, final, selecting, self.classification.class_prior)
        return make_outcome(self, problem, trainer, selected, classified, selecting, final)


def check_flags(study: GenerativeStudy) -> None:
    """Raise ConfigError for a number that makes no sense."""
    check_training(study.training)
    check_pictures(study.pictures, study.features.frontend())
    check_stream(study.machine, study.features.frontend(), in_memory={})
    if study.training.pretrain_epochs < 0:
        raise ConfigError(f"--pretrain-epochs {study.training.pretrain_epochs}: expected 0 or more.")
    score = study.classification.score
    if study.kind is Autoencoder and score in ("elbo", "iwae"):
        raise ConfigError(f"--score {score}: a plain autoencoder has no likelihood. Choose reconstruction, or auto.")
    if not 0 <= study.beta < math.inf:
        raise ConfigError(f"--beta {study.beta}: expected a number from 0 on, such as 1.")
    model = study.model
    for flag, value in {
        "--latent-dim": model.latent_dim,
        "--importance-samples": study.classification.importance_samples,
        "--stack-size": study.machine.stack_size,
        "--hidden": min(model.hidden, default=0),
    }.items():
        check_positive(flag, value)


def explain_both(
    problem: Problem, selected: Models, refitted: Models | None, n_samples: int, trainer: Trainer
) -> tuple[Explained, Explained]:
    """Return how the selected models explain validation clips, and how the final ones explain test clips.

    Without refitting they are the same models, and clips are scored once.
    """
    n_classes = len(problem.labels)
    folds = [problem.cells[r // n_classes].fold for r in range(len(selected.runs))]
    if refitted is None:
        both = [np.concatenate([fold.validation, fold.test]) for fold in folds]
        explained = explain(problem, selected, both.__getitem__, n_samples, trainer)
        return explained, explained
    selecting = explain(problem, selected, lambda r: folds[r].validation, n_samples, trainer)
    return selecting, explain(problem, refitted, lambda r: folds[r].test, n_samples, trainer)


def make_outcome(
    study: GenerativeStudy,
    problem: Problem,
    trainer: Trainer,
    selected: Models,
    classified: Classified,
    selecting: Explained,
    final: Explained,
) -> Outcome:
    """Put predictions, facts, reconstruction matrices and pictures together."""
    score, title = study.classification.score, f"{study.name} · {problem.title}"
    matrices = {
        scaling: reconstruction_matrices(problem, selected, selecting, scaling == "minmax")
        for scaling in ("standard", "minmax")
    }
    frontend, history = study.features.frontend(), trainer.history.read
    return Outcome(
        predictions=classified.test[score],
        facts=make_facts(study, problem, trainer, selected, classified, final),
        validation=classified.validation[score],
        tables={RECONSTRUCTION: reconstruction_content(problem, matrices)},
        pictures=figures.pictures(problem, selected, frontend, matrices["standard"], history, title),
        name=study.name,
    )


def make_facts(
    study: GenerativeStudy,
    problem: Problem,
    trainer: Trainer,
    selected: Models,
    classified: Classified,
    final: Explained,
) -> Facts:
    """Return what `metrics.json` says of the models, and what they reach by each score."""
    scores: dict[str, object] = {
        name: {**summarise(test, problem.speakers_shared), "validation_uar": mean_fold_uar(classified.validation[name])}
        for name, test in classified.test.items()
    }
    return Facts(
        model=study.kind.__name__,
        refit=study.training.refit,
        n_parameters=int(sum(a[0].size for a in jax.tree.leaves(selected.trained.params))),
        n_models=len(selected.trained_runs),
        device=trainer.layout.title,
        chosen_epochs=_pretrained(problem, selected)
        | _by_run(selected.trained_runs, selected.trained.epoch_R.tolist()),
        chosen_scores=classified.chosen,
        score=study.classification.score,
        scores=scores,
        noise_variance=_by_cell(problem, final.variance_c),
    )


def _pretrained(problem: Problem, models: Models) -> dict[str, int]:
    """Return the epoch of the model that a cell's models of emotions start from, where there is one."""
    if models.pretrained is None:
        return {}
    names = [f"{cell.seed}/{cell.fold.name}/all" for cell in problem.cells]
    return dict(zip(names, models.pretrained.epoch_R.tolist(), strict=True))


def _by_run(runs: Sequence[Run], epochs: Sequence[int]) -> dict[str, int]:
    return {f"{r.seed}/{r.fold}/{r.emotion}": epoch for r, epoch in zip(runs, epochs, strict=True)}


def _by_cell(problem: Problem, values_c: np.ndarray | None) -> dict[str, float] | None:
    if values_c is None:
        return None
    return {f"{cell.seed}/{cell.fold.name}": float(v) for cell, v in zip(problem.cells, values_c, strict=True)}
