"""Accepting in equal shares: who has more than another lets that one go first, for a moment."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.forks import another_process

from nova_wsgi import green
from nova_wsgi.acceptor import ACCEPTED_MAX, GIVE_WAY_S, Acceptor
from nova_wsgi.shares import Shares

native = green.original("socket")
pytestmark = pytest.mark.filterwarnings("ignore:Using fork")


class Hub:
    """Does nothing by itself: tests tell it what happens."""

    READ = "read"

    def __init__(self) -> None:
        self.listening: list[Callable[[int], None]] = []
        self.scheduled: list[tuple[float, Callable[[], None]]] = []

    def add(self, _kind: str, _fd: int, wake: Callable[[int], None], *_: object) -> Callable[[int], None]:
        self.listening.append(wake)
        return wake

    def remove(self, listener: Callable[[int], None]) -> None:
        self.listening.remove(listener)

    def schedule_call_global(self, delay_s: float, call: Callable[[], None]) -> None:
        self.scheduled.append((delay_s, call))

    def tell(self) -> None:
        """The listening socket is readable."""
        for wake in list(self.listening):
            wake(0)


class Host:
    """Keeps what is accepted, and says how much that is."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []

    def take(self, sock: socket.socket, _address: Any) -> None:
        self.taken.append(sock)

    def make_room(self) -> None:
        raise AssertionError("nothing is short")

    def complain(self, message: str, error: BaseException | None = None) -> None:
        raise AssertionError(message) from error


class Place:
    """A listening socket, and an acceptor on it."""

    def __init__(self, listening: socket.socket) -> None:
        self.hub, self.host, self.shares = Hub(), Host(), Shares()
        self.acceptor = Acceptor(listening, self.host, self.shares)
        self.clients: list[socket.socket] = []
        self._address = listening.getsockname()

    def connect(self) -> None:
        self.clients.append(native.create_connection(self._address))

    def idle_process(self) -> Any:
        """Another process that accepts, and has no connection."""
        return another_process(self.shares.join)

    def busy_process_waits(self) -> bool:
        """Whether another process, with more connections than this one, would let it go first."""

        def waits() -> bool:
            self.shares.join()
            self.shares.tell(1000)
            return not self.shares.share_of(1)

        with another_process(waits) as told:
            return told


@pytest.fixture
def place() -> Iterator[Place]:
    with native.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        made = Place(listening)
        made.acceptor.start(made.hub)
        yield made
        made.acceptor.stop(take_waiting=False)
        made.shares.close()
        for sock in made.clients + made.host.taken:
            sock.close()


def test_alone_it_accepts_at_once_whatever_it_has(place):
    place.acceptor.count(1000)
    place.connect()
    place.hub.tell()
    assert (len(place.host.taken), place.hub.scheduled) == (1, [])


def test_it_gives_way_once_and_then_accepts_what_nobody_took(place):
    with place.idle_process():
        place.acceptor.count(1)
        for number in (1, 2):
            place.connect()
            place.hub.tell()
            assert len(place.host.taken) == number - 1
            assert place.hub.listening == [], "level-triggered, the hub would call at once again"

            delay_s, resume = place.hub.scheduled.pop()
            assert delay_s == GIVE_WAY_S
            resume()
            place.hub.tell()
            assert len(place.host.taken) == number
    place.connect()
    place.hub.tell()
    assert len(place.host.taken) == 3  # the other is gone
    assert place.hub.scheduled == []


def test_of_many_that_wait_it_takes_its_share_at_once(place):
    with place.idle_process():
        for _ in range(10):
            place.connect()
        place.hub.tell()
        assert len(place.host.taken) == 5
        place.acceptor.count(5)
        place.hub.tell()
        assert len(place.host.taken) == 5, "the others are the other's"
    ((_, resume),) = place.hub.scheduled
    resume()
    place.hub.tell()
    assert len(place.host.taken) == 10, "who is gone gets none"


def test_alone_it_takes_so_many_at_once_that_others_still_run(place):
    for _ in range(ACCEPTED_MAX + 5):
        place.connect()
    place.hub.tell()
    assert len(place.host.taken) == ACCEPTED_MAX
    place.hub.tell()
    assert len(place.host.taken) == ACCEPTED_MAX + 5


def test_on_a_unix_socket_it_takes_one_at_a_time(tmp_path):
    with native.socket(native.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        listening.setblocking(False)
        hub, host = Hub(), Host()
        acceptor = Acceptor(listening, host, None)
        acceptor.start(hub)
        clients = [native.socket(native.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.connect(str(tmp_path / "socket"))
        hub.tell()
        assert len(host.taken) == 1
        acceptor.stop(take_waiting=True)
        assert len(host.taken) == 3
        for sock in clients + host.taken:
            sock.close()


def test_who_has_as_few_as_the_other_does_not_give_way(place):
    with place.idle_process():
        place.connect()
        place.hub.tell()
        assert len(place.host.taken) == 1


def test_nobody_waits_for_one_that_has_stopped_and_what_waited_is_taken(place):
    assert place.busy_process_waits()
    for _ in range(3):
        place.connect()
    place.acceptor.stop(take_waiting=True)
    assert len(place.host.taken) == 3
    assert place.hub.listening == []
    assert not place.busy_process_waits()
