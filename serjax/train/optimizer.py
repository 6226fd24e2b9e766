"""From gradients to moves: Adam or SGD, and what a run multiplies and adds by numbers of its own."""

from typing import Literal

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from serjax.train.state import Hyper

OptimizerName = Literal["adam", "sgd"]


def make_optimizer(
    steps: int, warmup_steps: int, clip_norm: float | None, name: OptimizerName = "adam", momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Adam or SGD behind global-norm clipping (None: without), with decoupled weight decay, on a curve over 1 to 0.

    Adam is that of Kingma & Ba (2015), with its own decays. SGD moves by the velocity `v ← momentum · v + g` (Polyak
    1964, as in Sutskever et al. 2013). An epoch has `steps`. Learning rate, weight decay and the length of the curve
    are not in here: they are numbers of the run, so that runs of one stack may differ in them, and each call of
    `update` is given them as `hyper`, and as `gradient_norm` the `global_norm` of what it is given.
    """
    direction = optax.scale_by_adam() if name == "adam" else optax.trace(momentum)
    clip = optax.identity() if clip_norm is None else clip_by_global_norm(clip_norm)
    return optax.chain(clip, direction, scale_by_hyper(steps, warmup_steps))


def clip_by_global_norm(most: float) -> optax.GradientTransformationExtraArgs:
    """Scale `g` to `g · min(1, most / ‖g‖)` by one number (Pascanu et al. 2013), given `‖g‖` as `gradient_norm`.

    optax's own divides element by element, and XLA then writes all scaled gradients out before it uses them.
    """

    def update(
        gradient: chex.ArrayTree,
        state: optax.EmptyState,
        params: chex.ArrayTree | None = None,
        *,
        gradient_norm: Float[Array, ""],
        **_: object,
    ) -> tuple[chex.ArrayTree, optax.EmptyState]:
        factor = jnp.minimum(1.0, most / gradient_norm)
        return jax.tree.map(lambda g: factor * g, gradient), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def global_norm(tree: chex.ArrayTree) -> Float[Array, ""]:
    """`√ Σ x²` over all numbers of all arrays.

    Columns first, and their sums kept apart from the rest: in one sum over all, XLA on CPU adds up one by one.
    """
    squares = (jnp.square(jnp.atleast_1d(leaf)) for leaf in jax.tree.leaves(tree))
    columns = (jax.lax.optimization_barrier(jnp.sum(square, axis=0)) for square in squares)
    return jnp.sqrt(sum(map(jnp.sum, columns), start=jnp.zeros(())))


def scale_by_hyper(steps: int, warmup_steps: int) -> optax.GradientTransformationExtraArgs:
    """Turn the direction `d` of parameters `p` into `−lr · curve(s) · (d + λ p)` (Loshchilov & Hutter 2019, AdamW).

    The weight decay λ acts on kernels alone, which are all that has two axes or more: not on biases, nor on what batch
    norm has. `s` counts the steps that were taken, not those that were refused.
    """

    def update(
        direction: chex.ArrayTree,
        state: optax.ScaleByScheduleState,
        params: chex.ArrayTree | None = None,
        *,
        hyper: Hyper,
        **_: object,
    ) -> tuple[chex.ArrayTree, optax.ScaleByScheduleState]:
        curve = warmup_cosine(state.count, warmup_steps, hyper.decay_epochs * steps)

        def move(d: Float[Array, "*s"], p: Float[Array, "*s"]) -> Float[Array, "*s"]:
            decayed = d + hyper.weight_decay * p if p.ndim > 1 else d
            return -hyper.learning_rate * (curve * decayed)

        count = optax.safe_increment(state.count)
        return jax.tree.map(move, direction, params), optax.ScaleByScheduleState(count)

    return optax.GradientTransformationExtraArgs(
        lambda params: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update
    )


def warmup_cosine(step: Int[Array, ""], warmup_steps: int, total_steps: Int[Array, ""]) -> Float[Array, ""]:
    """`s / W` up to step `W`, then `½ (1 + cos(π (s − W) / (S − W)))` down to 0 at step `S`, and 0 from there on.

    That is `optax.warmup_cosine_decay_schedule`, which takes no traced length; where it is a constant XLA computes
    `x · (π · (1 / (S − W)))`, as here, so that both are the same bit for bit.
    """
    n_decay = jnp.maximum(total_steps - warmup_steps, 1).astype(jnp.float32)
    done = jnp.minimum((step - warmup_steps).astype(jnp.float32), n_decay)
    cosine = 0.5 * (1 + jnp.cos(done * (jnp.pi * (1 / n_decay))))
    return jnp.where(step < warmup_steps, 1 - (1 - step / max(warmup_steps, 1)), cosine)
