"""The generative classifier as a study: one (variational) autoencoder a cell and emotion, trained, then scored.

Stages: `pretrain` (one model a cell on all emotions, optional) → `train` (one a cell and emotion, best epoch on
validation speakers) → and with `--refit` both again on train + validation for the number of epochs chosen.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.evaluate.likelihood import PosteriorSamples, bounds, reconstruct, residual, sample_posterior, utterance_ids
from serjax.experiments.config import Model, Training
from serjax.experiments.problem import Problem, emotion_runs, pooled_runs
from serjax.models.autoencoder import Autoencoder
from serjax.models.vae import VAE
from serjax.train.loop import Schedule, Stage, Trained, train_stack
from serjax.train.objectives import AutoencoderObjective, PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout
from serjax.train.record import History
from serjax.train.runs import Run, init_params, stack_inputs
from serjax.train.state import Dataset, RunInputs

EPOCHS_PER_CALL = 4
Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Trainer:
    """What all stages share: how to train, on which devices, where to write; `report(stage, done, total, loss)`."""

    objective: VaeObjective | AutoencoderObjective
    training: Training
    layout: Layout
    stack_size: int
    save_every_s: float
    checkpoints: Path
    history: History
    fingerprint: str
    report: Report

    def train(self, name: str, runs: list[Run], params_R: chex.ArrayTree, problem: Problem, epochs: int) -> Trained:
        """Train `runs`, at most `stack_size` at a time, and return what all of them remember as best."""
        parts = []
        schedule = self._schedule(runs, epochs)
        for number, rows in enumerate(stacks(len(runs), self.stack_size)):
            stage = Stage(
                name=f"{name}-{number}",
                folder=self.checkpoints / f"{name}-{number}",
                history=self.history,
                fingerprint=f"{self.fingerprint}-{problem.digest()}",
                save_every_s=self.save_every_s,
                report=self._report_stack(name, rows, len(runs), epochs),
            )
            stack, start_R = [runs[r] for r in rows], take(params_R, rows)
            parts.append(train_stack(stack, start_R, self.objective, problem.dataset, schedule, self.layout, stage))
        return Trained(
            jax.tree.map(lambda *a: np.concatenate(a), *[part.params for part in parts]),
            np.concatenate([part.epoch_R for part in parts]),
            np.concatenate([part.loss_R for part in parts]),
        )

    def _report_stack(self, name: str, rows: range, n_runs: int, epochs: int) -> Callable[[int, float], None]:
        """Count the epochs of one stack as a part of the epochs of all runs."""
        return lambda epoch, loss: self.report(name, rows.start * epochs + epoch * len(rows), n_runs * epochs, loss)

    def _schedule(self, runs: list[Run], epochs: int) -> Schedule:
        longest = max(len(run.train) for run in runs)
        return Schedule(
            batch_size=self.training.batch_size,
            steps=-(-longest // self.training.batch_size),
            epochs=epochs,
            warmup_steps=self.training.warmup_steps,
            clip_norm=self.training.clip_norm,
            epochs_per_call=min(EPOCHS_PER_CALL, epochs),
            max_rejected=self.training.max_rejected,
        )


@dataclass(frozen=True, eq=False)
class Models:
    """The trained models of all cells and emotions: run `c·K + k` is emotion `k` of cell `c`."""

    runs: list[Run]
    trained: Trained
    pretrained: Trained | None = None


def train_models(problem: Problem, trainer: Trainer, beta: float, chosen: Models | None = None) -> Models:
    """Train one model a cell and emotion; given `chosen`, refit: on validation rows too, for its best epochs."""
    training, refit = trainer.training, chosen is not None
    suffix = "refit-" if refit else ""
    epochs = chosen.trained.epoch_R if chosen is not None else training.epochs
    runs = emotion_runs(problem, refit, training.learning_rate, beta, epochs)
    if not training.pretrain_epochs:
        params_R = init_params(runs, trainer.objective.init)
        return Models(runs, trainer.train(suffix + "train", runs, params_R, problem, training.epochs))
    epochs = chosen.pretrained.epoch_R if chosen is not None and chosen.pretrained else training.pretrain_epochs
    pooled = pooled_runs(problem, refit, training.learning_rate, beta, epochs)
    params_R = init_params(pooled, trainer.objective.init)
    shared = trainer.train(suffix + "pretrain", pooled, params_R, problem, training.pretrain_epochs)
    params_R = take(shared.params, np.repeat(np.arange(len(pooled)), len(problem.labels)))
    return Models(runs, trainer.train(suffix + "train", runs, params_R, problem, training.epochs), shared)


def make_objective(
    kind: type[VAE] | type[Autoencoder], model: Model, training: Training, frames: int, n_features: int
) -> VaeObjective | AutoencoderObjective:
    """Return the objective of a model of the given kind and sizes."""
    net = kind(frames, n_features, model.latent_dim, model.hidden, model.architecture)
    augmentation = PictureAugmentation(training.roll_frames, training.noise)
    return VaeObjective(net, augmentation) if isinstance(net, VAE) else AutoencoderObjective(net, augmentation)


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
    model, layout = trainer.objective.model, trainer.layout.by_runs()
    shared = layout.put_shared((problem.dataset, utterance_ids([u.path for u in problem.corpus.utterances])))
    squared_RNC = _by_stack(trainer.stack_size, layout, models, compile_reconstruct(model, layout), (), shared)
    error_RN = mean_squared_error(problem, squared_RNC)
    if not isinstance(model, VAE):
        return Explained(error_RN, squared_RNC, None, None, None)
    asked = [np.concatenate([run.train, ask(r)]) for r, run in enumerate(models.runs)]
    compiled = compile_sample_posterior(model, n_samples, layout)
    samples = _by_stack(trainer.stack_size, layout, models, compiled, (pad_rows(asked),), shared)
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
        variance_c[c] = functools.reduce(operator.add, [residuals[r] for r in runs]).variance
        for r in runs:
            bound = bounds(own[r], n_elements_N[asked[r]], variance_c[c])
            elbo_RN[r, asked[r]], iwae_RN[r, asked[r]] = bound.elbo_M, bound.iwae_M
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


def _by_stack(
    stack_size: int,
    layout: Layout,
    models: Models,
    compiled: Callable,
    extras: tuple[Int[np.ndarray, "R M"], ...],
    shared: chex.ArrayTree,
) -> chex.ArrayTree:
    """Evaluate `compiled((params, inputs, *extras), shared)` for every run, a stack at a time, on the host."""
    parts = []
    for rows in stacks(len(models.runs), stack_size):
        inputs = stack_inputs([models.runs[r] for r in rows])
        stacked = (take(models.trained.params, rows), inputs, *take(extras, rows))
        parts.append(layout.get_runs(compiled(layout.put_runs(stacked), shared), len(rows)))
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def stacks(n_runs: int, stack_size: int) -> list[range]:
    """Cut the run axis into the fewest stacks of nearly equal length, none above `stack_size`.

    >>> stacks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    n = -(-n_runs // max(stack_size, 1))
    size = -(-n_runs // n)
    return [range(start, min(start + size, n_runs)) for start in range(0, n_runs, size)]


def take(tree: chex.ArrayTree, rows: range | Int[np.ndarray, " r"]) -> chex.ArrayTree:
    """Return rows of every array of a stacked tree."""
    return jax.tree.map(lambda a: np.asarray(a)[np.asarray(rows)], tree)


def pick(tree: chex.ArrayTree, row: int) -> chex.ArrayTree:
    """Return one row of every array of a stacked tree, without the run axis."""
    return jax.tree.map(lambda a: np.asarray(a)[row], tree)


def pad_rows(rows: list[Int[np.ndarray, "_"]]) -> Int[np.ndarray, "R M"]:
    """Return lists of rows as one array, each filled up with its first row."""
    longest = max(len(r) for r in rows)
    return np.stack([np.concatenate([r, np.full(longest - len(r), r[0])]) for r in rows]).astype(np.int32)
