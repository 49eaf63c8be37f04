"""The scale-out driver: RabbitMQ through kombu.

Strategy: each topic and each ``topic.host`` is a quorum queue, so that what the broker has confirmed survives its
restart; a fanout is an exchange with a queue per consumer that lives as long as its connection. A caller has a queue
for its replies. Sending, taking messages and taking replies use connections of their own.

Laws, beyond the port's:

- A message is confirmed by the broker before ``send`` returns, and acknowledged to it after the method has returned.
- A broker that goes away and comes back costs latency, not work: sending is tried again until its deadline, consumers
  connect again for ever, and what was not acknowledged is delivered again. So a method may run twice.
- The greenthread that reads a connection runs no handler and waits for nothing else; heartbeats go on while a handler
  works long, unless it keeps the whole process from running.
- A message that has lost its consumer DELIVERIES_MAX times is dropped: it is probably what kills them.
- A message without a consumer waits (there is no NoConsumer); one to a host that has not listened for a week is gone.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from eventlet.event import Event

from nova_wsgi.rpc.amqp_link import Broker, Link
from nova_wsgi.rpc.amqp_send import Letter, Publishers
from nova_wsgi.rpc.amqp_topology import address_queue, declare, fanout_exchange, fanout_queue, reply_queue
from nova_wsgi.rpc.errors import BadMessage, CallTimeout, QueueDown, QueueError, QueueFull
from nova_wsgi.rpc.inbox import Delivery, Inbox, Stopping
from nova_wsgi.rpc.messages import Address, Message, Reply, decode_message, decode_reply, encode_message, encode_reply
from nova_wsgi.rpc.port import Handler, QueueLimits

log = logging.getLogger(__name__)

REPLY_TIMEOUT_MAX_S = 30.0  # a reply waits no longer for the broker, whatever the caller's patience


class AmqpTransport:
    """Carries messages over RabbitMQ. ``url``: ``amqp://user:password@host:port/vhost``, several parted by ``;``.

    Raises ConfigError for what is no URL. Nothing is connected before it is used.
    """

    def __init__(
        self, url: str, *, limits: QueueLimits | None = None, heartbeat_s: int = 30, ca_file: str | None = None
    ) -> None:
        self.limits = limits or QueueLimits()
        self._broker = Broker(url, heartbeat_s=heartbeat_s, ca_file=ca_file)
        self._publishers = Publishers(self._broker)
        self._replies: _Replies | None = None
        self._pid = os.getpid()

    def send(self, address: Address, message: Message, *, timeout_s: float) -> None:
        """Have the broker keep a cast, or hand it to every consumer: see the port."""
        self._post(address, message, timeout_s=timeout_s)

    def request(self, address: Address, message: Message) -> Reply:
        """Have the broker hand a call to a consumer and wait for its reply: see the port."""
        assert message.timeout_s is not None, "a call has a timeout"
        deadline = time.monotonic() + message.timeout_s
        if self._replies is None:
            self._replies = _Replies(self._broker)
        with self._replies.expecting(message.id) as expected:
            if not self._replies.link.wait_ready(message.timeout_s):
                raise QueueDown(f"the broker is away: {self._replies.link.problem}")
            asked = replace(message, reply_to=self._replies.queue.name)
            self._post(address, asked, timeout_s=max(0.0, deadline - time.monotonic()))
            reply: Reply | None = expected.wait(max(0.0, deadline - time.monotonic()))
        if reply is None:
            raise CallTimeout(f"no answer to {message.method} within {message.timeout_s:g} s")
        return reply

    def listen(self, topic: str, host: str, handle: Handler) -> AmqpConsumer:
        """Take messages, as soon as the broker can be reached."""
        return AmqpConsumer(self, self._broker, Address(topic, host), handle)

    def answer(self, message: Message, reply: Reply, *, timeout_s: float) -> None:
        """Send the reply to a call to its caller's queue; a queue that is no more is no error."""
        data = encode_reply(reply, size_max=self.limits.message_size_max)
        expires_at = time.monotonic() + timeout_s
        letter = Letter(data, message.id, routing_key=message.reply_to or "", expires_at=expires_at)
        self._publishers.post(letter, timeout_s=timeout_s)

    def close(self) -> None:
        """Close the connections that send, and remove the queue for replies."""
        if self._replies is not None:
            self._replies.close()
            self._publishers.remove_queue(self._replies.queue)
        self._publishers.close()

    def _post(self, address: Address, message: Message, *, timeout_s: float) -> None:
        assert os.getpid() == self._pid, "a transport is made in the process that uses it, after the fork"
        data = encode_message(message, size_max=self.limits.message_size_max)
        if address.fanout:
            exchange = fanout_exchange(address.topic)
            letter = Letter(data, message.id, exchange=exchange.name, entity=exchange)
        else:
            queue = address_queue(address, self.limits)
            expires_at = time.monotonic() + timeout_s if message.is_call else None
            letter = Letter(
                data, message.id, routing_key=queue.name, entity=queue, must_arrive=True, expires_at=expires_at
            )
        self._publishers.post(letter, timeout_s=timeout_s)


class _Replies:
    """The queue of this process's replies, and who waits for them."""

    def __init__(self, broker: Broker) -> None:
        self.queue = reply_queue(uuid.uuid4().hex)
        self._waiting: dict[str, Event] = {}
        self.link = Link(broker, self._set_up, name="link for replies")

    def expecting(self, message_id: str) -> _Expected:
        """Wait for the reply to this message, inside a ``with``."""
        return _Expected(self._waiting, message_id)

    def close(self) -> None:
        """Take no more; who waits gets a timeout."""
        self.link.close()

    def _set_up(self, connection: Any, channel: Any) -> None:
        declare(connection, self.queue)
        self.queue(channel).consume("replies", callback=self._take, no_ack=True)

    def _take(self, delivered: Any) -> None:
        try:
            reply = decode_reply(_body(delivered))
        except BadMessage as error:
            log.error("what came as a reply is none: %s", error)
            return
        event = self._waiting.get(reply.id)
        if event is not None and not event.ready():  # the caller may have given up; a call that ran twice answers twice
            event.send(reply)


class _Expected:
    """A place in the table of those who wait, taken and given back."""

    def __init__(self, waiting: dict[str, Event], message_id: str) -> None:
        self._waiting = waiting
        self._id = message_id

    def __enter__(self) -> Event:
        event = self._waiting[self._id] = Event()
        return event

    def __exit__(self, *_: object) -> None:
        self._waiting.pop(self._id, None)


class AmqpConsumer:
    """Takes the messages of one topic on one host, over one connection."""

    def __init__(self, transport: AmqpTransport, broker: Broker, address: Address, handle: Handler) -> None:
        self._transport = transport
        self._address = address
        self._limits = limits = transport.limits
        # The broker's prefetch, per queue, is what bounds the inbox: it never has cause to refuse.
        waiting_max = 3 * limits.handlers_max
        bounds = replace(limits, queue_max=waiting_max, queue_size_max=waiting_max * limits.message_size_max)
        self._inbox = Inbox(handle, bounds, name=str(address))
        self._tags: dict[str, list[tuple[Any, int]]] = {}  # message id -> (channel, delivery tag) of each delivery
        self._consuming: list[str] = []  # the consumer tags of the present connection
        self._stopping = False
        self._link = Link(broker, self._set_up, name=f"consumer of {address}")

    # -- the port's Consumer

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the broker sends messages."""
        return self._link.wait_ready(timeout_s)

    def stop(self) -> None:
        """Tell the broker to send no more; what still arrives goes back to it at once."""
        if self._stopping:
            return
        self._stopping = True
        self._inbox.stop()
        self._link.write(partial(_cancel, tags=self._consuming))

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was taken has ended, been answered, and been acknowledged."""
        return self._inbox.wait_idle(timeout_s)

    def close(self) -> None:
        """End what goes on; the broker gives it, not acknowledged, to another consumer."""
        self.stop()
        self._inbox.kill()
        self._link.close()

    # -- taking messages

    def _set_up(self, connection: Any, channel: Any) -> None:
        if self._stopping:
            return
        topic = self._address.topic
        queues = [
            address_queue(Address(topic), self._limits),
            address_queue(self._address, self._limits),
            fanout_queue(topic, uuid.uuid4().hex, self._limits),
        ]
        for queue in queues:
            declare(connection, queue)
        channel.basic_qos(0, self._limits.handlers_max, False)
        self._consuming = [queue.name for queue in queues]
        for queue in queues:
            queue(channel).consume(queue.name, callback=self._take, no_ack=False)

    def _take(self, delivered: Any) -> None:
        """In the greenthread that reads the connection: nothing here waits for a handler."""
        channel, tag = delivered.channel, delivered.delivery_tag
        data = _body(delivered)
        try:
            message = decode_message(data)
        except BadMessage as error:
            log.error("what came as a message is none, and is dropped: %s", error)
            self._link.write(partial(_acknowledge, tag=tag), channel=channel)
            return
        if message.id in self._tags:  # it was sent or delivered again while it still runs: one run does for both
            self._tags[message.id].append((channel, tag))
            return
        delivery = Delivery(
            message, len(data), answer=lambda reply: self._end(delivery, reply), lost=lambda: self._lose(delivery)
        )
        try:
            self._inbox.put(delivery)
        except (Stopping, QueueFull):
            self._link.write(partial(_give_back, tag=tag), channel=channel)
        else:
            self._tags[message.id] = [(channel, tag)]

    def _end(self, delivery: Delivery, reply: Reply) -> None:
        """In the handler's greenthread, after the method: answer, then acknowledge."""
        left_s = delivery.left_s()
        if left_s is not None:
            try:
                self._transport.answer(delivery.message, reply, timeout_s=min(left_s, REPLY_TIMEOUT_MAX_S))
            except QueueError as error:
                log.warning("the answer of %s cannot be sent: %s", delivery.message.method, error)
        self._acknowledge(delivery)

    def _lose(self, delivery: Delivery) -> None:
        if delivery.expired():
            self._acknowledge(delivery)  # its caller waits no more: nobody need run it
        else:
            self._tags.pop(delivery.message.id, None)  # another consumer gets it when this connection closes

    def _acknowledge(self, delivery: Delivery) -> None:
        for channel, tag in self._tags.pop(delivery.message.id, ()):
            self._link.write(partial(_acknowledge, tag=tag), channel=channel)


def _acknowledge(channel: Any, *, tag: int) -> None:
    channel.basic_ack(tag)


def _give_back(channel: Any, *, tag: int) -> None:
    channel.basic_reject(tag, requeue=True)


def _cancel(channel: Any, *, tags: Sequence[str]) -> None:
    for tag in tags:
        channel.basic_cancel(tag, nowait=True)  # without waiting: the answer is read by another greenthread


def _body(delivered: Any) -> bytes:
    body = delivered.body
    return body if isinstance(body, bytes) else str(body).encode()
