"""Statistics over frames: numpy's values on the valid frames alone, whatever the padding holds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serjax import dsp
from tests.dsp.cases import POWER_BFT, Case
from tests.reference.dsp import relative_error

FUNCTIONALS = {
    "mean": (dsp.masked_mean, lambda x, t: x.mean(axis=-1)),
    "std": (dsp.masked_std, lambda x, t: x.std(axis=-1)),
    "min": (dsp.masked_min, lambda x, t: x.min(axis=-1)),
    "max": (dsp.masked_max, lambda x, t: x.max(axis=-1)),
    "slope": (dsp.masked_slope, lambda x, t: np.polynomial.polynomial.polyfit(t, x.T, 1)[1]),
    **{
        f"percentile {q}": (partial(dsp.masked_percentile, q=q), lambda x, t, q=q: np.percentile(x, q, axis=-1))
        for q in (0, 12.5, 50, 75, 100)
    },
}
every_functional = pytest.mark.parametrize("name", FUNCTIONALS)


def _on_first_frames(function):
    """Mask the last three frames, or what there is beyond the first."""

    def statistic(x):
        frames = jnp.arange(x.shape[-1]).reshape((1,) * (x.ndim - 2) + (-1,))
        valid = jnp.broadcast_to(frames < max(1, x.shape[-1] - 3), (*x.shape[:-2], x.shape[-1]))
        return function(x, valid)

    return statistic


CASES = [Case(f"masked {name}", _on_first_frames(function), POWER_BFT) for name, (function, _) in FUNCTIONALS.items()]


@every_functional
@given(valid=st.lists(st.booleans(), min_size=2, max_size=40), seed=st.integers(0, 99))
def test_equals_numpy_on_the_valid_frames(name, valid, seed):
    valid = np.array([True, *valid, True])
    x = (np.random.default_rng(seed).standard_normal((5, len(valid))) - 30.0).astype(np.float32)
    function, expected = FUNCTIONALS[name]
    actual = jax.jit(function)(np.where(valid, x, np.float32(np.nan)), valid)
    # Measured: 1.4e-7.
    assert relative_error(actual, expected(x.astype(np.float64)[:, valid], np.flatnonzero(valid))) <= 1e-6


@every_functional
def test_padding_does_not_enter(name):
    function = FUNCTIONALS[name][0]
    x, valid = POWER_BFT, np.broadcast_to(np.arange(12) < 9, (3, 12))
    padded = np.concatenate([x, np.full((3, 33, 50), np.inf, np.float32)], axis=-1)
    longer = np.pad(valid, ((0, 0), (0, 50)))
    np.testing.assert_array_equal(function(x, valid), function(np.where(valid[:, None], x, np.nan), valid))
    assert relative_error(function(padded, longer), function(x[..., :9], valid[..., :9])) <= 1e-6


@every_functional
@pytest.mark.parametrize("frames", [0, 1, 12])
def test_nothing_valid_gives_zeros_and_no_slope(name, frames):
    total = jax.value_and_grad(lambda x: FUNCTIONALS[name][0](x, jnp.zeros((3, frames), bool)).sum())
    value, slope = total(jnp.asarray(np.full((3, 33, frames), np.nan, np.float32)))
    assert value == 0.0
    np.testing.assert_array_equal(slope, np.zeros((3, 33, frames)))


@every_functional
@pytest.mark.parametrize("level", [0.0, 1.0, 1e12, 1e-20, 1e-38])
def test_gradients_are_finite_and_stay_out_of_the_padding(name, level):
    valid = np.broadcast_to(np.arange(12) < 9, (3, 12))
    for x in (np.full_like(POWER_BFT, level), POWER_BFT * np.float32(level)):
        slope = np.asarray(jax.grad(lambda x: FUNCTIONALS[name][0](x, valid).sum())(jnp.asarray(x)))
        assert np.isfinite(slope).all()
        assert not slope[..., 9:].any()


def test_constants():
    x, valid = jnp.full((1, 7), 0.1), jnp.ones(7, bool)
    assert dsp.masked_mean(x, valid) == x[0, 0]
    assert dsp.masked_std(x, valid) == 0.0
    assert dsp.masked_slope(x, valid) == 0.0


@pytest.mark.slow
def test_gradient_is_the_slope():
    x = POWER_BFT[0].astype(np.float64)
    valid = np.arange(12) % 4 < 3
    direction = np.random.default_rng(1).standard_normal(x.shape)
    with jax.enable_x64(True):
        for name, (function, _) in FUNCTIONALS.items():
            total = lambda step, function=function: jnp.sum(function(x + step * direction, valid))  # noqa: E731
            expected = (total(1e-6) - total(-1e-6)) / 2e-6
            assert abs(jax.grad(total)(0.0) - expected) <= 1e-6 * (1 + abs(expected)), name


X, MASK = np.ones((2, 5), np.float32), np.ones(5, bool)
WRONG = {
    "mask shape": (lambda: dsp.masked_mean(X, MASK[:4]), r"mask has shape \(4,\) beside x of shape \(2, 5\)"),
    "mask batch": (lambda: dsp.masked_min(X[None], MASK), r"mask has shape \(5,\) beside x of shape \(1, 2, 5\)"),
    "mask dtype": (lambda: dsp.masked_std(X, MASK.astype(np.float32)), "mask has dtype float32, expected bool"),
    "x shape": (lambda: dsp.masked_max(X[0], MASK), "x as .* mask"),
    "x dtype": (lambda: dsp.masked_slope(X + 1j, MASK), "x has dtype complex64"),
    "q above": (lambda: dsp.masked_percentile(X, MASK, 101), "q=101 .* from 0 to 100"),
    "q below": (lambda: dsp.masked_percentile(X, MASK, -1.0), "q=-1.0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
