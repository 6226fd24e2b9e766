"""How runs are laid on this machine: how many at a time, one after another or batched, and how long a call is."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from serjax.train.loop import Schedule, compile_training, make_training
from serjax.train.memory import free_device_bytes, free_host_bytes, program_bytes, tree_bytes
from serjax.train.parallel import Layout, Stacking
from serjax.train.processes import from_first, processes_on_this_host
from serjax.train.runs import Run, stack_inputs, stack_states, state_shapes
from serjax.train.state import Dataset
from serjax.train.step import Objective
from serjax.train.waveforms import AugmentedFeatures
from serjax.train.work import program_products

MAPPED, BATCHED, BATCHED_ON_CPU = 24, 512, 8  # runs a device at most; see `most_runs`
CALL_PRODUCTS = 1e11  # multiply-adds that a call may have where runs take turns: some 4 s of a CPU's core
SHARE = 0.6  # of what is free: the rest is for what is not counted, and for others
MEASURED_STEPS, MEASURED_CALLS, MEASURED_S = 8, 3, 5.0
WORTH_S = 600.0  # of training: to compile and time both ways takes from seconds to a minute
CLEARLY = 0.9  # of the time of the usual stacking must be enough to leave it: times of a busy machine vary as much


@dataclass(frozen=True)
class Plan:
    """How the runs of one device are stacked, how many are trained at a time on all devices, epochs of a call."""

    stacking: Stacking
    stack_size: int
    epochs_per_call: int


@dataclass(frozen=True)
class Needs:
    """Bytes that a device needs once, that a run more takes of it and of the host, and a run's products in an epoch."""

    once_bytes: int
    run_bytes: int
    host_bytes: int
    products: int


@dataclass(frozen=True, eq=False)
class Stack:
    """What is to be trained: runs, their parameters, and the program."""

    runs: Sequence[Run]
    params_R: chex.ArrayTree
    objective: Objective
    dataset: Dataset
    schedule: Schedule
    layout: Layout
    augmented: AugmentedFeatures | None

    @functools.cached_property
    def needs(self) -> Needs:
        """What a run like the first needs."""
        return measure_needs(self)

    def stacked(self, stacking: Stacking) -> "Stack":
        """Return the same with the runs of a device one after another, or batched."""
        return replace(self, layout=replace(self.layout, stacking=stacking))


def most_runs(stacking: Stacking, platform: str) -> int:
    """Return how many runs a device is given at most, however much memory it has.

    Mapped, more gain nothing and are saved more seldom. Batched on CPU, more leave its caches: 240 dense networks on 2
    cores took 46, 58 and 80 s by 8, 24 and 120 a device, and 48 s mapped. On accelerators nothing has been measured.
    """
    if stacking == "map":
        return MAPPED
    return BATCHED_ON_CPU if platform == "cpu" else BATCHED


def fitting_runs(stack: Stack, epochs: int) -> int:
    """Return how many runs like the first of `stack` may be trained at a time on all devices, one a device at least.

    Where runs take turns, no more than one call of `epochs` should train before progress is seen and an interruption
    answered. Of a device's memory a run takes its state and what it reads, and where runs are batched what a step needs
    of activations; where they take turns, these are needed once. The host holds a stack's states twice: to send, and to
    save.
    """
    layout, needs = stack.layout, stack.needs
    n_here = min(len(layout.devices), len(jax.local_devices())) * processes_on_this_host()
    own = free_device_bytes(next(d for d in layout.devices if d.process_index == jax.process_index()))
    host = SHARE * free_host_bytes() / n_here
    if own is None:
        fitting = (host - needs.once_bytes) / (needs.run_bytes + needs.host_bytes)
    else:
        fitting = min((SHARE * own - needs.once_bytes) / needs.run_bytes, host / needs.host_bytes)
    most = most_runs(layout.stacking, layout.devices[0].platform)
    if layout.stacking == "map":
        most = min(most, int(CALL_PRODUCTS / max(needs.products * epochs, 1)))
    return max(1, min(most, int(fitting))) * layout.n_shares


def call_epochs(stack: Stack) -> int:
    """Return how many epochs a call trains of one run: those of the schedule, or as many as have `CALL_PRODUCTS`."""
    epochs = stack.schedule.epochs_per_call
    if stack.layout.stacking != "map":
        return epochs
    return max(1, min(epochs, int(CALL_PRODUCTS / max(stack.needs.products, 1))))


def measure_needs(stack: Stack) -> Needs:
    """Return what a run like the first of `stack` needs."""
    schedule, layout, first = stack.schedule, stack.layout, list(stack.runs[:1])
    optimizer, program = _program(stack.objective, schedule, layout, stack.augmented)
    params_R = jax.tree.map(lambda a: a[:1], stack.params_R)
    state_R, inputs_R = state_shapes(first, params_R, optimizer), stack_inputs(first)
    n_batch = -(-schedule.batch_size // (len(layout.devices) // layout.n_shares))
    rows_RESB = jax.ShapeDtypeStruct((1, schedule.epochs_per_call, schedule.steps, n_batch), jnp.int32)
    held = tree_bytes((state_R, inputs_R, rows_RESB))
    given = (state_R, inputs_R, rows_RESB, stack.dataset)
    made = program_bytes(program, *given)
    once, each = (made, held) if layout.stacking == "map" else (0, held + made)
    products = program_products(program, *given) // schedule.epochs_per_call
    return Needs(once, each, 2 * tree_bytes(state_R), products)


@functools.cache
def _program(
    objective: Objective, schedule: Schedule, layout: Layout, augmented: AugmentedFeatures | None
) -> tuple[optax.GradientTransformationExtraArgs, Callable]:
    """Return the optimiser and what one device runs, which JAX then traces once, however often it is looked at."""
    optimizer, train_epochs = make_training(objective, schedule, layout, augmented)
    return optimizer, jax.jit(layout.on_a_device(train_epochs))


def faster_stacking(stack: Stack, n_steps: int) -> Stacking:
    """Return which stacking is faster on this machine, measured: the present one unless the other clearly is.

    `n_steps` are those of all runs that are to be trained: what is soon done is not worth compiling a second time.
    """
    usual = stack.layout.stacking
    other: Stacking = "vmap" if usual == "map" else "map"
    seconds = step_seconds(stack)
    if n_steps * seconds < WORTH_S:
        return usual
    return other if step_seconds(stack.stacked(other)) < CLEARLY * seconds else usual


def step_seconds(stack: Stack) -> float:
    """Return the seconds of a step and run: the best of several short epochs of as many runs as a stack would have.

    They train on the stack's own rows, validation included; nothing of them is kept. Of a large network that takes
    `MEASURED_S` for fewer epochs, these are enough. Several processes train together, and go by what the first has
    memory for and what it measured.
    """
    n = from_first(min(len(stack.runs), fitting_runs(stack, stack.schedule.epochs_per_call)))
    epochs = MEASURED_CALLS + 1
    runs = [replace(run, epochs=epochs, decay_epochs=epochs, patience=None) for run in stack.runs[:n]]
    steps = min(MEASURED_STEPS, stack.schedule.steps)
    schedule = replace(stack.schedule, steps=steps, epochs_per_call=1)
    optimizer, train = compile_training(stack.objective, schedule, stack.layout, stack.augmented)
    layout, params_R = stack.layout, jax.tree.map(lambda a: a[:n], stack.params_R)
    state = layout.put_runs(stack_states(runs, params_R, optimizer))
    inputs, shared = layout.put_runs(stack_inputs(runs)), layout.put_shared(stack.dataset)
    drawn = [np.resize(run.train, (1, steps, schedule.batch_size)) for run in runs]
    rows = layout.put_rows(np.stack(drawn).astype(np.int32))
    state, _ = jax.block_until_ready(train(state, inputs, rows, shared))  # compiles
    passed_ns: list[int] = []
    while len(passed_ns) < MEASURED_CALLS and sum(passed_ns) < 1e9 * MEASURED_S:
        started_ns = time.perf_counter_ns()
        state, _ = jax.block_until_ready(train(state, inputs, rows, shared))
        passed_ns.append(from_first(time.perf_counter_ns() - started_ns))
    return min(passed_ns) / 1e9 / (steps * n)
