"""Time one training step of networks on pictures of 108 frames × 20 MFCC, batch 32: ours and PyTorch's.

    python -m scripts.bench_train [--devices 2] [--stacking map] [--repeats 5] [--networks VAE CNN LSTM]

*ours* is a stack of runs over the devices, compiled as every experiment trains it: augmentation, clipping, the guard
against what is not finite, and metrics. After every 32 steps there is a validation on 128 clips, and the best
parameters so far are kept. A call has two such epochs. *bare* is the same stack without what stands after augmentation.
*PyTorch* (`scripts/torch_peers.py`) trains one network with the same layers, augmentation, loss, clipping and Adam, on
as many threads as it chooses, and does not validate; *fused* is the same with Adam as one kernel, which has to be asked
for.

Milliseconds per step and run: the time of a call over runs × steps. The LSTM is two layers, 64 and 32 wide, and a dense
layer of 64 (`lstm_mfcc --filters`). "-bfloat16" is with `--formulation bfloat16`, and PyTorch's autocast. Everything is
called once, then in turn in this process, so that what else the machine does falls on all alike; the table gives
medians, and the median of the turns' ratios. Without PyTorch (`pip install -e ".[bench]"`) ours stand alone.
"""

import importlib.util
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jaxtyping import Array, Float, Int
from rich.console import Console
from rich.table import Table

from serjax.dsp import LogMel
from serjax.experiments import cnn_logmel
from serjax.models import VAE
from serjax.models.cnn import CNN
from serjax.models.cnn_lstm import TimeDistributed
from serjax.models.convolution import Formulation
from serjax.models.mlp import MLP
from serjax.provenance import program
from serjax.train.loop import Schedule, compile_training, index_blocks
from serjax.train.objectives import ClassifierObjective, PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout, Stacking, request_devices
from serjax.train.pictures import ClassifierChanges
from serjax.train.runs import Run, init_params, stack_inputs, stack_states
from serjax.train.state import Batch, Dataset, RunInputs, TrainState, gather
from serjax.train.step import TrainEpochs
from serjax.train.waveforms import AugmentedFeatures, WaveformAugmentation

N_CLIPS, FRAMES, N_MFCC, N_CLASSES = 1440, 108, 20, 8
CLIP_NORM = 1.0
SCHEDULE = Schedule(batch_size=32, steps=32, warmup_steps=20, clip_norm=CLIP_NORM, max_rejected=20)
EPOCHS = 10_000  # more than any call reaches
EPOCHS_A_CALL = 2
STEPS_A_CALL = SCHEDULE.steps * EPOCHS_A_CALL
Name = Literal["VAE", "CNN", "LSTM", "dense", "logmel", "logmel-bfloat16"]
Call = Callable[[], None]


@dataclass(frozen=True)
class Network:
    """What is trained, how many runs of it make a stack, and the largest ratio to PyTorch that we ask of it."""

    objective: VaeObjective | ClassifierObjective
    n_runs: int
    most: float
    changes: ClassifierChanges = field(default_factory=ClassifierChanges)

    @property
    def picture(self) -> tuple[int, int]:
        """How many frames and coefficients a picture has."""
        shape = self.objective if isinstance(self.objective, ClassifierObjective) else self.objective.model
        return shape.frames, shape.n_features

    @property
    def augmented(self) -> AugmentedFeatures | None:
        """What moves pictures before they are normalised."""
        frames, n_mels = self.picture
        frontend = LogMel(frames=frames, n_mels=n_mels)
        return (
            AugmentedFeatures(WaveformAugmentation(), frontend, pictures=self.changes) if self.changes.moves else None
        )


def classifier(model: CNN | TimeDistributed | MLP) -> ClassifierObjective:
    """Return the training of a classifier of these pictures."""
    return ClassifierObjective(model, PictureAugmentation(), FRAMES, N_MFCC)


def log_mel(formulation: Formulation, most: float) -> Network:
    """Return `serjax.experiments.cnn_logmel` as it is by default, without its averaged weights."""
    config = cnn_logmel.Config()
    frontend, augmentation = config.features.frontend(), PictureAugmentation(config.training.roll_frames)
    shape = frontend.n_frames, frontend.n_features
    model = replace(config.model, formulation=formulation).build(N_CLASSES)
    objective = ClassifierObjective(model, augmentation, *shape, config.pictures)
    return Network(objective, n_runs=2, most=most, changes=config.pictures)


NETWORKS: dict[Name, Network] = {
    "VAE": Network(VaeObjective(VAE(FRAMES, N_MFCC), PictureAugmentation()), n_runs=4, most=0.5),
    "CNN": Network(classifier(CNN(N_CLASSES)), n_runs=2, most=1.0),
    "LSTM": Network(classifier(TimeDistributed(N_CLASSES, filters=())), n_runs=2, most=1.0),
    "dense": Network(classifier(MLP(N_CLASSES, pooling="statistics")), n_runs=8, most=1.0),
    "logmel": log_mel("im2col", most=1.0),
    "logmel-bfloat16": log_mel("bfloat16", most=2.0),
}


def make_dataset(frames: int = FRAMES, n_features: int = N_MFCC) -> Dataset:
    """Return noise as many as the clips of RAVDESS, every frame valid."""
    rng = np.random.default_rng(0)
    x_NTC = jnp.asarray(rng.normal(size=(N_CLIPS, frames, n_features)), jnp.float32)
    return Dataset(x_NTC, jnp.ones((N_CLIPS, frames)), jnp.asarray(rng.integers(0, N_CLASSES, N_CLIPS), jnp.int32))


def make_runs(n: int, n_features: int = N_MFCC) -> list[Run]:
    """Return runs that train on 1 024 clips each and validate on 128."""
    rng = np.random.default_rng(0)
    shift_C, scale_C = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
    rows = [rng.permutation(N_CLIPS).astype(np.int32) for _ in range(n)]
    numbers = (shift_C, scale_C, 1e-3, 0.1, EPOCHS, EPOCHS, np.ones(N_CLASSES, np.float32))
    return [Run(0, str(r), "all", rows[r][:1_024], rows[r][1_024:1_152], *numbers) for r in range(n)]


def make_bare_epochs(network: Network, optimizer: optax.GradientTransformation) -> TrainEpochs:
    """Return the epochs with nothing in the step that a gradient step does not need."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key_data), state.step)

        def mean_loss(params: chex.ArrayTree) -> tuple[Float[Array, ""], chex.ArrayTree]:
            loss_B, _, collections = network.objective.loss(params, batch, key, state.hyper)
            return jnp.mean(loss_B), collections

        (loss, collections), gradient = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradient, state.opt_state)
        params = {**optax.apply_updates(state.params, updates), **collections}
        return replace(state, step=state.step + 1, params=params, opt_state=opt_state), {"loss": loss}

    def epochs(
        state: TrainState, inputs: RunInputs, rows_ESB: Int[Array, "E S B"], n_epochs: Int[Array, ""], dataset: Dataset
    ) -> tuple[TrainState, dict[str, Float[Array, "E S"]]]:
        def one(state: TrainState, rows_B: Int[Array, " B"]) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
            return step(state, gather(dataset, inputs, rows_B, jnp.ones(rows_B.shape)))

        return jax.lax.scan(lambda state, rows_SB: jax.lax.scan(one, state, rows_SB), state, rows_ESB)

    return epochs


def ours(network: Network, layout: Layout, dataset: Dataset, bare: bool) -> Call:
    """Return a call that trains the stack for one block of epochs and waits for it."""
    if bare:
        optimizer = optax.adam(1e-3)
        train = layout.train(make_bare_epochs(network, optimizer))
    else:
        optimizer, train = compile_training(network.objective, SCHEDULE, layout, network.augmented)
    runs = make_runs(network.n_runs, network.picture[1])
    shared, inputs = layout.put_shared(dataset), layout.put_runs(stack_inputs(runs))
    state = layout.put_runs(stack_states(runs, init_params(runs, network.objective), optimizer))
    blocks = index_blocks(runs, SCHEDULE)
    rows = layout.put_rows(np.stack([blocks[e] for e in range(EPOCHS_A_CALL)], axis=1))
    n_epochs = layout.put_shared(np.int32(EPOCHS_A_CALL))

    def call() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(train(state, inputs, rows, n_epochs, shared))

    return call


def make_calls(name: Name, layout: Layout, dataset: Dataset) -> dict[str, Call]:
    """Return what takes turns: each trains as many steps in all as the stack of ours."""
    network = NETWORKS[name]
    calls = {"ours": ours(network, layout, dataset, bare=False), "bare": ours(network, layout, dataset, bare=True)}
    if importlib.util.find_spec("torch"):
        from scripts.torch_peers import Training

        x_NTC, label_N = np.asarray(dataset.x_NTC), np.asarray(dataset.label_N)
        rows_SB = np.random.default_rng(1).integers(0, N_CLIPS, (network.n_runs * STEPS_A_CALL, SCHEDULE.batch_size))
        calls |= {
            label: Training(name, x_NTC, label_N, CLIP_NORM, fused).steps(rows_SB)
            for label, fused in (("PyTorch", False), ("fused", True))
        }
    return calls


def take_turns(calls: dict[str, Call], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every call of each."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            time.sleep(0.1)  # threads of the one before may still wait in a loop for more work
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the median of the ratios of two that took turns."""
    return f"{statistics.median(a / b for a, b in zip(above, below, strict=True)):.2f}"


def describe(devices: Sequence[jax.Device]) -> str:
    """Return on what, and with which versions, it was measured."""
    text = f"{len(devices)} {devices[0].device_kind} device(s), jax {jax.__version__}"
    if importlib.util.find_spec("torch"):
        import torch

        text += f", torch {torch.__version__} with {torch.get_num_threads()} thread(s)"
    return text


def main(
    devices: int | None = None,
    stacking: Stacking = "map",
    repeats: int = 5,
    networks: tuple[Name, ...] = ("VAE", "CNN", "LSTM"),
) -> None:
    """Print milliseconds per step and run, and ratios."""
    layout = Layout(tuple(request_devices(devices)), stacking=stacking)
    columns = ("ours", "bare", "PyTorch", "fused")
    table = Table("network", *columns, "ours / PyTorch", "at most", "ours / fused", "ours / bare")
    table.title = f"ms per step and run, batch 32, {describe(layout.devices)}, stacking {stacking}"
    for name in networks:
        dataset = make_dataset(*NETWORKS[name].picture)
        seconds = take_turns(make_calls(name, layout, dataset), repeats)
        per_step = 1e3 / (NETWORKS[name].n_runs * STEPS_A_CALL)
        cells = [f"{per_step * statistics.median(seconds[c]):.2f}" if c in seconds else "" for c in columns]
        ratios = {c: ratio(seconds["ours"], seconds[c]) for c in columns if c in seconds}
        most = f"{NETWORKS[name].most:.1f}"
        table.add_row(name, *cells, ratios.get("PyTorch", ""), most, ratios.get("fused", ""), ratios["bare"])
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main, prog=shlex.join(program()), description=__doc__)
