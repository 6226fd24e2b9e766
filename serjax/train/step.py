"""The pure train step and the epoch around it: one run, one named axis `"data"`, no devices, no I/O."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from serjax.train.state import Batch, Best, Dataset, Hyper, RunInputs, TrainState, gather

DATA_AXIS = "data"

Metrics = dict[str, Float[Array, "*e"]]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
TrainEpochs = Callable[[TrainState, RunInputs, Int[Array, "E S B"], Dataset], tuple[TrainState, Metrics]]


@runtime_checkable
class Objective(Protocol):
    """What is minimised: per-clip losses of a batch, in training (augmented, random) and in validation."""

    def __hash__(self) -> int:
        """Return the same for equal objectives, so that one compiled program serves them."""

    def loss(
        self, params: chex.ArrayTree, batch: Batch, key_B: Key[Array, " B"], hyper: Hyper
    ) -> tuple[Float[Array, " B"], dict[str, Float[Array, " B"]]]:
        """Return the loss of each clip and named parts of it, augmentation and sampling keyed by `key_B`."""

    def validation_loss(self, params: chex.ArrayTree, batch: Batch, hyper: Hyper) -> Float[Array, " B"]:
        """Return the deterministic loss of each clip as it is."""


def make_optimizer(total_steps: int, warmup_steps: int, clip_norm: float) -> optax.GradientTransformation:
    """Adam behind global-norm clipping, times a warm-up–cosine curve from 0 over 1 to 0 (Kingma & Ba 2015).

    The learning rate is not in here: it is a number of the run (`Hyper.learning_rate`), multiplied in `train_step`,
    so that runs of one stack may differ in it.
    """
    curve = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps, max(total_steps, warmup_steps + 1))
    return optax.chain(
        optax.clip_by_global_norm(clip_norm), optax.scale_by_adam(), optax.scale_by_schedule(curve), optax.scale(-1.0)
    )


def make_train_step(objective: Objective, optimizer: optax.GradientTransformation) -> TrainStep:
    """Return `train_step(state, batch)`, to be called inside an axis named `"data"` that splits the batch.

    Loss and gradient are `psum(Σ weight·loss) / psum(Σ weight)`. Each clip has a key of its own, made from the run's
    key, the step and the clip's place in the whole batch: never from the device. A step whose loss or gradient is
    not finite leaves parameters and optimiser as they were and counts in `state.rejected`.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        step_key = jax.random.fold_in(jax.random.wrap_key_data(state.key_data), state.step)
        key_B = example_keys(step_key, batch.weight_B.shape[0])

        def weighted_sum(params: chex.ArrayTree) -> tuple[Float[Array, ""], Metrics]:
            loss_B, parts = objective.loss(params, batch, key_B, state.hyper)
            sums = {name: jnp.sum(batch.weight_B * part_B) for name, part_B in parts.items()}
            return jnp.sum(batch.weight_B * loss_B), sums

        (loss_sum, sums), gradient_sum = jax.value_and_grad(weighted_sum, has_aux=True)(state.params)
        weight = jnp.maximum(jax.lax.psum(jnp.sum(batch.weight_B), DATA_AXIS), 1e-12)
        reduced = jax.lax.psum(({"loss": loss_sum, **sums}, gradient_sum), DATA_AXIS)
        metrics, gradient = jax.tree.map(lambda total: total / weight, reduced)
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        updates = jax.tree.map(lambda u: state.hyper.learning_rate * u, updates)
        accept = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"])
        state = replace(
            state,
            step=state.step + 1,
            params=select(accept, optax.apply_updates(state.params, updates), state.params),
            opt_state=select(accept, opt_state, state.opt_state),
            rejected=jnp.where(accept, 0, state.rejected + 1),
        )
        return state, metrics

    return train_step


def make_train_epochs(objective: Objective, train_step: TrainStep) -> TrainEpochs:
    """Return a function that trains one run for `E` epochs of `S` steps and validates after each.

    Rows of −1 in the index block are padding. A run that has done its `hyper.epochs` stands still.
    """

    def one_epoch(
        state: TrainState, inputs: RunInputs, rows_SB: Int[Array, "S B"], dataset: Dataset
    ) -> tuple[TrainState, Metrics]:
        def body(state: TrainState, rows_B: Int[Array, " B"]) -> tuple[TrainState, Metrics]:
            weight_B = (rows_B >= 0).astype(jnp.float32)
            return train_step(state, gather(dataset, inputs, jnp.maximum(rows_B, 0), weight_B))

        state, metrics = jax.lax.scan(body, state, rows_SB)
        metrics = {name: jnp.mean(values) for name, values in metrics.items()}
        state = replace(state, epoch=state.epoch + 1)
        metrics["validation_loss"] = validate(objective, state, inputs, dataset)
        return remember_best(state, metrics["validation_loss"]), metrics

    def train_epochs(
        state: TrainState, inputs: RunInputs, rows_ESB: Int[Array, "E S B"], dataset: Dataset
    ) -> tuple[TrainState, Metrics]:
        idle = jax.eval_shape(one_epoch, state, inputs, rows_ESB[0], dataset)[1]

        def stand_still(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            return state, jax.tree.map(lambda m: jnp.full(m.shape, jnp.nan, m.dtype), idle)

        def train(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            return one_epoch(state, inputs, rows_SB, dataset)

        def body(state: TrainState, rows_SB: Int[Array, "S B"]) -> tuple[TrainState, Metrics]:
            return jax.lax.cond(state.epoch < state.hyper.epochs, train, stand_still, state, rows_SB)

        return jax.lax.scan(body, state, rows_ESB)

    return train_epochs


def validate(objective: Objective, state: TrainState, inputs: RunInputs, dataset: Dataset) -> Float[Array, ""]:
    """Return the mean loss over the run's validation rows; NaN where it has none."""
    batch = gather(dataset, inputs, inputs.validation_V, inputs.validation_weight_V)
    loss_V = objective.validation_loss(state.params, batch, state.hyper)
    return jnp.sum(batch.weight_B * loss_V) / jnp.sum(batch.weight_B)


def remember_best(state: TrainState, loss: Float[Array, ""]) -> TrainState:
    """Keep the parameters if the validation loss is the lowest so far; without validation rows, always the last."""
    better = (loss < state.best.loss) | (jnp.isnan(loss) & jnp.isinf(state.best.loss))
    return replace(
        state,
        best=Best(
            params=select(better, state.params, state.best.params),
            loss=jnp.where(better & ~jnp.isnan(loss), loss, state.best.loss),
            epoch=jnp.where(better, state.epoch, state.best.epoch),
        ),
    )


def example_keys(key: Key[Array, ""], n_local: int) -> Key[Array, " B"]:
    """Return one key a clip, by its place in the batch that the `"data"` axis splits."""
    place_B = jax.lax.axis_index(DATA_AXIS) * n_local + jnp.arange(n_local)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, place_B)


def select(accept: Bool[Array, ""], new: chex.ArrayTree, old: chex.ArrayTree) -> chex.ArrayTree:
    """Return `new` where accepted, else `old`, leaf by leaf."""
    return jax.tree.map(lambda n, o: jnp.where(accept, n, o), new, old)
