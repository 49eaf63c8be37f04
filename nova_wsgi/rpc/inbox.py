"""Inbox: messages that wait, and the bounded number of greenthreads that work on them.

Laws:

- Whoever puts a delivery in hears of its end exactly once: ``answer`` with the reply, or ``lost``.
- A delivery runs in a greenthread of its own, so that a flood of quick messages starves nobody.
- A call whose caller has given up before it began is not begun.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from eventlet.event import Event

from nova_wsgi import green
from nova_wsgi.rpc.errors import QueueFull
from nova_wsgi.rpc.messages import Message, Reply
from nova_wsgi.rpc.port import Handler, QueueLimits

log = logging.getLogger(__name__)


class Stopping(Exception):
    """The inbox takes nothing any more."""


class Delivery:
    """A message with what is to be told of its end; ``size`` in bytes as it travelled.

    ``answer`` is called with the reply, in the handler's greenthread; ``lost`` when there will be none.
    """

    __slots__ = ("_answer", "_ended", "_expires_at", "_lost", "message", "size")

    def __init__(
        self, message: Message, size: int, *, answer: Callable[[Reply], None], lost: Callable[[], None]
    ) -> None:
        self.message = message
        self.size = size
        self._answer = answer
        self._lost = lost
        self._ended = False
        self._expires_at = None if message.timeout_s is None else time.monotonic() + message.timeout_s

    def left_s(self) -> float | None:
        """The seconds for which its caller still waits; None when there is no caller."""
        return None if self._expires_at is None else max(0.0, self._expires_at - time.monotonic())

    def expired(self) -> bool:
        """Whether its caller waits no more."""
        return self.left_s() == 0.0

    def end(self, reply: Reply | None) -> None:
        """Tell how it ended, None being lost; only the first time counts."""
        if self._ended:
            return
        self._ended = True
        try:
            if reply is None:
                self._lost()
            else:
                self._answer(reply)
        except Exception:  # the method has run: that nobody hears of it must not end the one who takes messages
            log.exception("the end of %s cannot be told", self.message.method)


class Inbox:
    """Runs deliveries by ``handle``, at most ``handlers_max`` at once; the others wait, within the limits."""

    def __init__(self, handle: Handler, limits: QueueLimits, *, name: str) -> None:
        self.name = name
        self._handle = handle
        self._limits = limits
        self._waiting: deque[Delivery] = deque()
        self._waiting_size = 0
        self._working: dict[Delivery, green.GreenThread] = {}
        self._stopped = False
        self._idle: Event | None = None  # there while somebody waits

    @property
    def load(self) -> int:
        """How many messages it has: those worked on and those that wait."""
        return len(self._working) + len(self._waiting)

    def put(self, delivery: Delivery) -> None:
        """Begin the delivery, or have it wait. Raises QueueFull, or Stopping; its end is then not told."""
        if self._stopped:
            raise Stopping
        if len(self._working) < self._limits.handlers_max:
            self._begin(delivery)
            return
        full = self._waiting_size + delivery.size > self._limits.queue_size_max
        if full or len(self._waiting) >= self._limits.queue_max:
            raise QueueFull(f"{self.name}: {len(self._waiting)} messages wait already")
        self._waiting.append(delivery)
        self._waiting_size += delivery.size

    def stop(self) -> None:
        """Take nothing more; what is here goes on to its end."""
        self._stopped = True

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is here; False when something still is after ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.load:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                return False
            if self._idle is None:
                self._idle = Event()
            self._idle.wait(left_s)
        return True

    def kill(self) -> None:
        """End everything now; each is told as lost."""
        self._stopped = True
        waiting, self._waiting, self._waiting_size = self._waiting, deque(), 0
        for delivery in waiting:
            delivery.end(None)
        for delivery, thread in list(self._working.items()):
            thread.kill()
            delivery.end(None)  # where the greenthread had not begun, or does not die of a kill
            self._working.pop(delivery, None)
        self._tell_idle()

    def _begin(self, delivery: Delivery) -> None:
        self._working[delivery] = green.spawn(self._work, delivery)

    def _work(self, delivery: Delivery) -> None:
        reply = None
        try:
            if not delivery.expired():
                reply = self._handle(delivery.message)
        except Exception:  # a handler that breaks its word must not cost the others their turn
            log.exception("%s: the handler of %s failed", self.name, delivery.message.method)
        finally:  # a kill ends the greenthread inside the handler
            delivery.end(reply)
            self._working.pop(delivery, None)
            self._next()

    def _next(self) -> None:
        while self._waiting and len(self._working) < self._limits.handlers_max:
            delivery = self._waiting.popleft()
            self._waiting_size -= delivery.size
            self._begin(delivery)
        self._tell_idle()

    def _tell_idle(self) -> None:
        if self._idle is not None and not self.load:
            idle, self._idle = self._idle, None
            idle.send()
