"""What memory cannot hold is an error that names the flags: before the first call on CPU, within it elsewhere."""

import math
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from serjax.train import too_large
from serjax.train.loop import train_stack
from serjax.train.parallel import Layout
from serjax.train.too_large import TooLargeError, check_fits
from tests.train import tiny

RUNS = tiny.make_runs()
FLAGS = r"Give a smaller --stack-size \(now 3 models at a time\) or --batch-size \(now 6\)\."
REFUSED = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 56762000000 bytes.\nAllocator: a table"


def free(n_bytes: float) -> SimpleNamespace:
    return SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=n_bytes))


def train(stage: tiny.Stage, n_devices: int = 2) -> None:
    layout = Layout(tuple(jax.devices()[:n_devices]))
    train_stack(RUNS, tiny.make_params(RUNS), tiny.OBJECTIVE, tiny.DATASET, tiny.SCHEDULE, layout, stage)


@pytest.fixture
def stage(tmp_path: tiny.Path) -> tiny.Stage:
    return replace(tiny.make_stage(tmp_path), save_every_s=math.inf)


@pytest.mark.parametrize("n_devices", [1, 2])
def test_results_of_all_devices_and_what_is_computed_on_the_way_must_fit(
    monkeypatch: pytest.MonkeyPatch, n_devices: int
) -> None:
    """A result of 4 MB for each device, and 4 MB that wait for it; what is given takes no more."""
    devices = jax.devices()[:n_devices]

    def product(x: jax.Array) -> jax.Array:
        return jnp.tanh(x @ x) @ x

    given = jnp.ones((n_devices, 1000, 1000))
    compiled = jax.pmap(product, devices=devices).lower(given).compile()
    monkeypatch.setattr(too_large, "psutil", free(8.1e6 * n_devices))
    check_fits(compiled, devices, 3, 6)
    monkeypatch.setattr(too_large, "psutil", free(7.9e6 * n_devices))
    with pytest.raises(TooLargeError, match=f"needs 0.0 GB of memory, and 0.0 GB are free. {FLAGS}"):
        check_fits(compiled, devices, 3, 6)
    in_place = jax.pmap(lambda x: x + 1, devices=devices, donate_argnums=0).lower(given).compile()
    monkeypatch.setattr(too_large, "psutil", free(1000))
    check_fits(in_place, devices, 3, 6)  # the result takes the place of what is given


@pytest.mark.slow
def test_a_stack_that_does_not_fit_is_refused_before_anything_is_trained(
    stage: tiny.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(too_large, "psutil", free(1))
    with pytest.raises(TooLargeError, match=f"and 0.0 GB are free. {FLAGS}") as caught:
        train(stage)
    assert caught.value.exit_code == 1
    assert not stage.history.read()
    monkeypatch.undo()
    train(stage)
    assert len(stage.history.read()) == tiny.EPOCHS * len(RUNS)


def test_a_device_that_refuses_memory_is_an_error_that_names_the_flags(
    stage: tiny.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(message: str) -> None:
        def call(*_: object) -> None:
            raise jax.errors.JaxRuntimeError(message)

        monkeypatch.setattr("serjax.train.loop.HeldProgram.call", call)

    fail(REFUSED)
    expected = (
        r"too little memory \(RESOURCE_EXHAUSTED: Out of memory while trying to allocate 56762000000 bytes\.\)\. "
    )
    with pytest.raises(TooLargeError, match=expected + FLAGS):
        train(stage)
    fail("INTERNAL: a fault of another kind")
    with pytest.raises(jax.errors.JaxRuntimeError, match="another kind"):
        train(stage)
