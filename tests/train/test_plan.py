"""How many runs at a time, one after another on a device or batched: by memory and by measurement."""

from dataclasses import replace

import jax
import pytest

from serjax.train import plan, processes
from serjax.train.memory import tree_bytes
from serjax.train.parallel import Layout, Stacking
from serjax.train.plan import Stack, call_epochs, faster_stacking, fitting_runs, measure_needs, most_runs, step_seconds
from tests.train.tiny import DATASET, OBJECTIVE, SCHEDULE, make_params, make_runs, make_state

RUNS = make_runs()
STATE_BYTES = tree_bytes(make_state(RUNS)) // len(RUNS)


def tiny_stack(stacking: Stacking = "map", n_devices: int = 1) -> Stack:
    layout = Layout(tuple(jax.devices()[:n_devices]), stacking=stacking)
    return Stack(RUNS, make_params(RUNS), OBJECTIVE, DATASET, SCHEDULE, layout, None)


def fitting(stack: Stack) -> int:
    return fitting_runs(stack, stack.schedule.epochs_per_call)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The host has 100 MB, its devices have none of their own."""
    monkeypatch.setattr(plan, "free_host_bytes", lambda: 100_000_000)
    monkeypatch.setattr(plan, "free_device_bytes", lambda device: None)
    return monkeypatch


def test_runs_that_take_turns_need_their_state_three_times(memory: pytest.MonkeyPatch) -> None:
    """Once on the device, twice on the host; what they read, and what a step needs, is small beside 100 MB of them."""
    memory.setattr(plan, "most_runs", lambda *_: 10_000)
    alone = fitting(tiny_stack())
    assert alone == pytest.approx(60_000_000 / (3 * STATE_BYTES), rel=0.05)
    assert fitting(tiny_stack(n_devices=2)) == pytest.approx(alone, rel=0.01)  # devices share the host's memory


def test_batched_runs_need_their_activations_too(memory: pytest.MonkeyPatch) -> None:
    memory.setattr(plan, "most_runs", lambda *_: 10_000)
    assert 1 <= fitting(tiny_stack("vmap")) < fitting(tiny_stack("map"))


def test_no_more_runs_than_gain_anything_and_one_where_memory_is_short(memory: pytest.MonkeyPatch) -> None:
    memory.setattr(plan, "free_host_bytes", lambda: 2**50)
    assert [fitting(tiny_stack(stacking)) for stacking in ("map", "vmap")] == [24, 8]
    assert [most_runs(stacking, "gpu") for stacking in ("map", "vmap")] == [24, 512]
    memory.setattr(plan, "free_host_bytes", lambda: 1)
    assert fitting(tiny_stack(n_devices=2)) == 2


def test_runs_that_take_turns_are_no_more_than_a_call_should_take(memory: pytest.MonkeyPatch) -> None:
    memory.setattr(plan, "free_host_bytes", lambda: 2**50)
    products = SCHEDULE.epochs_per_call * measure_needs(tiny_stack()).products
    memory.setattr(plan, "CALL_PRODUCTS", 5 * products)
    assert [fitting(tiny_stack(stacking)) for stacking in ("map", "vmap")] == [5, 8]
    memory.setattr(plan, "CALL_PRODUCTS", products / 2)
    assert fitting(tiny_stack(n_devices=2)) == 2


def test_a_call_of_a_large_network_is_as_few_epochs_as_it_should_take(memory: pytest.MonkeyPatch) -> None:
    stack = tiny_stack()
    long = replace(stack, schedule=replace(SCHEDULE, epochs_per_call=4))
    products = 4 * measure_needs(long).products
    assert measure_needs(stack).products == measure_needs(long).products  # those of an epoch
    for share, epochs in ((2.0, 4), (0.6, 2), (0.01, 1)):
        memory.setattr(plan, "CALL_PRODUCTS", share * products)
        assert call_epochs(long) == epochs
    assert call_epochs(long.stacked("vmap")) == 4


def test_an_accelerator_and_its_host_must_both_have_room(memory: pytest.MonkeyPatch) -> None:
    memory.setattr(plan, "most_runs", lambda *_: 10_000)
    memory.setattr(plan, "free_device_bytes", lambda device: 10_000_000)
    by_device = fitting(tiny_stack())
    assert by_device == pytest.approx(6_000_000 / STATE_BYTES, rel=0.1)
    memory.setattr(plan, "free_host_bytes", lambda: 5_000_000)
    assert fitting(tiny_stack()) == pytest.approx(3_000_000 / (2 * STATE_BYTES), rel=0.1)


def test_processes_of_one_host_share_its_memory(memory: pytest.MonkeyPatch) -> None:
    memory.setattr(plan, "most_runs", lambda *_: 10_000)
    alone = fitting(tiny_stack())
    memory.setattr(processes, "exchange", lambda host: [[host], ["another"], [host]])
    assert fitting(tiny_stack()) == pytest.approx(alone / 2, rel=0.01)


def test_a_batch_that_is_split_leaves_every_device_all_runs(memory: pytest.MonkeyPatch) -> None:
    split = tiny_stack(n_devices=2)
    split = replace(split, layout=replace(split.layout, shard="data"))
    memory.setattr(plan, "free_host_bytes", lambda: 2**50)
    assert fitting(split) == 24


@pytest.mark.parametrize(
    ("seconds", "faster"), [({"map": 1.0, "vmap": 0.95}, "map"), ({"map": 1.0, "vmap": 0.8}, "vmap")]
)
def test_the_usual_stacking_is_left_for_one_that_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[Stacking, float], faster: Stacking
) -> None:
    monkeypatch.setattr(plan, "step_seconds", lambda stack: seconds[stack.layout.stacking])
    assert faster_stacking(tiny_stack(), n_steps=1_000) == faster


def test_what_is_soon_done_is_not_compiled_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Stacking] = []
    monkeypatch.setattr(plan, "step_seconds", lambda stack: timed.append(stack.layout.stacking) or 1.0)
    assert faster_stacking(tiny_stack("vmap"), n_steps=int(plan.WORTH_S) - 1) == "vmap"
    assert timed == ["vmap"]


def test_no_more_runs_are_timed_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []
    monkeypatch.setattr(plan, "fitting_runs", lambda *_: 2)
    monkeypatch.setattr(plan, "stack_states", lambda runs, *_: timed.append(len(runs)) or make_state(RUNS[:2]))
    assert step_seconds(tiny_stack()) > 0
    assert timed == [2]


def test_processes_go_by_what_the_first_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have other memory and other times: each by its own would train something else, or wait for ever."""
    answers = iter([2, 8_000_000_000])
    monkeypatch.setattr(plan, "from_first", lambda value: next(answers))
    assert step_seconds(tiny_stack()) == 8.0 / (SCHEDULE.steps * 2)


def test_what_takes_long_is_timed_fewer_times(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([2, 1_000_000_000, 6_000_000_000])  # runs; the second epoch brings it above the 5 s
    monkeypatch.setattr(plan, "from_first", lambda value: next(answers))
    assert step_seconds(tiny_stack()) == 1.0 / (SCHEDULE.steps * 2)
    assert next(answers, None) is None


@pytest.mark.parametrize("stacking", ["map", "vmap"])
def test_a_step_is_timed_and_nothing_of_it_is_kept(stacking: Stacking, monkeypatch: pytest.MonkeyPatch) -> None:
    """All calls train: a run that has done its epochs would stand still, and look fast."""
    trained: list[float] = []
    compile_training = plan.compile_training

    def spy(*args: object) -> tuple[object, object]:
        optimizer, train = compile_training(*args)

        def noting(*given: object) -> tuple:
            state, metrics = train(*given)
            trained.append(float(metrics["loss"].sum()))
            return state, metrics

        return optimizer, noting

    monkeypatch.setattr(plan, "compile_training", spy)
    before = jax.tree.map(lambda a: a.copy(), make_params(RUNS))
    stack = tiny_stack(stacking)
    assert step_seconds(stack) > 0
    assert len(trained) == plan.MEASURED_CALLS + 1
    assert len(set(trained)) == len(trained)
    assert all(loss == loss for loss in trained)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), stack.params_R, before))
