"""Attacks on a server, bounded: a program of its own, so that neither the clients beside it nor their clock suffer from it.

    python tests/support/attacks.py slow-headers 127.0.0.1 3333 --connections 100 --rounds 200 --seconds 20

It says ``ready`` when its connections are open (with ``--delay``: that long before it opens them), and ends with a line of
JSON: when ``rounds`` connections were ended by the server or have done what they do, when ``seconds`` are over, or when its
standard input is closed. Of the standard library alone; requests that must be signed come in a file, made by who starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

DRIP_S: Final = 0.1  # between two bytes of who is slow on purpose
SMALL_BUFFER: Final = 4096  # bytes, of a reader that the server has to wait for
RECONNECT_S: Final = 0.01  # after a connection has ended
CONNECT_TIMEOUT_S: Final = 10.0
PIPELINED: Final = 64  # requests sent in one piece
TINY_CHUNKS: Final = 60_000
RECEIVE: Final = 256 * 1024

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

ANONYMOUS_GET = b"GET /nothing HTTP/1.1\r\nHost: store.test\r\n\r\n"


class Ended(Exception):
    """The server has ended the connection."""


class Wire:
    """One connection, which counts the statuses that it is answered."""

    def __init__(self, sock: socket.socket, statuses: Counter[str]) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._statuses = statuses

    async def send(self, data: bytes) -> None:
        """Send all of it; when that fails, take what the server had to say. Raises Ended."""
        try:
            await self.push(data)
        except OSError:
            await self.read_to_end()

    async def push(self, data: bytes) -> None:
        """Send all of it; raises OSError."""
        await self._loop.sock_sendall(self._sock, data)

    async def receive(self) -> bytes:
        """Some bytes; raises Ended."""
        try:
            data = await self._loop.sock_recv(self._sock, RECEIVE)
        except OSError:
            data = b""
        if not data:
            raise Ended
        self._statuses.update(status.decode() for status in _STATUS.findall(data))
        return data

    async def read_to_end(self) -> None:
        """Take whatever comes; raises Ended."""
        while True:
            await self.receive()

    async def drip(self, pieces: Sequence[bytes]) -> None:
        """Send a piece now and then, for ever, while what comes is taken; raises Ended."""
        reading = asyncio.ensure_future(self.read_to_end())
        try:
            number = 0
            while not reading.done():
                with contextlib.suppress(OSError):  # the reader will tell
                    await self.push(pieces[number % len(pieces)])
                number += 1
                await asyncio.wait([reading], timeout=DRIP_S)
            await reading
        finally:
            reading.cancel()

    def reset(self) -> None:
        """Break the connection, with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# -- the attacks: each runs over one connection until that has ended -----------------------------------------------------

Attack = Callable[[Wire, Sequence[bytes]], Coroutine[Any, Any, None]]


async def slow_headers(wire: Wire, _requests: Sequence[bytes]) -> None:
    """A head that never ends, in drops."""
    await wire.send(b"GET / HTTP/1.1\r\nHost: store.test\r\nX-Slow: ")
    await wire.drip([b"x"])


async def silence(wire: Wire, _requests: Sequence[bytes]) -> None:
    """Connections on which nothing is ever sent."""
    await wire.read_to_end()


async def idleness(wire: Wire, requests: Sequence[bytes]) -> None:
    """Connections that have asked once, and stay."""
    await wire.send(requests[0] if requests else ANONYMOUS_GET)
    await wire.read_to_end()


async def slow_bodies(wire: Wire, requests: Sequence[bytes]) -> None:
    """A head, and of its body a byte now and then."""
    await wire.send(requests[0])
    await wire.drip([b"s"])


async def slow_readers(wire: Wire, requests: Sequence[bytes]) -> None:
    """Requests whose answers are not read."""
    await wire.send(requests[0])
    while True:
        await asyncio.sleep(DRIP_S)
        await wire.send(ANONYMOUS_GET)  # an ended connection shows when it is written to


async def pipelining(wire: Wire, requests: Sequence[bytes]) -> None:
    """Request upon request, without waiting for an answer."""
    burst = (requests[0] if requests else ANONYMOUS_GET) * PIPELINED
    reading = asyncio.ensure_future(wire.read_to_end())
    try:
        with contextlib.suppress(OSError):
            for _ in range(PIPELINED):
                await wire.push(burst)
        await asyncio.wait([reading], timeout=1.0)
    finally:
        reading.cancel()


async def tiny_chunks(wire: Wire, requests: Sequence[bytes]) -> None:
    """A chunked body of one byte a chunk, as fast as it goes."""
    head = b"PUT /nothing/at-all HTTP/1.1\r\nHost: store.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    await wire.send(requests[0] if requests else head)
    await wire.send(b"1\r\nx\r\n" * TINY_CHUNKS + b"0\r\n\r\n")
    await wire.receive()


async def many_headers(wire: Wire, _requests: Sequence[bytes]) -> None:
    """As many header fields as fit, with names that nobody has seen: half of them one field too many."""
    for count in (190, 201):
        names = "".join(f"X-{random.randrange(1 << 64):x}-{number}: v\r\n" for number in range(count))
        await wire.send(f"GET /nothing HTTP/1.1\r\nHost: store.test\r\n{names}\r\n".encode())
        await wire.receive()


async def long_names(wire: Wire, _requests: Sequence[bytes]) -> None:
    """Header names of tens of thousands of characters, each a new one."""
    name = f"{random.randrange(1 << 64):x}".encode() * 1500
    await wire.send(b"GET /nothing HTTP/1.1\r\nHost: store.test\r\n%b: v\r\n\r\n" % name)
    await wire.receive()


async def many_parameters(wire: Wire, _requests: Sequence[bytes]) -> None:
    """A query of thousands of parameters."""
    query = "&".join(f"{random.randrange(1 << 24):x}" for _ in range(2000))
    await wire.send(f"GET /nothing?{query} HTTP/1.1\r\nHost: store.test\r\n\r\n".encode())
    await wire.receive()


async def resets(wire: Wire, requests: Sequence[bytes]) -> None:
    """Connections that are broken as soon as they have asked."""
    await wire.send(requests[0] if requests else ANONYMOUS_GET)
    wire.reset()


async def requests_in_turn(wire: Wire, requests: Sequence[bytes]) -> None:
    """Requests that cost much, one after the other."""
    for request in random.sample(requests, len(requests)):
        await wire.send(request)
        await wire.receive()


ATTACKS: Mapping[str, Attack] = {
    "slow-headers": slow_headers,
    "silence": silence,
    "idleness": idleness,
    "slow-bodies": slow_bodies,
    "slow-readers": slow_readers,
    "pipelining": pipelining,
    "tiny-chunks": tiny_chunks,
    "many-headers": many_headers,
    "long-names": long_names,
    "many-parameters": many_parameters,
    "resets": resets,
    "requests": requests_in_turn,
}


# -- the program ---------------------------------------------------------------------------------------------------------


class Run:
    """One attack from its first connection to its last."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.attack = ATTACKS[options.attack]
        self.requests = deque(read_requests(options.requests) if options.requests else ())
        self.statuses: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.opened = 0
        self.is_ready = asyncio.Event()
        self.is_over = asyncio.Event()

    async def go(self) -> dict[str, Any]:
        """Attack; what came of it."""
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self.is_over.set)
        if self.options.delay:
            print("ready", flush=True)
            await asyncio.sleep(self.options.delay)
        loop.call_later(self.options.seconds, self.is_over.set)
        tasks = [asyncio.ensure_future(self.keep_on()) for _ in range(self.options.connections)]
        await asyncio.wait(
            [asyncio.ensure_future(event.wait()) for event in (self.is_ready, self.is_over)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not self.options.delay:
            print("ready", flush=True)
        await self.is_over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {"rounds": self.outcomes.total(), "outcomes": self.outcomes, "statuses": self.statuses}

    async def keep_on(self) -> None:
        """One connection after the other."""
        while not self.is_over.is_set():
            self.outcomes[await self.connect_once()] += 1
            if self.outcomes.total() >= self.options.rounds:
                self.is_over.set()
            await asyncio.sleep(RECONNECT_S)

    async def connect_once(self) -> str:
        """A connection to its end, and how it ended."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            if self.attack is slow_readers:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            if self.options.source:
                sock.bind((self.options.source, 0))
            try:
                await self.open(sock)
                self.requests.rotate(-1)  # each comes first in its turn
                await self.attack(Wire(sock, self.statuses), tuple(self.requests))
            except Ended:
                return "ended"
            except (OSError, TimeoutError):
                return "not connected"
            return "done"

    async def open(self, sock: socket.socket) -> None:
        """Connect, and count it."""
        address = (self.options.host, self.options.port)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, address), CONNECT_TIMEOUT_S)
        self.opened += 1
        if self.opened >= self.options.connections:
            self.is_ready.set()


def write_requests(path: Path, requests: Sequence[bytes]) -> Path:
    """The file that ``--requests`` names; its path."""
    path.write_text(json.dumps([request.decode("latin-1") for request in requests]))
    return path


def read_requests(path: Path) -> Sequence[bytes]:
    """What ``write_requests`` wrote."""
    return [request.encode("latin-1") for request in json.loads(path.read_text())]


def main() -> None:
    """Attack, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=10, help="at once")
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="connections in all")
    parser.add_argument("--seconds", type=float, default=30.0, help="the longest it goes on")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds from `ready` to the first connection")
    parser.add_argument("--source", default="", help="the address to come from")
    parser.add_argument("--requests", type=Path, help="a file of requests, see write_requests")
    print(json.dumps(asyncio.run(Run(parser.parse_args()).go())), flush=True)


if __name__ == "__main__":
    main()
