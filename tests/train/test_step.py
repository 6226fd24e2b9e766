"""One step: frozen first values, Adam from the papers, padding, non-finite batches, keys."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scripts.golden_train import GOLDEN, OBJECTIVES, first_step
from serjax.models.batch_axis import example_keys
from serjax.train.optimizer import make_optimizer
from serjax.train.state import Batch, gather, init_state
from serjax.train.step import make_train_step, remember_best
from tests.reference import train as reference
from tests.train import tiny


class GivenGradient:
    """A loss `Σ params · x` whose gradient in the parameters is the weighted mean of the clips."""

    def init(self, key):
        raise NotImplementedError

    def loss(self, params, batch, key, hyper):
        loss_B = jnp.sum(params["w"][None] * batch.x_BTC, axis=(1, 2))
        counted = {"count": params["count"] + 1}
        return loss_B, {"key": jax.random.uniform(example_keys(key, len(loss_B))[0]) * jnp.ones_like(loss_B)}, counted

    def validation_loss(self, params, batch, hyper):
        return jnp.sum(params["w"][None] * batch.x_BTC, axis=(1, 2))


RNG = np.random.default_rng(0)
WARMUP, TOTAL = 2, 6
PARAMS_TC = RNG.normal(size=(3, 2)).astype(np.float32)
X_SBTC = RNG.normal(size=(8, 4, 3, 2)).astype(np.float32)
X_SBTC[0] *= 5  # clipped, the others are not
OPTIMIZER = make_optimizer(TOTAL, WARMUP, clip_norm=2.0)
SGD = make_optimizer(TOTAL, WARMUP, 2.0, "sgd", momentum=0.7)
HYPER = tiny.make_hyper(learning_rate=0.05)


def compile_step(optimizer):
    step = make_train_step(GivenGradient(), optimizer)
    return jax.jit(jax.vmap(step, in_axes=(None, 0), out_axes=None, axis_name="data"))


STEP = compile_step(OPTIMIZER)


def state(optimizer=OPTIMIZER):
    params = {"w": jnp.asarray(PARAMS_TC), "count": jnp.zeros(())}
    return init_state(params, optimizer, jax.random.key(0), HYPER)


def batch(x_BTC, weight_B=(1.0, 1.0, 1.0, 1.0), shares=1):
    """Return a batch of full clips cut into `shares` along a new leading axis."""
    weight_B = jnp.asarray(weight_B, jnp.float32)
    whole = Batch(jnp.asarray(x_BTC), jnp.ones(x_BTC.shape[:2]), jnp.zeros(len(weight_B), jnp.int32), weight_B)
    return jax.tree.map(lambda a: a.reshape(shares, -1, *a.shape[1:]), whole)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_first_step_is_the_frozen_one(name):
    frozen = json.loads(GOLDEN.read_text())[name]
    found = first_step(OBJECTIVES[name])
    assert found.keys() == frozen.keys()
    for quantity, value in found.items():
        np.testing.assert_allclose(value, frozen[quantity], rtol=1e-5, err_msg=quantity)  # measured 0


def test_steps_equal_adam_in_float64():
    """Eight steps: through the warm-up, clipped and not, and beyond the end of the curve."""
    expected = reference.adam(PARAMS_TC, X_SBTC.astype(np.float64).mean(axis=1), 0.05, 2.0, WARMUP, TOTAL)
    now = state()
    for s, (x_BTC, params) in enumerate(zip(X_SBTC, expected, strict=True)):
        before = np.asarray(now.params["w"])
        now, metrics = STEP(now, batch(x_BTC))
        np.testing.assert_allclose(now.params["w"], params, rtol=0, atol=3e-6)  # measured 9e-7
        np.testing.assert_allclose(metrics["loss"], (before[None] * x_BTC).sum(axis=(1, 2)).mean(), rtol=1e-5)
        gradient_norm = np.linalg.norm(x_BTC.astype(np.float64).mean(axis=0))
        np.testing.assert_allclose(metrics["gradient_norm"], gradient_norm, rtol=1e-6)  # before clipping
        assert int(now.step) == s + 1
    assert np.abs(expected[-1] - PARAMS_TC).max() > 0.05
    np.testing.assert_array_equal(expected[-1], expected[-2])  # the curve has ended at 0


def test_steps_equal_sgd_with_momentum_in_float64():
    expected = reference.sgd(PARAMS_TC, X_SBTC.astype(np.float64).mean(axis=1), 0.05, 0.7, 2.0, WARMUP, TOTAL)
    now, step = state(SGD), compile_step(SGD)
    for x_BTC, params in zip(X_SBTC, expected, strict=True):
        now, _ = step(now, batch(x_BTC))
        np.testing.assert_allclose(now.params["w"], params, rtol=0, atol=1e-6)
    assert np.abs(expected[-1] - PARAMS_TC).max() > 0.05
    refused, _ = step(state(SGD), batch(np.full_like(X_SBTC[0], np.nan)))
    assert tiny.leaves_equal(refused.opt_state, state(SGD).opt_state)  # a refused step gives no velocity


def test_adam_is_what_is_meant_unless_said_otherwise():
    named = make_optimizer(TOTAL, WARMUP, 2.0, "adam", momentum=0.1)  # which is none of Adam's business
    after, _ = STEP(state(), batch(X_SBTC[1]))
    again, _ = compile_step(named)(state(named), batch(X_SBTC[1]))
    assert tiny.leaves_equal(after, again)


def test_loss_and_gradient_are_means_over_real_rows():
    """Uneven weights over two shares: a mean of the shares' means would be another number."""
    weight_B = np.array([1.0, 1.0, 1.0, 0.0])
    x_BTC = X_SBTC[1].copy()
    _, metrics = STEP(state(), batch(x_BTC, weight_B, shares=2))
    x_BTC[3] = 1e3
    padded, again = STEP(state(), batch(x_BTC, weight_B, shares=2))
    rows = (PARAMS_TC[None] * X_SBTC[1][:3]).sum(axis=(1, 2))
    np.testing.assert_allclose(metrics["loss"], rows.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["gradient_norm"], np.linalg.norm(X_SBTC[1][:3].mean(axis=0)), rtol=1e-6)
    assert tiny.leaves_equal(metrics, again)
    assert np.isfinite(padded.params["w"]).all()


def test_padding_and_masked_frames_are_zero_whatever_the_clip_holds():
    """Padding gathers clip 0: that one must not spoil every padded batch if it is not finite."""
    x_NTC = tiny.DATASET.x_NTC.at[0].set(jnp.nan).at[5, 7:].set(jnp.inf)
    broken = replace(tiny.DATASET, x_NTC=x_NTC, mask_NT=tiny.DATASET.mask_NT.at[5, 7:].set(0))
    inputs = jax.tree.map(lambda a: jnp.asarray(a[0]), tiny.stack_inputs(tiny.make_runs(1)))
    got = gather(broken, inputs, jnp.array([5, 0]), jnp.array([1.0, 0.0]))
    expected_TC = (np.asarray(x_NTC[5, :7]) - np.asarray(inputs.shift_C)) / np.asarray(inputs.scale_C)
    np.testing.assert_allclose(got.x_BTC[0, :7], expected_TC, rtol=1e-5)
    np.testing.assert_array_equal(got.x_BTC[0, 7:], 0)
    np.testing.assert_array_equal(got.x_BTC[1], 0)


def test_a_batch_that_is_not_finite_leaves_everything_as_it_was_and_counts():
    now, _ = STEP(state(), batch(X_SBTC[0]))
    for bad, rejected in ((np.nan, 1), (np.inf, 2), (1e30, 3)):  # the last one's gradient norm overflows
        x_BTC = X_SBTC[1].copy()
        x_BTC[2, 0, 0] = bad
        after, _ = STEP(now, batch(x_BTC))
        assert tiny.leaves_equal((after.params, after.opt_state), (now.params, now.opt_state))
        assert (int(after.rejected), int(after.step)) == (rejected, int(now.step) + 1)
        now = after
    now, _ = STEP(now, batch(X_SBTC[1]))
    assert int(now.rejected) == 0
    assert np.isfinite(now.params["w"]).all()


def test_collections_are_those_of_the_last_step_that_was_accepted():
    now, _ = STEP(state(), batch(X_SBTC[0]))
    now, _ = STEP(now, batch(np.full_like(X_SBTC[0], np.nan)))
    now, _ = STEP(now, batch(X_SBTC[1]))
    assert now.params["count"] == 2


def test_rejected_steps_do_not_advance_the_schedule():
    """After one refusal the next step is the one that would have come: Adam's count and the curve stand."""
    refused, _ = STEP(state(), batch(np.full_like(X_SBTC[0], np.nan)))
    for x_BTC in X_SBTC[:3]:
        refused, _ = STEP(refused, batch(x_BTC))
    expected = reference.adam(PARAMS_TC, X_SBTC[:3].astype(np.float64).mean(axis=1), 0.05, 2.0, WARMUP, TOTAL)
    np.testing.assert_allclose(refused.params["w"], expected[-1], rtol=0, atol=3e-6)  # measured 4e-7


def test_keys_belong_to_the_place_in_the_whole_batch():
    """Cut over 1, 2 or 4 shares; all different from each other and from step to step."""
    words = []
    for shares in (1, 2, 4):
        key_B = jax.vmap(
            lambda _, n=8 // shares: jax.random.key_data(example_keys(jax.random.key(3), n)), axis_name="data"
        )(jnp.arange(shares))
        words.append(np.asarray(key_B).reshape(8, -1))
    np.testing.assert_array_equal(words[0], words[1])
    np.testing.assert_array_equal(words[0], words[2])
    assert len(np.unique(words[0], axis=0)) == 8
    now, draws = state(), []
    for x_BTC in X_SBTC[:4]:
        now, metrics = STEP(now, batch(x_BTC))
        draws.append(float(metrics["key"]))
    assert len(set(draws)) == 4


class Wrong(GivenGradient):
    """Losses, parts or collections of another form than they should have."""

    def __init__(self, **changed):
        self.changed = changed

    def loss(self, params, batch, key, hyper):
        loss_B, parts, collections = super().loss(params, batch, key, hyper)
        given = {"loss_B": loss_B, "part_B": parts["key"], "count": collections["count"]} | {
            name: change(loss_B) for name, change in self.changed.items()
        }
        return given["loss_B"], {"key": given["part_B"]}, {"count": given["count"]}


def trace(objective, before=None, **changed):
    """Trace a step on a batch some of whose arrays are changed, past the checks that tests have beside."""
    arrays = batch(X_SBTC[1])
    for name, change in changed.items():
        object.__setattr__(arrays, name, change(getattr(arrays, name)))
    step = make_train_step(objective, OPTIMIZER)
    over_shares = jax.vmap(step, in_axes=(None, 0), out_axes=None, axis_name="data")
    return jax.eval_shape(over_shares, state() if before is None else before, arrays)


@pytest.mark.parametrize(
    "changed",
    [
        {"loss_B": lambda loss_B: loss_B[:, None]},
        {"part_B": lambda loss_B: loss_B[:2]},
        {"count": lambda loss_B: loss_B},
        {"count": lambda loss_B: jnp.zeros((), jnp.int32)},
        {"count": lambda loss_B: {"of": jnp.zeros(())}},
    ],
)
def test_an_objective_that_changes_the_form_of_things_is_seen_while_the_step_is_traced(changed):
    trace(Wrong())
    with pytest.raises(AssertionError, match=r"(?i)shape|dtype|tree|type"):
        trace(Wrong(**changed))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("x_BTC", lambda x: x.astype(jnp.int32)),
        ("x_BTC", lambda x: x[..., 0]),
        ("mask_BT", lambda mask: mask[..., :2]),
        ("label_B", lambda label: label.astype(jnp.float32)),
        ("label_B", lambda label: label[:, :2]),
        ("weight_B", lambda weight: weight[..., None]),
    ],
)
def test_a_batch_of_another_form_is_seen_while_the_step_is_traced(name, change):
    with pytest.raises(AssertionError, match=r"(?i)shape|rank|type"):
        trace(Wrong(), **{name: change})


def test_parameters_are_floating_point_numbers():
    whole = state()
    with pytest.raises(AssertionError, match="type"):
        trace(Wrong(), before=replace(whole, params=whole.params | {"count": jnp.zeros((), jnp.int32)}))


def test_the_moving_average_equals_numpy_and_is_what_is_kept():
    own = replace(HYPER, ema=jnp.array(0.6))
    params = {"w": jnp.asarray(PARAMS_TC), "count": jnp.zeros(())}
    now, plain = init_state(params, OPTIMIZER, jax.random.key(0), own), state()
    expected = np.asarray(PARAMS_TC, np.float64)
    for s, x_BTC in enumerate(X_SBTC):
        now, plain = STEP(now, batch(x_BTC))[0], STEP(plain, batch(x_BTC))[0]
        decay = min(0.6, (1 + s) / (10 + s))
        expected = decay * expected + (1 - decay) * np.asarray(plain.params["w"], np.float64)
        np.testing.assert_array_equal(now.params["w"], plain.params["w"])
        np.testing.assert_allclose(now.kept["w"], expected, rtol=1e-5)
    assert plain.kept is plain.params
    np.testing.assert_array_equal(remember_best(now, jnp.array(1.0)).best.params["w"], now.averaged["w"])
