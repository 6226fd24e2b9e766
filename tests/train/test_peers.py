"""Links between processes: what is exchanged, and who counts as lost."""

import contextlib
import queue
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serjax.train import peers
from serjax.train.peers import Peers, attend_meeting, host_meeting


class Group:
    """Three linked processes in one, each with a queue of what was lost."""

    def __init__(self) -> None:
        self.lost: list[queue.Queue] = [queue.Queue() for _ in range(3)]
        with (
            host_meeting("127.0.0.1") as (meeting, receive),
            socket.create_connection(("127.0.0.1", meeting.port)) as stranger,
        ):
            stranger.sendall(b'{"word": "guessed", "rank": 1}\n')
            own = {rank: [attend_meeting(meeting, rank, 5.0)] for rank in (2, 1)} | {0: receive(2, 5.0)}
        self.members = [Peers(rank, own[rank], self._note(rank)) for rank in range(3)]

    def _note(self, rank: int):
        return lambda *loss: self.lost[rank].put(loss)

    def cut(self, rank: int) -> None:
        for link in self.members[rank].links:
            with contextlib.suppress(OSError):  # closed already
                link.socket.shutdown(socket.SHUT_RDWR)
            assert link.closed.wait(5)


@pytest.fixture
def group():
    linked = Group()
    yield linked
    for rank in range(3):
        linked.cut(rank)


def in_threads(*calls):
    """Return what calls return that wait for each other."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=10) for future in [pool.submit(call) for call in calls]]


def test_an_exchange_gives_all_values_in_order_to_all(group):
    for turn in range(3):
        got = in_threads(*(lambda p=p, t=turn: p.exchange([p.rank, f"turn {t}"]) for p in group.members))
        assert got == [[[rank, f"turn {turn}"] for rank in range(3)]] * 3


def test_who_says_farewell_is_not_lost(group):
    in_threads(*(member.part for member in group.members))
    for rank in (1, 2, 0):
        group.cut(rank)
    assert all(lost.empty() for lost in group.lost)


def test_a_closed_link_is_a_loss_that_all_are_told(group):
    group.cut(2)
    assert group.lost[0].get(timeout=5) == (2, "its connection closed")
    started = time.monotonic()
    group.members[0].desert(2, "its connection closed")
    assert group.lost[1].get(timeout=5) == (2, "its connection closed")
    assert time.monotonic() - started > peers.PARTING_S - 0.5  # process 1, still there, had its time
    assert group.lost[0].empty()


def test_silence_is_a_loss(monkeypatch):
    monkeypatch.setattr(peers, "SILENCE_S", 0.3)
    monkeypatch.setattr(peers, "BEAT_S", 5.0)
    silent = Group()
    reasons = [lost.get(timeout=5)[1] for lost in silent.lost]  # who ends of it closes its links to the others
    assert any("nothing was heard of it for 0 s" in why for why in reasons)
    for rank in range(3):
        silent.cut(rank)
