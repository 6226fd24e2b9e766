"""Mixing the examples of a batch, and putting changes together."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from serjax.dsp.augment.draws import as_came, check_range
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import Number, ParameterError, as_real, check_number, plain_arguments

Change = Callable[[PRNGKeyArray, Array], Array]


@compiled
def mixup(
    key: PRNGKeyArray, x: Real[ArrayLike, "B *shape"], labels: Real[ArrayLike, "B K"], *, alpha: Number = 0.2
) -> tuple[Float[Array, "B *shape"], Float[Array, "B K"]]:
    """Mix the examples of a batch, and their labels alike: `l x[i] + (1 - l) x[j]` with `l ~ Beta(alpha, alpha)`.

    The one change of a whole batch: `j` is a permutation of it, and each pair has an `l` of its own.

    Args:
      key: random key.
      x: examples, `(B, ...)`.
      labels: one-hot or otherwise a distribution, `(B, classes)`.
      alpha: how much is mixed, at least 0; 0: nothing, 1: every `l` is equally likely.

    Raises:
      ParameterError: `alpha` is negative, or there are not as many labels as examples.

    Source: H. Zhang et al., "mixup: beyond empirical risk minimization", 2018.

    >>> mixed, labels = mixup(jax.random.key(0), jnp.ones((4, 10)), jnp.eye(4))
    >>> labels.sum(axis=1).round(4).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    check_number("alpha", alpha)
    examples, targets = as_real("x", x), as_real("labels", labels)
    if examples.ndim == 0 or examples.shape[:1] != targets.shape[:1]:
        raise ParameterError(f"x has shape {examples.shape}, labels have {targets.shape}: give one label per example.")
    if alpha == 0:
        return as_came(examples, x), as_came(targets, labels)
    share, order = mixing_shares(key, examples.shape[0], jnp.asarray(alpha, examples.dtype))

    def mix(values: Array) -> Array:
        own = share.reshape(share.shape[0], *(1,) * (values.ndim - 1)).astype(values.dtype)
        return own * values + (1.0 - own) * values[order]

    return as_came(mix(examples), x), as_came(mix(targets), labels)


def mixing_shares(key: PRNGKeyArray, n: int, alpha: Float[Array, ""]) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
    """Draw what `n` examples keep of themselves, and whom each is mixed with; `alpha` need not be known when traced."""
    share_key, order_key = jax.random.split(key)
    positive = jnp.where(alpha > 0, alpha, 1.0)
    drawn = jax.random.beta(share_key, positive, positive, (n,), alpha.dtype)
    return jnp.where(alpha > 0, drawn, 1.0), jax.random.permutation(order_key, n)


def compose(*changes: Change) -> Change:
    """Make one change of several, one after the other, each with a key of its own.

    >>> from functools import partial
    >>> from serjax.dsp.augment import gain
    >>> compose(partial(gain, gain_db=20), partial(gain, gain_db=-20))(jax.random.key(0), jnp.ones(1)).round(3).tolist()
    [1.0]
    """

    def composed(key: PRNGKeyArray, x: Array) -> Array:
        for change, one_key in zip(changes, jax.random.split(key, len(changes)), strict=True):
            x = change(one_key, x)
        return x

    return composed


@plain_arguments
def maybe(chance: Number, change: Change) -> Change:
    """Make a change that happens with some chance; it is computed always, and chosen afterwards.

    Raises:
      ParameterError: the chance lies outside 0 to 1.

    >>> from functools import partial
    >>> from serjax.dsp.augment import gain
    >>> maybe(0.0, partial(gain, gain_db=20))(jax.random.key(0), jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    check_range("chance", chance, 0.0, most=1.0)

    def changed(key: PRNGKeyArray, x: Array) -> Array:
        choice_key, change_key = jax.random.split(key)
        happens = jax.random.bernoulli(choice_key, float(chance))
        return jnp.where(happens, change(change_key, x), x)

    return changed


def one_of(*changes: Change) -> Change:
    """Make a change that is one of several, each as likely; all are computed, and one is chosen afterwards.

    Raises:
      ParameterError: there is none to choose from.

    >>> from functools import partial
    >>> from serjax.dsp.augment import gain
    >>> one_of(partial(gain, gain_db=20), partial(gain, gain_db=20))(jax.random.key(0), jnp.ones(1)).round(3).tolist()
    [10.0]
    """
    if not changes:
        raise ParameterError("one_of has nothing to choose from: give at least one change.")

    def changed(key: PRNGKeyArray, x: Array) -> Array:
        choice_key, *keys = jax.random.split(key, 1 + len(changes))
        choice = jax.random.randint(choice_key, (), 0, len(changes))
        return jax.lax.select_n(choice, *(change(one_key, x) for change, one_key in zip(changes, keys, strict=True)))

    return changed
