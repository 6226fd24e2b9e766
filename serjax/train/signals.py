"""Stopping cleanly: a signal is noted, answered when the state can be saved, and told to whoever started the work."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """A signal asked the training to stop; what was done is saved."""

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(f"{signal.Signals(signum).name}: {where}")
        self.signum = signum


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second SIGINT interrupts at once."""
    requests: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if signum in requests and signum == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(signum)

    previous = {}
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        previous = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
