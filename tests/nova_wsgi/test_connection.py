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
