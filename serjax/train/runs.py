"""The stack of runs: what a study trains, on which rows, from which seeds, as arrays with a leading run axis."""

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import chex
import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, Num, UInt32

from serjax.train.state import Hyper, RunInputs, TrainState, init_state
from serjax.train.step import Objective


@dataclass(frozen=True, eq=False)
class Run:
    """One model to be trained: its place in the study, its rows and its numbers.

    It is trained for `epochs`, or until its validation loss has not been lower for `patience` of them, along a
    learning-rate curve that ends after `decay_epochs`. With the class of each training row, rows are drawn so that
    classes come equally often. Without a dropout rate it has that of the model, without strengths of augmentation
    those of the objective.
    """

    seed: int
    fold: str
    emotion: str
    train: Int[np.ndarray, " n"]
    validation: Int[np.ndarray, " v"]
    shift_C: Float[np.ndarray, " C"]
    scale_C: Float[np.ndarray, " C"]
    learning_rate: float
    beta: float
    epochs: int
    decay_epochs: int
    class_weight_K: Float[np.ndarray, " K"]
    projection_CP: Float[np.ndarray, "C P"] | None = None
    train_class_n: Int[np.ndarray, " n"] | None = None
    weight_decay: float = 0.0
    patience: int | None = None
    dropout: float | None = None
    roll_frames: int | None = None
    noise: float | None = None
    noise_share: float | None = None
    shift_samples: int | None = None
    pictures: dict[str, float] | None = None
    ema: float | None = None

    @property
    def entropy(self) -> tuple[int, ...]:
        """The run's own seed numbers: from what it is, not from where in the stack it stands."""
        return (self.seed, zlib.crc32(self.fold.encode()), zlib.crc32(self.emotion.encode()))

    @property
    def name(self) -> dict[str, str | int]:
        """What names the run in the history."""
        return {"seed": self.seed, "fold": self.fold, "emotion": self.emotion}

    @property
    def title(self) -> str:
        """What names the run in an error."""
        return ", ".join(f"{what} {value}" for what, value in self.name.items())


def n_epochs(runs: Sequence[Run]) -> int:
    """Return after how many epochs the learning rate of the last of the runs is 0."""
    return max(run.decay_epochs for run in runs)


def fit_normaliser(
    x_NTC: Float[np.ndarray, "N T C"], mask_NT: Float[np.ndarray, "N T"], rows: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Return mean and standard deviation of each coefficient over the valid frames of `rows` (training rows only)."""
    x_MC = x_NTC[rows][mask_NT[rows] > 0].astype(np.float64)
    scale_C = np.maximum(x_MC.std(axis=0), 1e-6)
    return x_MC.mean(axis=0).astype(np.float32), scale_C.astype(np.float32)


def fit_projections(
    x_NTC: Float[np.ndarray, "N T C"], mask_NT: Float[np.ndarray, "N T"], runs: Sequence[Run], variance: float
) -> list[Float[np.ndarray, "C P"]]:
    """Return for each run the principal axes that hold a share of the variance of its normalised training frames.

    Runs that need fewer axes than another get axes of zeros, so that all have as many (Jolliffe 2002): how wide a
    network is, and so where it starts, depends on the runs it is trained with.
    """
    bases = [_principal_axes((x_NTC[r.train][mask_NT[r.train] > 0] - r.shift_C) / r.scale_C, variance) for r in runs]
    width = max(basis_CP.shape[1] for basis_CP in bases)
    return [np.pad(basis_CP, ((0, 0), (0, width - basis_CP.shape[1]))) for basis_CP in bases]


def _principal_axes(x_MC: Float[np.ndarray, "M C"], variance: float) -> Float[np.ndarray, "C P"]:
    """Return the fewest axes whose share of the variance reaches `variance`, the widest first."""
    _, widths, axes = np.linalg.svd(x_MC.astype(np.float64) - x_MC.mean(axis=0), full_matrices=False)
    held = np.cumsum(widths**2) / np.sum(widths**2)
    return axes[: int(np.searchsorted(held, variance)) + 1].T.astype(np.float32)


def stack_inputs(runs: Sequence[Run]) -> RunInputs:
    """Return what the runs read, stacked; validation sets are padded to the longest."""
    longest = max(1, *(len(run.validation) for run in runs))
    rows_RV = np.zeros((len(runs), longest), np.int32)
    weight_RV = np.zeros((len(runs), longest), np.float32)
    for r, run in enumerate(runs):
        rows_RV[r, : len(run.validation)] = run.validation
        weight_RV[r, : len(run.validation)] = 1.0
    return RunInputs(
        shift_C=stack_arrays([run.shift_C for run in runs]),
        scale_C=stack_arrays([run.scale_C for run in runs]),
        class_weight_K=stack_arrays([run.class_weight_K for run in runs]),
        projection_CP=stack_given([run.projection_CP for run in runs]),
        validation_V=jax.device_put(rows_RV),
        validation_weight_V=jax.device_put(weight_RV),
    )


def stack_arrays(
    arrays: Sequence[Num[np.ndarray, "*s"] | int | float], dtype: type[np.number] = np.float32
) -> Num[Array, "R *s"]:
    """Return arrays or numbers of the runs, stacked by NumPy: `jnp.stack` compiles a program for every length."""
    return jax.device_put(np.asarray(arrays, dtype))


def stack_given(
    values: Sequence[Float[np.ndarray, "*s"] | int | float | None], dtype: type[np.number] = np.float32
) -> Num[Array, "R *s"] | None:
    """Return what the runs have been given, stacked; None where they have been given none."""
    given = [value for value in values if value is not None]
    return stack_arrays(given, dtype) if given else None


def init_params(runs: Sequence[Run], objective: Objective) -> chex.ArrayTree:
    """Return fresh parameters of every run, stacked on the host: a function of the run alone.

    One run after another: the batched QR decompositions of several orthogonal matrices at once never end on CPU.
    """
    one = _compile_init(objective)
    params = [jax.device_get(one(entropy_E)) for entropy_E in _entropy(runs)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *params)


def stack_states(runs: Sequence[Run], params_R: chex.ArrayTree, optimizer: optax.GradientTransformation) -> TrainState:
    """Return the states before the first step, stacked on the host; each run starts from its `params_R`."""
    return jax.device_get(_compile_start(optimizer)(_entropy(runs), params_R, stack_hyper(runs)))


def stack_hyper(runs: Sequence[Run]) -> Hyper:
    """Return the numbers of the runs, stacked."""
    return Hyper(
        learning_rate=stack_arrays([run.learning_rate for run in runs]),
        beta=stack_arrays([run.beta for run in runs]),
        epochs=stack_arrays([run.epochs for run in runs], np.int32),
        patience=stack_arrays([run.epochs if run.patience is None else run.patience for run in runs], np.int32),
        decay_epochs=stack_arrays([run.decay_epochs for run in runs], np.int32),
        weight_decay=stack_arrays([run.weight_decay for run in runs]),
        dropout=stack_given([run.dropout for run in runs]),
        roll_frames=stack_given([run.roll_frames for run in runs], np.int32),
        noise=stack_given([run.noise for run in runs]),
        noise_share=stack_given([run.noise_share for run in runs]),
        shift_samples=stack_given([run.shift_samples for run in runs], np.int32),
        pictures=stack_strengths([run.pictures for run in runs if run.pictures is not None]),
        ema=stack_given([run.ema for run in runs]),
    )


def stack_strengths(of_runs: Sequence[dict[str, float]]) -> dict[str, Float[Array, "R"]] | None:
    """Return the strengths of the runs, stacked by name; None where they have been given none."""
    return {name: stack_arrays([own[name] for own in of_runs]) for name in of_runs[0]} if of_runs else None


@functools.cache
def _compile_init(objective: Objective) -> Callable:
    """Compile fresh parameters of a run, once for equal objectives."""
    return jax.jit(lambda entropy_E: objective.init(_key(entropy_E, 0)))


@functools.cache
def _compile_start(optimizer: optax.GradientTransformation) -> Callable:
    """Compile the states before the first step, of as many runs as there are."""

    def one(entropy_E: UInt32[Array, " E"], params: chex.ArrayTree, hyper: Hyper) -> TrainState:
        return init_state(params, optimizer, _key(entropy_E, 1), hyper)

    return jax.jit(jax.vmap(one))


def _entropy(runs: Sequence[Run]) -> UInt32[np.ndarray, "R E"]:
    return np.array([run.entropy for run in runs], np.uint32)


def _key(entropy_E: UInt32[Array, " E"], purpose: int) -> Key[Array, ""]:
    seed, *place = entropy_E
    return functools.reduce(jax.random.fold_in, [*place, purpose], jax.random.key(seed))
