"""What programs need of memory, told before they are compiled, against what XLA says once it has compiled them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from serjax.train import memory
from serjax.train.memory import (
    _left_by_cgroups,
    _left_by_stats,
    free_device_bytes,
    free_host_bytes,
    program_bytes,
    tree_bytes,
)

FLOAT = jax.ShapeDtypeStruct((1000,), jnp.float32)


def test_what_is_read_again_is_held_and_what_is_not_is_let_go() -> None:
    def chain(x: jax.Array) -> jax.Array:
        return jnp.sin(jnp.sin(jnp.sin(x)))

    def fan(x: jax.Array) -> jax.Array:
        a, b, c = jnp.sin(x), jnp.cos(x), jnp.tan(x)
        return a * b * c

    assert program_bytes(chain, FLOAT) == 2 * 4000  # an operation reads one and makes one
    assert program_bytes(fan, FLOAT) == 4 * 4000  # three that wait, and the first product


def test_a_loop_needs_its_body_once_and_a_batched_one_as_often_as_there_are_runs() -> None:
    def body(x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.outer(x, x))

    stacked = jax.ShapeDtypeStruct((8, 1000), jnp.float32)
    matrix = 1000 * 1000 * 4
    assert matrix <= program_bytes(lambda x: jax.lax.map(body, x), stacked) < 2.1 * matrix
    assert 8 * matrix <= program_bytes(jax.vmap(body), stacked) < 16.1 * matrix


def test_the_larger_branch_counts() -> None:
    def choose(x: jax.Array) -> jax.Array:
        return jax.lax.cond(x[0] > 0, lambda: jnp.sum(jnp.outer(x, x)), lambda: jnp.sum(x))

    assert 4_000_000 <= program_bytes(choose, FLOAT) < 9_000_000


@pytest.mark.parametrize("depth", [2, 8])
def test_a_gradient_holds_the_activations_of_all_layers(depth: int) -> None:
    """Against XLA's own account of the compiled program."""

    def loss(kernels: list[jax.Array], x: jax.Array) -> jax.Array:
        for kernel in kernels:
            x = jnp.tanh(x @ kernel)
        return jnp.sum(x)

    kernels = [jax.ShapeDtypeStruct((64, 64), jnp.float32)] * depth
    x = jax.ShapeDtypeStruct((4096, 64), jnp.float32)
    told = program_bytes(jax.grad(loss), kernels, x)
    xla = jax.jit(jax.grad(loss)).lower(kernels, x).compile().memory_analysis().temp_size_in_bytes
    assert 0.9 * xla < told < 3 * xla
    assert told > depth * 4096 * 64 * 4


def test_bytes_of_trees_of_arrays_and_keys() -> None:
    assert tree_bytes({"a": jnp.zeros((2, 3)), "b": [jnp.zeros((), jnp.int8)], "c": None}) == 25
    assert tree_bytes(jax.random.key(0)) > 0


def test_a_cpu_has_no_memory_of_its_own_and_the_host_has_some() -> None:
    assert free_device_bytes(jax.local_devices(backend="cpu")[0]) is None
    assert 10_000_000 < free_host_bytes() < 2**50


def test_an_accelerator_has_what_its_limit_leaves() -> None:
    assert _left_by_stats({"bytes_limit": 1000, "bytes_in_use": 300}) == 700


@pytest.fixture
def cgroup(tmp_path: Path) -> tuple[Path, Path]:
    group = tmp_path / "fs" / "job" / "step"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1000\n")
    (group / "memory.current").write_text("900\n")
    (group / "memory.stat").write_text("anon 600\ninactive_file 250\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/job/step\n")
    return membership, tmp_path / "fs"


def test_a_control_group_limits_and_its_cached_files_are_free(cgroup: tuple[Path, Path]) -> None:
    assert _left_by_cgroups(*cgroup) == 350


def test_a_limit_holds_for_the_groups_within_it_and_the_strictest_counts(cgroup: tuple[Path, Path]) -> None:
    membership, mounted = cgroup
    task = mounted / "job" / "step" / "user" / "task_0"
    task.mkdir(parents=True)
    (task / "memory.max").write_text("max\n")
    membership.write_text("0::/job/step/user/task_0\n")
    assert _left_by_cgroups(membership, mounted) == 350
    for name, content in {"memory.max": "800\n", "memory.current": "700\n", "memory.stat": "anon 700\n"}.items():
        (mounted / "job" / name).write_text(content)
    assert _left_by_cgroups(membership, mounted) == 100


def test_a_control_group_without_limit_or_none_at_all(cgroup: tuple[Path, Path]) -> None:
    membership, mounted = cgroup
    (mounted / "job" / "step" / "memory.max").write_text("max\n")
    assert _left_by_cgroups(membership, mounted) is None
    assert _left_by_cgroups(mounted / "nothing", mounted) is None


def test_a_control_group_that_is_full_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_left_by_cgroups", lambda *_: 0)
    assert free_host_bytes() == 0
