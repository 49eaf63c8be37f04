"""Sending to RabbitMQ: a few connections, each used by one greenthread at a time, each message confirmed.

Nobody reads these connections between two messages: they have no heartbeats, and one that has died meanwhile is found
out by the next message, which goes over a new one. A message whose confirmation was lost is sent again, with its id.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from amqp.exceptions import MessageNacked
from eventlet.semaphore import Semaphore
from kombu import Exchange, Producer, Queue

from nova_wsgi import green
from nova_wsgi.loopingcall import BackOff
from nova_wsgi.rpc.amqp_link import Broker, describe, hang_up
from nova_wsgi.rpc.amqp_topology import declare
from nova_wsgi.rpc.errors import QueueDown, QueueFull

log = logging.getLogger(__name__)

PUBLISHERS_MAX = 4  # connections: a confirmation takes some milliseconds, mostly the broker's disk
CONFIRM_TIMEOUT_S = 10.0  # then the connection is taken for dead
REMOVE_TIMEOUT_S = 2.0
AGAIN_MIN_S = 0.05
AGAIN_MAX_S = 2.0
IS_PERSISTENT = 2  # delivery mode


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is sent. ``entity`` is declared before; with ``must_arrive``, again when no queue took it."""

    data: bytes
    message_id: str
    exchange: str = ""  # the default exchange: straight to the queue that the routing key names
    routing_key: str = ""
    entity: Queue | Exchange | None = None
    must_arrive: bool = False
    expires_at: float | None = None  # monotonic seconds; the broker drops it then


class NotRouted(Exception):
    """The broker has no queue for it."""


class Publishers:
    """The connections that send."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._free = Semaphore(PUBLISHERS_MAX)
        self._idle: deque[_Publisher] = deque()

    def post(self, letter: Letter, *, timeout_s: float) -> None:
        """Send until the broker confirms. Raises QueueFull; QueueDown when it has not after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        pace = BackOff(AGAIN_MIN_S, AGAIN_MAX_S)
        while True:
            try:
                with self._borrowed(deadline) as publisher:
                    publisher.post(letter, timeout_s=_left_s(deadline, CONFIRM_TIMEOUT_S))
                return
            except QueueFull:
                raise
            except Exception as error:  # noqa: BLE001  py-amqp raises even AttributeError when a connection breaks
                pause_s = pace.next_delay_s(took_s=0.0, result=False, failed=True)
                if time.monotonic() + pause_s >= deadline:
                    raise QueueDown(f"{self._broker.name} did not take the message: {describe(error)}") from None
            green.sleep(pause_s)

    def remove_queue(self, queue: Queue) -> None:
        """Remove a queue, if the broker can be reached; it goes by itself otherwise."""
        deadline = time.monotonic() + REMOVE_TIMEOUT_S
        give_up = green.Timeout(REMOVE_TIMEOUT_S, False)
        with contextlib.suppress(Exception), give_up, self._borrowed(deadline) as publisher:
            publisher.remove_queue(queue)

    def close(self) -> None:
        """Close the connections that are idle; one that is in use is closed when it is given back."""
        while self._idle:
            self._idle.pop().close(politely=True)

    @contextlib.contextmanager
    def _borrowed(self, deadline: float) -> Iterator[_Publisher]:
        """A publisher that nobody else uses; given back unless something went wrong with it."""
        with green.Timeout(_left_s(deadline), TimeoutError("too many messages are being sent")):
            self._free.acquire()
        try:
            publisher = self._idle.pop() if self._idle else _Publisher(self._broker)
            try:
                yield publisher
            except QueueFull:
                self._idle.append(publisher)
                raise
            except BaseException:  # whatever it was: an answer to it may still come, and be taken for the next one's
                publisher.close(politely=False)
                raise
            self._idle.append(publisher)
        finally:
            self._free.release()


class _Publisher:
    """One connection that sends."""

    def __init__(self, broker: Broker) -> None:
        self._connection = broker.connect(heartbeat_s=0, confirms=True)
        self._declared: set[str] = set()
        self._returned = False
        try:
            self._producer = Producer(self._connection.channel(), on_return=self._on_return)
        except BaseException:  # a timeout, a kill: the connection is made, and nobody else knows of it
            self.close(politely=False)
            raise

    def post(self, letter: Letter, *, timeout_s: float) -> None:
        """Send, and wait for the broker's word. Raises QueueFull, NotRouted, and whatever a connection raises."""
        with green.Timeout(timeout_s, TimeoutError(f"no confirmation within {timeout_s:.1f} s")):
            if letter.entity is not None and letter.entity.name not in self._declared:
                declare(self._connection, letter.entity)
                self._declared.add(letter.entity.name)
            self._returned = False
            try:
                self._publish(letter)
            except MessageNacked:
                self._explain(letter)
            if self._returned:
                raise NotRouted(f"the queue {letter.routing_key} has been removed")

    def remove_queue(self, queue: Queue) -> None:
        """Remove the queue with what is in it."""
        queue(self._producer.channel).delete()

    def close(self, *, politely: bool) -> None:
        """Close the connection."""
        hang_up(self._connection, politely=politely)

    def _publish(self, letter: Letter) -> None:
        self._producer.publish(
            letter.data,
            exchange=letter.exchange,
            routing_key=letter.routing_key,
            content_type="application/json",
            content_encoding="binary",  # so that the other end gets bytes
            delivery_mode=IS_PERSISTENT,
            mandatory=letter.must_arrive,
            expiration=None if letter.expires_at is None else _left_s(letter.expires_at),
            message_id=letter.message_id,
        )

    def _explain(self, letter: Letter) -> None:
        """The broker refuses: because the queue is full, or because it cannot store now, which passes."""
        if isinstance(letter.entity, Queue):
            limit = letter.entity.queue_arguments["x-max-length"]
            waiting = letter.entity(self._producer.channel).queue_declare(passive=True).message_count
            if waiting < limit:
                raise MessageNacked
        raise QueueFull(f"as many messages as may wait in {letter.routing_key or letter.exchange}")

    def _on_return(self, *_: object) -> None:
        self._returned = True


def _left_s(deadline: float, most_s: float | None = None) -> float:
    left_s = max(0.0, deadline - time.monotonic())
    return left_s if most_s is None else min(left_s, most_s)
