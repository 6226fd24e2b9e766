"""Signals: answered at once outside of a training, at the latest after some seconds, and never twice."""

import os
import queue
import signal
import time

import pytest

from serjax import signals
from serjax.signals import Interrupted, stop_requests, stopping


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


def never(signum: int) -> None:
    raise AssertionError(f"ended by {signum}")


@pytest.mark.parametrize("signum", signals.STOPS)
def test_a_signal_stops_at_once_and_handlers_come_back(signum):
    before = signal.getsignal(signum)
    with pytest.raises(Interrupted) as stop, stopping(never):
        send(signum)
    assert (stop.value.signum, stop.value.where, str(stop.value)) == (signum, "", signal.Signals(signum).name)
    assert signal.getsignal(signum) is before


@pytest.mark.parametrize("collected", [False, True])
def test_what_does_not_stop_in_time_is_ended(monkeypatch, collected):
    """Something swallows the exception; or a training notes the signal within a call that does not end."""
    monkeypatch.setattr(signals, "GRACE_S", 0.1)
    ended: queue.Queue[int] = queue.Queue()
    with stopping(ended.put):
        if collected:
            with stop_requests() as requests:
                send(signal.SIGTERM)
                assert ended.get(timeout=5) == signal.SIGTERM
            assert requests == [signal.SIGTERM]
        else:
            with pytest.raises(Interrupted):
                send(signal.SIGTERM)
            assert ended.get(timeout=5) == signal.SIGTERM
    assert ended.empty()


def test_what_stops_in_time_is_not_ended(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_S", 0.1)
    with stopping(never), pytest.raises(Interrupted):
        send(signal.SIGTERM)
    time.sleep(0.2)


def test_a_signal_in_a_callback_that_can_raise_nothing_is_sent_again():
    def work() -> None:
        Callback()
        time.sleep(5)

    with pytest.raises(Interrupted), stopping(never):
        work()


class Callback:
    """What the interpreter calls, and whose errors it only prints."""

    def __del__(self) -> None:
        send(signal.SIGTERM)


def test_a_signal_that_is_ignored_stays_so():
    """As SIGINT is in a command that a script puts into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping(never), stop_requests() as requests:
            send(signal.SIGINT)
        assert not requests
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_at_the_end_further_signals_say_nothing():
    with stopping(never):
        signals.ignore_stops()
        send(signal.SIGTERM)
