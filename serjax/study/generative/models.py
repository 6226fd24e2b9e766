"""The models of a generative study: one (variational) autoencoder per cell and emotion, trained in stages.

Stages: `pretrain` (one model per cell on all emotions, optional) → `train` (one per cell and emotion, best epoch on
validation speakers). With `--refit` both run again on train + validation for the number of epochs chosen.

An epoch of an emotion's model has as many steps as the largest emotion needs: the clips of smaller ones come round more
often. A conditional model is one per cell, trained in `train` for the epochs of both stages, so that clips of the large
emotions are seen as often. Told one emotion after another it is then scored as if it were one model of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import chex
import numpy as np
from jaxtyping import Int

from serjax.dsp import Frontend
from serjax.models.autoencoder import Autoencoder
from serjax.models.conditional_vae import ConditionalVAE, bind_class, bound
from serjax.models.vae import VAE
from serjax.study.flags import Model, Training
from serjax.study.problem import Problem
from serjax.study.runs import emotion_runs, pooled_runs
from serjax.study.stages import Stages
from serjax.study.trainer import Recipe, Request, Trainer, fresh, take
from serjax.train.objectives import AutoencoderObjective, ConditionalVaeObjective, PictureAugmentation, VaeObjective
from serjax.train.pictures import PictureChanges
from serjax.train.runs import Run
from serjax.train.shares import Trained
from serjax.train.waveforms import AugmentedFeatures

Objective = VaeObjective | AutoencoderObjective
Kind = type[VAE] | type[ConditionalVAE] | type[Autoencoder]


@dataclass(frozen=True, eq=False)
class Models:
    """What models each emotion of each cell: of emotion `k` of cell `c`, run `c·K + k` and its `params` of `network`.

    `trained` belongs to `trained_runs`: the same, or one per cell where a conditional model serves all its emotions.
    """

    network: VAE | Autoencoder
    runs: list[Run]
    params: chex.ArrayTree
    trained_runs: list[Run]
    trained: Trained
    pretrained: Trained | None = None


def train_models(
    problem: Problem,
    trainer: Trainer,
    recipe: Recipe,
    numbers: Mapping[str, Any],
    chosen: Models | None = None,
) -> Stages[Models]:
    """Train models of all cells and emotions; given `chosen`, refit: on validation rows too, for its best epochs.

    `numbers` are those of each run beside what the recipe says of training.
    """
    conditional = isinstance(recipe.objective, ConditionalVaeObjective)
    train = _train_conditional if conditional else _train_each_emotion
    return (yield from train(problem, trainer, recipe, numbers, chosen))


def _train_each_emotion(
    problem: Problem, trainer: Trainer, recipe: Recipe, numbers: Mapping[str, Any], chosen: Models | None
) -> Stages[Models]:
    """Train one model per cell and emotion on its clips alone, all of a cell from the same start if there is one."""
    objective, training, network = recipe.objective, recipe.training, recipe.objective.model
    assert isinstance(training, Training)
    assert isinstance(network, VAE | Autoencoder)
    refit = chosen is not None
    suffix = "refit-" if refit else ""
    epochs = chosen.trained.epoch_R if chosen is not None else training.epochs
    runs = emotion_runs(problem, refit, training, numbers, epochs, training.epochs)
    if not training.pretrain_epochs:
        start = fresh(runs, objective)
        trained = yield Request(trainer, recipe, suffix + "train", runs, start, problem)
        return Models(network, runs, trained.params, runs, trained)
    epochs = chosen.pretrained.epoch_R if chosen is not None and chosen.pretrained else training.pretrain_epochs
    pooled = pooled_runs(problem, refit, training, numbers, epochs, training.pretrain_epochs)
    start = fresh(pooled, objective)
    shared = yield Request(trainer, recipe, suffix + "pretrain", pooled, start, problem)

    def continued(rows: range) -> chex.ArrayTree:
        return take(shared.params, np.array(rows) // len(problem.labels))

    trained = yield Request(trainer, recipe, suffix + "train", runs, continued, problem)
    return Models(network, runs, trained.params, runs, trained, shared)


def _train_conditional(
    problem: Problem, trainer: Trainer, recipe: Recipe, numbers: Mapping[str, Any], chosen: Models | None
) -> Stages[Models]:
    """Train one model per cell on the clips of all emotions, told each clip's; return it told each emotion in turn."""
    objective, training = recipe.objective, recipe.training
    assert isinstance(training, Training)
    assert isinstance(objective, ConditionalVaeObjective)
    refit = chosen is not None
    longest, n_classes = training.pretrain_epochs + training.epochs, len(problem.labels)
    epochs = chosen.trained.epoch_R if chosen is not None else longest
    pooled = pooled_runs(problem, refit, training, numbers, epochs, longest)
    start = fresh(pooled, objective)
    trained = yield Request(trainer, recipe, "refit-train" if refit else "train", pooled, start, problem)
    runs = emotion_runs(problem, refit, training, numbers, np.repeat(trained.epoch_R, n_classes), longest)
    class_RK = np.tile(np.eye(n_classes, dtype=np.float32), (len(pooled), 1))
    params_R = bind_class(take(trained.params, np.arange(len(runs)) // n_classes), class_RK)
    return Models(bound(objective.model), runs, params_R, pooled, trained)


def make_recipe(
    kind: Kind, model: Model, training: Training, pictures: PictureChanges, frontend: Frontend, problem: Problem
) -> Recipe:
    """Return how models of the given kind and sizes are trained on the pictures and classes of a problem."""
    moved = AugmentedFeatures.of(pictures, frontend) if pictures.moves else None
    return Recipe(_make_objective(kind, model, training, pictures, problem), training, moved)


def _make_objective(
    kind: Kind, model: Model, training: Training, pictures: PictureChanges, problem: Problem
) -> Objective:
    frames, n_features = problem.x_NTC.shape[1:]
    net = kind(frames, n_features, model.latent_dim, model.hidden, model.architecture)
    augmentation, changes = PictureAugmentation.switched(training.roll_frames, training.noise), pictures.switched
    match net:
        case VAE():
            return VaeObjective(net, augmentation, changes=changes)
        case ConditionalVAE():
            return ConditionalVaeObjective(net, augmentation, len(problem.labels), changes=changes)
        case Autoencoder():
            return AutoencoderObjective(net, augmentation, changes=changes)


def runs_of(problem: Problem, cell: int) -> Int[np.ndarray, " K"]:
    """Return the runs of one cell, in the order of emotions."""
    return cell * len(problem.labels) + np.arange(len(problem.labels))
