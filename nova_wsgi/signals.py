"""Signals: a signal becomes a number in a queue, and the handler does nothing else.

Strategy: ``signal.set_wakeup_fd`` has C write the signal's number into a socket the moment it arrives. Whoever runs
the process reads the numbers from there: a greenthread (an idle hub wakes for it; it does not for a Python handler,
PEP 475), or the supervising loop's poll.

Law: after a fork, the child has a queue of its own before any signal reaches it (:func:`held` around the fork);
otherwise its signals would be written into its parent's queue.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from nova_wsgi import green, logs

log = logging.getLogger(__name__)

HANDLED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def _only_noticed(number: int, frame: FrameType | None) -> None:
    """Be a handler, so that the signal's default action is not taken; the number is in the queue already."""


class SignalQueue:
    """The signals that arrived and were not taken yet. One per process: :meth:`install` makes it the one."""

    def __init__(self, handled: Iterable[int] = HANDLED) -> None:
        self._handled = tuple(handled)
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)

    def install(self) -> None:
        """Queue the handled signals from here on."""
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in self._handled:
            signal.signal(number, _only_noticed)

    def silence(self) -> None:
        """Close; the signals are still caught, and ignored: one that comes late does not spoil the exit status."""
        signal.set_wakeup_fd(-1)
        self.close()

    def close(self) -> None:
        """Close the sockets; in a forked child, on the parent's queue, this is all there is to do."""
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """The descriptor that is readable when a signal waits."""
        return self._read.fileno()

    def take(self) -> list[signal.Signals]:
        """Wait for signals, without blocking the hub, and take them; each only once however often it came."""
        return _distinct(self._read.recv(4096))

    def take_ready(self) -> list[signal.Signals]:
        """Take what has arrived; an empty list when nothing has."""
        taken = b""
        self._read.setblocking(False)
        try:
            taken = self._read.recv(4096)
        except BlockingIOError:
            pass
        finally:
            self._read.setblocking(True)
        return _distinct(taken)


def _distinct(numbers: bytes) -> list[signal.Signals]:
    """In order of arrival. A stop counts as often as it came: the second one is a harder word than the first."""
    distinct: list[int] = []
    for number in numbers:
        if number in (signal.SIGTERM, signal.SIGINT) or number not in distinct:
            distinct.append(number)
    return [signal.Signals(number) for number in distinct]


@contextmanager
def held(handled: Iterable[int] = HANDLED) -> Iterator[None]:
    """Keep signals waiting inside: around a fork, so that a child takes none before it has its own queue."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- what runs ------------------------------------------------------------------------------------------------------


def stacks() -> Iterator[tuple[str, str]]:
    """Yield (who, the stack) of every greenthread but the calling one, and of every native thread."""
    for name, frame in green.suspended():
        yield f"greenthread {name}", _stack(frame)
    for ident, frame in sys._current_frames().items():
        yield f"native thread {ident}", _stack(frame)


def dump_stacks() -> None:
    """SIGUSR2: write the stack of every greenthread and native thread to the log."""
    for who, stack in stacks():
        log.warning("%s\n%s", who, stack)


def dump_on_abort() -> None:
    """Have SIGABRT, with which a stuck worker is ended, write every native thread's stack to the log first."""
    faulthandler.enable(logs.log_fd(), all_threads=True)


def _stack(frame: FrameType) -> str:
    return "".join(traceback.format_stack(frame)).rstrip()
