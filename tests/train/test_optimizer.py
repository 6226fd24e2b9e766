"""What a gradient becomes: AdamW as optax has it, along a curve whose length is a number of the run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from serjax.train.optimizer import global_norm, make_optimizer, warmup_cosine
from tests.train import tiny

STEPS, WARMUP, CLIP_NORM, RATE = 7, 2, 3.0, 0.05
RNG = np.random.default_rng(0)
PARAMS = {
    "params": {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2), "taps": RNG.normal(size=(3, 1, 2))},
    "batch_stats": {"mean": RNG.normal(size=2)},
}
PARAMS = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), PARAMS)
KERNELS = {"kernel": True, "bias": False, "taps": True}
GRADIENTS = [jax.tree.map(lambda p, s=s: jnp.cos(3.0 * p + s) * (4 if s == 0 else 1), PARAMS) for s in range(9)]


def ends(optimizer, **extra):
    """Return the parameters after each of the gradients."""
    optimizer = optax.with_extra_args_support(optimizer)

    @jax.jit
    def step(params, state, gradient):
        updates, state = optimizer.update(gradient, state, params, gradient_norm=global_norm(gradient), **extra)
        return optax.apply_updates(params, updates), state

    params, state, found = PARAMS, optimizer.init(PARAMS), []
    for gradient in GRADIENTS:
        params, state = step(params, state, gradient)
        found.append(params)
    return found


@pytest.mark.parametrize(
    "tree", [PARAMS, {}, jnp.array(-2.0), {"nan": jnp.array([1.0, jnp.nan])}, jnp.array([1e-30, 2e19, -jnp.inf])]
)
def test_the_norm_is_optax_s(tree):
    np.testing.assert_allclose(jax.jit(global_norm)(tree), optax.tree.norm(tree), rtol=3e-7)


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_updates_are_adamw_of_kernels_alone(decay):
    """Nine steps: through the warm-up, the first one clipped, and beyond the end of the curve."""
    curve = optax.warmup_cosine_decay_schedule(0.0, RATE, WARMUP, STEPS)
    adamw = optax.adamw(curve, weight_decay=decay, mask={"params": KERNELS, "batch_stats": {"mean": False}})
    expected = ends(optax.chain(optax.clip_by_global_norm(CLIP_NORM), adamw))
    found = ends(make_optimizer(STEPS, WARMUP, CLIP_NORM), hyper=tiny.make_hyper(learning_rate=RATE, decay=decay))
    for ours, theirs in zip(found, expected, strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=5e-7), ours, theirs)
    jax.tree.map(np.testing.assert_array_equal, found[-1], found[-2])  # the curve has ended at 0


def test_sgd_decays_beside_its_velocity():
    """`p ← p − lr · curve · (v + λ p)`: what is taken away of a kernel is not in the velocity."""
    hyper = tiny.make_hyper(learning_rate=RATE, decay=0.7)
    sgd = make_optimizer(STEPS, 0, 1e9, "sgd", momentum=0.9)
    plain, decayed = (ends(sgd, hyper=replace(hyper, weight_decay=jnp.array(d)))[0]["params"] for d in (0.0, 0.7))
    shrunk = (1 - RATE * 0.7) * np.asarray(PARAMS["params"]["kernel"])
    moved = np.asarray(plain["kernel"]) - np.asarray(PARAMS["params"]["kernel"])
    np.testing.assert_allclose(decayed["kernel"], shrunk + moved, rtol=0, atol=3e-7)
    np.testing.assert_array_equal(decayed["bias"], plain["bias"])


def test_without_a_norm_gradients_are_taken_as_they_come():
    """As optax's SGD with momentum, whose first gradient here is above any norm that clips in these tests."""
    expected = ends(optax.sgd(optax.warmup_cosine_decay_schedule(0.0, RATE, WARMUP, STEPS), momentum=0.9))
    found = ends(make_optimizer(STEPS, WARMUP, None, "sgd", momentum=0.9), hyper=tiny.make_hyper(learning_rate=RATE))
    clipped = ends(make_optimizer(STEPS, WARMUP, CLIP_NORM, "sgd", 0.9), hyper=tiny.make_hyper(learning_rate=RATE))
    kernels = [np.asarray(one[-1]["params"]["kernel"]) for one in (expected, found, clipped)]
    np.testing.assert_allclose(kernels[1], kernels[0], rtol=1e-5, atol=5e-7)
    assert np.abs(kernels[2] - kernels[0]).max() > 1e-3


@pytest.mark.parametrize("warmup_steps", [0, 5, 20])
def test_each_run_has_the_curve_of_its_own_length(warmup_steps):
    """Several at once, each as optax has it for that length; one shorter than the warm-up ends a step behind it."""
    lengths, steps = (3, 21, 100, 777), jnp.arange(800)
    of_run = jax.vmap(lambda length: jax.vmap(lambda s: warmup_cosine(s, warmup_steps, length))(steps))
    for found, length in zip(jax.jit(of_run)(jnp.array(lengths)), lengths, strict=True):
        curve = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps, max(length, warmup_steps + 1))
        np.testing.assert_allclose(found, jax.jit(jax.vmap(curve))(steps), rtol=0, atol=2e-7)
        assert float(found[max(length, warmup_steps + 1)]) < 1e-6
