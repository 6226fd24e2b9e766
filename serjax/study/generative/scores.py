"""How the models of each emotion explain clips: squared errors, ELBO and importance-weighted bound."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.evaluate.likelihood import PosteriorSamples, bounds, reconstruct, residual, sample_posterior
from serjax.models.autoencoder import Autoencoder
from serjax.models.tied_vae import TiedVAE
from serjax.models.vae import VAE
from serjax.study.generative.models import Models
from serjax.study.problem import Problem
from serjax.study.trainer import Trainer, check_finite
from serjax.train.parallel import Layout
from serjax.train.state import Dataset, RunInputs, gather_all, in_blocks

LEAST_VARIANCE = 1e-12  # of a clip that is explained without any error the likelihood has no bound


@dataclass(frozen=True, eq=False)
class Explained:
    """How every run explains clips: squared error of all, bounds in nats of those it was asked for (else NaN).

    `error_RN` is the mean squared error per valid element in normalised units, `squared_RNC` the sum over frames.
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
    squared_RNC = trainer.evaluate(compile_reconstruct(model, layout), models.runs, models.params, problem)
    error_RN = mean_squared_error(problem, squared_RNC)
    check_finite(error_RN, "reconstruction errors", models.runs, problem)
    if not isinstance(model, VAE):
        return Explained(error_RN, squared_RNC, None, None, None)
    asked = [np.concatenate([run.train, ask(r)]) for r, run in enumerate(models.runs)]
    compiled = compile_sample_posterior(model, n_samples, layout)
    samples = trainer.evaluate_rows(compiled, models.runs, models.params, problem, asked)
    return Explained(error_RN, squared_RNC, *_bounds(problem, models, samples, asked))


@functools.cache
def compile_reconstruct(model: VAE | Autoencoder, layout: Layout) -> Callable:
    """Compile `reconstruct` for stacks of `(params, inputs)` beside `(dataset, ids)`, once per process."""
    return layout.evaluate(lambda run, shared: reconstruct(model, run[0], run[1], shared[0]))


@functools.cache
def compile_sample_posterior(model: VAE, n_samples: int, layout: Layout) -> Callable:
    """Compile `sample_posterior` for stacks of `(params, inputs, rows)` beside `(dataset, ids)`, once per process."""

    def sample(run: tuple[Any, RunInputs, Array], shared: tuple[Dataset, Array]) -> PosteriorSamples:
        params, inputs, rows_M = run
        return sample_posterior(model, params, inputs, shared[0], rows_M, shared[1], n_samples)

    return layout.evaluate(sample)


@functools.cache
def compile_class_log_ratio(model: TiedVAE, layout: Layout) -> Callable:
    """Compile `TiedVAE.class_log_ratio` for stacks of `(params, inputs, rows)` beside `(dataset, ids)`."""

    def ratios(run: tuple[Any, RunInputs, Array], shared: tuple[Dataset, Array]) -> Float[Array, "M K"]:
        params, inputs, rows_M = run

        def one_block(rows_B: Int[Array, " B"]) -> Float[Array, "B K"]:
            x_BTC = gather_all(shared[0], inputs, rows_B).x_BTC
            return jnp.asarray(model.apply(params, x_BTC, method="class_log_ratio"))

        return in_blocks(one_block, rows_M)

    return layout.evaluate(ratios)


def _bounds(
    problem: Problem,
    models: Models,
    samples: list[PosteriorSamples],
    asked: list[Int[np.ndarray, "_"]],
) -> tuple[Float[np.ndarray, "R N"], Float[np.ndarray, "R N"], Float[np.ndarray, " c"]]:
    """Return ELBO and IWAE of every run (NaN where it was not asked for a clip), and the variance of every cell.

    There is one variance per cell, learned on its training clips under their own models. With one variance per model, a
    model whose emotion is hard to explain would get a wide one and win clips by it.
    """
    n_elements_N, n_classes = valid_elements(problem), len(problem.labels)
    is_training = [np.arange(len(rows)) < len(run.train) for rows, run in zip(asked, models.runs, strict=True)]
    residuals = [
        residual(own, n_elements_N[rows], training)
        for own, rows, training in zip(samples, asked, is_training, strict=True)
    ]
    elbo_RN = np.full((len(models.runs), len(n_elements_N)), np.nan)
    iwae_RN, variance_c = elbo_RN.copy(), np.zeros(len(problem.cells))
    for c in range(len(problem.cells)):
        runs = range(c * n_classes, (c + 1) * n_classes)
        variance_c[c] = max(functools.reduce(operator.add, [residuals[r] for r in runs]).variance, LEAST_VARIANCE)
        for r in runs:
            bound = bounds(samples[r], n_elements_N[asked[r]], variance_c[c])
            elbo_RN[r, asked[r]], iwae_RN[r, asked[r]] = bound.elbo_M, bound.iwae_M
    for name, bound_RN in (("ELBOs", elbo_RN), ("importance-weighted bounds", iwae_RN)):
        known_RN = np.zeros_like(bound_RN)  # a clip that was not asked for has no bound to be finite
        for r, rows in enumerate(asked):
            known_RN[r, rows] = bound_RN[r, rows]
        check_finite(known_RN, name, models.runs, problem)
    return elbo_RN, iwae_RN, variance_c


def valid_elements(problem: Problem) -> Float[np.ndarray, " N"]:
    """Return how many elements of each clip's picture are valid, at least one."""
    return np.maximum(problem.mask_NT.sum(axis=1) * problem.x_NTC.shape[2], 1.0).astype(np.float64)


def mean_squared_error(
    problem: Problem, squared_RNC: Float[np.ndarray, "R N C"], weight_RC: Float[np.ndarray, "R C"] | None = None
) -> Float[np.ndarray, "R N"]:
    """Return the error per valid element, `weight` rescaling each coefficient's squared error to another unit."""
    weights_RC = np.ones(squared_RNC.shape[::2]) if weight_RC is None else weight_RC
    return np.einsum("rnc,rc->rn", squared_RNC.astype(np.float64), weights_RC) / valid_elements(problem)[None, :]
