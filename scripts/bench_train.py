"""Time the training of a stack of the default VAEs: mapped against batched, and against a step without our guards.

    python -m scripts.bench_train [--devices 2] [--runs 16] [--repeats 10]

All are compiled first, then run in turn in this process, so that what else the machine does falls on all alike; the
table gives medians. *bare* is the same model, keys, augmentation and Adam without clipping, the non-finite guard,
metrics, validation and the best parameters so far: what our step costs above it is the price of those.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jaxtyping import Array, Float, Int
from rich.console import Console
from rich.table import Table

from serjax.models import VAE
from serjax.train.loop import Schedule, index_blocks
from serjax.train.objectives import PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout, request_devices
from serjax.train.runs import Run, init_params, stack_inputs, stack_states
from serjax.train.state import Batch, Dataset, RunInputs, TrainState, gather
from serjax.train.step import TrainEpochs, make_optimizer, make_train_epochs, make_train_step

N_CLIPS, FRAMES, N_MFCC = 1440, 108, 20
SCHEDULE = Schedule(
    batch_size=32, steps=4, epochs=50, warmup_steps=20, clip_norm=1.0, epochs_per_call=4, max_rejected=20
)
OBJECTIVE = VaeObjective(VAE(FRAMES, N_MFCC), PictureAugmentation())


def make_bare_epochs(optimizer: optax.GradientTransformation) -> TrainEpochs:
    """Return the epochs with nothing in the step that a gradient step does not need."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key_data), state.step)

        def loss(params: chex.ArrayTree) -> Float[Array, ""]:
            return jnp.mean(OBJECTIVE.loss(params, batch, key, state.hyper)[0])

        value, gradient = jax.value_and_grad(loss)(state.params)
        updates, opt_state = optimizer.update(gradient, state.opt_state)
        params = jax.tree.map(lambda p, u: p + state.hyper.learning_rate * u, state.params, updates)
        return replace(state, step=state.step + 1, params=params, opt_state=opt_state), {"loss": value}

    def epochs(
        state: TrainState, inputs: RunInputs, rows_ESB: Int[Array, "E S B"], dataset: Dataset
    ) -> tuple[TrainState, dict[str, Float[Array, "E S"]]]:
        def one(state: TrainState, rows_B: Int[Array, " B"]) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
            return step(state, gather(dataset, inputs, rows_B, jnp.ones(rows_B.shape)))

        return jax.lax.scan(lambda state, rows_SB: jax.lax.scan(one, state, rows_SB), state, rows_ESB)

    return epochs


def make_runs(n: int) -> list[Run]:
    """Return runs of 128 clips each, as many as a fold of RAVDESS has of one emotion for 16 speakers."""
    rng = np.random.default_rng(0)
    shift_C, scale_C = np.zeros(N_MFCC, np.float32), np.ones(N_MFCC, np.float32)
    rows = [rng.permutation(N_CLIPS).astype(np.int32) for _ in range(n)]
    numbers = (shift_C, scale_C, 1e-3, 0.1, 50, np.ones(8, np.float32))
    return [Run(0, str(r), "happy", rows[r][:128], rows[r][128:160], *numbers) for r in range(n)]


def prepare(layout: Layout, ours: bool, runs: list[Run], dataset: Dataset) -> Callable[[], None]:
    """Return a call that trains the stack for one block of epochs and waits for it."""
    if ours:
        optimizer = make_optimizer(SCHEDULE.epochs * SCHEDULE.steps, SCHEDULE.warmup_steps, SCHEDULE.clip_norm)
        epochs = make_train_epochs(OBJECTIVE, make_train_step(OBJECTIVE, optimizer))
    else:
        optimizer = optax.chain(optax.scale_by_adam(), optax.scale(-1.0))
        epochs = make_bare_epochs(optimizer)
    train, shared, inputs = layout.train(epochs), layout.put_shared(dataset), layout.put_runs(stack_inputs(runs))
    state = layout.put_runs(stack_states(runs, init_params(runs, OBJECTIVE.init), optimizer))
    rows = layout.put_rows(next(index_blocks(runs, SCHEDULE).iterator()))

    def call() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(train(state, inputs, rows, shared))

    call()
    return call


def main(devices: int | None = None, runs: int = 16, repeats: int = 10) -> None:
    """Print milliseconds a step and run."""
    where = Layout(tuple(request_devices(devices)))
    rng = np.random.default_rng(0)
    x_NTC = jnp.asarray(rng.normal(size=(N_CLIPS, FRAMES, N_MFCC)), jnp.float32)
    dataset = Dataset(x_NTC, jnp.ones((N_CLIPS, FRAMES)), jnp.zeros(N_CLIPS, jnp.int32))
    calls = {
        f"{stacking}{'' if ours else ', bare'}": prepare(
            replace(where, stacking=stacking), ours, make_runs(runs), dataset
        )
        for stacking in ("map", "vmap")
        for ours in (False, True)
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    per_step = {
        name: statistics.median(s) / (runs * SCHEDULE.steps * SCHEDULE.epochs_per_call) for name, s in seconds.items()
    }
    platform = f"{len(where.devices)} {where.devices[0].platform} device(s), jax {jax.__version__}"
    table = Table("stack", "ms a step and run", "ratio", title=f"{runs} VAEs, batch 32, {platform}")
    for name, value in per_step.items():
        table.add_row(name, f"{1e3 * value:.2f}", f"{value / per_step['map, bare']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
