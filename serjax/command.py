"""The command line: flags in, exit code out, one paragraph for each error that a user can correct."""

import io
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Callable
from typing import NoReturn, TypeVar

import tyro

from serjax.errors import SerjaxError
from serjax.escape import terminal
from serjax.provenance import program
from serjax.signals import Interrupted, end_now, ignore_stops, stopping

Config = TypeVar("Config")


def run_command(
    config_type: type[Config],
    run: Callable[[Config], None],
    description: str,
    prefixes: bool = False,
    leave: Callable[[int], NoReturn] = sys.exit,
) -> NoReturn:
    """Parse flags into `config_type`, run, and exit.

    Flags are named by fields alone; with `prefixes`, by section and field (`--mlp.alpha`) except where a section is
    marked `tyro.conf.OmitArgPrefixes`. `leave` exits with a code after an error; where all processes that train
    together end in the same way, each exits in order.

    SIGINT and SIGTERM are answered at any time (`signals.stopping`). Exit codes:

    - 0: done.
    - 1: the training diverged, disk or memory failed, or another process of the training died.
    - 2: something given is wrong (a `SerjaxError`, or an unknown flag).
    - 128 + n: stopped by signal n; what was done is saved.
    """
    _prepare_streams()
    form = () if prefixes else (tyro.conf.OmitArgPrefixes,)
    with stopping(_end_late):
        code, together = _outcome(
            lambda: run(tyro.cli(config_type, prog=shlex.join(program()), description=description, config=form))
        )
        ignore_stops()
        (sys.exit if together else leave)(code)


def _outcome(work: Callable[[], None]) -> tuple[int, bool]:
    """Work, and say what went wrong; return the exit code, and whether all processes leave with it."""
    try:
        work()
    except SerjaxError as error:
        _complain(str(error))
        return error.exit_code, False
    except Interrupted as stop:
        ignore_stops()
        _complain(f"Stopped by {stop}. Give the same command again to go on.")
        return 128 + stop.signum, bool(stop.where)
    except KeyboardInterrupt:
        _complain("Stopped. Give the same command again to go on from the last checkpoint.")
        return 130, False
    except BrokenPipeError:  # `… | head` has read enough; what Python still holds back for it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE, False
    except OSError as error:
        _complain(f"{type(error).__name__}: {error}. What was saved before stays whole.")
        return 1, False
    except MemoryError as error:
        _complain(f"There is not enough memory ({error}). Ask for shorter or fewer clips, or for smaller models.")
        return 1, False
    return 0, True


def _prepare_streams() -> None:
    """Let no output fail: a closed stream leads nowhere, and what an encoding lacks is written as its code point."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end_late(signum: int) -> NoReturn:
    """End a process that a signal could not stop in time, as one in a long computation."""
    _complain(
        f"Stopped by {signal.Signals(signum).name} within a long computation, which is lost; what was saved before is "
        "whole. Give the same command again to go on."
    )
    end_now(128 + signum)


def _complain(message: str) -> None:
    for line in message.split("\n"):
        wrapped = textwrap.wrap(line, 100, break_long_words=False, break_on_hyphens=False)
        print("\n".join(map(terminal, wrapped)), file=sys.stderr)
