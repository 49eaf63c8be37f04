"""Smuggling vectors, what becomes of them before a store and behind fronts, and the verdict on it.

A vector is a file in tests/vectors/smuggling. In its request (written as in tests/vectors/http) MARKED stands for a name
that is made anew for each sending, so that whatever is processed anywhere can be told: ``/smuggling/MARKED-first`` is
the request itself, ``-second`` one that honestly follows it, ``-smuggled`` one that is part of a body or of a field, and
must never be a request. ``-next`` is appended to each vector: what any client may send then.

``raw: 400 closed`` are the answers of the store itself, and whether the connection is open after them. ``requests:
first second`` are those that the store itself may take up (by default ``first``; ``next`` is understood when the
connection stays open). ``through: first next`` those that may reach it behind a front (by default those of
``requests``, and ``next``; ``-`` for none). Fronts are laxer: to one that takes LF for the end of a line, a
``-smuggled`` behind it is an honest request. It may be one, when front and store agree on it. ``stops: yes``: the
client ends its side when it has sent everything.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from support import http_vectors
from support.fronts import Front, Logged
from support.raw_http import Client, Response
from support.tap import Sent, Tap

from nova_wsgi.testing import wait_until

FOLDER = Path(__file__).parent.parent / "vectors" / "smuggling"
BUCKET = "smuggling"
MARK = "m{:05}"  # as long as MARKED, which lengths have counted
HEALTH = "/_/health"  # what HAProxy asks now and then
QUIET_S = 0.4  # without a byte for so long, a client ends its side: no front waits longer for what has come whole
PATIENCE_S = 10.0
REFUSALS = frozenset((400, 408, 411, 413, 414, 431, 501, 505))

_PLACEHOLDER = b"MARKED"
_MARK = re.compile(r"m[0-9]{5}(?=-)")
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ")
_ENTRY = re.compile(r'^\S+ - \S+ \[[^]]*\] "(?P<method>\S+) (?P<target>\S+) [^"]*" (?P<status>\d+) ', re.MULTILINE)


# -- vectors --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vector:
    """One request to smuggle with; see the module's text."""

    name: str
    request: bytes
    statuses: tuple[int, ...] = ()
    stays_open: bool = False
    requests: tuple[str, ...] = ("first",)
    through: tuple[str, ...] | None = None
    stops: bool = False

    def __str__(self) -> str:
        return self.name

    def marked(self, mark: str) -> bytes:
        """The bytes to send, with what any client may send next."""
        following = f"GET /{BUCKET}/{mark}-next HTTP/1.1\r\nHost: s3.test\r\nConnection: close\r\n\r\n"
        return self.request.replace(_PLACEHOLDER, mark.encode()) + following.encode()

    @property
    def allowed(self) -> frozenset[str]:
        """What the store itself may take up."""
        return frozenset((*self.requests, *(["next"] if self.stays_open else [])))

    @property
    def allowed_through(self) -> frozenset[str]:
        """What may reach the store through a front."""
        return frozenset((*self.requests, "next") if self.through is None else self.through)


def read_all() -> list[Vector]:
    """All vectors of smuggling, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]


def read_http() -> list[Vector]:
    """The vectors of the HTTP server, for fronts: they may be refused or not, but ``/smuggled`` is never taken up."""
    return [Vector(f"http-{vector.name}", vector.request, requests=()) for vector in http_vectors.read_all()]


def _read(path: Path) -> Vector:
    head, _, request = path.read_text("utf-8").partition("---\n")
    keys = dict(line.split(": ", 1) for line in head.splitlines() if not line.startswith("#"))
    *statuses, state = keys.pop("raw").split()
    assert state in ("open", "closed"), path
    requests = tuple(keys.pop("requests", "first").split())
    through = tuple(keys.pop("through").removeprefix("-").split()) if "through" in keys else None
    stops = keys.pop("stops", "no") == "yes"
    assert not keys, path
    numbers = tuple(map(int, statuses))
    return Vector(path.stem, http_vectors.decode(request), numbers, state == "open", requests, through, stops)


# -- the store's own word -------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A request in the store's access log."""

    target: str
    status: int


E = TypeVar("E", Entry, Logged)


class AccessLog:
    """The store's access log, read on from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self.entries: list[Entry] = []

    def read(self) -> list[Entry]:
        """All entries so far, but those of health checks."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._position += len(data)
        for match in _ENTRY.finditer(data.decode()):
            if match["target"] != HEALTH:
                self.entries.append(Entry(match["target"].replace("\\\\", "\\"), int(match["status"])))
        return self.entries


# -- the store by itself --------------------------------------------------------------------------------------------------


@dataclass
class Answered:
    """What a client got for one vector: the statuses, the last body, and whether the connection was closed then."""

    mark: str
    statuses: tuple[int, ...] = ()
    received: bytes = b""


def ask(port: int, vector: Vector, mark: str, *, as_post: bool = False) -> Answered:
    """Send a vector and read until the connection ends; ``as_post``: in place of a PUT."""
    data = vector.marked(mark)
    with _connect(port) as client:
        _send(client, data.replace(b"PUT ", b"POST ", 1) if as_post else data)
        if vector.stops:
            _end_writing(client)
        received = client.receive_to_end()
    return Answered(mark, tuple(map(int, _STATUS.findall(received))), received)


# -- one vector through one front -----------------------------------------------------------------------------------------


@dataclass
class Exchange:
    """What became of one vector behind one front."""

    mark: str
    forwarded: list[Sent] = field(default_factory=list)  # by the tap: what the front sent to the store
    logged: list[Logged] = field(default_factory=list)  # by the front: what it has read
    seen: list[Entry] = field(default_factory=list)  # by the store: what it has taken up
    received: bytes = b""  # by the client
    gave_up: bool = False  # the client has ended its side while the front was still at it
    canary: Response = field(default_factory=lambda: Response(0, []))
    shared: bool = False  # the canary travelled on a connection that the vector had used


class Lane:
    """Sends vectors, one after the other, through one front to one store, with a tap between the two."""

    def __init__(self, front: Front, tap: Tap, log: AccessLog) -> None:
        self._front = front
        self._tap = tap
        self._log = log
        self._logged_before, self._seen_before = len(front.requests()), len(log.read())
        self.exchanges: list[Exchange] = []

    def send(self, vector: Vector, mark: str) -> Exchange:
        """Send one vector, then the canary of another client."""
        return self.observe(mark, lambda exchange: self._send(vector, exchange))

    def _send(self, vector: Vector, exchange: Exchange) -> None:
        with _connect(self._front.port) as client:
            _send(client, vector.marked(exchange.mark))
            if vector.stops:
                _end_writing(client)
            exchange.gave_up = vector.stops or not _receive_until_quiet(client)
            if exchange.gave_up:
                _end_writing(client)
            exchange.received = client.receive_to_end()

    def observe(self, mark: str, send: Callable[[Exchange], None]) -> Exchange:
        """What comes of ``send``, and of another client's canary. Front and store are asked later, by ``settle``."""
        exchange = Exchange(mark)
        counts = [len(connection.requests()) for connection in self._tap.connections]
        send(exchange)
        exchange.canary = ask_canary(self._front.port, mark)
        sent = self._sent_since(counts)
        exchange.forwarded = [request for _, request in sent if not _is_canary(request.target)]
        used = {connection for connection, request in sent if not _is_canary(request.target)}
        exchange.shared = any(connection in used for connection, request in sent if _is_canary(request.target))
        self.exchanges.append(exchange)
        return exchange

    def _sent_since(self, counts: Sequence[int]) -> list[tuple[int, Sent]]:
        return [
            (connection.number, request)
            for connection in self._tap.connections
            for request in connection.requests()[counts[connection.number] if connection.number < len(counts) else 0 :]
            if request.target != HEALTH
        ]

    def settle(self) -> None:
        """Wait until the logs of front and store have come to the last canary; give each exchange its part of them."""
        if not self.exchanges:
            return
        last = f"{self.exchanges[-1].mark}-canary"
        for read in (self._front.requests, self._log.read):
            wait_until(lambda read=read: any(last in entry.target for entry in read()), PATIENCE_S, what=last)  # type: ignore[misc]
        logged = _parts(self._front.requests()[self._logged_before :], self.exchanges)
        seen = _parts(self._log.read()[self._seen_before :], self.exchanges)
        for exchange in self.exchanges:
            exchange.logged, exchange.seen = logged[exchange.mark], seen[exchange.mark]


def _parts(entries: Sequence[E], exchanges: Sequence[Exchange]) -> dict[str, list[E]]:
    """Entries by the exchange whose mark they have; those without one by the exchange that was going on."""
    parts: dict[str, list[E]] = {exchange.mark: [] for exchange in exchanges}
    following = iter(exchange.mark for exchange in exchanges)
    current = next(following)
    for entry in entries:
        match = _MARK.search(entry.target)
        mark = match[0] if match is not None else current
        if _is_canary(entry.target):
            current = next(following, "") if mark == current else current
        elif mark in parts:
            parts[mark].append(entry)
    return parts


def _is_canary(target: str) -> bool:
    return target.endswith("-canary")


def ask_canary(port: int, mark: str) -> Response:
    """What another client gets for a request that nobody else makes."""
    with _connect(port) as client:
        return client.get(f"/{BUCKET}/{mark}-canary", "Connection: close").response()


def _connect(port: int) -> Client:
    return Client(sock=socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))


def _send(client: Client, data: bytes) -> None:
    try:
        client.send(data)
    except ConnectionError:
        return  # refused before the end; the answer tells


def _end_writing(client: Client) -> None:
    try:
        client.sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it was closed


def _receive_until_quiet(client: Client) -> bool:
    """Receive until the front closes, which is True, or has nothing to say for a while."""
    client.sock.settimeout(QUIET_S)
    try:
        while client.receive_more():
            pass
    except TimeoutError:
        return False
    finally:
        client.sock.settimeout(PATIENCE_S)
    return True


# -- the verdict ----------------------------------------------------------------------------------------------------------


def judge(exchange: Exchange, allowed: frozenset[str]) -> list[str]:
    """What is wrong with an exchange, in words; nothing when all is well. ``allowed`` is what may be taken up."""
    return [*_judge_agreement(exchange), *_judge_marks(exchange, allowed), *_judge_canary(exchange)]


def _judge_agreement(exchange: Exchange) -> Iterator[str]:
    """The front, what it sent, and the store must tell of the same requests, in whatever order on whichever connection."""
    sent = Counter(request.target.removesuffix("?") for request in exchange.forwarded if request.is_http)
    faulty = [request for request in exchange.forwarded if not request.is_http]
    told = [Entry(entry.target.removesuffix("?"), entry.status) for entry in exchange.logged if entry.forwarded]
    refused = Counter(entry.target for entry in exchange.seen if entry.status in REFUSALS)
    seen = Counter(entry.target for entry in exchange.seen)
    more, less = seen - sent, sent - seen
    # What the store refused at its first look it could not name ("-"): a limit of its own, or what is not HTTP.
    if less.total() > refused["-"] or more.total() > len(faulty) + less.total():
        yield f"the front sent {sorted(sent)} and {faulty}, the store saw {exchange.seen}"
    elif more - refused:
        yield f"the front sent {faulty}, and the store took it up: {exchange.seen}"
    # A front that refuses a request late has chosen a server already, and sends nothing.
    named = Counter(entry.target for entry in told)
    accepted = Counter(entry.target for entry in told if entry.status not in REFUSALS | {-1})
    if sent - named or ((accepted - sent).total() > len(faulty) and not exchange.gave_up):
        yield f"the front tells of {told}, and sent {sorted(sent)} and {faulty}"


def _judge_marks(exchange: Exchange, allowed: frozenset[str]) -> Iterator[str]:
    seen = names_in((entry.target for entry in exchange.seen), exchange.mark)
    if not set(seen) <= allowed or any(entry.target == "/smuggled" for entry in exchange.seen):
        yield f"the store took up {exchange.seen}"
    if b"-smuggled" in exchange.received and "smuggled" not in allowed:
        yield "the client got an answer to what it smuggled"


def names_in(targets: Iterable[str], mark: str) -> list[str]:
    """The names of the marked targets: "first" of ``/smuggling/MARKED-first``."""
    found = (re.search(rf"{mark}-([a-z]+)", target) for target in targets)
    return [match[1] for match in found if match is not None]


def _judge_canary(exchange: Exchange) -> Iterator[str]:
    own = f"<Key>{exchange.mark}-canary</Key>".encode()
    if exchange.canary.status != 404 or own not in exchange.canary.body:
        yield f"another client got {exchange.canary}"
