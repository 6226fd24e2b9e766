"""One supervised study from flags to run folder: a classifier a fold and seed, all trained as stacks of runs.

Stages: `train` (best epoch on validation rows) → and with `--refit` again on train + validation for the number of
epochs chosen; or with `--keep last` one stage on train + validation, in which nothing is chosen.
"""

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import chex
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.data.balance import class_weights
from serjax.data.feature_cache import default_cache_dir
from serjax.evaluate.logits import classify_all
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.experiments.augmentation import Augmentation, check_augmentation
from serjax.experiments.classification import (
    Setting,
    print_comparison,
    print_notes,
    print_reports,
    write_classification,
)
from serjax.experiments.config import (
    Data,
    Machine,
    SupervisedTraining,
    check_dropout,
    check_positive,
    check_sizes,
    check_training,
)
from serjax.experiments.config import fingerprint as make_fingerprint
from serjax.experiments.copies import load_copies
from serjax.experiments.display import Progresses, say
from serjax.experiments.figures import draw_training
from serjax.experiments.manifest import FIGURES, METRICS
from serjax.experiments.problem import FeatureFlags, Problem, load_problem, with_waveforms
from serjax.experiments.problem_runs import pooled_runs
from serjax.experiments.results_page import read_result
from serjax.experiments.run_folder import RunFolder
from serjax.experiments.stages import Stages, complete
from serjax.experiments.trainer import Request, Trainer, check_finite, fresh, from_file
from serjax.experiments.verdict import predict
from serjax.models.classifiers import Classifier, dropout_of, with_dropout
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.parallel import Layout
from serjax.train.runs import Run, fit_projections
from serjax.train.shares import Trained
from serjax.train.state import Dataset, RunInputs
from serjax.train.waveforms import AugmentedFeatures


@runtime_checkable
class ModelFlags(Protocol):
    """Flags that describe a classifier."""

    def build(self, n_classes: int) -> Classifier:
        """Return the classifier."""
        ...


@runtime_checkable
class SupervisedConfig(Protocol):
    """The sections of every supervised experiment."""

    @property
    def data(self) -> Data: ...  # noqa: D102
    @property
    def features(self) -> FeatureFlags: ...  # noqa: D102
    @property
    def model(self) -> ModelFlags: ...  # noqa: D102
    @property
    def training(self) -> SupervisedTraining: ...  # noqa: D102
    @property
    def machine(self) -> Machine: ...  # noqa: D102
    @property
    def augmentation(self) -> Augmentation: ...  # noqa: D102


def run_supervised(experiment: str, config: SupervisedConfig) -> None:
    """Train, classify, write the run folder and print the tables; go on where an earlier call was stopped."""
    folder = complete_supervised(experiment, config)
    metrics = read_result(folder.path / METRICS)
    print_comparison({experiment: metrics})
    print_reports({experiment: metrics})
    print_notes(metrics)
    say(f"Written to {folder.path} in {metrics['seconds']:.0f} s.")


def complete_supervised(experiment: str, config: SupervisedConfig) -> RunFolder:
    """Train, classify and write the run folder, or what is missing of it; return it finished."""
    return complete([SupervisedStudy(experiment, config)])[0]


@dataclass(frozen=True)
class SupervisedStudy:
    """A supervised study: its name, and everything its flags say."""

    experiment: str
    config: SupervisedConfig

    @property
    def machine(self) -> Machine:
        """Return where and how loudly it runs."""
        return self.config.machine

    @property
    def fingerprint(self) -> str:
        """Return the hash of all that the result depends on."""
        return make_fingerprint(self.experiment, _determining(self.config))

    @property
    def out(self) -> Path:
        """Return the run folder."""
        name = f"{self.experiment}-{self.config.data.corpus_name}-{self.fingerprint[:8]}"
        return self.machine.out or Path("runs") / name

    @property
    def problem_flags(self) -> Hashable:
        """Return the flags that decide clips, features and folds."""
        augmentation = self.config.augmentation
        changed = augmentation if augmentation.copies_before_split else augmentation.in_train_step
        return (self.config.data, self.config.features, self.machine.cache, changed)

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""
        check_training(self.config.training)
        for flag in ("dropout", "input_dropout"):
            check_dropout(f"--{flag.replace('_', '-')}", getattr(self.config.model, flag, 0.0))
        check_sizes(self.config.model)
        check_positive("--stack-size", self.machine.stack_size)
        check_augmentation(self.config.augmentation, self.config.data.protocol)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        return make_supervised_problem(self.config, shown)

    def compute(self, problem: Problem, folder: RunFolder, layout: Layout, shown: Progresses) -> Stages[None]:
        """Train, classify and write the run folder."""
        return _compute(self.config, problem, folder, layout, shown)


def _compute(
    config: SupervisedConfig, problem: Problem, folder: RunFolder, layout: Layout, shown: Progresses
) -> Stages[None]:
    training = config.training
    folder.claim((*_determining(config), config.machine))
    folder.meet(problem.digest())

    def request(name: str, runs: list[Run]) -> Request:
        trainer = make_trainer(config, folder, layout, shown, problem, runs)
        start = fresh(runs, trainer.objective)
        start = start if training.weights is None else from_file(start, training.weights)
        return Request(trainer, name, runs, start, problem)

    numbers = {"dropout": dropout_of(config.model.build(len(problem.labels))), **config.augmentation.run_numbers}
    runs = make_runs(problem, training, training.epochs, refit=training.keep == "last", numbers=numbers)
    asked = request("train", runs)
    trained = yield asked
    chosen = trained.epoch_R
    if training.refit:
        runs = make_runs(problem, training, chosen, refit=True, numbers=numbers)
        asked = request("refit-train", runs)
        trained = yield asked
    predictions, train_war = classify(problem, asked.trainer, runs, trained)
    if not folder.writes:
        return
    title, history = f"{folder.experiment} · {problem.title}", folder.history.read()
    training_curves = history, len(runs), ("all",), "cross-entropy / nats a clip", title, folder.path / FIGURES
    more = {
        "train_war": train_war,
        "refit": training.refit or training.keep == "last",  # what counts were trained on validation rows too
        "chosen_epochs": {f"{run.seed}/{run.fold}": int(epoch) for run, epoch in zip(runs, chosen, strict=True)},
        "n_parameters": n_parameters(trained.params),
        "n_models": len(runs),
        "device": f"{len(layout.devices)} × {layout.devices[0].device_kind} ({layout.devices[0].platform})",
    }
    pictures = {"learning.png": partial(draw_training, *training_curves)}
    write_classification(folder, Setting.of(problem), predictions, more, pictures)


def make_supervised_problem(config: SupervisedConfig, shown: Progresses) -> Problem:
    """Return the problem, with waveforms where the train step changes them, or of copies that were changed before."""
    cache, report = config.machine.cache or default_cache_dir(), shown.counter("features")
    augmentation = config.augmentation
    if augmentation.copies_before_split:
        return load_copies(config.data, config.features, augmentation, cache, report)
    problem = load_problem(config.data, config.features, cache, report)
    if augmentation.in_train_step:
        return with_waveforms(problem, config.data, config.features.frontend())
    return problem


def _determining(config: SupervisedConfig) -> tuple[object, ...]:
    """Return the sections on which figures depend; augmentation that is off is none, as before there was any."""
    augmentation = (config.augmentation,) if config.augmentation.picks else ()
    return (config.data, config.features, config.model, config.training, *augmentation)


def make_runs(
    problem: Problem,
    training: SupervisedTraining,
    epochs: Int[np.ndarray, " R"] | int,
    refit: bool,
    numbers: Mapping[str, Any],
) -> list[Run]:
    """Return one run a cell, each with these `numbers`; with `refit` they train on validation rows too."""
    runs = pooled_runs(problem, refit, training, 0.0, epochs, training.epochs)
    runs = [replace(run, **numbers) for run in runs]
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


def make_trainer(
    config: SupervisedConfig,
    folder: RunFolder,
    layout: Layout,
    shown: Progresses,
    problem: Problem,
    runs: list[Run],
) -> Trainer:
    """Return what trains the runs, all of which see equally many features.

    Model and augmentation have no rate or strength of their own: those are numbers of a run, so that studies of
    several share a stack.
    """
    training, machine, projection_CP = config.training, config.machine, runs[0].projection_CP
    n_frames, n_coefficients = problem.x_NTC.shape[1:]
    return Trainer(
        objective=ClassifierObjective(
            model=with_dropout(config.model.build(len(problem.labels)), 0.0),
            augmentation=PictureAugmentation.switched(training.roll_frames, training.noise),
            frames=n_frames,
            n_features=n_coefficients if projection_CP is None else projection_CP.shape[1],
        ),
        training=training,
        layout=layout,
        stacking=machine.stacking,
        stack_size=machine.stack_size,
        save_every_s=machine.save_every,
        checkpoints=folder.path / "checkpoints",
        history=folder.history,
        fingerprint=folder.fingerprint,
        report=shown.training,
        augmented=(
            AugmentedFeatures(config.augmentation.recipe.switched, config.features.frontend())
            if config.augmentation.in_train_step
            else None
        ),
    )


def classify(problem: Problem, trainer: Trainer, runs: list[Run], trained: Trained) -> tuple[Predictions, float]:
    """Return what each cell's classifier says of its test clips, and the mean accuracy on what it was trained on."""
    layout, objective = trainer.layout.by_runs(), trainer.objective
    assert isinstance(objective, ClassifierObjective)
    shared = layout.put_shared(problem.dataset)
    logits_RNK = trainer.evaluate(compile_classify(objective.model, layout), runs, trained.params, (), shared)
    check_finite(logits_RNK, "logits", runs, problem)
    right_RN = logits_RNK.argmax(axis=-1) == problem.truth_N
    train_war = np.mean([np.mean(right_N[run.train]) for run, right_N in zip(runs, right_RN, strict=True)])
    cells = zip(problem.cells, logits_RNK, strict=True)
    parts = [predict(problem, cell, log_softmax(logits_NK[cell.fold.test])) for cell, logits_NK in cells]
    return concatenate(parts), float(train_war)


@functools.cache
def compile_classify(model: Classifier, layout: Layout) -> Callable:
    """Compile `classify_all` for stacks of `(params, inputs)` beside the data set, once a process."""

    def one(run: tuple[Any, RunInputs], dataset: Dataset) -> Array:
        return classify_all(model, run[0], run[1], dataset)

    return layout.evaluate(one)


def log_softmax(logits_NK: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
    """Return log-probabilities in float64."""
    shifted_NK = logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True)
    return shifted_NK - np.log(np.exp(shifted_NK).sum(axis=1, keepdims=True))


def n_parameters(params_R: chex.ArrayTree) -> int:
    """Return how many numbers of one run are trained."""
    return int(sum(leaf[0].size for leaf in jax.tree.leaves(params_R["params"])))  # type: ignore[index]
