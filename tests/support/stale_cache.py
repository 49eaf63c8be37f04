"""A cache in front of a store that answers reads with what was true a while ago: what a check of histories must find."""

from __future__ import annotations

import http.client
import io
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from nova_wsgi import green

KEPT_S = 0.05  # an answer is used for so long, whatever is written meanwhile
CACHED_SHARE = 0.5  # of the reads
TIMEOUT_S = 30.0


class StaleCache:
    """Relays requests on ``port`` to the store on ``upstream``, both on the loopback."""

    def __init__(self, upstream: int, *, seed: int) -> None:
        self._upstream = upstream
        self._rng = random.Random(seed)
        self._kept: dict[str, bytes] = {}
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self.listening.getsockname()[1])
        self.stale = 0

    def serve(self) -> None:
        while True:
            client, _ = self.listening.accept()
            green.spawn(self._relay, client)

    def _relay(self, client: socket.socket) -> None:
        """One connection of a client, with one of its own to the store."""
        store = socket.create_connection(("127.0.0.1", self._upstream), timeout=TIMEOUT_S)
        with client, store, suppress(OSError, http.client.HTTPException), client.makefile("rb") as reader:
            while head := _read_head(cast("BinaryIO", reader)):
                fields = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))
                length = int(fields["Content-Length"] or 0)
                client.sendall(self._answer(store, head, reader.read(length)))

    def _answer(self, store: socket.socket, head: bytes, body: bytes) -> bytes:
        method, target, _ = head.split(b" ", 2)
        name = target.decode()
        if method == b"GET" and name in self._kept and self._rng.random() < CACHED_SHARE:
            self.stale += 1
            return self._kept[name]
        store.sendall(head + body)
        answer = _read_answer(store, method.decode())
        if method == b"GET" and name not in self._kept:
            self._kept[name] = answer
            green.spawn_after(KEPT_S, self._kept.pop, name, None)
        return answer


def _read_head(reader: BinaryIO) -> bytes:
    lines = b""
    while line := reader.readline():
        lines += line
        if line == b"\r\n":
            return lines
    return b""


def _read_answer(store: socket.socket, method: str) -> bytes:
    """An answer from the store, framed by a length whatever its framing was."""
    response = http.client.HTTPResponse(store, method=method)
    response.begin()
    body = response.read()
    headers = [pair for pair in response.getheaders() if pair[0].lower() not in ("transfer-encoding", "content-length")]
    length = response.headers["Content-Length"] if method == "HEAD" else str(len(body))
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in headers)]
    if response.status not in (204, 304):
        lines.append(f"Content-Length: {length or 0}")
    return "\r\n".join((*lines, "\r\n")).encode("latin-1") + body


@contextmanager
def stale_cache(upstream: int, *, seed: int) -> Iterator[StaleCache]:
    """One that runs while the block does."""
    cache = StaleCache(upstream, seed=seed)
    serving = green.spawn(cache.serve)
    try:
        yield cache
    finally:
        serving.kill()
        cache.listening.close()
