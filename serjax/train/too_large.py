"""Stacks that memory cannot hold: told before the first call on CPU, and by the device itself elsewhere.

A CPU process that takes more than there is would be killed, or slow down the whole machine. An accelerator refuses
an allocation, which JAX raises as RESOURCE_EXHAUSTED.
"""

import contextlib
from collections.abc import Iterator, Sequence

import jax
import psutil

from serjax.errors import SerjaxError


class TooLargeError(SerjaxError):
    """More memory is needed than there is."""

    exit_code = 1


def check_fits(compiled: jax.stages.Compiled, devices: Sequence[jax.Device], n_runs: int, batch_size: int) -> None:
    """Hold what a compiled program needs beside its arguments against the host's free memory, where it runs on CPU.

    Args:
      compiled: the program, of which each device of this process runs a copy. Its arguments are in memory already.
      devices: those of all processes.
      n_runs: how many models are trained at a time, on all devices.
      batch_size: the clips of a step.

    Raises:
      TooLargeError: it does not fit.
    """
    here = [device for device in devices if device.process_index == jax.process_index()]
    stats = compiled.memory_analysis()
    if here[0].platform != "cpu" or stats is None:
        return
    # An output that takes the place of an argument, as a state does, needs nothing more.
    each = stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    needed, free = len(here) * each, psutil.virtual_memory().available
    if needed > free:
        raise TooLargeError(
            f"The program needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
            f"{_advice(n_runs, batch_size)}"
        )


@contextlib.contextmanager
def naming_flags(n_runs: int, batch_size: int) -> Iterator[None]:
    """Raise TooLargeError in place of what JAX raises where a device has no memory left."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        first = str(error).partition("\n")[0]
        raise TooLargeError(f"A device has too little memory ({first}). {_advice(n_runs, batch_size)}") from error


def _advice(n_runs: int, batch_size: int) -> str:
    return f"Give a smaller --stack-size (now {n_runs} models at a time) or --batch-size (now {batch_size})."
