"""The pure train step and the epoch around it: one run, one named axis `"data"`, no devices, no I/O."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from serjax.models.batch_axis import DATA_AXIS
from serjax.train.optimizer import global_norm
from serjax.train.state import Batch, Best, Dataset, Hyper, RunInputs, TrainState, gather
from serjax.train.waveforms import AugmentedFeatures

Metrics = dict[str, Float[Array, "*e"]]
Held = tuple[dict[str, chex.ArrayTree], optax.OptState]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
TrainEpochs = Callable[
    [TrainState, RunInputs, Int[Array, "E S B"], Int[Array, ""], Dataset], tuple[TrainState, Metrics]
]


@runtime_checkable
class Objective(Protocol):
    """What is minimised: per-clip losses of a batch, in training (augmented, random) and in validation."""

    def __hash__(self) -> int:
        """Return the same for equal objectives, so that one compiled program serves them."""

    def init(self, key: Key[Array, ""]) -> chex.ArrayTree:
        """Return fresh parameters."""

    def loss(
        self, params: dict[str, chex.ArrayTree], batch: Batch, key: Key[Array, ""], hyper: Hyper
    ) -> tuple[Float[Array, " B"], dict[str, Float[Array, " B"]], dict[str, chex.ArrayTree]]:
        """Return the loss of each clip, named parts of it, and collections that replace those of `params`.

        `key` is that of the step, the same on all devices; what is drawn for a clip is drawn with its own of
        `example_keys(key)`. Collections are what a model keeps beside its weights, such as the running moments of
        batch normalisation.
        """

    def validation_loss(self, params: dict[str, chex.ArrayTree], batch: Batch, hyper: Hyper) -> Float[Array, " B"]:
        """Return the deterministic loss of each clip as it is."""


def make_train_step(objective: Objective, optimizer: optax.GradientTransformationExtraArgs) -> TrainStep:
    """Return `train_step(state, batch)`, to be called inside an axis named `"data"` that splits the batch.

    The loss is `psum(Σ weight·loss) / psum(Σ weight)`. Random numbers come from the run's key, the step and the
    clip's place in the whole batch: never from the device. A step whose loss or gradient is not finite
    leaves parameters and optimiser as they were and counts in `state.rejected`. A run that no longer
    `state.trains` stands still.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        step_key = state.step_key
        share_B = batch.weight_B / jnp.maximum(jax.lax.psum(jnp.sum(batch.weight_B), DATA_AXIS), 1e-12)

        def weighted_mean(params: chex.ArrayTree) -> tuple[Float[Array, ""], tuple[Metrics, chex.ArrayTree]]:
            loss_B, parts, collections = objective.loss(params, batch, step_key, state.hyper)
            loss = jnp.sum(share_B * loss_B)
            means = {name: jnp.sum(share_B * part_B) for name, part_B in parts.items()}
            return loss, ({"loss": loss, **means}, collections)

        gradient, (metrics, collections) = jax.grad(weighted_mean, has_aux=True)(state.params)
        metrics, gradient = jax.lax.psum((metrics, gradient), DATA_AXIS)
        metrics["gradient_norm"] = global_norm(gradient)
        finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"])
        trains = state.trains

        def move(held: Held) -> Held:
            params, opt_state = held
            given = {"hyper": state.hyper, "gradient_norm": metrics["gradient_norm"]}
            updates, opt_state = optimizer.update(gradient, opt_state, params, **given)
            return {**optax.apply_updates(params, updates), **collections}, opt_state

        # A branch and no choice of numbers: reading both sides of a choice took a fifth of the step of a dense VAE.
        params, opt_state = jax.lax.cond(finite & trains, move, lambda held: held, (state.params, state.opt_state))
        state = replace(
            state,
            step=state.step + trains,
            params=params,
            opt_state=opt_state,
            rejected=jnp.where(finite, 0, state.rejected + trains),
        )
        return state, metrics

    return train_step


def make_train_epochs(
    objective: Objective,
    train_step: TrainStep,
    augmented: AugmentedFeatures | None = None,
    one_by_one: bool = False,
) -> TrainEpochs:
    """Return a function that trains one run for `n_epochs` epochs of `S` steps and validates after each.

    `n_epochs` is up to `E`. It is a number that the compiled program is given, so that calls of all lengths share one.
    The metrics of the other epochs are NaN. `rejected` is that of the state at the end of an epoch.

    Training clips have the features of the data set, or those of their `augmented` waveforms; validation clips always
    the former. Rows of −1 in the index block are padding. The metrics of an epoch in which the run stood still are NaN.
    Where runs are trained `one_by_one`, such an epoch takes the time of its validation alone.
    """

    def train_epochs(
        state: TrainState,
        inputs: RunInputs,
        rows_ESB: Int[Array, "E S B"],
        n_epochs: Int[Array, ""],
        dataset: Dataset,
    ) -> tuple[TrainState, Metrics]:
        def one_step(state: TrainState, rows_B: Int[Array, " B"]) -> tuple[TrainState, Metrics]:
            weight_B = (rows_B >= 0).astype(jnp.float32)
            taken = (dataset, inputs, jnp.maximum(rows_B, 0), weight_B)
            if augmented is None:
                return train_step(state, gather(*taken))
            return train_step(state, augmented.gather(state.step_key, state.hyper, *taken))

        def steps(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            return jax.lax.scan(one_step, state, rows_SB)

        def no_steps(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            metrics = jax.eval_shape(steps, state, rows_SB)[1]
            return state, jax.tree.map(lambda values: jnp.full(values.shape, jnp.nan, values.dtype), metrics)

        def one_epoch(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            trains = state.trains
            if one_by_one:
                state, metrics = jax.lax.cond(trains, steps, no_steps, state, rows_SB)
            else:
                state, metrics = steps(state, rows_SB)
            state = replace(state, epoch=state.epoch + trains)
            means = {name: jnp.mean(values) for name, values in metrics.items()}
            means["validation_loss"] = validate(objective, state, inputs, dataset)
            state = remember_best(state, means["validation_loss"])
            broken = trains & jnp.any(inputs.validation_weight_V > 0) & ~jnp.isfinite(means["validation_loss"])
            state = replace(state, rejected=jnp.where(broken, jnp.maximum(state.rejected, 1), state.rejected))
            means["rejected"] = state.rejected.astype(jnp.float32)
            return state, {name: jnp.where(trains, value, jnp.nan) for name, value in means.items()}

        def next_epoch(e: Int[Array, ""], reached: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics_E = reached
            state, metrics = one_epoch(state, rows_ESB[e])
            return state, {name: values_E.at[e].set(metrics[name]) for name, values_E in metrics_E.items()}

        names = jax.eval_shape(one_epoch, state, rows_ESB[0])[1]
        untrained = {name: jnp.full(len(rows_ESB), jnp.nan) for name in names}
        return jax.lax.fori_loop(0, n_epochs, next_epoch, (state, untrained))

    return train_epochs


def validate(objective: Objective, state: TrainState, inputs: RunInputs, dataset: Dataset) -> Float[Array, ""]:
    """Return the mean loss over the run's validation rows; NaN where it has none."""
    batch = gather(dataset, inputs, inputs.validation_V, inputs.validation_weight_V)
    loss_V = objective.validation_loss(state.params, batch, state.hyper)
    return jnp.sum(batch.weight_B * loss_V) / jnp.sum(batch.weight_B)


def remember_best(state: TrainState, loss: Float[Array, ""]) -> TrainState:
    """Keep the parameters if the validation loss is the lowest so far; without validation rows, always the last."""
    better = (loss < state.best.loss) | (jnp.isnan(loss) & jnp.isinf(state.best.loss))
    now = Best(params=state.params, loss=jnp.where(jnp.isnan(loss), state.best.loss, loss), epoch=state.epoch)
    return replace(state, best=jax.lax.cond(better, lambda: now, lambda: state.best))
