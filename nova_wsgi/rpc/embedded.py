"""The embedded driver: no broker. Consumers of this process are handed messages, those of this host's others get them
over unix sockets.

Strategy: a sender looks for the consumers of an address, in this process and in the rendezvous directory, and asks one
after the other, the least loaded first, until one takes the message. What a consumer has accepted waits in its memory.

Laws, beyond the port's:

- Nothing polls: every greenthread is blocked on a socket or an event.
- A message no consumer is there for is refused at once (NoConsumer), never kept: the database knows what is to be done.
- A connection lost before a cast was accepted means asking the next consumer: it may then run twice. A call whose
  consumer dies is never sent again by itself (ConsumerLost).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from itertools import count
from typing import Protocol

from eventlet.event import Event

from nova_wsgi import green
from nova_wsgi.rpc.errors import CallTimeout, ConsumerLost, NoConsumer, QueueDown, QueueError, QueueFull
from nova_wsgi.rpc.inbox import Delivery, Inbox, Stopping
from nova_wsgi.rpc.messages import Address, Message, Reply, decode_message, decode_reply, encode_message, encode_reply
from nova_wsgi.rpc.peers import Doorway, Peer
from nova_wsgi.rpc.port import Handler, QueueLimits
from nova_wsgi.rpc.rendezvous import ConsumerGone, Rendezvous

log = logging.getLogger(__name__)


class Route(Protocol):
    """A way to one consumer."""

    last_used: int

    @property
    def load(self) -> int:
        """How much the consumer has to do, as far as is known."""
        ...

    def deliver(self, message: Message, data: bytes, *, deadline: float) -> Reply | None:
        """Hand over ``message``, which is ``data`` as JSON; of a call, wait for the reply.

        Raises ConsumerGone when it was not taken and will not be, QueueFull, ConsumerLost; CallTimeout or QueueDown
        at the deadline (monotonic seconds).
        """
        ...


class EmbeddedConsumer:
    """One consumer of this process, and the way to it."""

    def __init__(self, topic: str, host: str, handle: Handler, limits: QueueLimits, consumers: Consumers) -> None:
        self.topic = topic
        self.host = host
        self.last_used = 0
        self._limits = limits
        self._inbox = Inbox(handle, limits, name=f"{topic}.{host}")
        self._consumers = consumers
        self._doorway: Doorway | None = None

    @property
    def load(self) -> int:
        """How many messages it has."""
        return self._inbox.load

    @property
    def path(self) -> str | None:
        """The path of its socket, when other processes may send."""
        return None if self._doorway is None else self._doorway.path

    def open(self, rendezvous: Rendezvous | None) -> None:
        """Take messages: from this process, and from others where there is a rendezvous. Raises ConfigError."""
        if rendezvous is not None:
            self._doorway = Doorway(self._inbox, self._limits, *rendezvous.bind(self.topic, self.host))
        self._consumers.append(self)

    def deliver(self, message: Message, data: bytes, *, deadline: float) -> Reply | None:
        """Hand over a message of this process: see :class:`Route`."""
        ended = Event()
        # Decoded again, so that the method gets values of its own, as it would in another process.
        delivery = Delivery(decode_message(data), len(data), answer=ended.send, lost=ended.send)
        try:
            self._inbox.put(delivery)
        except Stopping:
            raise ConsumerGone from None
        if not message.is_call:
            return None
        reply = ended.wait(max(0.0, deadline - time.monotonic()))
        if reply is not None:
            return decode_reply(encode_reply(reply, size_max=self._limits.message_size_max))
        if ended.ready() and time.monotonic() < deadline:
            raise ConsumerLost(f"{message.method} was ended before it answered")
        raise CallTimeout(f"no answer to {message.method} within {message.timeout_s:g} s")

    # -- the port's Consumer

    def wait_ready(self, timeout_s: float) -> bool:
        """Messages can arrive once it is open."""
        return True

    def stop(self) -> None:
        """Leave the directory; refuse what still comes from senders that know the way."""
        if self in self._consumers:
            self._consumers.remove(self)
        if self._doorway is not None:
            self._doorway.hide()
        self._inbox.stop()

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was accepted has ended and been answered."""
        return self._inbox.wait_idle(timeout_s)

    def close(self) -> None:
        """End what goes on and close the connections."""
        self.stop()
        self._inbox.kill()
        if self._doorway is not None:
            self._doorway.close()


Consumers = list[EmbeddedConsumer]

_consumers: dict[tuple[int, str | None], Consumers] = {}  # by process and path: a forked child has none of its parent's


def consumers_here(path: str | None) -> Consumers:
    """The consumers of this process at one rendezvous path; without a path, those that only this process can reach."""
    return _consumers.setdefault((os.getpid(), None if path is None else os.path.abspath(path)), [])


class EmbeddedTransport:
    """Carries messages within a process, and with ``path`` (a directory of this user's alone) within a host.

    ``consumers``: those reached without a socket; by default all of this process that have the same path.
    """

    def __init__(
        self, path: str | None = None, *, limits: QueueLimits | None = None, consumers: Consumers | None = None
    ) -> None:
        self.limits = limits or QueueLimits()
        self._rendezvous = None if path is None else Rendezvous(path)
        self._consumers = consumers_here(path) if consumers is None else consumers
        self._peers: dict[str, Peer] = {}
        self._turn = count(1)
        self._pid = os.getpid()

    def send(self, address: Address, message: Message, *, timeout_s: float) -> None:
        """Hand a cast to one consumer, or to every one: see the port."""
        data = encode_message(message, size_max=self.limits.message_size_max)
        deadline = time.monotonic() + timeout_s
        if address.fanout:
            self._deliver_to_all(self._routes(address), message, data, deadline)
        else:
            self._deliver(address, message, data, deadline)

    def request(self, address: Address, message: Message) -> Reply:
        """Hand a call to one consumer and wait for its reply: see the port."""
        assert message.timeout_s is not None, "a call has a timeout"
        data = encode_message(message, size_max=self.limits.message_size_max)
        reply = self._deliver(address, message, data, time.monotonic() + message.timeout_s)
        assert reply is not None, "a call is answered"
        return reply

    def listen(self, topic: str, host: str, handle: Handler) -> EmbeddedConsumer:
        """Take messages. Raises ConfigError when the directory cannot be used."""
        Address(topic, host)  # the names become files
        consumer = EmbeddedConsumer(topic, host, handle, self.limits, self._consumers)
        consumer.open(self._rendezvous)
        return consumer

    def close(self) -> None:
        """Close the connections to other processes' consumers."""
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()

    # -- finding a consumer

    def _deliver(self, address: Address, message: Message, data: bytes, deadline: float) -> Reply | None:
        refused: QueueFull | None = None
        for route in sorted(self._routes(address), key=lambda route: (route.load, route.last_used)):
            route.last_used = next(self._turn)
            try:
                return route.deliver(message, data, deadline=deadline)
            except ConsumerGone:
                continue
            except QueueFull as error:
                refused = error
        raise refused or NoConsumer(f"nobody listens to {address}")

    def _deliver_to_all(self, routes: Iterable[Route], message: Message, data: bytes, deadline: float) -> None:
        """At the same time, so that one that does not answer keeps it from no other."""

        def deliver(route: Route) -> QueueError | None:
            try:
                route.deliver(message, data, deadline=deadline)
            except ConsumerGone:
                pass
            except (QueueFull, QueueDown) as error:
                return error
            return None

        threads = [green.spawn(deliver, route) for route in routes]
        problems = [problem for problem in [thread.wait() for thread in threads] if problem is not None]
        if problems:
            raise problems[0]

    def _routes(self, address: Address) -> list[Route]:
        assert os.getpid() == self._pid, "a transport is made in the process that uses it, after the fork"
        here = [
            consumer
            for consumer in self._consumers
            if consumer.topic == address.topic and address.host in (None, consumer.host)
        ]
        if self._rendezvous is None:
            return list(here)
        paths = {consumer.path for consumer in self._consumers}
        found = self._rendezvous.find(address.topic, address.host)
        return [*here, *(self._peer(path) for path in found if path not in paths)]

    def _peer(self, path: str) -> Peer:
        assert self._rendezvous is not None
        peer = self._peers.get(path)
        if peer is None:
            for gone in [known for known, old in self._peers.items() if old.closed]:
                del self._peers[gone]
            peer = self._peers[path] = Peer(path, self._rendezvous, self.limits)
        return peer
