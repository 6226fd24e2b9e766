"""Links between the processes of one training: each learns at once that another died, and small things are agreed.

Process 0 holds one TCP connection to every other. A connection that closes without farewell, or is silent for
`SILENCE_S`, means that a process died: the others are told which, and end. This does not rest on the collectives of
JAX, which may wait for a dead process for ever (NCCL), nor on the heartbeats of `jax.distributed`, which abort.
"""

import contextlib
import functools
import json
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BEAT_S, SILENCE_S, PARTING_S, HELLO_S = 1.0, 30.0, 3.0, 10.0

Values = list[int | str]


@dataclass(eq=False)
class Link:
    """A connection to the process `rank`; messages are lines of JSON."""

    rank: int
    socket: socket.socket
    received: queue.Queue[list[Values]] = field(default_factory=queue.Queue)
    closed: threading.Event = field(default_factory=threading.Event)
    said_farewell: bool = False
    sending: threading.Lock = field(default_factory=threading.Lock)

    def send(self, **message: object) -> None:
        """Send a message; that the other side is gone is for the reader to find out."""
        with self.sending, contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")


class Peers:
    """The other processes, as far as this one is linked to them: all from process 0, process 0 from all others.

    `on_loss(rank, why)` is called once, in a thread of its own, when a process died; it should end this one.
    """

    def __init__(self, rank: int, links: list[Link], on_loss: Callable[[int, str], None]) -> None:
        self.rank, self.links, self.on_loss = rank, links, on_loss
        self.mourning = threading.Lock()
        for link in links:
            link.socket.settimeout(SILENCE_S)
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._listen, args=(link,), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def exchange(self, values: Values) -> list[Values]:
        """Return what every process gave to the same call, in their order; waits for all."""
        if self.rank:
            self.links[0].send(values=[values])
            return self.links[0].received.get()
        everyone = [values, *(link.received.get()[0] for link in self.links)]
        for link in self.links:
            link.send(values=everyone)
        return everyone

    def part(self) -> None:
        """Leave when all do: wait for every process to call this; from then on a closed link is no loss."""
        if self.rank:
            self.links[0].send(farewell=True, values=[[]])
            self.links[0].received.get()
            return
        for link in self.links:
            link.received.get()
        for link in self.links:
            link.send(farewell=True, values=[[]])

    def desert(self, rank: int, why: str) -> None:
        """Tell the others that `rank` is lost and give them a moment to end first.

        They must: the service of `jax.distributed` is in process 0, and a process that loses it aborts.
        """
        for link in self.links:
            link.send(lost=rank, why=why)
        if self.rank == 0:
            until = time.monotonic() + PARTING_S
            for link in self.links:
                link.closed.wait(max(0.0, until - time.monotonic()))

    def _listen(self, link: Link) -> None:
        why = "its connection closed"
        try:
            with link.socket, link.socket.makefile("rb") as lines:
                for line in lines:
                    self._take(link, json.loads(line))
        except TimeoutError:
            why = f"nothing was heard of it for {SILENCE_S:.0f} s"
        except (OSError, ValueError):
            pass  # a closed connection by another name, or a line cut short by it
        link.closed.set()
        if not link.said_farewell:
            self._lose(link.rank, why)

    def _take(self, link: Link, message: dict) -> None:
        link.said_farewell |= "farewell" in message
        if "lost" in message:
            self._lose(message["lost"], message["why"])
        if "values" in message:
            link.received.put(message["values"])

    def _lose(self, rank: int, why: str) -> None:
        if self.mourning.acquire(blocking=False):  # the first loss is the cause of all others
            self.on_loss(rank, why)

    def _beat(self) -> None:
        while not all(link.closed.is_set() for link in self.links):
            for link in self.links:
                link.send()
            time.sleep(BEAT_S)


@dataclass(frozen=True)
class Meeting:
    """Where process 0 waits for the others; `word` keeps strangers out."""

    host: str
    port: int
    word: str


@contextlib.contextmanager
def host_meeting(host: str) -> Iterator[tuple[Meeting, Callable[[int, float], list[Link]]]]:
    """Open a port for the others; gives the meeting and what waits for `n` links, at most `timeout_s` for each."""
    with socket.create_server(("", 0)) as server:
        meeting = Meeting(host, server.getsockname()[1], secrets.token_hex(16))
        yield meeting, functools.partial(_receive, server, meeting)


def attend_meeting(meeting: Meeting, rank: int, timeout_s: float) -> Link:
    """Return the link to process 0."""
    connection = socket.create_connection((meeting.host, meeting.port), timeout=timeout_s)
    link = Link(0, connection)
    link.send(word=meeting.word, rank=rank)
    return link


def _receive(server: socket.socket, meeting: Meeting, n: int, timeout_s: float) -> list[Link]:
    server.settimeout(timeout_s)
    links: list[Link] = []
    while len(links) < n:
        connection, _ = server.accept()
        connection.settimeout(HELLO_S)
        hello = _read_line(connection)
        if hello.get("word") == meeting.word:
            links.append(Link(int(str(hello["rank"])), connection))
        else:
            connection.close()
    return sorted(links, key=lambda link: link.rank)


def _read_line(connection: socket.socket) -> dict[str, object]:
    """Read one line byte by byte: what follows it belongs to the listener."""
    line = bytearray()
    with contextlib.suppress(OSError, ValueError):
        while len(line) < 200 and (byte := connection.recv(1)) not in (b"", b"\n"):
            line += byte
        return dict(json.loads(line))
    return {}
