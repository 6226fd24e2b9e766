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

Config = TypeVar("Config")


def run_command(
    config_type: type[Config], run: Callable[[Config], None], description: str, prefixes: bool = False
) -> NoReturn:
    """Parse flags into `config_type`, run, and exit.

    Flags are named by fields alone; with `prefixes`, by section and field (`--mlp.alpha`) except where a section is
    marked `tyro.conf.OmitArgPrefixes`.

    0: done. 2: something given is wrong (a `SerjaxError`, or an unknown flag). 128 + n: stopped by signal n, what
    was done is saved. 1: the training diverged, or the disk failed.
    """
    try:
        run(tyro.cli(config_type, description=description, config=() if prefixes else (tyro.conf.OmitArgPrefixes,)))
    except SerjaxError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except Interrupted as stop:
        _complain(f"Stopped by {stop}. Give the same command again to go on.")
        sys.exit(128 + stop.signum)
    except KeyboardInterrupt:
        _complain("Stopped. Give the same command again to go on from the last checkpoint.")
        sys.exit(130)
    except BrokenPipeError:  # `… | head` has read enough; what Python still holds back for it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _complain(f"{type(error).__name__}: {error}. What was saved before stays whole.")
        sys.exit(1)
    sys.exit(0)


def _complain(message: str) -> None:
    print(textwrap.fill(message, 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
