"""Request smuggling through HTTP/2: what a front makes of it for the store is one request, the one that the client sent."""

import itertools
from collections.abc import Iterator

import pytest
from support import fronts, smuggling, smuggling_http2
from support.smuggling import Exchange, Lane, judge, names_in
from support.smuggling_http2 import ALLOWED, Http2Vector
from support.smuggling_store import smuggling_store
from support.tap import tapping

VECTORS = smuggling_http2.read_all()
LANES = {
    "haproxy": (fronts.haproxy, {}),
    "haproxy-reuse": (fronts.haproxy, {"http-reuse safe": "http-reuse always"}),
    "nginx": (fronts.nginx, {}),
}
SHARED = ("haproxy-reuse", "nginx")  # the other gives a client's first request a connection of its own
marks = map(smuggling.MARK.format, itertools.count())


class Passage:
    """All vectors, sent through one front, and all that it sent to the store."""

    def __init__(self, exchanges: dict[Http2Vector, Exchange], sent: bytes, *, shares: bool) -> None:
        self.exchanges = exchanges
        self.sent = sent
        self.shares = shares


@pytest.fixture(scope="module", params=LANES)
def passage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passage]:
    start, changes = LANES[request.param]
    folder = tmp_path_factory.mktemp("smuggling")
    waits = "--http-body-idle-timeout-s=1"  # for what a front has announced and never sends
    with (
        smuggling_store(folder, waits) as (store, log),
        tapping(store.port) as tap,
        start(folder, tap.port, changes) as front,
    ):
        lane = Lane(front, tap, log)
        exchanges = {}
        for vector in VECTORS:
            exchanges[vector] = lane.observe(
                next(marks), lambda exchange, vector=vector: smuggling_http2.send(front, vector, exchange)
            )
        lane.settle()
        sent = b"\n".join(connection.sent for connection in tap.connections)
        yield Passage(exchanges, sent, shares=request.param in SHARED)


def test_front_and_store_agree(passage: Passage) -> None:
    complaints = {str(vector): judge(exchange, ALLOWED) for vector, exchange in passage.exchanges.items()}
    assert {name: said for name, said in complaints.items() if said} == {}


def test_no_field_comes_into_being(passage: Passage) -> None:
    assert smuggling_http2.find_injected(passage.sent) == []


def test_what_is_honest_is_served(passage: Passage) -> None:
    for vector, exchange in passage.exchanges.items():
        seen = set(names_in((entry.target for entry in exchange.seen), exchange.mark))
        assert vector.served <= seen, vector


def test_connections_to_the_store_are_shared(passage: Passage) -> None:
    """Canaries travel on the vector's own connection, where what was left over would meet them; or never, by policy."""
    assert sum(exchange.shared for exchange in passage.exchanges.values()) >= 20 * passage.shares
