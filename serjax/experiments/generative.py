"""The generative classifier as a study: one (variational) autoencoder a cell and emotion, trained, then scored.

Stages: `pretrain` (one model a cell on all emotions, optional) → `train` (one a cell and emotion, best epoch on
validation speakers) → and with `--refit` both again on train + validation for the number of epochs chosen.

An epoch of an emotion's model has as many steps as the largest emotion needs: the clips of smaller ones come round more
often. A conditional model is one a cell, trained in `train` for the epochs of both stages, so that clips of the large
emotions are seen as often. Told one emotion after another it is then scored as if it were one model of each.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import chex
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.evaluate.likelihood import PosteriorSamples, bounds, reconstruct, residual, sample_posterior, utterance_ids
from serjax.experiments.config import Model, Training
from serjax.experiments.problem import Problem
from serjax.experiments.problem_runs import emotion_runs, pooled_runs
from serjax.experiments.stages import Stages
from serjax.experiments.trainer import Request, Trainer, check_finite, fresh, pad_rows, take
from serjax.models.autoencoder import Autoencoder
from serjax.models.conditional_vae import ConditionalVAE, bind_class, bound
from serjax.models.vae import VAE
from serjax.train.objectives import AutoencoderObjective, ConditionalVaeObjective, PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout
from serjax.train.runs import Run
from serjax.train.shares import Trained
from serjax.train.state import Dataset, RunInputs

LEAST_VARIANCE = 1e-12  # of a clip that is explained without any error the likelihood has no bound
Kind = type[VAE] | type[ConditionalVAE] | type[Autoencoder]


@dataclass(frozen=True, eq=False)
class Models:
    """What models each emotion of each cell: of emotion `k` of cell `c`, run `c·K + k` and its `params` of `network`.

    `trained` belongs to `trained_runs`: the same, or one a cell where a conditional model serves all its emotions.
    """

    network: VAE | Autoencoder
    runs: list[Run]
    params: chex.ArrayTree
    trained_runs: list[Run]
    trained: Trained
    pretrained: Trained | None = None


def train_models(
    problem: Problem, trainer: Trainer, training: Training, beta: float, chosen: Models | None = None
) -> Stages[Models]:
    """Train models of all cells and emotions; given `chosen`, refit: on validation rows too, for its best epochs."""
    conditional = isinstance(trainer.objective, ConditionalVaeObjective)
    train = _train_conditional if conditional else _train_each_emotion
    return (yield from train(problem, trainer, training, beta, chosen))


def _train_each_emotion(
    problem: Problem, trainer: Trainer, training: Training, beta: float, chosen: Models | None
) -> Stages[Models]:
    """Train one model a cell and emotion on its clips alone, all of a cell from the same start if there is one."""
    network = trainer.objective.model
    assert isinstance(network, VAE | Autoencoder)
    refit = chosen is not None
    suffix = "refit-" if refit else ""
    epochs = chosen.trained.epoch_R if chosen is not None else training.epochs
    runs = emotion_runs(problem, refit, training, beta, epochs, training.epochs)
    if not training.pretrain_epochs:
        start = fresh(runs, trainer.objective)
        trained = yield Request(trainer, suffix + "train", runs, start, problem)
        return Models(network, runs, trained.params, runs, trained)
    epochs = chosen.pretrained.epoch_R if chosen is not None and chosen.pretrained else training.pretrain_epochs
    pooled = pooled_runs(problem, refit, training, beta, epochs, training.pretrain_epochs)
    start = fresh(pooled, trainer.objective)
    shared = yield Request(trainer, suffix + "pretrain", pooled, start, problem)

    def continued(rows: range) -> chex.ArrayTree:
        return take(shared.params, np.array(rows) // len(problem.labels))

    trained = yield Request(trainer, suffix + "train", runs, continued, problem)
    return Models(network, runs, trained.params, runs, trained, shared)


def _train_conditional(
    problem: Problem, trainer: Trainer, training: Training, beta: float, chosen: Models | None
) -> Stages[Models]:
    """Train one model a cell on the clips of all emotions, told each clip's; return it told each emotion in turn."""
    assert isinstance(trainer.objective, ConditionalVaeObjective)
    refit = chosen is not None
    longest, n_classes = training.pretrain_epochs + training.epochs, len(problem.labels)
    epochs = chosen.trained.epoch_R if chosen is not None else longest
    pooled = pooled_runs(problem, refit, training, beta, epochs, longest)
    start = fresh(pooled, trainer.objective)
    trained = yield Request(trainer, "refit-train" if refit else "train", pooled, start, problem)
    runs = emotion_runs(problem, refit, training, beta, np.repeat(trained.epoch_R, n_classes), longest)
    class_RK = np.tile(np.eye(n_classes, dtype=np.float32), (len(pooled), 1))
    params_R = bind_class(take(trained.params, np.arange(len(runs)) // n_classes), class_RK)
    return Models(bound(trainer.objective.model), runs, params_R, pooled, trained)


def make_objective(
    kind: Kind, model: Model, training: Training, problem: Problem
) -> VaeObjective | AutoencoderObjective:
    """Return the objective of a model of the given kind and sizes, for the pictures and classes of a problem."""
    frames, n_features = problem.x_NTC.shape[1:]
    net = kind(frames, n_features, model.latent_dim, model.hidden, model.architecture)
    augmentation = PictureAugmentation.switched(training.roll_frames, training.noise)
    match net:
        case VAE():
            return VaeObjective(net, augmentation)
        case ConditionalVAE():
            return ConditionalVaeObjective(net, augmentation, len(problem.labels))
        case Autoencoder():
            return AutoencoderObjective(net, augmentation)


@dataclass(frozen=True, eq=False)
class Explained:
    """How every run explains clips: squared error of all, bounds in nats of those it was asked for (else NaN).

    `error_RN` is the mean squared error a valid element in normalised units, `squared_RNC` the sum over frames.
    """

    error_RN: Float[np.ndarray, "R N"]
    squared_RNC: Float[np.ndarray, "R N C"]
    elbo_RN: Float[np.ndarray, "R N"] | None
    iwae_RN: Float[np.ndarray, "R N"] | None
    variance_c: Float[np.ndarray, " c"] | None


def explain(
    problem: Problem,
    models: Models,
    ask: Callable[[int], Int[np.ndarray, "_"]],
    n_samples: int,
    trainer: Trainer,
) -> Explained:
    """Score all clips by reconstruction and, for a VAE, the rows `ask(run)` by ELBO and IWAE as well."""
    model, layout = models.network, trainer.layout.by_runs()
    shared = layout.put_shared((problem.dataset, utterance_ids([u.path for u in problem.corpus.utterances])))
    squared_RNC = trainer.evaluate(compile_reconstruct(model, layout), models.runs, models.params, (), shared)
    error_RN = mean_squared_error(problem, squared_RNC)
    check_finite(error_RN, "reconstruction errors", models.runs, problem)
    if not isinstance(model, VAE):
        return Explained(error_RN, squared_RNC, None, None, None)
    asked = [np.concatenate([run.train, ask(r)]) for r, run in enumerate(models.runs)]
    compiled = compile_sample_posterior(model, n_samples, layout)
    samples = trainer.evaluate(compiled, models.runs, models.params, (pad_rows(asked),), shared)
    return Explained(error_RN, squared_RNC, *_bounds(problem, models, samples, asked))


@functools.cache
def compile_reconstruct(model: VAE | Autoencoder, layout: Layout) -> Callable:
    """Compile `reconstruct` for stacks of `(params, inputs)` beside `(dataset, ids)`, once a process."""
    return layout.evaluate(lambda run, shared: reconstruct(model, run[0], run[1], shared[0]))


@functools.cache
def compile_sample_posterior(model: VAE, n_samples: int, layout: Layout) -> Callable:
    """Compile `sample_posterior` for stacks of `(params, inputs, rows)` beside `(dataset, ids)`, once a process."""

    def sample(run: tuple[Any, RunInputs, Array], shared: tuple[Dataset, Array]) -> PosteriorSamples:
        params, inputs, rows_M = run
        return sample_posterior(model, params, inputs, shared[0], rows_M, shared[1], n_samples)

    return layout.evaluate(sample)


def _bounds(
    problem: Problem,
    models: Models,
    samples: PosteriorSamples,
    asked: list[Int[np.ndarray, "_"]],
) -> tuple[Float[np.ndarray, "R N"], Float[np.ndarray, "R N"], Float[np.ndarray, " c"]]:
    """Return ELBO and IWAE of every run (NaN where it was not asked for a clip), and the variance of every cell.

    One variance a cell, learned on its training clips under their own models: with a variance of its own, a model
    whose emotion is hard to explain gets a wide one and wins clips by it.
    """
    n_elements_N, n_classes = valid_elements(problem), len(problem.labels)
    own = [_own(samples, r, len(rows)) for r, rows in enumerate(asked)]
    is_training = [np.arange(len(rows)) < len(run.train) for rows, run in zip(asked, models.runs, strict=True)]
    residuals = [
        residual(o, n_elements_N[rows], training) for o, rows, training in zip(own, asked, is_training, strict=True)
    ]
    elbo_RN = np.full((len(models.runs), len(n_elements_N)), np.nan)
    iwae_RN, variance_c = elbo_RN.copy(), np.zeros(len(problem.cells))
    for c in range(len(problem.cells)):
        runs = range(c * n_classes, (c + 1) * n_classes)
        variance_c[c] = max(functools.reduce(operator.add, [residuals[r] for r in runs]).variance, LEAST_VARIANCE)
        for r in runs:
            bound = bounds(own[r], n_elements_N[asked[r]], variance_c[c])
            elbo_RN[r, asked[r]], iwae_RN[r, asked[r]] = bound.elbo_M, bound.iwae_M
    for name, bound_RN in (("ELBOs", elbo_RN), ("importance-weighted bounds", iwae_RN)):
        known_RN = np.zeros_like(bound_RN)  # a clip that was not asked for has no bound to be finite
        for r, rows in enumerate(asked):
            known_RN[r, rows] = bound_RN[r, rows]
        check_finite(known_RN, name, models.runs, problem)
    return elbo_RN, iwae_RN, variance_c


def _own(samples: PosteriorSamples, run: int, n: int) -> PosteriorSamples:
    """Return one run's samples, without the padding."""
    return PosteriorSamples(samples.squared_error_MK[run, :n], samples.log_ratio_MK[run, :n], samples.kl_M[run, :n])


def valid_elements(problem: Problem) -> Float[np.ndarray, " N"]:
    """Return how many elements of each clip's picture are valid, at least one."""
    return np.maximum(problem.mask_NT.sum(axis=1) * problem.x_NTC.shape[2], 1.0).astype(np.float64)


def mean_squared_error(
    problem: Problem, squared_RNC: Float[np.ndarray, "R N C"], weight_RC: Float[np.ndarray, "R C"] | None = None
) -> Float[np.ndarray, "R N"]:
    """Return the error a valid element, `weight` rescaling each coefficient's squared error to another unit."""
    weights_RC = np.ones(squared_RNC.shape[::2]) if weight_RC is None else weight_RC
    return np.einsum("rnc,rc->rn", squared_RNC.astype(np.float64), weights_RC) / valid_elements(problem)[None, :]
