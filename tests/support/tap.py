"""A tap between a front and a store: what goes through it is not changed, and what the front sends is kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from support import rfc9112

from nova_wsgi import green


class Sent(NamedTuple):
    """A request that a front has sent, by the strict reading.

    ``is_http``: there is no doubt about its fields. Its body may be cut short, or be no proper chunks.
    """

    target: str
    is_whole: bool = True
    is_http: bool = True


class Tapped:
    """One connection of the front to the store."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent = b""  # by the front
        self._read: list[Sent] = []
        self._position = 0  # of the first request that was not whole yet

    def requests(self) -> list[Sent]:
        """What the front has sent on it; the last one perhaps not whole."""
        if self._position == len(self.sent):
            return self._read
        reading = rfc9112.read(self.sent[self._position :])
        self._read += [Sent(request.target.decode()) for request in reading.requests]
        self._position += reading.at
        return [*self._read, *_rest(self.sent[self._position :])]


def _rest(data: bytes) -> list[Sent]:
    """What is cut short, or no HTTP; nothing, while nobody can tell what it will be."""
    head, end, _ = data.partition(b"\r\n\r\n")
    is_http = rfc9112.read(head + end).end != rfc9112.REFUSED
    if not head or (is_http and not end):
        return []
    words = head.split(b"\r\n", 1)[0].split(b" ")
    return [Sent(words[1].decode("latin-1") if len(words) > 1 else "", is_whole=False, is_http=is_http)]


class Tap:
    """Listens on ``port``, connects to the store for each connection, and keeps what was sent on them."""

    def __init__(self, store_port: int) -> None:
        self.connections: list[Tapped] = []
        self._store_port = store_port
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self._threads = [green.spawn(self._accept)]

    def _accept(self) -> None:
        while True:
            front, _ = self._socket.accept()
            tapped = Tapped(len(self.connections))
            self.connections.append(tapped)
            self._threads.append(green.spawn(self._carry, front, tapped))

    def _carry(self, front: socket.socket, tapped: Tapped) -> None:
        with front, socket.create_connection(("127.0.0.1", self._store_port)) as store:
            for sock in (front, store):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what was two packets stays two
            back = green.spawn(_pump_back, store, front)
            try:
                _pump(front, store, tapped)
                back.wait()
            finally:
                back.kill()  # before its socket is closed under it

    def close(self) -> None:
        """Stop, and end all connections."""
        for thread in self._threads:
            thread.kill()
        self._socket.close()


def _pump(front: socket.socket, store: socket.socket, tapped: Tapped) -> None:
    with suppress(OSError):  # the store has closed; what it said before is on its way
        while data := _receive(front):
            tapped.sent += data
            store.sendall(data)
        store.shutdown(socket.SHUT_WR)


def _pump_back(store: socket.socket, front: socket.socket) -> None:
    with suppress(OSError):  # the front is gone
        while data := _receive(store):
            front.sendall(data)
        front.shutdown(socket.SHUT_WR)


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""


@contextmanager
def tapping(store_port: int) -> Iterator[Tap]:
    """A tap before the store."""
    tap = Tap(store_port)
    try:
        yield tap
    finally:
        tap.close()
