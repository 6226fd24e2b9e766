"""Logistic regression on the vectors that densities model: the discriminative rival, trained by cross-entropy."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

N_STEPS = 100  # of L-BFGS; the gradient is then below 1e-4 on vectors of 300 numbers


class LogisticRegression(NamedTuple):
    """`score_c = w_c x + b_c`, the log-probability up to a constant of the clip."""

    weight_PK: Float[Array, "P K"]
    bias_K: Float[Array, " K"]

    def __call__(self, x_NP: Float[Array, "N P"]) -> Float[Array, "N K"]:
        """Return the score of each vector for each class."""
        return x_NP @ self.weight_PK + self.bias_K[None]


@partial(jax.jit, static_argnames="n_classes")
def fit_logistic(
    x_NP: Float[Array, "N P"], label_N: Int[Array, " N"], n_classes: int, penalty: Float[ArrayLike, ""]
) -> LogisticRegression:
    """Minimise the mean over classes of `-log p(c | x)` plus `penalty |w|^2 / 2`, by L-BFGS from zeros.

    Args:
      x_NP: training vectors, about standardised.
      label_N: their classes; each class counts alike.
      n_classes: K.
      penalty: weight of the squared weights, above 0; biases are free.
    """
    weight_N = 1 / (n_classes * jnp.bincount(label_N, length=n_classes)[label_N])
    start = LogisticRegression(jnp.zeros((x_NP.shape[1], n_classes)), jnp.zeros(n_classes))

    def loss(model: LogisticRegression) -> Float[Array, ""]:
        entropy_N = optax.softmax_cross_entropy_with_integer_labels(model(x_NP), label_N)
        return (weight_N * entropy_N).sum() + penalty * jnp.square(model.weight_PK).sum() / 2

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(_: Int[Array, ""], carry: tuple[LogisticRegression, optax.OptState]) -> tuple:
        model, state = carry
        value, grad = value_and_grad(model, state=state)
        update, state = solver.update(grad, state, model, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(model, update), state

    return jax.lax.fori_loop(0, N_STEPS, step, (start, solver.init(start)))[0]
