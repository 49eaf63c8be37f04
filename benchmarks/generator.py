"""A load generator on raw sockets, for what wrk cannot send: HEAD, each request once, a mix with DELETE, a given rate.

A program of its own, of the standard library alone: ``python -m benchmarks.generator CONFIG`` prints a line ``ready`` once
its connections are open, sends, and prints one line of JSON. CONFIG is JSON, see ``Config``.
"""

from __future__ import annotations

import errno
import json
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stats import percentile

RECEIVE_SIZE = 256 * 1024
TIMEOUT_S = 30.0  # no answer on any connection for so long: the server hangs
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Config:
    """What to send: the requests of a file (see ``read_requests``), round and round, or each once.

    ``seconds``: when to stop at the latest. ``rate``: requests a second over all connections, 0: as many as are answered.
    """

    host: str
    port: int
    file: str
    connections: int
    seconds: float
    once: bool = False
    rate: float = 0.0


def write_requests(path: Path, requests: list[bytes]) -> None:
    """The form that this program and wrk's script read: each request behind a line with its length."""
    path.write_bytes(b"".join(b"%d\n%b" % (len(request), request) for request in requests))


def read_requests(path: Path) -> list[bytes]:
    """What ``write_requests`` wrote."""
    data, position, found = path.read_bytes(), 0, []
    while position < len(data):
        start = data.index(b"\n", position) + 1
        position = start + int(data[position:start])
        found.append(data[start:position])
    return found


class Connection:
    """A keep-alive connection with at most one request on its way."""

    __slots__ = ("body_left", "closes", "head", "is_chunked", "is_head", "sent_ns", "sock", "status", "tail", "unsent")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=TIMEOUT_S)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unsent = memoryview(b"")
        self.sent_ns = 0

    def begin(self, request: bytes) -> None:
        """Send a request, as much of it as goes."""
        self.unsent = memoryview(request)
        self.is_head = request.startswith(b"HEAD ")
        self.head: bytes | None = b""
        self.status, self.body_left, self.is_chunked, self.closes, self.tail = 0, 0, False, False, b""
        self.sent_ns = time.perf_counter_ns()
        self.flush()

    def flush(self) -> None:
        """Send more."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            return

    def take(self, data: bytes) -> bool:
        """Read on; whether the answer is complete."""
        if self.head is not None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, data, self.head = self.head[: end + 2], self.head[end + 4 :], None
            self.status = int(head[9:12])
            if self.status == 100:
                self.head = b""
                return self.take(data) if data else False
            self._read_head(head)
        if self.is_chunked:
            self.tail = (self.tail + data)[-5:]
            return self.tail == b"0\r\n\r\n"  # what is asked for here never ends a chunk like that
        self.body_left -= len(data)
        return self.body_left <= 0

    def _read_head(self, head: bytes) -> None:
        self.closes = _CLOSES.search(head) is not None or head.startswith(b"HTTP/1.0")
        if self.is_head or self.status in (204, 304):
            return
        self.is_chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self.body_left = int(length[1]) if length else 0


class Run:
    """One load from its first request to its last answer."""

    def __init__(self, config: Config, requests: list[bytes]) -> None:
        self.config = config
        self.requests = requests
        self.position = 0
        self.errors = self.received = 0
        self.latencies_ns: list[int] = []
        self.poll = select.epoll()
        self.idle: deque[Connection] = deque()
        self.busy: dict[int, Connection] = {}
        for _ in range(config.connections):
            self.idle.append(self.open())

    def open(self) -> Connection:
        """One more connection."""
        connection = Connection((self.config.host, self.config.port))
        self.poll.register(connection.sock, select.EPOLLIN)
        return connection

    def next_request(self) -> bytes | None:
        """What to send next; None when all are sent."""
        if self.position == len(self.requests):
            if self.config.once:
                return None
            self.position = 0
        self.position += 1
        return self.requests[self.position - 1]

    def start_one(self, connection: Connection) -> bool:
        """Send the next request over an idle connection; False when there is none."""
        request = self.next_request()
        if request is None:
            return False
        try:
            connection.begin(request)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
        if connection.unsent:
            self.poll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)
        self.busy[connection.sock.fileno()] = connection
        return True

    def run(self) -> float:
        """Send and receive until the time is over, or everything was sent and answered; the seconds it took."""
        began_s = time.perf_counter()
        end_s, answered_s = began_s + self.config.seconds, began_s
        sent, more = 0, True
        while True:
            now_s = time.perf_counter()
            more = more and now_s < end_s
            due = sent + len(self.idle) if not self.config.rate else int((now_s - began_s) * self.config.rate) + 1
            while more and self.idle and sent < due:
                more = self.start_one(self.idle[0])
                if more:
                    self.idle.popleft()
                    sent += 1
            if not more and not self.busy:
                return time.perf_counter() - began_s
            if now_s - answered_s > TIMEOUT_S and self.busy:
                raise TimeoutError(f"no answer for {TIMEOUT_S} s")
            for fd, events in self.poll.poll(0.002 if self.config.rate else 0.5):
                if fd in self.busy:
                    self.serve(self.busy[fd], events)
                else:
                    self.replace_idle(fd)
                answered_s = now_s

    def replace_idle(self, fd: int) -> None:
        """The server has closed a connection that nothing was asked on."""
        self.idle = deque(self.reopened(one) if one.sock.fileno() == fd else one for one in self.idle)

    def reopened(self, connection: Connection) -> Connection:
        """Another connection in the place of one."""
        self.poll.unregister(connection.sock)
        connection.sock.close()
        return self.open()

    def serve(self, connection: Connection, events: int) -> None:
        """What a connection is ready for."""
        if events & select.EPOLLOUT:
            connection.flush()
            if not connection.unsent:
                self.poll.modify(connection.sock, select.EPOLLIN)
        if not events & ~select.EPOLLOUT:
            return
        try:
            data = connection.sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += len(data)
        if not data:
            self.finish(connection, failed=True)
        elif connection.take(data):
            self.finish(connection, failed=not 200 <= connection.status < 300)

    def finish(self, connection: Connection, *, failed: bool) -> None:
        """An answer is complete, or will not come."""
        self.latencies_ns.append(time.perf_counter_ns() - connection.sent_ns)
        self.errors += failed
        del self.busy[connection.sock.fileno()]
        broken = connection.closes or connection.head is not None or bool(connection.unsent)
        self.idle.append(self.reopened(connection) if broken else connection)

    def close(self) -> None:
        """Close what is open."""
        for connection in (*self.idle, *self.busy.values()):
            connection.sock.close()
        self.poll.close()


def main() -> None:
    """Run one load and tell what came of it."""
    config = Config(**json.loads(sys.argv[1]))
    run = Run(config, read_requests(Path(config.file)))
    print("ready", flush=True)
    seconds = run.run()
    run.close()
    told = {
        "requests": len(run.latencies_ns),
        "seconds": seconds,
        "p50_us": percentile(run.latencies_ns, 0.5) / 1000,
        "p99_us": percentile(run.latencies_ns, 0.99) / 1000,
        "errors": run.errors,
        "received": run.received,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
