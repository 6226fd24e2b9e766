"""How much memory a program takes, told before it is compiled, and how much there is."""

from collections.abc import Callable, Mapping
from pathlib import Path

import chex
import jax
import numpy as np
import psutil
from jax.extend.core import ClosedJaxpr, Jaxpr, Var

CGROUP = Path("/sys/fs/cgroup")


def program_bytes(program: Callable, *arguments: chex.ArrayTree) -> int:
    """Return about how many bytes `program(*arguments)` needs at once beside its arguments, of which shapes are enough.

    The operations are gone through in their order: an array is held from the operation that makes it to the last that
    reads it, and a loop or branch holds what its body needs beside what it is given. So the activations that a
    gradient waits for are counted, and so is what a compiler would fuse away: nearly right for convolutions, too much
    for dense networks (against XLA's own account see tests/train/test_memory.py).
    """
    return _needed(jax.make_jaxpr(program)(*arguments).jaxpr)


def _needed(jaxpr: Jaxpr) -> int:
    """Return the bytes that are held at once of what the operations of a (part of a) program make."""
    last_reader = {v: n for n, equation in enumerate(jaxpr.eqns) for v in equation.invars if isinstance(v, Var)}
    last_reader |= {v: len(jaxpr.eqns) for v in jaxpr.outvars if isinstance(v, Var)}
    held: dict[Var, int] = {}
    total = most = 0
    for n, equation in enumerate(jaxpr.eqns):
        made = {v: _n_bytes(v.aval) for v in equation.outvars}
        total += sum(made.values())
        inside = max((_needed(part) for part in parts(equation.params)), default=0)
        most = max(most, total + inside)
        held |= made
        read = (v for v in equation.invars if isinstance(v, Var))
        total -= sum(held.pop(v, 0) for v in (*read, *made) if last_reader.get(v, n) <= n)
    return most


def parts(params: dict) -> list[Jaxpr]:
    """Return the programs within an operation: the body of a loop, the branches of a choice."""
    values = [v for value in params.values() for v in (value if isinstance(value, tuple | list) else (value,))]
    programs = [value for value in values if isinstance(value, Jaxpr | ClosedJaxpr)]
    return [program.jaxpr if isinstance(program, ClosedJaxpr) else program for program in programs]


def tree_bytes(tree: chex.ArrayTree) -> int:
    """Return the bytes of all arrays of a tree, of which shapes are enough.

    >>> tree_bytes([jax.ShapeDtypeStruct((2, 3), "float32"), jax.ShapeDtypeStruct((), "int8")])
    25
    """
    return sum(_n_bytes(leaf) for leaf in jax.tree.leaves(tree))


def _n_bytes(array: object) -> int:
    """Return the bytes of an array or of what describes one, 0 of what is none."""
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    return 0 if shape is None or dtype is None else int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def free_device_bytes(device: jax.Device) -> int | None:
    """Return how many bytes of its own memory a device has left; None if it has none or does not tell, as a CPU."""
    return _left_by_stats(device.memory_stats())


def _left_by_stats(stats: Mapping[str, int] | None) -> int | None:
    """Return what the statistics of a device leave of its limit, None where they name none."""
    return None if stats is None or "bytes_limit" not in stats else stats["bytes_limit"] - stats["bytes_in_use"]


def free_host_bytes() -> int:
    """Return how many bytes of the host's memory are left to this process: by the machine, and by its control groups.

    Containers and Slurm limit a process by the control groups that it is in (Linux, version 2).
    """
    left = _left_by_cgroups(Path("/proc/self/cgroup"), CGROUP)
    available = int(psutil.virtual_memory().available)
    return available if left is None else min(available, left)


def _left_by_cgroups(membership: Path, mounted: Path) -> int | None:
    """Return what the strictest of a process's control groups leaves, None where none has a limit.

    A group's limit holds for all groups within it: Slurm limits a job and its step, and puts a task two groups deeper.
    """
    try:
        place = mounted / membership.read_text().rpartition("::")[2].strip().lstrip("/")
    except OSError:
        return None
    groups = [group for group in (place, *place.parents) if group.is_relative_to(mounted)]
    return min((left for group in groups if (left := _left_by_cgroup(group)) is not None), default=None)


def _left_by_cgroup(group: Path) -> int | None:
    """Return what one control group leaves, None where it has no limit; files that are cached count as free."""
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such files; "max": no limit
        return None
    return max(0, limit - used + int(stat.get("inactive_file", 0)))
