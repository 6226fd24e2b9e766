"""The command line around an experiment: flags in, exit code out, one paragraph for whatever a user can mend."""

import os
import signal
import sys
import textwrap
from collections.abc import Callable
from typing import NoReturn, TypeVar

import tyro

from serjax.errors import SerjaxError
from serjax.train.loop import Interrupted
from serjax.train.processes import leave

Config = TypeVar("Config")


def run_command(
    config_type: type[Config], run: Callable[[Config], None], description: str, prefixes: bool = False
) -> NoReturn:
    """Parse flags into `config_type`, run, and exit.

    Flags are named by fields alone; with `prefixes`, by section and field (`--mlp.alpha`) except where a section is
    marked `tyro.conf.OmitArgPrefixes`.

    0: done. 2: something given is wrong (a `SerjaxError`, or an unknown flag). 128 + n: stopped by signal n, what
    was done is saved. 1: the training diverged, the disk failed, or another process of the training died.
    """
    try:
        run(tyro.cli(config_type, description=description, config=() if prefixes else (tyro.conf.OmitArgPrefixes,)))
    except SerjaxError as error:
        _complain(str(error))
        leave(error.exit_code, together=False)
    except Interrupted as stop:
        _complain(f"Stopped by {stop}. Give the same command again to go on.")
        leave(128 + stop.signum, together=True)
    except KeyboardInterrupt:
        _complain("Stopped. Give the same command again to go on from the last checkpoint.")
        leave(130, together=False)
    except BrokenPipeError:  # `… | head` has read enough; what Python still holds back for it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(128 + signal.SIGPIPE, together=False)
    except OSError as error:
        _complain(f"{type(error).__name__}: {error}. What was saved before stays whole.")
        leave(1, together=False)
    leave(0, together=True)


def _complain(message: str) -> None:
    print(textwrap.fill(message, 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
