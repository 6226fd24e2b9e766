"""The scaling benchmark: its arithmetic by hand, what it declares to train, one tiny measurement, the written table."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from scripts import bench_scaling
from scripts.bench_scaling import Settings, make_contestants, make_runs, measure
from scripts.bench_train import NETWORKS
from scripts.scaling_times import Measured, Measurement, Row, Spent, times_as_fast

TINY = Settings(network="dense", runs=(2,), stackings=("map",), steps=1, run_steps=1, repeats=1)
# 10 s of compiling in the first turn; a call of 4 steps takes 2, 1 and 3 s
MEASURED = Measured(5, 4, (Spent(2.0, 11.0), Spent(1.0, 0.5), Spent(3.0, 1.5)))


def row(way, *run_s):
    return Row(way, 1, 1, 0.0, run_s)


def test_a_call_is_timed_without_the_first_which_compiles():
    assert Spent.of(10.0, [17.0, 19.0], 20.0) == Spent(call_s=2.0, around_s=6.0)
    assert Spent.of(0.0, [5.0, 6.0, 8.0], 8.0) == Spent(call_s=1.5, around_s=3.5)


def test_compiling_stands_apart_and_steps_are_scaled():
    assert MEASURED.around_s == 1.0
    assert MEASURED.compiling_s == 10.0
    assert MEASURED.seconds(n_steps=40) == [21.0, 11.0, 31.0]


def test_stacks_count_as_often_as_they_are_there():
    last = Measured(2, 8, (Spent(2.0, 4.0), Spent(2.0, 1.0), Spent(4.0, 1.0)))
    found = Row.of("map", {MEASURED: 10, last: 1}, n_steps=40)
    assert (found.n_runs, found.n_stacks, found.compiling_s) == (52, 11, 13.0)
    np.testing.assert_allclose(found.run_s, [221 / 52, 121 / 52, 331 / 52])


def test_ratios_are_those_of_turns_to_the_faster_rival():
    rows = [row("alone", 4.0, 6.0, 8.0), row("split", 9.0, 9.0, 9.0), row("map", 2.0, 2.0, 1.0)]
    assert times_as_fast(rows, ("alone", "split")) == ["1.00", "0.67", "3.00"]
    assert times_as_fast(rows, ("PyTorch", "fused")) == [None, None, None]


def test_runs_are_cut_into_stacks_as_experiments_cut_them():
    assert Settings().sizes == [{8: 1}, {32: 2}, {47: 10, 42: 1}]


@pytest.mark.parametrize(
    ("size", "steps", "run_steps", "expected"),
    [(1, 8, 128, 128), (1, 8, 10_000, 176), (8, 8, 128, 16), (47, 8, 128, 8), (512, 44, 100_000, 176)],
)
def test_a_call_has_as_many_steps_as_asked_for_within_those_of_a_study(size, steps, run_steps, expected):
    settings = Settings(steps=steps, run_steps=run_steps)
    assert settings.steps_a_call(size) == expected
    assert settings.schedule(size).steps == expected


def test_each_run_leaves_a_speaker_out():
    runs = make_runs(26, 4)
    assert [(run.seed, run.fold) for run in runs[22:]] == [(0, "22"), (0, "23"), (1, "0"), (1, "1")]
    assert {(len(run.train), len(run.validation)) for run in runs} == {(1380, 0)}
    assert not set(range(60, 120)) & set(runs[25].train.tolist())
    assert Settings(epochs=2).n_steps == 88


def test_stackings_sizes_and_devices_each_have_their_place(monkeypatch):
    monkeypatch.setattr(bench_scaling, "torch_device", lambda platform: platform)
    places = set(make_contestants(replace(TINY, runs=(1, 4, 5), stack_size=3), jax.devices()[:2]))
    one_by_one = {("alone", 1), ("split", 1), ("PyTorch", 1), ("fused", 1)}
    assert places == one_by_one | {("map", 2), ("map", 3)}
    assert ("split", 1) not in make_contestants(TINY, jax.devices()[:1])


@pytest.mark.slow
def test_all_take_turns(monkeypatch):
    monkeypatch.setattr(bench_scaling, "torch_device", lambda platform: None)
    found = measure(TINY, n_devices=1)
    assert {place: len(measured.spent) for place, measured in found.measured.items()} == {
        ("alone", 1): 2,
        ("map", 2): 2,
    }
    assert all(spent.call_s > 0 for measured in found.measured.values() for spent in measured.spent)
    assert [row.name for row in found.rows(TINY.sizes, TINY.n_steps)] == ["one by one", "2 runs, map"]


def test_the_table_is_printed_and_written(monkeypatch, tmp_path, capsys):
    def handed_back(settings, n_devices):
        slow = Measured(1, 44, (Spent(2.0, 3.0), Spent(2.0, 1.0)))
        fast = Measured(8, 44, (Spent(4.0, 5.0), Spent(4.0, 0.0)))
        return Measurement(
            n_devices, f"{n_devices} devices", {("alone", 1): slow, ("vmap", 8): fast, ("fused", 1): slow}
        )

    monkeypatch.setattr(bench_scaling, "measure_apart", handed_back)
    bench_scaling.main(Settings(runs=(8,), devices=(1, 2), epochs=10, out=tmp_path / "table.md"))
    assert "1 devices; 2 devices" in capsys.readouterr().out
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len(lines) == 4 + 2 * 3
    assert lines[4] == "| one by one | 1 of 1 | 1 | 2.0 | 47.73 | 171 | 84.0 | 1.00 | 1.00 |"
    assert lines[8] == "| 8 runs, vmap | 2 of 2 | 1 | 5.0 | 11.36 | 720 | 20.0 | 4.20 | 4.20 |"


@pytest.mark.parametrize("name", ["VAE", "CNN", "dense", "logmel"])  # an LSTM of PyTorch has each bias twice
def test_networks_have_as_many_parameters_in_pytorch(name):
    pytest.importorskip("torch")
    from scripts.torch_peers import NETWORKS as PEERS

    ours = jax.eval_shape(NETWORKS[name].objective.init, jax.random.key(0))["params"]
    theirs = PEERS[name]().parameters()
    assert sum(leaf.size for leaf in jax.tree.leaves(ours)) == sum(parameter.numel() for parameter in theirs)
