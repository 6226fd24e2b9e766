"""Several processes, on one host or many, that train together: joining by `jax.distributed`, agreeing, leaving.

Every process runs the same program on its share of the devices; process 0 alone writes and prints.
"""

import atexit
import contextlib
import ctypes
import importlib.util
import json
import os
import signal
import socket
import sys
import textwrap
import threading
import time
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from serjax.errors import SerjaxError
from serjax.train.peers import Link, Meeting, Peers, Values, attend_meeting, host_meeting

JOIN_S = 300  # within which all processes must have started
ANSWER_S = 5.0  # within which a process that died has been noticed, once a collective failed of it
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
ADDRESS_BYTES = 512


class ProcessesError(SerjaxError):
    """The processes cannot train together as they were started."""


class _Membership:
    """What this process belongs to: nothing, or a group of processes."""

    joined: bool = False
    waiting: threading.Timer | None = None
    host: str | None = None
    peers: Peers | None = None


_ours = _Membership()


def join_processes(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes by `jax.distributed`, before JAX first computes; alone where nothing says otherwise.

    Without arguments a Slurm step of several tasks and a TPU pod are found; `num_processes` 1 means alone, even there.
    A second call does nothing.

    Raises:
      ProcessesError: the three do not fit together, the address is not free, or JAX refuses. If the others do not
        come, the process ends.
    """
    if _ours.joined or num_processes == 1 or not _asked(coordinator, num_processes, process_id):
        return
    if coordinator is not None and process_id == 0:
        _check_address(coordinator)
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    _ours.waiting = threading.Timer(JOIN_S, _end_unjoined)
    _ours.waiting.daemon = True
    _ours.waiting.start()
    own_address = coordinator if process_id == 0 else None  # no other network of this host can reach it then
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2 * JOIN_S,
            coordinator_bind_address=own_address,
        )
    except (RuntimeError, ValueError) as error:
        _ours.waiting.cancel()
        if coordinator is None and not _in_slurm_step():
            return  # libtpu is installed, but this is no host of a pod
        raise ProcessesError(_unjoined(str(error))) from error
    _ours.joined, _ours.host = True, coordinator.rpartition(":")[0] if coordinator else None


def watch_processes() -> None:
    """Link the processes that have joined, once JAX has found its devices; from now on a dead one ends all."""
    if _ours.peers is not None or not _ours.joined:
        return
    rank, links = jax.process_index(), _meet(jax.process_index()) if jax.process_count() > 1 else []
    if _ours.waiting is not None:
        _ours.waiting.cancel()
    if not links:
        return
    _delay_aborts()
    _ours.peers = Peers(rank, links, _end_after_loss)
    atexit.register(_at_exit)
    if rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)


def is_first() -> bool:
    """Whether this process writes and prints: it is alone, or process 0."""
    return _ours.peers is None or _ours.peers.rank == 0


def exchange(*values: int | str) -> list[Values]:
    """Return what every process gave to the same call, in their order; waits for all, also as a barrier."""
    return [list(values)] if _ours.peers is None else _ours.peers.exchange(list(values))


def from_first(value: int) -> int:
    """Return the number that process 0 gave."""
    return int(exchange(value)[0][0])


def processes_on_this_host() -> int:
    """Return how many of the processes run on the same host as this one, itself included; waits for all."""
    hosts = [values[0] for values in exchange(socket.gethostname())]
    return hosts.count(socket.gethostname())


def check_same(what: str, value: str) -> None:
    """Raise ProcessesError unless all processes give the same text."""
    given = [str(values[0]) for values in exchange(value)]
    if len(set(given)) > 1:
        odd = next(rank for rank, text in enumerate(given) if text != given[0])
        raise ProcessesError(
            f"Process {odd} has another {what} than process 0: give all the same flags and the same corpus, "
            f"and let them compute features on processors of one kind, or share one --cache."
        )


def await_loss() -> None:
    """Wait as long as it takes to notice a dead process: called when a collective failed, perhaps because of it."""
    if _ours.peers is not None:
        time.sleep(ANSWER_S)


def leave(code: int, together: bool) -> NoReturn:
    """Exit; `together`: all processes do, so wait for them. Otherwise the others are told, and end too."""
    if _ours.peers is None:
        if _ours.waiting is not None and _ours.waiting.is_alive():  # JAX would wait for those that have joined
            _end(code)
        sys.exit(code)
    if together:
        _ours.peers.part()
        _ours.peers = None
        sys.exit(code)
    _ours.peers.desert(_ours.peers.rank, "it stopped, see its own message")
    _end(code)


def abandon(code: int) -> NoReturn:
    """Exit at once, from whichever thread; the others are told, and end too."""
    if _ours.peers is not None:
        _ours.peers.desert(_ours.peers.rank, "it was stopped by a signal")
    _end(code)


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


def _check_address(coordinator: str) -> None:
    """Raise ProcessesError unless process 0 can listen there: JAX would crash, or share the port with a stranger."""
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


def _in_slurm_step() -> bool:
    """Return whether `srun` started several tasks, of which this is one."""
    return all(name in os.environ for name in SLURM) and int(os.environ["SLURM_NTASKS"]) > 1


def _on_tpu() -> bool:
    """Return whether this may be a host of TPUs; JAX asks its metadata how many there are."""
    return importlib.util.find_spec("libtpu") is not None and os.environ.get("JAX_PLATFORMS", "tpu").startswith("tpu")


def _meet(rank: int) -> list[Link]:
    """Return the links of this process; where process 0 waits is told by a collective of JAX."""
    if rank:
        return [attend_meeting(Meeting(**_broadcast({})), rank, JOIN_S)]
    with host_meeting(_ours.host or socket.gethostname()) as (meeting, receive):
        _broadcast(vars(meeting))
        return receive(jax.process_count() - 1, JOIN_S)


def _broadcast(content: dict) -> dict:
    """Return the content that process 0 gave."""
    text = json.dumps(content).encode().ljust(ADDRESS_BYTES)
    sent = multihost_utils.broadcast_one_to_all(np.frombuffer(text, np.uint8))
    return dict(json.loads(np.asarray(sent, np.uint8).tobytes()))


def _delay_aborts() -> None:
    """Let a thread that aborts sleep six seconds first.

    When process 0 dies, JAX aborts the others as soon as it notices; this gives `_end_after_loss` the time to be first.
    The C function `sleep` is the handler itself: its argument is the signal's number, 6, and it needs no interpreter.
    """
    if os.name == "posix":
        libc = ctypes.CDLL(None)
        libc.signal(signal.SIGABRT, ctypes.cast(libc.sleep, ctypes.c_void_p))


def _unjoined(why: str) -> str:
    return (
        f"The other processes could not be joined ({why}). Start all of them within {JOIN_S} s, with one address of "
        f"process 0 that all can reach; --num-processes 1 trains alone."
    )


def _end_unjoined() -> NoReturn:
    """Say so and end: JAX would abort."""
    print(textwrap.fill(_unjoined("they did not come"), 100), file=sys.stderr, flush=True)
    _end(1)


def _end_after_loss(rank: int, why: str) -> NoReturn:
    """Say which process died and end at once: the main thread may wait for it in a collective for ever."""
    assert _ours.peers is not None
    message = (
        f"Process {rank} of the training ended ({why}): process {_ours.peers.rank} ends too. What was saved is whole; "
        f"start all processes again with the same commands to go on from the last checkpoint."
    )
    print(textwrap.fill(message, 100), file=sys.stderr, flush=True)
    if _ours.peers.rank == 0:
        _ours.peers.desert(rank, why)
    _end(1)


def _end(code: int) -> NoReturn:
    """End without the exit handlers: those of JAX would wait for the other processes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _at_exit() -> None:
    """Leave in order where nobody has called `leave`: after an error at once, else together."""
    if _ours.peers is not None:
        if getattr(sys, "last_value", None) is not None:
            leave(1, together=False)
        _ours.peers.part()
