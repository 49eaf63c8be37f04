"""Request smuggling: the store refuses what can be read in two ways, and never disagrees with a front about requests."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import fronts, rfc9112, smuggling
from support.fronts import Logged
from support.raw_http import Response
from support.smuggling import BUCKET, AccessLog, Entry, Exchange, Lane, Vector, ask, judge, names_in
from support.smuggling_store import smuggling_store
from support.store import Store
from support.tap import Sent, tapping

from nova_wsgi.testing import wait_until

VECTORS = smuggling.read_all()
HTTP_VECTORS = smuggling.read_http()
CLOSING, REUSE = "timeout client 75s\n", "http-reuse safe"
LANES = {
    "haproxy": (fronts.haproxy, {}),
    "haproxy-reuse": (fronts.haproxy, {REUSE: "http-reuse always"}),
    "haproxy-close": (fronts.haproxy, {CLOSING: f"{CLOSING}    option http-server-close\n"}),
    "nginx": (fronts.nginx, {}),
}
SHARED = ("haproxy-reuse", "nginx")  # the others give a client's first request a connection of its own
marks = map(smuggling.MARK.format, itertools.count())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smuggling")


@pytest.fixture(scope="module")
def store_and_log(folder: Path) -> Iterator[tuple[Store, AccessLog]]:
    with smuggling_store(folder) as both:
        yield both


@pytest.fixture(scope="module")
def store(store_and_log: tuple[Store, AccessLog]) -> Store:
    return store_and_log[0]


@pytest.fixture(scope="module")
def log(store_and_log: tuple[Store, AccessLog]) -> AccessLog:
    return store_and_log[1]


# -- the vectors ----------------------------------------------------------------------------------------------------------


def test_a_second_reading_says_the_same() -> None:
    """What the store accepts has just as many requests by the strict reader."""
    for vector in (vector for vector in VECTORS if vector.stays_open):
        reading = rfc9112.read(vector.marked("m00000"))
        assert len(reading.requests) == len(vector.statuses) + 1, vector
        assert set(names_in((request.target.decode() for request in reading.requests), "m00000")) == vector.allowed


# -- the store by itself --------------------------------------------------------------------------------------------------


class Direct:
    """All vectors, sent to the store; then what its log says of each."""

    def __init__(self, store: Store, log: AccessLog, *, as_post: bool = False) -> None:
        self.answered = {vector: ask(store.port, vector, next(marks), as_post=as_post) for vector in VECTORS}
        last = next(marks)
        smuggling.ask_canary(store.port, last)
        wait_until(lambda: any(last in entry.target for entry in log.read()), what="the canary in the log")
        self._targets = [entry.target for entry in log.read()]

    def taken_up(self, vector: Vector) -> set[str]:
        return set(names_in(self._targets, self.answered[vector].mark))


@pytest.fixture(scope="module")
def direct(store: Store, log: AccessLog) -> Direct:
    return Direct(store, log)


@pytest.fixture(scope="module")
def direct_posts(store: Store, log: AccessLog) -> Direct:
    return Direct(store, log, as_post=True)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_store_itself(direct: Direct, vector: Vector) -> None:
    answered = direct.answered[vector]
    expected = (*vector.statuses, 404) if vector.stays_open else vector.statuses
    assert answered.statuses == expected
    assert (f"<Key>{answered.mark}-next</Key>".encode() in answered.received) is vector.stays_open
    assert direct.taken_up(vector) <= vector.allowed


def test_bodies_that_nobody_reads(direct_posts: Direct) -> None:
    """The same as POSTs, which are refused without their bodies: framing is right all the same."""
    for vector, answered in direct_posts.answered.items():
        assert b"-smuggled" not in answered.received or "smuggled" in vector.requests, vector
        assert direct_posts.taken_up(vector) <= vector.allowed | {"next"}, vector


# -- behind fronts --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LANES)
def exchanges(
    request: pytest.FixtureRequest, folder: Path, store: Store, log: AccessLog
) -> Iterator[dict[Vector, Exchange]]:
    """All vectors, sent through one front."""
    start, changes = LANES[request.param]
    place = folder / request.param
    place.mkdir()
    with tapping(store.port) as tap, start(place, tap.port, changes) as front:
        lane = Lane(front, tap, log)
        exchanges = {vector: lane.send(vector, next(marks)) for vector in (*VECTORS, *HTTP_VECTORS)}
        lane.settle()
        yield exchanges


def test_behind_a_front(exchanges: dict[Vector, Exchange]) -> None:
    complaints = {str(vector): judge(exchange, vector.allowed_through) for vector, exchange in exchanges.items()}
    assert {name: said for name, said in complaints.items() if said} == {}


def test_connections_to_the_store_are_shared(exchanges: dict[Vector, Exchange], request: pytest.FixtureRequest) -> None:
    """Canaries travel on the vector's own connection, where what was left over would meet them; or never, by policy."""
    is_shared = request.node.callspec.params["exchanges"] in SHARED
    assert sum(exchange.shared for exchange in exchanges.values()) >= 100 * is_shared


# -- the verdict ----------------------------------------------------------------------------------------------------------


MARK = "m99999"
FIRST, SMUGGLED = f"/{BUCKET}/{MARK}-first", f"/{BUCKET}/{MARK}-smuggled"
OWN = Response(404, [], f"<Error><Code>NoSuchKey</Code><Key>{MARK}-canary</Key></Error>".encode())


def made(**changes: Any) -> Exchange:
    """An exchange in which all is well, but for the changes."""
    honest = Exchange(
        MARK, [Sent(FIRST)], [Logged(FIRST, 200, True)], [Entry(FIRST, 200)], b"HTTP/1.1 200 OK", canary=OWN
    )
    return replace(honest, **changes)


@pytest.mark.parametrize(
    ("exchange", "said"),
    [
        pytest.param(made(), [], id="all is well"),
        pytest.param(
            made(seen=[Entry(FIRST, 200), Entry(SMUGGLED, 404)]),
            ["the front sent", "the store took up"],
            id="the store sees two where the front sent one",
        ),
        pytest.param(
            made(forwarded=[Sent(FIRST), Sent(SMUGGLED)], seen=[Entry(FIRST, 200), Entry(SMUGGLED, 404)]),
            ["the front tells", "the store took up"],
            id="two are on the wire, and the front knows of one",
        ),
        pytest.param(
            made(logged=[Logged(FIRST, 400, False)]), ["the front tells"], id="the front has refused what the store saw"
        ),
        pytest.param(made(seen=[]), ["the front sent"], id="the store lost one"),
        pytest.param(
            made(forwarded=[Sent("", False, False)], logged=[Logged(FIRST, 200, True)]),
            ["the front sent"],
            id="the store took up what is no HTTP",
        ),
        pytest.param(
            made(forwarded=[Sent("", False, False)], seen=[Entry("-", 400)]), [], id="the store refused what is no HTTP"
        ),
        pytest.param(
            made(received=b"HTTP/1.1 404\r\n\r\n<Key>m99999-smuggled</Key>"), ["the client got"], id="an answer too many"
        ),
        pytest.param(
            made(canary=Response(404, [], b"<Key>m99999-smuggled</Key>")), ["another client got"], id="a canary's wrong answer"
        ),
    ],
)  # fmt: skip
def test_the_judge(exchange: Exchange, said: list[str]) -> None:
    """What would be a desync is seen as one."""
    complaints = judge(exchange, frozenset(["first", "next"]))
    assert len(complaints) == len(said)
    assert all(complaint.startswith(start) for complaint, start in zip(complaints, said, strict=True))
