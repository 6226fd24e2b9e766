"""Stopping cleanly: a signal is answered at once, or when the state can be saved, and always within some seconds."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 7.0  # from a signal to the end at the latest: a longer call, fit or compilation is not waited for


class Interrupted(BaseException):
    """A signal asked the work to stop; like KeyboardInterrupt no error that somebody on the way may swallow.

    `where` says what was saved; it is empty where only this process of several stops.
    """

    def __init__(self, signum: int, where: str = "") -> None:
        super().__init__(signal.Signals(signum).name + (f": {where}" if where else ""))
        self.signum, self.where = signum, where


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of stopping for them; a second SIGINT interrupts at once."""
    requests: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if signum in requests and signum == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(signum)

    with _handled_by(note):
        yield requests


@contextlib.contextmanager
def stopping(end: Callable[[int], None]) -> Iterator[None]:
    """Raise Interrupted for SIGINT and SIGTERM; `end(signum)` where the block still runs `GRACE_S` after one.

    `end` is called in a thread of its own: the main one may be in a computation, which no exception reaches.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum)

    with _handled_by(stop) as is_main:
        if not is_main:
            yield
            return
        over, hook = threading.Event(), sys.unraisablehook
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        watcher = threading.Thread(target=_watch, args=(reading, over, end), daemon=True)
        watcher.start()
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        sys.unraisablehook = lambda swallowed: _again(swallowed.exc_value) or hook(swallowed)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            signal.set_wakeup_fd(before)
            over.set()
            os.close(writing)
            watcher.join()


def end_now(code: int) -> NoReturn:
    """End the process at once, from whichever thread; no exit handler runs, what was printed is kept."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _again(error: BaseException | None) -> bool:
    """Send the signal again where its exception was raised in a callback that can raise none, as JAX's at a collection.

    Return whether it was one.
    """
    if isinstance(error, Interrupted):
        threading.Timer(0.1, os.kill, (os.getpid(), error.signum)).start()
    return isinstance(error, Interrupted)


def ignore_stops() -> None:
    """Ignore further signals until the block of `stopping` is over: the process is about to end."""
    if threading.current_thread() is threading.main_thread():
        for signum in STOPS:
            signal.signal(signum, signal.SIG_IGN)


def _watch(reading: int, over: threading.Event, end: Callable[[int], None]) -> None:
    """Read the numbers of signals as they come, and see to it that the first of `STOPS` is answered."""
    with open(reading, "rb", buffering=0) as signals:
        while (byte := signals.read(1)) and byte[0] not in STOPS:
            pass
        if byte and not over.wait(GRACE_S):
            end(byte[0])


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[bool]:
    """Set the handler of SIGINT and SIGTERM, but of one that is ignored; tell whether this thread may: the main one."""
    previous = {}
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        ignored = [signum for signum in STOPS if signal.getsignal(signum) is signal.SIG_IGN]
        previous = {signum: signal.signal(signum, handler) for signum in STOPS if signum not in ignored}
    try:
        yield threading.current_thread() is threading.main_thread()
    finally:
        for signum, before in previous.items():
            signal.signal(signum, before)
