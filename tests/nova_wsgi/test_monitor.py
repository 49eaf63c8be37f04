"""sd_notify: the datagrams, on a real socket."""

import os
import socket
import time

import pytest

from nova_wsgi.monitor import Notifier


@pytest.fixture
def supervisor(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(2)
        yield listening


def notifier(supervisor, **environ):
    return Notifier({"NOTIFY_SOCKET": os.fsdecode(supervisor.getsockname()), **environ})


def received(supervisor):
    messages = []
    supervisor.setblocking(False)
    try:
        while True:
            messages.append(supervisor.recv(4096).decode())
    except BlockingIOError:
        return messages


def test_the_states_of_a_service(supervisor):
    told = notifier(supervisor)
    told.ready()
    before = time.monotonic_ns() // 1000
    told.reloading()
    told.ready()
    told.stopping()
    first, reloading, again, last = received(supervisor)
    assert (first, again, last) == ("READY=1", "READY=1", "STOPPING=1")
    state, _, usec = reloading.partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(usec) <= time.monotonic_ns() // 1000


def test_a_status_is_told_when_it_changes(supervisor):
    told = notifier(supervisor)
    for text in ("2 workers", "2 workers", "1 workers"):
        told.status(text)
    assert received(supervisor) == ["STATUS=2 workers", "STATUS=1 workers"]


def test_the_watchdog_is_fed_twice_in_its_time(supervisor):
    told = notifier(supervisor, WATCHDOG_USEC="100000000", WATCHDOG_PID=str(os.getpid()))
    assert told.watchdog_interval_s == 50
    told.feed_watchdog()
    told.feed_watchdog()
    assert received(supervisor) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
def test_no_watchdog_is_fed_that_does_not_wait_for_us(supervisor, environ):
    told = notifier(supervisor, **environ)
    told.feed_watchdog()
    assert told.watchdog_interval_s is None
    assert received(supervisor) == []


def test_an_abstract_address():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"nova-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        listening.settimeout(2)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(100) == b"READY=1"


def test_without_a_supervisor_nothing_happens(supervisor):
    for environ in ({}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere"}):
        told = Notifier(environ)
        told.ready()
        told.feed_watchdog()
    full = notifier(supervisor)
    for number in range(10_000):  # nobody reads: the socket's queue fills, and we go on
        full.status(str(number))
