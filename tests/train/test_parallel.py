"""Devices: pmap trains, one device equals four in both modes, a stack equals its runs alone, nothing calls the host."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.train import parallel
from serjax.train.loop import compile_training, make_training
from serjax.train.objectives import PictureAugmentation
from serjax.train.parallel import DeviceError, Layout, request_devices
from serjax.train.runs import stack_inputs
from tests.train import tiny

STEPS = 50
SCHEDULE = replace(tiny.SCHEDULE, steps=1, warmup_steps=5)
RUNS = tiny.make_runs(3, epochs=STEPS)
OBJECTIVE = replace(tiny.OBJECTIVE, augmentation=PictureAugmentation(roll_frames=0))


def layout(n_devices, shard="runs", stacking="map"):
    return Layout(tuple(jax.devices()[:n_devices]), shard, stacking)


def train(where, runs=RUNS):
    """Return state and metrics of 50 steps, an epoch a step, so that every loss is seen."""
    _, compiled = compile_training(OBJECTIVE, SCHEDULE, where)
    state, inputs, shared = tiny.lay(where, runs, tiny.make_state(runs))
    outcome = compiled(state, inputs, where.put_rows(tiny.make_rows(runs, SCHEDULE, STEPS)), np.int32(STEPS), shared)
    return where.get_runs(outcome, len(runs))


@pytest.fixture(scope="module")
def one_device():
    return train(layout(1))


@pytest.mark.parametrize(
    ("shard", "stacking"),
    [("runs", "map"), ("runs", "vmap"), ("data", "map"), pytest.param("data", "vmap", marks=pytest.mark.slow)],
)
def test_four_devices_equal_one(one_device, shard, stacking):
    """Three runs on four devices (one idles on a copy), six clips on four devices (two are padding)."""
    state, metrics = train(layout(4, shard, stacking))
    assert metrics["loss"].shape == (3, STEPS)
    assert (one_device[1]["loss"][:, -1] < 0.8 * one_device[1]["loss"][:, 0]).all()  # they learn
    for name, values in metrics.items():
        np.testing.assert_allclose(values, one_device[1][name], rtol=1e-5, atol=1e-6, err_msg=name)  # measured 2e-6
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(one_device[0].params), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)  # measured 1e-7
    np.testing.assert_array_equal(state.best.epoch, one_device[0].best.epoch)
    np.testing.assert_array_equal(state.key_data, one_device[0].key_data)


@pytest.mark.slow
def test_a_run_does_not_know_its_neighbours(one_device):
    """A stack of nothing but copies of one run ends, bit for bit, with what that run got among the others.

    But for the validation loss: its sum goes over as many rows as the longest validation set of the stack has, and
    newer XLA adds up five and six numbers in another order.
    """
    for r, run in enumerate(RUNS):
        copies = train(layout(1), [run] * 3)
        for place in range(3):
            alone, among = (jax.tree.map(lambda a, i=i: a[i], tree) for tree, i in ((copies, place), (one_device, r)))
            for (path, ours), theirs in zip(jax.tree.leaves_with_path(alone), jax.tree.leaves(among), strict=True):
                name = jax.tree_util.keystr(path)
                loss = name.endswith(("validation_loss']", "best.loss"))
                np.testing.assert_allclose(ours, theirs, rtol=1e-6 if loss else 0, err_msg=name)  # measured 1e-7


@pytest.mark.parametrize(("shard", "axis"), [("runs", "runs"), ("data", "data")])
def test_pmap_is_what_trains(monkeypatch, shard, axis):
    """`Layout.train` hands the stack to `jax.pmap`, and the function that it returns is pmap's."""
    calls, pmap = [], jax.pmap

    def spy(function, **options):
        calls.append(options)
        return pmap(function, **options)

    monkeypatch.setattr(parallel.jax, "pmap", spy)
    where = layout(4, shard)

    def train_epochs(state, inputs, rows_ESB, n_epochs, shared):
        return state + inputs * jax.lax.psum(jnp.sum(rows_ESB[n_epochs]), "data") + shared, state

    stack_R, rows = np.arange(3.0, dtype=np.float32), np.arange(3 * 2 * 1 * 4).reshape(3, 2, 1, 4)
    state_R, inputs_R = where.put_runs(stack_R), where.put_runs(stack_R + 1)
    state, _ = where.train(train_epochs)(state_R, inputs_R, where.put_rows(rows), np.int32(1), jnp.float32(7))
    expected_R = stack_R + (stack_R + 1) * rows[:, 1].sum(axis=(1, 2)) + 7
    np.testing.assert_array_equal(where.get_runs(state, 3), expected_R)
    assert len(state.devices()) == 4
    assert [call["axis_name"] for call in calls] == [axis]
    assert calls[0]["devices"] == where.devices
    assert calls[0]["donate_argnums"] == (0,)


@pytest.mark.parametrize("shard", ["runs", "data"])
def test_the_compiled_stack_calls_no_host(shard):
    where = layout(2, shard)
    _, compiled = compile_training(OBJECTIVE, SCHEDULE, where)
    state, inputs, shared = tiny.lay(where, RUNS, tiny.make_state(RUNS))
    rows = where.put_rows(tiny.make_rows(RUNS, SCHEDULE, 2))
    text = compiled.lower(state, inputs, rows, np.int32(2), shared).as_text()
    assert "stablehlo.while" in text
    assert "callback" not in text
    talking = jax.pmap(lambda x: jax.debug.print("{}", x), devices=where.devices)
    assert "callback" in talking.lower(jnp.arange(2)).as_text()  # so the search would find one


@pytest.mark.slow
@pytest.mark.parametrize(("stacking", "held_once"), [("map", True), ("vmap", False)])
def test_runs_that_take_turns_leave_their_states_where_they_are(stacking, held_once):
    """By XLA's own account a program of three more runs needs no more beside what it is given, but for their losses."""

    def needed(n_runs):
        runs, where = tiny.make_runs(n_runs, epochs=STEPS), layout(1, stacking=stacking)
        _, train_epochs = make_training(OBJECTIVE, tiny.SCHEDULE, where)
        rows = tiny.make_rows(runs, tiny.SCHEDULE, 2)
        given = tiny.make_state(runs), stack_inputs(runs), rows, np.int32(2), tiny.DATASET
        program = jax.jit(where.on_a_device(train_epochs), donate_argnums=(0,)).lower(*given)
        return program.compile().memory_analysis().temp_size_in_bytes

    one_state = sum(leaf.nbytes for leaf in jax.tree.leaves(tiny.make_state(RUNS))) / len(RUNS)
    assert (needed(5) - needed(2) < 0.1 * one_state) == held_once


@pytest.mark.parametrize("shard", ["runs", "data"])
@pytest.mark.parametrize("n_runs", [1, 3, 4, 5])
def test_what_is_laid_out_comes_back(shard, n_runs):
    where = layout(4, shard)
    tree = {"a": np.arange(n_runs * 2.0, dtype=np.float32).reshape(n_runs, 2), "b": np.arange(n_runs, dtype=np.uint32)}
    back = where.get_runs(where.put_runs(tree), n_runs)
    assert all(np.array_equal(back[name], tree[name]) and back[name].dtype == tree[name].dtype for name in tree)
    shared = where.put_shared(tree)
    assert shared["a"].sharding.is_fully_replicated
    assert len(shared["a"].devices()) == 4


def test_batches_are_cut_in_order_and_padded_at_the_end():
    rows_RESB = np.arange(2 * 1 * 3 * 6).reshape(2, 1, 3, 6)
    cut = np.asarray(layout(4, "data").put_rows(rows_RESB))
    assert cut.shape == (4, 2, 1, 3, 2)
    whole = np.concatenate(list(cut), axis=-1)
    np.testing.assert_array_equal(whole[..., :6], rows_RESB)
    np.testing.assert_array_equal(whole[..., 6:], -1)


def test_evaluate_gives_every_run_its_own():
    expected = np.arange(5) ** 2 + 3
    for where in (layout(4), layout(4, "data").by_runs(), layout(2, stacking="vmap")):
        compiled = where.evaluate(lambda run, shared: run**2 + shared)
        got = compiled(where.put_runs(np.arange(5)), where.put_shared(jnp.array(3)))
        np.testing.assert_array_equal(where.get_runs(got, 5), expected)
    with pytest.raises(ValueError, match="by_runs"):
        layout(4, "data").evaluate(lambda run, shared: run)


def test_devices_that_are_not_there():
    assert request_devices(2) == jax.devices()[:2]
    assert len(request_devices(None)) == 8
    with pytest.raises(DeviceError, match=r"--devices 9: this process has 8 cpu device.*at most 8"):
        request_devices(9)
    with pytest.raises(DeviceError, match="expected at least 1"):
        request_devices(0)
