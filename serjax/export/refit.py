"""The system of a run fitted again: to all rows for the bundle, and to the training rows of each fold to measure it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

import jax
import numpy as np

from serjax.bundle.densities import Densities, fitted_densities, weights_of
from serjax.bundle.parts import BundleError
from serjax.bundle.scores import Weights
from serjax.bundle.systems import Autoencoders, Networks, System
from serjax.data.folds import Fold
from serjax.evaluate.generative import PREFERENCE, ScoreName, log_prior
from serjax.export.rebuild import ExportedRun
from serjax.study.density.flags import FunctionalFeatures
from serjax.study.density.study import DensityProblem, DensityStudy
from serjax.study.density.study import System as DensitySystem
from serjax.study.density.system import Frames
from serjax.study.generative.models import Models, train_models
from serjax.study.generative.scores import explain
from serjax.study.generative.study import GenerativeStudy
from serjax.study.problem import Cell, Problem, Report
from serjax.study.supervised import SupervisedStudy, make_recipe, make_runs, rolls_of, run_numbers
from serjax.study.trainer import Request, Stages, Trainer, fresh, from_file, take, train_requests
from serjax.train.runs import Run, stack_inputs
from serjax.train.shares import Trained

Result = TypeVar("Result")
NONE = np.zeros(0, np.int32)


@dataclass(frozen=True, eq=False)
class Refitted:
    """A system, its weights for each cell it was fitted to (of one seed: axis 0), and what was chosen, as JSON.

    `unit` divides scores before they become probabilities, where the run stored one; None: held-out clips say it.
    """

    system: System
    weights: tuple[Weights, ...]
    chosen: dict[str, Any]
    unit: float | None = 1.0


def cells_to_fit(problem: Problem, n_seeds: int) -> tuple[Cell, ...]:
    """Return a cell of all rows for each seed, then the folds of the first seed without their validation rows.

    Those keep their validation rows as test rows: they are held out from what is fitted.
    """
    everything = np.arange(len(problem.truth_N), dtype=np.int32)
    whole = [Cell(seed, Fold("everything", everything, NONE, NONE)) for seed in range(n_seeds)]
    folds = [cell.fold for cell in problem.cells if cell.seed == problem.cells[0].seed and cell.fold.validation.size]
    held_out = [Cell(0, Fold(fold.name, fold.train, NONE, fold.validation)) for fold in folds]
    return (*whole, *held_out)


def refit(run: ExportedRun, problem: Problem, trainer: Trainer) -> Refitted:
    """Fit the run's system to the training rows of every cell of `problem`, with what the run chose.

    Numbers are the median over the run's folds and seeds, choices the most frequent; ties go to better validation.

    Raises:
      BundleError: `metrics.json` does not say what was chosen, or training rows have copies in them.
    """
    study = run.study
    match study:
        case GenerativeStudy():
            return _refit_autoencoders(study, run.metrics, problem, trainer)
        case DensityStudy():
            return refit_densities(
                study, run.metrics, problem, lambda done, total: trainer.report("densities", done, total, 0.0)
            )
        case SupervisedStudy():
            return _refit_networks(study, run.metrics, problem, trainer)


def _refit_networks(study: SupervisedStudy, metrics: Mapping[str, Any], problem: Problem, trainer: Trainer) -> Refitted:
    config, training = study.config, study.config.training
    if config.augmentation.copies_before_split:
        raise BundleError("--copies-before-split trains on copies of test clips: such a run is not exported.")
    epochs = training.epochs if training.keep == "last" else _median(metrics["chosen_epochs"].values())
    model = config.model.build(len(problem.labels))
    numbers = run_numbers(config, model)
    runs = make_runs(problem, training, epochs, refit=True, numbers=numbers)
    recipe = make_recipe(config, problem, runs)
    start = fresh(runs, recipe.objective)
    start = start if training.weights is None else from_file(start, training.weights)
    [trained] = train_requests([Request(trainer, recipe, "refit", runs, start, problem)])
    weights = {"params": trained.params, "inputs": _inputs(runs)}
    system = Networks(config.features.frontend(), recipe.objective.model, rolls_of(training))
    return Refitted(system, by_cell(weights), {"epochs": epochs})


def _refit_autoencoders(
    study: GenerativeStudy, metrics: Mapping[str, Any], problem: Problem, trainer: Trainer
) -> Refitted:
    recipe = study.recipe(problem)
    epochs = _chosen_epochs(study, metrics, problem)
    per_cell = [epochs["all"]] if study.conditional else [epochs[label] for label in problem.labels]
    chosen = _as_if_trained(recipe.objective.model, per_cell, epochs.get("all"), len(problem.cells))
    models = drive(train_models(problem, trainer, recipe, study.numbers, chosen))
    score = chosen_score(study.classification.score, metrics)
    variance_c = np.ones(len(problem.cells))
    if score != "reconstruction":
        explained = explain(problem, models, lambda _: NONE, study.classification.importance_samples, trainer)
        assert explained.variance_c is not None
        variance_c = explained.variance_c
    n_classes = len(problem.labels)
    prior_K = log_prior(study.classification.class_prior, np.bincount(problem.truth_N, minlength=n_classes))
    system = Autoencoders(
        frontend=study.features.frontend(),
        network=models.network,
        score=score,
        n_samples=study.classification.importance_samples,
        log_prior=tuple(prior_K.tolist()),
    )
    stacked = {"params": models.params, "inputs": _inputs(models.runs)}
    weights = _into_cells(stacked, n_classes) | {"variance": variance_c[:, None].astype(np.float32)}
    unit = None if study.classification.score == "auto" else 1.0
    return Refitted(system, by_cell(weights), {"epochs": epochs, "score": score}, unit)


def refit_densities(study: DensityStudy, metrics: Mapping[str, Any], problem: Problem, report: Report) -> Refitted:
    """Fit whitening and densities with the run's median candidate and unit of each kind of vectors."""
    config, flags = study.config, study.config.density
    assert isinstance(problem, DensityProblem)
    chosen, units = (
        {kind: _median_of(metrics, kind, name) for kind in config.features.vectors}
        for name in (flags.candidate, "unit")
    )
    frames = Frames.of(problem.x_NTC, problem.mask_NT > 0, config.features, config.background.warps)
    system, fitted = DensitySystem(problem, frames, config), []
    for number, cell in enumerate(problem.cells):
        fitted.append(system.classifier(cell.seed, cell.fold.train, chosen, units))
        report(number + 1, len(problem.cells))
    features = config.features
    made = Densities(
        frontend=features.frontend(),
        functionals=FunctionalFeatures(features).frontend(),
        n_mfcc=features.n_mfcc,
        least_periodicity=features.least_periodicity,
        top_db=features.top_db,
        densities=fitted_densities(fitted[0]),
    )
    return Refitted(made, tuple(map(weights_of, fitted)), {flags.candidate: chosen, "unit": units})


def _median_of(metrics: Mapping[str, Any], kind: str, name: str) -> float:
    """Return the median over cells of a number that each chose for a kind of vectors."""
    try:
        return float(median(of_cell[kind][name] for of_cell in metrics["chosen"].values()))
    except (KeyError, TypeError):
        raise BundleError(f"metrics.json does not say the {name} of {kind}: it is older. Run it again.") from None


def drive(stages: Stages[Result]) -> Result:
    """Train all that a study asks for, one request after another; return its result."""
    trained: Trained | None = None
    while True:
        try:
            request = next(stages) if trained is None else stages.send(trained)
        except StopIteration as end:
            return end.value
        [trained] = train_requests([request])


def chosen_score(asked: str, metrics: Mapping[str, Any]) -> ScoreName:
    """Return the score asked for; of `auto`, what most cells chose, of equals that with the better validation UAR."""
    if asked != "auto":
        return asked  # type: ignore[return-value]
    counts = Counter(metrics["chosen_scores"].values())

    def rank(name: ScoreName) -> tuple[int, float, int]:
        return counts[name], metrics["scores"][name]["validation_uar"] or 0.0, -PREFERENCE.index(name)

    return max(counts, key=rank)


def _chosen_epochs(study: GenerativeStudy, metrics: Mapping[str, Any], problem: Problem) -> dict[str, int]:
    """Return the median epoch of each emotion's models, and of those of all emotions where there are some."""
    by_emotion: dict[str, list[int]] = {}
    for name, epoch in metrics["chosen_epochs"].items():
        by_emotion.setdefault(name.rsplit("/", 1)[1], []).append(epoch)
    pooled = study.conditional or study.training.pretrain_epochs > 0
    needed = [] if study.conditional else [*problem.labels]
    if lacking := [name for name in [*needed, *["all"] * pooled] if name not in by_emotion]:
        raise BundleError(f"metrics.json has no chosen epochs of {lacking}: it is of an older version. Run it again.")
    return {name: _median(epochs) for name, epochs in by_emotion.items()}


def _as_if_trained(network: Any, per_cell: Sequence[int], pooled: int | None, n_cells: int) -> Models:
    """Return models of which only the epochs count, those of each cell and of what they start from."""

    def trained(epochs: Sequence[int]) -> Trained:
        epoch_R = np.tile(np.array(epochs, np.int32), n_cells)
        return Trained({}, epoch_R, np.zeros(len(epoch_R)))

    return Models(network, [], {}, [], trained(per_cell), None if pooled is None else trained([pooled]))


def _inputs(runs: list[Run]) -> dict[str, Any]:
    """Return the normalisers, and projections where there are some, of all runs."""
    inputs = stack_inputs(runs)
    arrays = {"shift_C": inputs.shift_C, "scale_C": inputs.scale_C, "projection_CP": inputs.projection_CP}
    return {name: np.asarray(array) for name, array in arrays.items() if array is not None}


def _into_cells(stacked: dict[str, Any], n_classes: int) -> dict[str, Any]:
    """Cut the axis of runs into cells and classes."""
    return jax.tree.map(lambda a: np.asarray(a).reshape(-1, n_classes, *a.shape[1:]), stacked)


def _median(epochs: Any) -> int:
    return max(1, round(median(epochs)))


def by_cell(weights: Weights) -> tuple[Weights, ...]:
    """Cut the first axis into cells, each of which keeps one of length 1."""
    n_cells = len(jax.tree.leaves(weights)[0])
    return tuple(take(dict(weights), range(cell, cell + 1)) for cell in range(n_cells))


def of_seeds(weights: Sequence[Weights]) -> Weights:
    """Put the weights of cells of several seeds together."""
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *weights)


def with_cells(problem: Problem, cells: tuple[Cell, ...]) -> Problem:
    """Return the problem with other cells."""
    return replace(problem, cells=cells)
