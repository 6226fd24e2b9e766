"""One supervised study from flags to outcome: one classifier per fold and seed, all trained as stacks of runs.

Stages: `train` (best epoch on validation rows) → and with `--refit` again on train + validation for the number of
epochs chosen; or with `--keep last` one stage on train + validation, in which nothing is chosen. With both, `train`
keeps the last epoch too: validation rows are scored, choose nothing, and are trained on in the second stage.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal

import chex
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.data.balance import class_weights
from serjax.data.feature_cache import default_cache_dir
from serjax.evaluate.logits import classify_all, even_rolls
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.figures.training import draw_training
from serjax.models.classifiers import Classifier, dropout_of, with_dropout
from serjax.study.augmentation import Augmentation, check_augmentation, with_waveforms
from serjax.study.checks import check_pictures, check_positive, check_stream, check_training
from serjax.study.copies import load_copies
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Data, Machine, RunsPerDevice, SupervisedTraining
from serjax.study.networks import NetworkFlags
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import FeatureFlags, Problem, load_problem
from serjax.study.progress import Progresses
from serjax.study.runs import pooled_runs
from serjax.study.streamed import load_streamed
from serjax.study.trainer import Recipe, Request, Stages, Trainer, check_finite, fresh, from_file
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.parallel import Layout
from serjax.train.pictures import ClassifierChanges
from serjax.train.runs import Run, fit_projections
from serjax.train.shares import Trained
from serjax.train.state import Dataset, RunInputs
from serjax.train.waveforms import AugmentedFeatures


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """The flags of a supervised experiment; each adds its own front end and model."""

    experiment: ClassVar[str]
    runs_per_device: ClassVar[RunsPerDevice] = RunsPerDevice()
    data: Data = field(default_factory=Data)
    features: FeatureFlags
    model: NetworkFlags
    training: SupervisedTraining = field(default_factory=SupervisedTraining)
    machine: Machine = field(default_factory=Machine)
    augmentation: Augmentation = field(default_factory=Augmentation)
    pictures: ClassifierChanges = field(default_factory=ClassifierChanges)

    def study(self) -> "SupervisedStudy":
        """Return the study that the flags say."""
        return SupervisedStudy(self.experiment, self)


@dataclass(frozen=True)
class SupervisedStudy:
    """A supervised study: its name, and everything its flags say."""

    experiment: str
    config: SupervisedConfig

    @property
    def flags(self) -> StudyFlags:
        """All that the flags say; augmentation that is off is no section, as before there was any."""
        config, augmentation = self.config, self.config.augmentation
        sections = {
            "data": config.data,
            "features": config.features,
            "model": config.model,
            "training": config.training,
            "augmentation": augmentation if augmentation.picks else None,
            "pictures": config.pictures if config.pictures.strengths else None,
        }
        changed = augmentation if augmentation.copies_before_split else augmentation.in_train_step
        problem = (config.data, config.features, config.machine.cache, config.machine.stream, changed)
        return StudyFlags(self.experiment, sections, config.machine, problem, config.runs_per_device)

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""
        check_training(self.config.training)
        self.config.model.check()
        check_positive("--stack-size", self.config.machine.stack_size)
        check_augmentation(self.config.augmentation, self.config.data.protocol)
        check_pictures(self.config.pictures, self.config.features.frontend())
        copies, pca = self.config.augmentation.copies_before_split > 0, self.config.training.pca_variance is not None
        in_memory = {"--copies-before-split": copies, "--pca-variance": pca}
        check_stream(self.config.machine, self.config.features.frontend(), in_memory)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds; waveforms too where the train step changes them."""
        config, augmentation = self.config, self.config.augmentation
        cache, report = config.machine.cache or default_cache_dir(), shown.counter("features")
        listened = shown.counter("fingerprints")
        if augmentation.copies_before_split:
            return load_copies(config.data, config.features, augmentation, cache, report)
        if config.machine.stream:
            return load_streamed(config.data, config.features, config.machine, report, listened)
        problem = load_problem(config.data, config.features, cache, report, listened)
        if augmentation.in_train_step:
            return with_waveforms(problem, config.data, config.features.frontend(), shown.counter("waveforms"))
        return problem

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Train the classifiers, and classify validation and test clips."""
        config, training = self.config, self.config.training
        model = config.model.build(len(problem.labels))
        numbers = run_numbers(config, model)
        is_last = training.keep == "last"
        is_held_out = training.refit or not is_last  # validation rows, from what is trained first
        rolls = rolls_of(training)

        def request(name: str, runs: list[Run]) -> Request:
            recipe = make_recipe(config, problem, runs)
            start = fresh(runs, recipe.objective)
            start = start if training.weights is None else from_file(start, training.weights)
            return Request(trainer, recipe, name, runs, start, problem)

        runs = make_runs(problem, training, training.epochs, refit=not is_held_out, numbers=numbers)
        if is_last:
            runs = [replace(run, validation=run.validation[:0]) for run in runs]  # no epoch is chosen: the last is kept
        asked = request("train", runs)
        trained = yield asked
        logits_RNK = compute_logits(asked, trained, rolls)
        chosen, validation = trained.epoch_R, classify(problem, logits_RNK, "validation") if is_held_out else None
        if training.refit:
            runs = make_runs(problem, training, chosen, refit=True, numbers=numbers)
            asked = request("refit-train", runs)
            trained = yield asked
            logits_RNK = compute_logits(asked, trained, rolls)
        facts = Facts(
            model=type(model).__name__,
            refit=training.refit or is_last,  # what counts was trained on validation rows too
            n_parameters=n_parameters(trained.params),
            n_models=len(runs),
            device=trainer.layout.title,
            train_war=train_war(problem, runs, logits_RNK),
            chosen_epochs={f"{run.seed}/{run.fold}": int(epoch) for run, epoch in zip(runs, chosen, strict=True)},
        )
        curves = trainer.history.read, len(runs), ("all",), "cross-entropy / nats per clip"
        title = f"{self.experiment} · {problem.title}"
        return Outcome(
            predictions=classify(problem, logits_RNK, "test"),
            facts=facts,
            validation=validation,
            pictures={"learning.png": partial(draw_training, *curves, title)},
        )


def run_numbers(config: SupervisedConfig, model: Classifier) -> dict[str, Any]:
    """Return what the flags say that is a number of each run."""
    strengths, ema = config.pictures.strengths, config.training.ema
    return {"dropout": dropout_of(model), "pictures": strengths, "ema": ema, **config.augmentation.run_numbers}


def rolls_of(training: SupervisedTraining) -> tuple[int, ...]:
    """Return by how many frames the copies are rolled with which a clip is classified; 0 alone: as it is."""
    return even_rolls(training.rolled_copies or 1, training.roll_frames)


def make_runs(
    problem: Problem,
    training: SupervisedTraining,
    epochs: Int[np.ndarray, " R"] | int,
    refit: bool,
    numbers: Mapping[str, Any],
) -> list[Run]:
    """Return one run per cell, each with these `numbers`; with `refit` they train on validation rows too."""
    runs = pooled_runs(problem, refit, training, {"beta": 0.0, **numbers}, epochs, training.epochs)
    if training.class_weights:
        n_classes = len(problem.labels)
        weights_RK = [class_weights(problem.truth_N, run.train, n_classes) for run in runs]
        runs = [replace(run, class_weight_K=weight_K) for run, weight_K in zip(runs, weights_RK, strict=True)]
    if training.balanced_sampling:
        runs = [replace(run, train_class_n=problem.truth_N[run.train]) for run in runs]
    if training.pca_variance is not None:
        bases = fit_projections(problem.x_NTC, problem.mask_NT, runs, training.pca_variance)
        runs = [replace(run, projection_CP=basis_CP) for run, basis_CP in zip(runs, bases, strict=True)]
    return runs


def make_recipe(config: SupervisedConfig, problem: Problem, runs: list[Run]) -> Recipe:
    """Return how the runs are trained, all of which see equally many features.

    Model and augmentation have no rate or strength of their own: those are numbers of a run, so that studies of
    several share a stack.
    """
    training, projection_CP = config.training, runs[0].projection_CP
    n_frames, n_coefficients = problem.x_NTC.shape[1:]
    objective = ClassifierObjective(
        model=with_dropout(config.model.build(len(problem.labels)), 0.0),
        augmentation=PictureAugmentation.switched(training.roll_frames, training.noise),
        frames=n_frames,
        n_features=n_coefficients if projection_CP is None else projection_CP.shape[1],
        changes=config.pictures.switched,
    )
    waveforms = config.augmentation.recipe if config.augmentation.in_train_step else None
    changes_clips = waveforms is not None or config.pictures.moves
    frontend = config.features.frontend()
    changed = AugmentedFeatures.of(config.pictures, frontend, waveforms) if changes_clips else None
    return Recipe(objective, training, changed)


def compute_logits(asked: Request, trained: Trained, rolls: tuple[int, ...] = (0,)) -> Float[np.ndarray, "R N K"]:
    """Return the logits of every clip, or of its rolled copies, under every run's classifier."""
    trainer, objective, problem = asked.trainer, asked.recipe.objective, asked.problem
    assert isinstance(objective, ClassifierObjective)
    compiled = compile_classify(objective.model, trainer.layout.by_runs(), rolls)
    logits_RNK = trainer.evaluate(compiled, asked.runs, trained.params, problem)
    check_finite(logits_RNK, "logits", asked.runs, problem)
    return logits_RNK


def classify(
    problem: Problem, logits_RNK: Float[np.ndarray, "R N K"], part: Literal["validation", "test"]
) -> Predictions:
    """Return what each cell's classifier says of its validation or test clips."""
    parts = []
    for cell, logits_NK in zip(problem.cells, logits_RNK, strict=True):
        rows = cell.fold.test if part == "test" else cell.fold.validation
        parts.append(predict(problem, cell, log_softmax(logits_NK[rows]), rows))
    return concatenate(parts)


def train_war(problem: Problem, runs: list[Run], logits_RNK: Float[np.ndarray, "R N K"]) -> float:
    """Return the mean accuracy of the runs on what each was trained on."""
    right_RN = logits_RNK.argmax(axis=-1) == problem.truth_N
    return float(np.mean([np.mean(right_N[run.train]) for run, right_N in zip(runs, right_RN, strict=True)]))


@functools.cache
def compile_classify(model: Classifier, layout: Layout, rolls: tuple[int, ...] = (0,)) -> Callable:
    """Compile `classify_all` for stacks of `(params, inputs)` beside `(dataset, ids)`, once per process."""

    def one(run: tuple[Any, RunInputs], shared: tuple[Dataset, Array]) -> Array:
        return classify_all(model, run[0], run[1], shared[0], rolls)

    return layout.evaluate(one)


def log_softmax(logits_NK: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
    """Return log-probabilities in float64."""
    shifted_NK = logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True)
    return shifted_NK - np.log(np.exp(shifted_NK).sum(axis=1, keepdims=True))


def n_parameters(params_R: chex.ArrayTree) -> int:
    """Return how many numbers of one run are trained."""
    return int(sum(leaf[0].size for leaf in jax.tree.leaves(params_R["params"])))  # type: ignore[index]
