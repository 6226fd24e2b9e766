"""Several processes, on one host or many, that train together: joining by `jax.distributed`, agreeing, leaving.

Every process runs the same program on its share of the devices; process 0 alone writes and prints. That a process
died is noticed by JAX: a call over all processes fails, or JAX aborts the others (exit code 134) within `HEARTBEAT_S`.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import socket
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import filelock
import jax
import numpy as np
from jax.experimental import multihost_utils

from serjax.errors import SerjaxError
from serjax.signals import end_now

JOIN_S = 300  # within which all processes must have started
SHUTDOWN_S = 86_400  # for which a process that is done waits for the others, which may draw and write
HEARTBEAT_S = 30  # of silence, after which JAX takes a process for dead
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
CONTENT_BYTES = 256
AGAIN = "If a process dies, the others end too: start all again with the same commands, to go on from what was saved."

Values = list[int | str]
_claimed: list[filelock.BaseFileLock] = []  # held until the process ends


class ProcessesError(SerjaxError):
    """The processes cannot train together as they were started."""


class LostProcessError(ProcessesError):
    """A call over all processes failed, most likely because one of them died: nothing that was given is wrong."""

    exit_code = 1


def join_processes(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes by `jax.distributed`, before JAX first computes; alone where nothing says otherwise.

    Without arguments a Slurm step of several tasks and a TPU pod are found; `num_processes` 1 means alone, even there.
    A second call does nothing. If the others do not come within `JOIN_S`, the process ends.

    Args:
      coordinator: HOST:PORT, where process 0 listens.
      num_processes: how many processes train together.
      process_id: the number of this one, from 0.

    Raises:
      ProcessesError: the three do not fit together, the address or the number is taken, or JAX refuses.
    """
    if jax.distributed.is_initialized() or num_processes == 1 or not _asked(coordinator, num_processes, process_id):
        return
    if coordinator is not None and process_id is not None:
        _claim(coordinator, process_id)
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    own_address = coordinator if process_id == 0 else None  # no other network of this host can reach it then
    waiting = threading.Timer(JOIN_S, _end_unjoined)
    waiting.daemon = True
    waiting.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2 * JOIN_S,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=SHUTDOWN_S,
            coordinator_bind_address=own_address,
        )
    except (RuntimeError, ValueError) as error:
        if coordinator is None and not _in_slurm_step():
            return  # libtpu is installed, but this is no host of a pod
        raise ProcessesError(_unjoined(str(error))) from error
    finally:
        waiting.cancel()
    sys.excepthook = _end_after_error


@functools.cache
def start_together() -> None:
    """Say once what to do if a process dies, and silence all but the first; comes after JAX has found its devices."""
    if jax.process_count() == 1:
        return
    if is_first():
        _say(f"{jax.process_count()} processes train together. {AGAIN}")
    else:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)


def is_first() -> bool:
    """Return whether this process writes and prints: it is alone, or process 0."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def agree(content: bytes) -> list[bytes]:
    """Return what every process gave to the same call, in their order; waits for all, also as a barrier.

    All processes make the same calls in the same order. What is long is given as a hash.

    Raises:
      LostProcessError: the others did not answer.
      ValueError: the content is too long.
    """
    if len(content) > CONTENT_BYTES - 1:
        raise ValueError(f"{len(content)} bytes to agree on: expected at most {CONTENT_BYTES - 1}, give a hash")
    if not jax.distributed.is_initialized():
        return [content]
    sized = bytes([len(content)]) + content.ljust(CONTENT_BYTES - 1)
    with collective():
        gathered = multihost_utils.process_allgather(np.frombuffer(sized, np.uint8))
    return [row[1 : 1 + row[0]].tobytes() for row in gathered]


def exchange(*values: int | str) -> list[Values]:
    """Return the values that every process gave to the same call, in their order; waits for all, also as a barrier."""
    return [json.loads(content) for content in agree(json.dumps(values).encode())]


def from_first(value: int) -> int:
    """Return the number that process 0 gave."""
    return int(exchange(value)[0][0])


def check_same(what: str, value: str) -> None:
    """Raise ProcessesError unless all processes give the same text."""
    given = agree(hashlib.sha256(value.encode()).digest())
    odd = next((rank for rank, theirs in enumerate(given) if theirs != given[0]), None)
    if odd is not None:
        raise ProcessesError(
            f"Process {odd} has another {what} than process 0: give all the same flags and the same corpus, "
            f"and let them compute features on processors of one kind, or share one --cache."
        )


@contextlib.contextmanager
def collective() -> Iterator[None]:
    """Say what it most likely means that a call over all processes failed, and what to do.

    Raises:
      LostProcessError: there are several processes, and the call failed for another reason than memory.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:  # JAX raises either: gloo's are ValueErrors
        if not jax.distributed.is_initialized() or "RESOURCE_EXHAUSTED" in str(error):
            raise
        why = str(error).partition("\n")[0]
        raise LostProcessError(f"A call over all processes failed ({type(error).__name__}: {why}). {AGAIN}") from error


def leave(code: int) -> NoReturn:
    """Exit after an error or a signal; at once where JAX would wait for other processes, or still compiles."""
    if jax.distributed.is_initialized() or code >= 128:
        end_now(code)
    sys.exit(code)


def _asked(coordinator: str | None, num_processes: int | None, process_id: int | None) -> bool:
    """Return whether there is more than this process, as the flags or the cluster say."""
    flags = {"--coordinator": coordinator, "--num-processes": num_processes, "--process-id": process_id}
    missing = [name for name, value in flags.items() if value is None]
    if len(missing) == len(flags):
        return _in_slurm_step() or _on_tpu()
    if coordinator is None or num_processes is None or process_id is None:
        raise ProcessesError(f"{' and '.join(missing)} missing: give all of {', '.join(flags)}, or none of them.")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise ProcessesError(f"--coordinator {coordinator}: expected HOST:PORT, such as node1:29500.")
    if not 0 <= process_id < num_processes:
        raise ProcessesError(f"--process-id {process_id}: expected 0 to {num_processes - 1}.")
    return True


def _in_slurm_step() -> bool:
    """Return whether `srun` started several tasks, of which this is one."""
    return all(name in os.environ for name in SLURM) and int(os.environ["SLURM_NTASKS"]) > 1


def _on_tpu() -> bool:
    """Return whether this may be a host of TPUs; JAX asks its metadata how many there are."""
    return importlib.util.find_spec("libtpu") is not None and os.environ.get("JAX_PLATFORMS", "tpu").startswith("tpu")


def _claim(coordinator: str, process_id: int) -> None:
    """Raise ProcessesError unless number and address are free on this host: JAX would abort all, or share the port."""
    place = hashlib.sha256(f"{Path.home()} {coordinator} {process_id}".encode()).hexdigest()
    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"serjax-{place[:16]}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise ProcessesError(
            f"--process-id {process_id}: another process of this host has this number and the same --coordinator "
            f"{coordinator}. Give each process a number of its own."
        ) from error
    if process_id == 0:
        _check_address(coordinator)
    _claimed.append(lock)


def _check_address(coordinator: str) -> None:
    """Raise ProcessesError unless this process can listen there."""
    host, _, port = coordinator.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        raise ProcessesError(
            f"--coordinator {coordinator}: process 0 cannot listen there ({error}). Give a free port of this machine, "
            "by a name or address of it that the others can reach, and start only one process as --process-id 0."
        ) from error


def _end_unjoined() -> NoReturn:
    """Say so and end: JAX would abort without a plain word."""
    _say(_unjoined("they did not come"))
    end_now(1)


def _unjoined(why: str) -> str:
    return (
        f"The other processes could not be joined ({why}). Start all of them within {JOIN_S} s, with one address of "
        f"process 0 that all can reach; --num-processes 1 trains alone."
    )


def _end_after_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> NoReturn:
    """End after an error that nobody caught: at once, as `leave` does."""
    sys.__excepthook__(kind, error, trace)
    end_now(1)


def _say(text: str) -> None:
    print(textwrap.fill(text, 100), file=sys.stderr, flush=True)
