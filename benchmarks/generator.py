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

    __slots__ = (
        "body_left",
        "closes",
        "fd",
        "head",
        "is_chunked",
        "is_head",
        "sent_ns",
        "sock",
        "status",
        "tail",
        "unsent",
    )

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=TIMEOUT_S)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.sock.fileno()
        self.unsent = memoryview(b"")
        self.head: bytes | None = None
        self.sent_ns = self.status = self.body_left = 0
        self.is_head = self.is_chunked = self.closes = False
        self.tail = b""

    def begin(self, request: bytes, now_ns: int) -> None:
        """Send a request, as much of it as goes."""
        self.is_head = request.startswith(b"HEAD ")
        self.head = b""
        self.sent_ns = now_ns
        try:
            sent = self.sock.send(request)
        except BlockingIOError:
            sent = 0
        if sent < len(request):
            self.unsent = memoryview(request)[sent:]

    def flush(self) -> None:
        """Send more."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            return

    def take(self, buffer: bytearray, count: int) -> bool:
        """Read on in the buffer's first ``count`` bytes; whether the answer is complete. Bodies are counted, not kept."""
        start = 0
        while self.head is not None:
            end = -1 if self.head else buffer.find(b"\r\n\r\n", start, count)
            if end >= 0:
                head, start = bytes(buffer[start : end + 2]), end + 4
            else:  # in pieces
                known = len(self.head)
                self.head += buffer[start:count]
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return False
                head, start = self.head[: end + 2], start + end + 4 - known
            self._read_head(head)
        if self.is_chunked:
            self.tail = (self.tail + buffer[max(start, count - 5) : count])[-5:]
            return self.tail == b"0\r\n\r\n"  # what is asked for here never ends a chunk like that
        self.body_left -= count - start
        return self.body_left <= 0

    def _read_head(self, head: bytes) -> None:
        self.status = status = int(head[9:12])
        if status == 100:
            self.head = b""
            return
        self.head = None
        self.body_left, self.is_chunked, self.tail = 0, False, b""
        # PERF: a search without regard to case takes some microseconds, a small answer's half; few heads have the word
        may_close = b"close" in head or b"CLOSE" in head or b"Close" in head
        self.closes = (may_close and _CLOSES.search(head) is not None) or head.startswith(b"HTTP/1.0")
        if self.is_head or status in (204, 304):
            return
        length = _LENGTH.search(head)
        if length is not None:
            self.body_left = int(length[1])
        else:
            self.is_chunked = _CHUNKED.search(head) is not None


class Run:
    """One load from its first request to its last answer."""

    def __init__(self, config: Config, requests: list[bytes]) -> None:
        self.config = config
        self.requests = requests
        self.position = 0
        self.more = True  # requests are to be sent
        self.buffer = bytearray(RECEIVE_SIZE)
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
        self.poll.register(connection.fd, select.EPOLLIN)
        return connection

    def next_request(self) -> bytes | None:
        """What to send next; None when all are sent."""
        if self.position == len(self.requests):
            if self.config.once:
                return None
            self.position = 0
        self.position += 1
        return self.requests[self.position - 1]

    def start(self, connection: Connection, now_ns: int) -> bool:
        """Send the next request over a connection; False when there is none."""
        request = self.next_request()
        if request is None:
            self.more = False
            return False
        try:
            connection.begin(request, now_ns)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
        if connection.unsent:
            self.poll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)
        self.busy[connection.fd] = connection
        return True

    def run(self) -> float:
        """Send and receive until the time is over, or everything was sent and answered; the seconds it took."""
        began_s = time.perf_counter()
        end_s, answered_s = began_s + self.config.seconds, began_s
        sent = 0
        while True:
            now_s = time.perf_counter()
            self.more = self.more and now_s < end_s
            due = sent + len(self.idle) if not self.config.rate else int((now_s - began_s) * self.config.rate) + 1
            while self.more and self.idle and sent < due:
                if self.start(self.idle[0], time.perf_counter_ns()):
                    self.idle.popleft()
                    sent += 1
            if not self.more and not self.busy:
                return time.perf_counter() - began_s
            if now_s - answered_s > TIMEOUT_S and self.busy:
                raise TimeoutError(f"no answer for {TIMEOUT_S} s")
            for fd, events in self.poll.poll(0.002 if self.config.rate else 0.5):
                connection = self.busy.get(fd)
                if connection is not None:
                    self.serve(connection, events)
                else:
                    self.replace_idle(fd)
                answered_s = now_s

    def replace_idle(self, fd: int) -> None:
        """The server has closed a connection that nothing was asked on."""
        self.idle = deque(self.reopened(one) if one.fd == fd else one for one in self.idle)

    def reopened(self, connection: Connection) -> Connection:
        """Another connection in the place of one."""
        self.poll.unregister(connection.fd)
        connection.sock.close()
        return self.open()

    def serve(self, connection: Connection, events: int) -> None:
        """What a connection is ready for."""
        if events & select.EPOLLOUT:
            connection.flush()
            if not connection.unsent:
                self.poll.modify(connection.fd, select.EPOLLIN)
        if not events & ~select.EPOLLOUT:
            return
        try:
            count = connection.sock.recv_into(self.buffer)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self.received += count
        if not count:
            self.finish(connection, failed=True)
        elif connection.take(self.buffer, count):
            self.finish(connection, failed=not 200 <= connection.status < 300)

    def finish(self, connection: Connection, *, failed: bool) -> None:
        """An answer is complete, or will not come."""
        now_ns = time.perf_counter_ns()
        self.latencies_ns.append(now_ns - connection.sent_ns)
        self.errors += failed
        is_whole = connection.head is None and not connection.closes and not connection.unsent
        # PERF: the next request at once, without a turn through the idle ones
        if is_whole and self.more and not self.config.rate and self.start(connection, now_ns):
            return
        del self.busy[connection.fd]
        self.idle.append(connection if is_whole else self.reopened(connection))

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
    began_s = time.process_time()
    seconds = run.run()
    cpu_s = time.process_time() - began_s
    run.close()
    told = {
        "requests": len(run.latencies_ns),
        "seconds": seconds,
        "cpu_s": cpu_s,
        "p50_us": percentile(run.latencies_ns, 0.5) / 1000,
        "p99_us": percentile(run.latencies_ns, 0.99) / 1000,
        "errors": run.errors,
        "received": run.received,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
