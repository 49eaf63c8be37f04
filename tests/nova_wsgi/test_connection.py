"""A connection below HTTP: what its pace counts."""

import socket
from collections.abc import Iterator

import eventlet.hubs
import pytest

from nova_wsgi import green
from nova_wsgi.connection import JOIN_MAX, Connection, Pace
from nova_wsgi.http_limits import HttpLimits

native = green.original("socket")


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = native.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield Connection(ours, eventlet.hubs.get_hub(), HttpLimits()), theirs


@pytest.mark.parametrize("size", [10, 50_000], ids=["joined", "in parts"])
def test_what_goes_out_at_once_wins_time_as_well(pair: tuple[Connection, socket.socket], size: int) -> None:
    connection, theirs = pair
    connection.writing = Pace(idle_s=1.0, rate_min=1000)
    connection.send(b"x" * size)
    assert connection.writing.moved == size
    connection.send_ahead(b"x" * 5)
    connection.send_parts((b"y" * size, b"z"))
    assert connection.writing.moved == 2 * size + 6
    assert (size > JOIN_MAX) == (size == 50_000)
    assert len(theirs.recv(1_000_000)) > 0


def test_a_turn_begins_anew_with_what_arrives(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    ran: list[str] = []

    def answer() -> None:
        connection.receive_now(1)
        connection.send(b"x" * 600)
        green.spawn(ran.append, "another")
        connection.give_way(1000)
        ran.append("answered")

    connection.on_ready = lambda: green.spawn(answer)
    connection.watch()
    for count in (2, 4):
        theirs.send(b"?")
        with green.Timeout(10):
            while len(ran) < count:
                green.sleep(0)
    assert ran == ["answered", "another"] * 2, "600 bytes a turn, and a turn is 1000"
