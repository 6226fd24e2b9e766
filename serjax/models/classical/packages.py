"""Packages that only classical models need: imported when something is fitted; what to do where one is missing."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from serjax.errors import SerjaxError


class ClassicalError(SerjaxError):
    """A classical model cannot be fitted."""


def require(module: str, extra: str = "classical") -> ModuleType:
    """Import a module of an optional package.

    Raises:
      ClassicalError: it is not installed; the message names the extra of serjax that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ClassicalError(
            f"This needs {module.split('.')[0]}, which is not installed ({error}). "
            f'Install it: pip install "serjax[{extra}]".'
        ) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep linear algebra and loops to one thread while the block runs.

    The matrices of a mixture are so small that threads only wait for each other. On a busy machine of two cores, eight
    full-covariance mixtures took 278 s with two threads and 3 s with one.
    """
    with require("threadpoolctl").threadpool_limits(1):
        yield
