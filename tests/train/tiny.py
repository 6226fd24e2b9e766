"""A problem that trains in seconds: 40 clips of 12 frames and 4 coefficients, three runs that differ in everything."""

from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from serjax.models import VAE, Autoencoder
from serjax.train.loop import Schedule, index_blocks
from serjax.train.objectives import AutoencoderObjective, PictureAugmentation, VaeObjective
from serjax.train.optimizer import make_optimizer
from serjax.train.parallel import Layout
from serjax.train.record import History
from serjax.train.runs import Run, fit_normaliser, stack_inputs, stack_states
from serjax.train.shares import Stage
from serjax.train.state import Dataset, Hyper, RunInputs, TrainState
from tests.reference.vae import Params, random_params

N, T, C = 40, 12, 4
AUGMENTATION = PictureAugmentation(roll_frames=2, noise=0.1)
OBJECTIVE = VaeObjective(VAE(T, C, latent_dim=8, hidden=(16,)), AUGMENTATION)
AUTOENCODER = AutoencoderObjective(Autoencoder(T, C, latent_dim=8, hidden=(16,)), AUGMENTATION)
EPOCHS = 5
SCHEDULE = Schedule(batch_size=6, steps=3, warmup_steps=3, clip_norm=1.0, max_rejected=4)


def make_dataset() -> Dataset:
    """Return smooth pictures with a different level in each coefficient, the last frames of most clips masked."""
    rng = np.random.default_rng(0)
    time_T, phase_NC = np.arange(T)[None, :, None], rng.uniform(0, 6, (N, 1, C))
    x_NTC = np.sin(0.6 * time_T + phase_NC) * [8.0, 4.0, 2.0, 1.0] + [-20.0, 5.0, 0.0, 1.0]
    mask_NT = (np.arange(T)[None, :] < rng.integers(6, T + 1, N)[:, None]).astype(np.float32)
    noise_NTC = 0.3 * rng.normal(size=(N, T, C))
    return Dataset(jnp.asarray(x_NTC + noise_NTC, jnp.float32), jnp.asarray(mask_NT), jnp.arange(N) % 3)


DATASET = make_dataset()


def make_runs(n: int = 3, epochs: int = EPOCHS, learning_rate: float = 3e-3) -> list[Run]:
    """Return runs of different rows, seeds, learning rates and β; training sets of 15, 13, 11 … clips."""
    runs = []
    for r in range(n):
        train, validation = np.arange(r, 15 - r), np.arange(20 + r, 26)
        shift_C, scale_C = fit_normaliser(np.asarray(DATASET.x_NTC), np.asarray(DATASET.mask_NT), train)
        numbers = (learning_rate / (1 + r), 0.5 + r, epochs, epochs, np.ones(3, np.float32))
        runs.append(Run(r % 2, f"fold{r // 2}", f"emotion{r}", train, validation, shift_C, scale_C, *numbers))
    return runs


def make_hyper(learning_rate: float = 0.1, beta: float = 1.0, epochs: int = 9, decay: float = 0.0) -> Hyper:
    """Return the numbers of one run whose learning rate reaches 0 after one epoch; `decay` is that of weights."""
    stops = jnp.array(epochs)
    return Hyper(jnp.array(learning_rate), jnp.array(beta), stops, stops, jnp.array(1), jnp.array(decay))


def make_params(runs: list[Run], objective: VaeObjective = OBJECTIVE) -> Params:
    """Return the parameters that each run starts from, stacked; from NumPy, so that nothing is compiled for them."""
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    return jax.tree.map(lambda *a: np.stack(a), *[random_params(shapes, seed=run.entropy[2]) for run in runs])


def make_state(runs: list[Run]) -> TrainState:
    """Return the stacked states of `runs` before the first step."""
    return stack_states(runs, make_params(runs), make_optimizer(1, 0, 1.0))


def lay(layout: Layout, runs: list[Run], state: TrainState) -> tuple[TrainState, RunInputs, Dataset]:
    """Return what the compiled stack takes beside its rows: state, inputs and data, on the devices."""
    return layout.put_runs(state), layout.put_runs(stack_inputs(runs)), layout.put_shared(DATASET)


def make_rows(runs: list[Run], schedule: Schedule, n_epochs: int, first: int = 0) -> Int[np.ndarray, "R E S B"]:
    """Return the rows of some epochs of a stack."""
    blocks = index_blocks(runs, schedule)
    return np.stack([blocks[first + e] for e in range(n_epochs)], axis=1)


def make_stage(folder: Path, save_every_s: float = 0.0) -> Stage:
    folder.mkdir(parents=True, exist_ok=True)
    history = History(folder / "history.jsonl")
    return Stage("train", folder / "checkpoints", history, "tiny", save_every_s, report=lambda epoch, loss: None)


def leaves_equal(a: chex.ArrayTree, b: chex.ArrayTree) -> bool:
    """Whether two trees are the same bit for bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y), equal_nan=True) for x, y in pairs)
