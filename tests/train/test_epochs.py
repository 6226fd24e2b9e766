"""Epochs of a stack: the best epoch is remembered, a finished run stands still, validation is what it says."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.train.loop import compile_training
from serjax.train.optimizer import make_optimizer
from serjax.train.parallel import Layout
from serjax.train.state import init_state
from serjax.train.step import remember_best
from tests.reference import vae as reference
from tests.train import tiny

SCHEDULE = tiny.SCHEDULE
EPOCHS = (9, 4, 9)
RUNS = [
    replace(run, epochs=epochs) for run, epochs in zip(tiny.make_runs(3, 9, learning_rate=0.3), EPOCHS, strict=True)
]
RUNS[2] = replace(RUNS[2], validation=np.array([], np.int64))


@pytest.fixture(scope="module")
def epochs():
    """Return the state and the metrics after every epoch of a training with a learning rate that is too high."""
    layout = Layout((jax.devices()[0],))
    _, train = compile_training(tiny.OBJECTIVE, SCHEDULE, layout)
    state, inputs, shared = tiny.lay(layout, RUNS, tiny.make_state(RUNS))
    found = []
    for e in range(max(EPOCHS)):
        rows = layout.put_rows(tiny.make_rows(RUNS, SCHEDULE, 1, first=e))
        state, metrics = train(state, inputs, rows, np.int32(1), shared)
        found.append((layout.get_runs(state, 3), layout.get_runs(metrics, 3)))
    return found


def of_run(tree, r):
    return jax.tree.map(lambda a: a[r], tree)


def test_the_best_epoch_is_the_argmin_and_its_parameters_are_kept(epochs):
    last = epochs[-1][0]
    for r in (0, 1):
        losses = [metrics["validation_loss"][r, 0] for _, metrics in epochs[: EPOCHS[r]]]
        best = int(np.argmin(losses))
        assert last.best.epoch[r] == best + 1
        assert last.best.loss[r] == losses[best]
        assert tiny.leaves_equal(of_run(last.best.params, r), of_run(epochs[best][0].params, r))
    worst_run = [metrics["validation_loss"][0, 0] for _, metrics in epochs]
    assert 1 <= int(np.argmin(worst_run)) + 1 < 9  # neither rule "first" nor rule "last" would pass
    assert np.any(np.diff(worst_run) > 0)
    assert np.any(np.diff(worst_run) < 0)


def test_without_validation_rows_the_last_epoch_is_best(epochs):
    last, metrics = epochs[-1]
    assert np.isnan(metrics["validation_loss"][2, 0])
    assert (last.best.epoch[2], last.best.loss[2]) == (9, np.inf)
    assert tiny.leaves_equal(of_run(last.best.params, 2), of_run(last.params, 2))


def test_a_run_that_has_done_its_epochs_stands_still_bit_for_bit(epochs):
    """Parameters, optimiser, step, key and best; its neighbours go on."""
    (done, _), (after, metrics), (last, _) = epochs[3], epochs[4], epochs[-1]
    assert tiny.leaves_equal(of_run(done, 1), of_run(last, 1))
    assert (last.step[1], last.epoch[1]) == (4 * SCHEDULE.steps, 4)
    assert all(np.isnan(values[1, 0]) for values in metrics.values())
    for r in (0, 2):
        assert not tiny.leaves_equal(of_run(done.params, r), of_run(after.params, r))
        assert (last.step[r], last.epoch[r]) == (9 * SCHEDULE.steps, 9)


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("stacking", ["map", "vmap"])
def test_a_run_without_a_lower_validation_loss_for_its_patience_stands_still(epochs, patience, stacking):
    """Where it would have come to, bit for bit if it is mapped; a neighbour without validation rows goes on."""
    layout = Layout((jax.devices()[0],), stacking=stacking)
    runs = [replace(run, patience=patience) for run in RUNS]
    _, train = compile_training(tiny.OBJECTIVE, SCHEDULE, layout)
    state, inputs, shared = tiny.lay(layout, runs, tiny.make_state(runs))
    for e in range(max(EPOCHS)):
        rows = layout.put_rows(tiny.make_rows(runs, SCHEDULE, 1, first=e))
        state, metrics = train(state, inputs, rows, np.int32(1), shared)
    last, metrics = layout.get_runs((state, metrics), 3)
    losses = [found["validation_loss"][0, 0] for _, found in epochs]
    waits = [e - int(np.argmin(losses[: e + 1])) for e in range(len(losses))]
    stop = next(e for e, wait in enumerate(waits) if wait == patience) + 1
    assert stop < 9
    assert last.epoch.tolist() == [stop, min(last.epoch[1], 4), 9]
    assert last.best.epoch[0] == stop - patience
    assert np.isnan(metrics["loss"][:, 0]).tolist() == [True, True, False]
    assert last.trains.tolist() == [False, False, False]
    if stacking == "map":
        assert tiny.leaves_equal(of_run(last.params, 0), of_run(epochs[stop - 1][0].params, 0))


def test_validation_is_the_mean_loss_over_the_validation_rows_as_they_are(epochs):
    """Run 1 has five of them, padded to six; in float64 from the parameters after the third epoch."""
    state, metrics = epochs[2]
    run, params = RUNS[1], of_run(state.params, 1)
    mask_VT = np.asarray(tiny.DATASET.mask_NT)[run.validation]
    x_VTC = (np.asarray(tiny.DATASET.x_NTC, np.float64)[run.validation] - run.shift_C) / run.scale_C
    x_VTC = x_VTC * mask_VT[..., None]
    output, mean, logvar = reference.vae(params, x_VTC, np.zeros((len(x_VTC), 8)))
    losses = [reference.vae_loss(*clip, run.beta) for clip in zip(x_VTC, output, mask_VT, mean, logvar, strict=True)]
    np.testing.assert_allclose(metrics["validation_loss"][1, 0], np.mean(losses), rtol=1e-5)  # measured 4e-8


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([3.0, 2.0, 2.5], 2),
        ([2.0, 2.0, 2.0], 1),  # the earliest of equals
        ([math.nan, 3.0, 4.0], 2),
        ([3.0, math.nan, 2.0], 3),
        ([3.0, math.nan, math.nan], 1),
        ([math.nan, math.nan, math.nan], 3),
    ],
)
def test_remember_best(losses, best):
    state = init_state({"of": jnp.array(0)}, make_optimizer(9, 0, 1.0), jax.random.key(0), tiny.make_hyper())
    for epoch, loss in enumerate(losses, start=1):
        state = replace(state, epoch=jnp.array(epoch), params={"of": jnp.array(epoch)})
        state = remember_best(state, jnp.array(loss))
    assert (int(state.best.epoch), int(state.best.params["of"])) == (best, best)
