"""The one file that knows devices: a stack of runs, or the batch of each run, laid over them by `jax.pmap`.

Several processes run one program over the devices of all. Each lays out and gets back its own devices' share, as pmap
wants it; what is gathered is the same in all.
"""

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from serjax import xla
from serjax.errors import SerjaxError
from serjax.train.processes import collective
from serjax.train.step import DATA_AXIS

Shard = Literal["runs", "data"]
Stacking = Literal["map", "vmap"]
RUNS_AXIS = "runs"


class DeviceError(SerjaxError):
    """The devices asked for are not there."""


def request_devices(n_devices: int | None) -> list[jax.Device]:
    """Return the first `n_devices` devices of each process; on CPU, make as many virtual ones (default: one per core).

    Virtual CPU devices can be made only before JAX first computes in a process.

    Raises:
      DeviceError: fewer devices than asked for, other numbers of them in other processes, or sums that are wrong.
    """
    if n_devices is not None and n_devices < 1:
        raise DeviceError(f"--devices {n_devices}: expected at least 1.")
    with contextlib.suppress(RuntimeError):  # raised once the backend runs: what it has is then what there is
        jax.config.update("jax_num_cpu_devices", n_devices or n_cores())
    with collective():  # the processes tell each other of their devices
        devices = jax.local_devices()
    if n_devices is not None and len(devices) < n_devices:
        raise DeviceError(
            f"--devices {n_devices}: this process has {len(devices)} {devices[0].platform} device(s); "
            f"ask for at most {len(devices)}, or leave --devices out."
        )
    check_sums()
    everyone = [jax.local_devices(process_index=rank)[:n_devices] for rank in range(jax.process_count())]
    if len({len(theirs) for theirs in everyone}) > 1:
        raise DeviceError(
            f"The processes have {', '.join(str(len(theirs)) for theirs in everyone)} devices: all need as many; "
            f"give each --devices {min(len(theirs) for theirs in everyone)}."
        )
    return [device for theirs in everyone for device in theirs]


def check_sums() -> None:
    """Raise DeviceError where this process computes a sum wrongly on CPU, as some jaxlib would (`serjax.xla`)."""
    if jax.default_backend() != "cpu":
        return  # others round products by default, and have not the fault
    x_N3 = jnp.zeros((32_769, 3)).at[:, 0].set(jnp.arange(32_769.0))
    square_N = jax.jit(jax.vmap(lambda x_3: jnp.sum((jnp.eye(3) @ x_3) ** 2)))(x_N3)
    if not np.allclose(square_N, np.arange(32_769.0) ** 2, rtol=1e-5):
        raise DeviceError(
            f"jaxlib {jax.lib.__version__} computes sums wrongly in this process, and so would train wrongly. Add "
            f"{xla.WITHOUT_SUMS} to XLA_FLAGS, in place of another choice of that flag; where there is none, it is "
            "enough to import serjax before JAX computes anything."
        )


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Layout:
    """How runs lie on devices.

    `shard="runs"`: each device trains its share of the runs; a run never leaves its device, so nothing is reduced
    between devices. `shard="data"`: every device holds every run and trains it on its share of the batch.
    `stacking`: the runs of one device one after another (`map`: best where a run's state fits the cache) or as one
    batched program (`vmap`: best on accelerators). `devices` are those of all processes, equally many of each, in the
    order of processes.
    """

    devices: tuple[jax.Device, ...]
    shard: Shard = "runs"
    stacking: Stacking = "map"

    @property
    def title(self) -> str:
        """How many devices of which kind, as results name them."""
        first = self.devices[0]
        return f"{len(self.devices)} × {first.device_kind} ({first.platform})"

    @property
    def n_shares(self) -> int:
        """Into how many parts the run axis is cut."""
        return len(self.devices) if self.shard == "runs" else 1

    @property
    def one_by_one(self) -> bool:
        """Whether each run is trained by one device alone, which does nothing else meanwhile."""
        return self.shard == "runs" and self.stacking == "map"

    def put_runs(self, tree: chex.ArrayTree) -> chex.ArrayTree:
        """Lay a stack `[R, …]` over the devices; an uneven one is padded with copies of its last run."""
        if self.shard == "data":
            return jax.device_put(tree, self._sharding())
        return jax.device_put(jax.tree.map(self._cut, tree), self._sharding(RUNS_AXIS))

    def put_shared(self, tree: chex.ArrayTree) -> chex.ArrayTree:
        """Copy to every device what all runs read."""
        return jax.device_put(tree, self._sharding())

    def put_rows(self, rows_RESB: np.ndarray) -> jax.Array:
        """Lay an index block `[R, E, S, B]` over the devices; with `shard="data"` the batch is cut, −1 pads it."""
        if self.shard == "runs":
            return self.put_runs(rows_RESB)
        n = len(self.devices)
        short = -rows_RESB.shape[-1] % n
        padded = np.pad(rows_RESB, [(0, 0)] * (rows_RESB.ndim - 1) + [(0, short)], constant_values=-1)
        shares = np.stack(np.split(padded, n, axis=-1))
        return jax.device_put(shares[self._own], self._sharding(DATA_AXIS))

    def get_runs(self, tree: chex.ArrayTree, n_runs: int) -> chex.ArrayTree:
        """Bring a stack back to the host as NumPy arrays `[R, …]`, without the padding; whole in every process."""
        host = jax.device_get(tree)
        if self.shard == "data":
            return host
        if self._n_processes == 1:
            return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n_runs], host)
        with collective():
            gathered = multihost_utils.process_allgather(host)
        return jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[3:])[:n_runs], gathered)

    def train(self, train_epochs: Callable) -> Callable:
        """Compile `train_epochs`, or `train_part`, of a run for the stack; the state that it is given is donated."""
        if self.shard == "data":
            in_axes = (None, None, 0, None, None)
            return self._pmap(self._stack(train_epochs), DATA_AXIS, in_axes, None, donate=(0,))
        return self._pmap(self.on_a_device(train_epochs), RUNS_AXIS, (0, 0, 0, None, None), 0, donate=(0,))

    def on_a_device(self, train_epochs: Callable) -> Callable:
        """Return `train_epochs` of one run for all runs of a device, with the whole of a batch."""
        # A "data" axis of one that no array has: reducing over it costs nothing, batching over it cost 2.4 times.
        alone = jax.vmap(train_epochs, in_axes=None, out_axes=None, axis_name=DATA_AXIS, axis_size=1)
        return self._stack(alone)

    def evaluate(self, function: Callable) -> Callable:
        """Compile `function(run, shared)` of one run for the whole stack, cut over the devices by runs.

        The runs of a device take turns, however they were trained: what it needs of memory is what one run needs.

        Raises:
          ValueError: on a layout that shards the batch; evaluate on `by_runs()`.
        """
        if self.shard != "runs":
            raise ValueError("evaluation is spread over devices by runs: use layout.by_runs()")
        return self._pmap(_mapped(function), RUNS_AXIS, (0, None), 0)

    def by_runs(self) -> "Layout":
        """Return the layout of the same devices that cuts the run axis."""
        return replace(self, shard="runs")

    def _stack(self, train_epochs: Callable) -> Callable:
        if self.stacking == "vmap":
            return jax.vmap(train_epochs, (0, 0, 0, None, None))
        return _in_place(train_epochs)

    def _pmap(
        self,
        function: Callable,
        axis_name: str,
        in_axes: tuple[int | None, ...],
        out_axes: int | None,
        donate: tuple[int, ...] = (),
    ) -> Callable:
        compiled = jax.pmap(
            function,
            axis_name=axis_name,
            in_axes=in_axes,
            out_axes=out_axes,
            devices=self.devices,
            donate_argnums=donate,
        )
        return compiled if self._n_processes == 1 else _waiting(compiled)

    def _cut(self, array: jax.Array | np.ndarray) -> np.ndarray:
        n = len(self.devices)
        rows = np.minimum(np.arange(array.shape[0] + -array.shape[0] % n), array.shape[0] - 1)
        return np.asarray(array)[rows.reshape(n, -1)[self._own]]

    @property
    def _n_processes(self) -> int:
        return len({device.process_index for device in self.devices})

    @property
    def _own(self) -> slice:
        """The place of this process's devices among all."""
        n_own = len(self.devices) // self._n_processes
        first = (jax.process_index() if self._n_processes > 1 else 0) * n_own
        return slice(first, first + n_own)

    def _sharding(self, axis: str | None = None) -> NamedSharding:
        name = axis or (RUNS_AXIS if self.shard == "runs" else DATA_AXIS)
        return NamedSharding(
            Mesh(np.array(self.devices[self._own]), (name,)), PartitionSpec(axis) if axis else PartitionSpec()
        )


def _mapped(function: Callable) -> Callable:
    """Return `function(run, shared)` for a stack of runs, one after another."""
    return lambda run_R, shared: jax.lax.map(lambda run: function(run, shared), run_R)


def _in_place(train_epochs: Callable) -> Callable:
    """Return `train_epochs` for a stack of runs, one after another, each state written over the one that it came from.

    A map writes what it returns beside what it was given, and so holds and moves all states twice: short calls of a
    dense VAE, whose state is four times its 1.2 M parameters, took 1.1 to 1.4 times as long.
    """

    def train(
        state_R: chex.ArrayTree,
        inputs_R: chex.ArrayTree,
        rows_RESB: jax.Array,
        n_epochs: chex.ArrayTree,
        dataset: chex.ArrayTree,
    ) -> tuple:
        def next_run(state_R: chex.ArrayTree, one: tuple) -> tuple:
            r, inputs, rows_ESB = one
            state = jax.tree.map(lambda leaf_R: jax.lax.dynamic_index_in_dim(leaf_R, r, keepdims=False), state_R)
            state, metrics_E = train_epochs(state, inputs, rows_ESB, n_epochs, dataset)
            put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=r, axis=0)
            return jax.tree.map(put, state_R, state), metrics_E

        return jax.lax.scan(next_run, state_R, (jnp.arange(len(rows_RESB)), inputs_R, rows_RESB))

    return train


def _waiting(compiled: Callable) -> Callable:
    """Return `compiled` so that it ends when its result is there: a process that dies meanwhile is noticed in it."""

    @functools.wraps(compiled)
    def call(*args: chex.ArrayTree) -> chex.ArrayTree:
        with collective():
            return jax.block_until_ready(compiled(*args))

    call.lower = compiled.lower  # type: ignore[attr-defined]
    return call
