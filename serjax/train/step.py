"""The pure train step and the epoch around it: one run, one named axis `"data"`, no devices, no I/O."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from serjax.models.batch_axis import DATA_AXIS
from serjax.train.optimizer import global_norm
from serjax.train.state import Batch, Best, Dataset, Hyper, RunInputs, TrainState, gather
from serjax.train.waveforms import AugmentedFeatures

Metrics = dict[str, Float[Array, "*e"]]
Held = tuple[dict[str, chex.ArrayTree], optax.OptState, chex.ArrayTree | None]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
TrainEpochs = Callable[
    [TrainState, RunInputs, Int[Array, "E S B"], Int[Array, ""], Dataset], tuple[TrainState, Metrics]
]
Reached = tuple[TrainState, Float[Array, "*r 2"]]  # in the midst of an epoch, with the sums of its validation so far
Part = tuple[Int[Array, ""], Bool[Array, ""]]  # how many steps it has, and whether it is the last of its epoch
TrainPart = Callable[[Reached, RunInputs, Int[Array, "K B"], Part, Dataset], tuple[Reached, Metrics]]


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
    `state.trains` stands still. What no step may change, such as the form of the parameters, is checked while the step
    is traced, by an AssertionError.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        check_batch(batch)
        chex.assert_type(jax.tree.leaves(state.params), float)
        step_key = state.step_key
        share_B = batch.weight_B / jnp.maximum(jax.lax.psum(jnp.sum(batch.weight_B), DATA_AXIS), 1e-12)

        def weighted_mean(params: chex.ArrayTree) -> tuple[Float[Array, ""], tuple[Metrics, chex.ArrayTree]]:
            loss_B, parts, collections = objective.loss(params, batch, step_key, state.hyper)
            chex.assert_equal_shape([batch.weight_B, loss_B, *parts.values()])
            loss = jnp.sum(share_B * loss_B)
            means = {name: jnp.sum(share_B * part_B) for name, part_B in parts.items()}
            return loss, ({"loss": loss, **means}, collections)

        gradient, (metrics, collections) = jax.grad(weighted_mean, has_aux=True)(state.params)
        metrics, gradient = jax.lax.psum((metrics, gradient), DATA_AXIS)
        metrics["gradient_norm"] = global_norm(gradient)
        finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"])
        trains = state.trains

        def move(held: Held) -> Held:
            params, opt_state, averaged = held
            given = {"hyper": state.hyper, "gradient_norm": metrics["gradient_norm"]}
            updates, opt_state = optimizer.update(gradient, opt_state, params, **given)
            params = {**optax.apply_updates(params, updates), **collections}
            moved = params, opt_state, None if averaged is None else moving_average(averaged, params, state)
            chex.assert_trees_all_equal_shapes_and_dtypes(held, moved)
            return moved

        # A branch and no choice of numbers: reading both sides of a choice took a fifth of the step of a dense VAE.
        held = state.params, state.opt_state, state.averaged
        params, opt_state, averaged = jax.lax.cond(finite & trains, move, lambda held: held, held)
        state = replace(
            state,
            step=state.step + trains,
            params=params,
            opt_state=opt_state,
            rejected=jnp.where(finite, 0, state.rejected + trains),
            averaged=averaged,
        )
        return state, metrics

    return train_step


def moving_average(averaged: chex.ArrayTree, params: chex.ArrayTree, state: TrainState) -> chex.ArrayTree:
    """Return `d a + (1 − d) p` with `d = min(ema, (1 + s) / (10 + s))` at step `s` (Polyak & Juditsky 1992).

    So the start is soon forgotten. Running moments of batch norm are averaged too: they belong to the averaged weights.
    """
    assert state.hyper.ema is not None
    decay = jnp.minimum(state.hyper.ema, (1.0 + state.step) / (10.0 + state.step))
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, averaged, params)


def check_batch(batch: Batch) -> None:
    """Raise AssertionError for a batch whose arrays have not the ranks and types of a `Batch`, or sizes that differ."""
    arrays = [batch.x_BTC, batch.mask_BT, batch.label_B, batch.weight_B]
    chex.assert_rank(arrays, [3, 2, 1, 1])
    chex.assert_type(arrays, [float, float, int, float])
    chex.assert_equal_shape_prefix(arrays, 1)
    chex.assert_equal_shape_prefix(arrays[:2], 2)


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
        one_step = step_on_rows(train_step, augmented, inputs, dataset)

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
            means = {name: jnp.where(trains, jnp.mean(values), jnp.nan) for name, values in metrics.items()}
            state, ended = end_epoch(state, validation_sums(objective, state, inputs, dataset))
            return state, means | ended

        def next_epoch(e: Int[Array, ""], reached: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics_E = reached
            state, metrics = one_epoch(state, rows_ESB[e])
            return state, {name: values_E.at[e].set(metrics[name]) for name, values_E in metrics_E.items()}

        names = jax.eval_shape(one_epoch, state, rows_ESB[0])[1]
        untrained = {name: jnp.full(len(rows_ESB), jnp.nan) for name in names}
        return jax.lax.fori_loop(0, n_epochs, next_epoch, (state, untrained))

    return train_epochs


def make_train_part(
    objective: Objective, train_step: TrainStep, augmented: AugmentedFeatures | None = None, one_by_one: bool = False
) -> TrainPart:
    """Return a function that trains one run for a part of an epoch, on the clips of that part alone.

    A part has `n_steps` steps, up to `K`, whose metrics come back, NaN behind them. Or it has none: its validation rows
    are then added to the sums, and if it is the last part it ends the epoch. `validation_loss` and `rejected` are NaN
    elsewhere. The parts of an epoch together do what one epoch of `make_train_epochs` does.
    """

    def train_part(
        reached: Reached, inputs: RunInputs, rows_KB: Int[Array, "K B"], part: Part, dataset: Dataset
    ) -> tuple[Reached, Metrics]:
        one_step = step_on_rows(train_step, augmented, inputs, dataset)
        n_steps, is_last = part
        nothing = {"validation_loss": jnp.array(jnp.nan), "rejected": jnp.array(jnp.nan)}
        names = jax.eval_shape(one_step, reached[0], rows_KB[0])[1]
        untrained = {name: jnp.full(len(rows_KB), jnp.nan) for name in names}

        def next_step(k: Int[Array, ""], trained: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics_K = trained
            state, metrics = one_step(state, rows_KB[k])
            return state, {name: values_K.at[k].set(metrics[name]) for name, values_K in metrics_K.items()}

        def steps(reached: Reached) -> tuple[Reached, Metrics]:
            state, sums = reached
            n = jnp.where(state.trains, n_steps, 0) if one_by_one else n_steps
            state, metrics = jax.lax.fori_loop(0, n, next_step, (state, untrained))
            return (state, sums), metrics | nothing

        def validation(reached: Reached) -> tuple[Reached, Metrics]:
            state, sums = reached
            sums = sums + validation_sums(objective, state, inputs, dataset)
            state, ended = jax.lax.cond(is_last, end_epoch, lambda state, _: (state, nothing), state, sums)
            return (state, sums), untrained | ended

        return jax.lax.cond(n_steps > 0, steps, validation, reached)

    return train_part


def step_on_rows(
    train_step: TrainStep, augmented: AugmentedFeatures | None, inputs: RunInputs, dataset: Dataset
) -> Callable[[TrainState, Int[Array, " B"]], tuple[TrainState, Metrics]]:
    """Return the step on the batch of some rows of the data set, −1 for padding."""

    def one_step(state: TrainState, rows_B: Int[Array, " B"]) -> tuple[TrainState, Metrics]:
        weight_B = (rows_B >= 0).astype(jnp.float32)
        taken = (dataset, inputs, jnp.maximum(rows_B, 0), weight_B)
        if augmented is None:
            return train_step(state, gather(*taken))
        return train_step(state, augmented.gather(state.step_key, state.hyper, *taken))

    return one_step


def validation_sums(objective: Objective, state: TrainState, inputs: RunInputs, dataset: Dataset) -> Float[Array, " 2"]:
    """Return the weighted sum of the losses of the run's validation rows, and the sum of their weights."""
    batch = gather(dataset, inputs, inputs.validation_V, inputs.validation_weight_V)
    loss_V = objective.validation_loss(state.kept, batch, state.hyper)
    return jnp.stack([jnp.sum(batch.weight_B * loss_V), jnp.sum(batch.weight_B)])


def end_epoch(state: TrainState, sums: Float[Array, " 2"]) -> tuple[TrainState, Metrics]:
    """Count an epoch and remember the best; return what is known of it, NaN where the run stood still.

    The validation loss is the mean that the sums make; NaN where there are no validation rows.
    """
    trains, loss = state.trains, sums[0] / sums[1]
    state = remember_best(replace(state, epoch=state.epoch + trains), loss)
    broken = trains & (sums[1] > 0) & ~jnp.isfinite(loss)
    state = replace(state, rejected=jnp.where(broken, jnp.maximum(state.rejected, 1), state.rejected))
    ended = {"validation_loss": loss, "rejected": state.rejected.astype(jnp.float32)}
    return state, {name: jnp.where(trains, value, jnp.nan) for name, value in ended.items()}


def remember_best(state: TrainState, loss: Float[Array, ""]) -> TrainState:
    """Keep the parameters if the validation loss is the lowest so far; without validation rows, always the last."""
    better = (loss < state.best.loss) | (jnp.isnan(loss) & jnp.isinf(state.best.loss))
    now = Best(params=state.kept, loss=jnp.where(jnp.isnan(loss), state.best.loss, loss), epoch=state.epoch)
    return replace(state, best=jax.lax.cond(better, lambda: now, lambda: state.best))
