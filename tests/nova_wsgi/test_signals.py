"""Signals in a queue: in order, at once, none lost around a fork; and every stack on request."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nova_wsgi import green, signals
from nova_wsgi.signals import SignalQueue, held


@pytest.fixture
def queue():
    """A queue for the signals that pytest does not need."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)}
    queue = SignalQueue(before)
    queue.install()
    yield queue
    queue.silence()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_idle_hub_wakes_at_once(queue):
    taken = green.spawn(lambda: (queue.take(), time.monotonic()))
    green.sleep(0)
    subprocess.run([sys.executable, "-S", "-c", f"import os; os.kill({os.getpid()}, {signal.SIGUSR1:d})"], check=True)
    sent_by = time.monotonic()
    numbers, at = taken.wait()
    assert numbers == [signal.SIGUSR1]
    assert at - sent_by < 0.5


def test_signals_come_in_order_and_once(queue):
    assert queue.take_ready() == []
    for number in (signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1):
        os.kill(os.getpid(), number)
    assert queue.take_ready() == [signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1]
    assert queue.take_ready() == []


def test_stops_count_as_often_as_they_come():
    numbers = bytes([signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP])
    assert signals._distinct(numbers) == [signal.SIGTERM, signal.SIGHUP, signal.SIGTERM]


def test_held_signals_come_afterwards(queue):
    with held([signal.SIGUSR1]):
        signal.raise_signal(signal.SIGUSR1)  # to this thread: others of the process do not hold it
        assert queue.take_ready() == []
    assert queue.take_ready() == [signal.SIGUSR1]


def test_every_stack_is_logged(caplog):
    def waits_for_something():
        green.sleep(10)

    thread = green.spawn(waits_for_something)
    green.sleep(0)
    try:
        signals.dump_stacks()
    finally:
        thread.kill()
    assert "waits_for_something" in caplog.text
    assert "native thread" in caplog.text
    assert "test_every_stack_is_logged" in caplog.text
