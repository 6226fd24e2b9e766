"""The stack of runs: what each reads and starts from depends on the run alone."""

import jax
import numpy as np

from serjax.models.cnn_lstm import TimeDistributed
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.optimizer import make_optimizer
from serjax.train.parallel import Layout
from serjax.train.runs import fit_normaliser, init_params, stack_inputs, stack_states
from tests.train import tiny


def test_the_normaliser_is_that_of_valid_training_frames():
    x_NTC, mask_NT = np.asarray(tiny.DATASET.x_NTC), np.asarray(tiny.DATASET.mask_NT)
    rows = np.array([4, 0, 9])
    shift_C, scale_C = fit_normaliser(x_NTC, mask_NT, rows)
    frames = np.array([x_NTC[n, t] for n in rows for t in range(tiny.T) if mask_NT[n, t]], np.float64)
    np.testing.assert_allclose(shift_C, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale_C, frames.std(axis=0), rtol=1e-6)
    other = np.where(np.isin(np.arange(tiny.N), rows)[:, None, None] & (mask_NT > 0)[..., None], x_NTC, np.nan)
    np.testing.assert_array_equal(fit_normaliser(other, mask_NT, rows), (shift_C, scale_C))  # reads nothing else


def test_a_constant_coefficient_is_not_divided_by_zero():
    x_NTC = np.full((2, 3, 1), -431.123, np.float32)
    shift_C, scale_C = fit_normaliser(x_NTC, np.ones((2, 3), np.float32), np.array([0, 1]))
    np.testing.assert_array_equal((x_NTC - shift_C) / scale_C, 0)


def test_shorter_validation_sets_are_padded_at_weight_zero():
    runs = tiny.make_runs(3)
    inputs = stack_inputs(runs)
    np.testing.assert_array_equal(inputs.validation_weight_V.sum(axis=1), [6, 5, 4])
    for r, run in enumerate(runs):
        real = np.asarray(inputs.validation_weight_V[r]) > 0
        np.testing.assert_array_equal(np.asarray(inputs.validation_V[r])[real], run.validation)
        np.testing.assert_array_equal(inputs.shift_C[r], run.shift_C)


def test_stacking_compiles_nothing(caplog):
    """A program for each number of runs and each of their arrays took a third of a small study's time."""
    layout = Layout(tuple(jax.devices()[:2]))
    for n_runs in (3, 4):
        runs = tiny.make_runs(n_runs)
        params_R, optimizer = init_params(runs, tiny.AUTOENCODER), make_optimizer(9, 0, 1.0)
        with jax.log_compiles():
            layout.put_runs(stack_inputs(runs))
            assert "Compiling" not in caplog.text
            layout.put_runs(stack_states(runs, params_R, optimizer))
        assert caplog.text.count("Compiling") == 1
        caplog.clear()


def make_state(runs):
    return stack_states(runs, init_params(runs, tiny.AUTOENCODER), make_optimizer(9, 0, 1.0))


def test_parameters_and_keys_belong_to_the_run_not_to_its_place():
    runs = tiny.make_runs(3)
    states = make_state(runs)
    again = make_state([runs[2], runs[0], runs[2]])
    for place, r in enumerate((2, 0, 2)):
        ours, theirs = (jax.tree.map(lambda a, i=i: a[i], tree) for tree, i in ((again, place), (states, r)))
        assert tiny.leaves_equal(ours, theirs)
    assert len(np.unique(states.key_data, axis=0)) == 3
    assert len({kernel.tobytes() for kernel in states.params["params"]["to_code"]["kernel"]}) == 3
    np.testing.assert_array_equal(states.hyper.beta, [run.beta for run in runs])
    np.testing.assert_allclose(states.hyper.learning_rate, [run.learning_rate for run in runs], rtol=1e-7)


def test_runs_of_recurrent_networks_start_from_matrices_of_their_own():
    """Orthogonal matrices of several runs come one run after another: decomposed in a batch they never came."""
    model = TimeDistributed(3, hidden=(8, 4), dense=(4,), dropout=0.0, filters=())
    objective = ClassifierObjective(model, PictureAugmentation(), frames=6, n_features=5)
    runs = tiny.make_runs(3)
    params_R = init_params(runs, objective)
    alone = init_params(runs[2:], objective)
    jax.tree.map(lambda several, one: np.testing.assert_array_equal(several[2], one[0]), params_R, alone)
    kernels = [leaf for leaf in jax.tree.leaves(params_R) if leaf.ndim == 3]
    assert all(np.abs(leaf[0] - leaf[1]).max() > 0 for leaf in kernels)
