"""What a run carries from step to step, and what it reads: all pytrees, so that runs stack along a leading axis."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

T = TypeVar("T")
BLOCK = 48  # clips that are evaluated at a time, so that memory does not grow with the corpus


def pytree(cls: type[T]) -> type[T]:
    """Register a dataclass of arrays as a pytree that JAX rebuilds without calling `__init__`.

    JAX also fills trees with shapes, axes and markers, which no check of types at construction would let pass
    (`jax.tree_util.register_dataclass` does call it).
    """
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]

    def flatten(tree: T) -> tuple[list[tuple[jax.tree_util.GetAttrKey, object]], None]:
        return [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in names], None

    def unflatten(_: None, children: Iterable[object]) -> T:
        tree = object.__new__(cls)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(tree, name, child)
        return tree

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls


@pytree
@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters that are numbers: an entry of the run axis may differ from its neighbour in each.

    A run stands still after `epochs`, or when its validation loss has not been lower for `patience` of them; its
    learning rate reaches 0 after `decay_epochs`, which may be later. Where there is a `dropout` it takes the place of
    the rate that the model was built with; so do `roll_frames` and `noise` of strengths of pictures' augmentation that
    are not 0, `noise_share` and `shift_samples` of waveforms', and `pictures` of `PictureChanges`. With `ema`, the
    decay of a moving average of the parameters, it is this average that validates and is kept.
    """

    learning_rate: Float[Array, "*r"]
    beta: Float[Array, "*r"]
    epochs: Int[Array, "*r"]
    patience: Int[Array, "*r"]
    decay_epochs: Int[Array, "*r"]
    weight_decay: Float[Array, "*r"]
    dropout: Float[Array, "*r"] | None = None
    roll_frames: Int[Array, "*r"] | None = None
    noise: Float[Array, "*r"] | None = None
    noise_share: Float[Array, "*r"] | None = None
    shift_samples: Int[Array, "*r"] | None = None
    pictures: dict[str, Float[Array, "*r"]] | None = None
    ema: Float[Array, "*r"] | None = None


@pytree
@dataclass(frozen=True)
class Best:
    """The parameters of the epoch with the lowest validation loss so far."""

    params: chex.ArrayTree
    loss: Float[Array, "*r"]
    epoch: Int[Array, "*r"]


@pytree
@dataclass(frozen=True)
class TrainState:
    """One run in training; `rejected` counts the non-finite steps in a row that were refused.

    It is 1 at least after an epoch whose validation loss is not finite: 0 in the end means that the run ended well.

    The root key is held as its words, which can be chosen between, saved and sent like any other numbers.
    """

    step: Int[Array, "*r"]
    epoch: Int[Array, "*r"]
    params: chex.ArrayTree
    opt_state: optax.OptState
    key_data: UInt32[Array, "*r W"]
    hyper: Hyper
    best: Best
    rejected: Int[Array, "*r"]
    averaged: chex.ArrayTree | None = None

    @property
    def kept(self) -> chex.ArrayTree:
        """What validates and is kept: the parameters, or their moving average."""
        return self.params if self.averaged is None else self.averaged

    @property
    def trains(self) -> Bool[Array | np.ndarray, "*r"]:
        """Whether the run goes on, or stands still."""
        return (self.epoch < self.hyper.epochs) & (self.epoch - self.best.epoch < self.hyper.patience)

    @property
    def step_key(self) -> Key[Array, ""]:
        """The key of the coming step of one run."""
        return jax.random.fold_in(jax.random.wrap_key_data(self.key_data), self.step)


@pytree
@dataclass(frozen=True)
class Sound:
    """The waveforms of clips, zero behind the first `n_valid` samples; there where training augments them."""

    wav_NL: Float[Array | np.ndarray, "*d N L"]
    n_valid_N: Int[Array | np.ndarray, "*d N"]


@pytree
@dataclass(frozen=True)
class Dataset:
    """Clips in feature units, all of the corpus or those of a window; `mask` is 1 in frames with sound of the file."""

    x_NTC: Float[Array | np.ndarray, "*d N T C"]
    mask_NT: Float[Array | np.ndarray, "*d N T"]
    label_N: Int[Array | np.ndarray, "*d N"]
    sound: Sound | None = None


@pytree
@dataclass(frozen=True)
class RunInputs:
    """What a run reads beside its index stream: its fold's normaliser `(x − shift) / scale` and validation rows.

    Shorter validation sets are padded with row 0 at weight 0. A clip counts with the weight of its class. Where there
    is a projection, normalised frames are multiplied by it.
    """

    shift_C: Float[Array, "*r C"]
    scale_C: Float[Array, "*r C"]
    class_weight_K: Float[Array, "*r K"]
    projection_CP: Float[Array, "*r C P"] | None
    validation_V: Int[Array, "*r V"]
    validation_weight_V: Float[Array, "*r V"]


@pytree
@dataclass(frozen=True)
class Batch:
    """Normalised clips of one step; masked frames are 0, padding has weight 0 and nothing but masked frames."""

    x_BTC: Float[Array, "B T C"]
    mask_BT: Float[Array, "B T"]
    label_B: Int[Array, " B"]
    weight_B: Float[Array, " B"]


def gather(dataset: Dataset, inputs: RunInputs, rows_B: Int[Array, " B"], weight_B: Float[Array, " B"]) -> Batch:
    """Take rows of the data set, normalised as the run's fold says."""
    return normalise(dataset.x_NTC[rows_B], dataset.mask_NT[rows_B], dataset.label_N[rows_B], inputs, weight_B)


def normalise(
    x_BTC: Float[Array, "B T C"],
    mask_BT: Float[Array, "B T"],
    label_B: Int[Array, " B"],
    inputs: RunInputs,
    weight_B: Float[Array, " B"],
) -> Batch:
    """Make a batch of features in the units of the front end; what has no weight is 0, whatever it was.

    Chosen and not multiplied, so that a clip that is not finite spoils only the batches that it belongs to, and not
    every batch that is padded with it.
    """
    mask_BT = jnp.where(weight_B[:, None] > 0, mask_BT, 0.0)
    x_BTC = (x_BTC - inputs.shift_C[None, None, :]) / inputs.scale_C[None, None, :]
    if inputs.projection_CP is not None:
        x_BTC = jnp.einsum("btc,cp->btp", x_BTC, inputs.projection_CP, precision="highest")
    return Batch(
        x_BTC=jnp.where(mask_BT[..., None] > 0, x_BTC, 0.0),
        mask_BT=mask_BT,
        label_B=label_B,
        weight_B=weight_B * inputs.class_weight_K[label_B],
    )


def init_state(
    params: chex.ArrayTree, optimizer: optax.GradientTransformation, key: Key[Array, ""], hyper: Hyper
) -> TrainState:
    """Return the state before the first step."""
    zero = jnp.zeros((), jnp.int32)
    best = Best(params=params, loss=jnp.array(jnp.inf), epoch=zero)
    return TrainState(
        step=zero,
        epoch=zero,
        params=params,
        opt_state=optimizer.init(params),
        key_data=jax.random.key_data(key),
        hyper=hyper,
        best=best,
        rejected=zero,
        averaged=None if hyper.ema is None else params,
    )


def gather_all(dataset: Dataset, inputs: RunInputs, rows_B: Int[Array, " B"]) -> Batch:
    """Take rows of the data set, all of which count."""
    return gather(dataset, inputs, rows_B, jnp.ones(rows_B.shape))


def in_blocks(function: Callable, tree: chex.ArrayTree) -> chex.ArrayTree:
    """Apply `function` to blocks of the leading axis, one after another."""
    n = jax.tree.leaves(tree)[0].shape[0]
    short = -n % min(BLOCK, n)

    def cut(a: Array) -> Array:
        return jnp.concatenate([a, a[:short]]).reshape(-1, min(BLOCK, n), *a.shape[1:])

    blocked = jax.lax.map(function, jax.tree.map(cut, tree))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], blocked)
