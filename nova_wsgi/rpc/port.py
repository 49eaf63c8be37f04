"""The queue's port: what a driver does. ``embedded`` and ``amqp`` are the drivers; one conformance suite runs on both.

Laws, for every driver:

- A message that was accepted is run at least once, unless its consumer dies with it (embedded) or its queue is removed.
  It may run twice, after a crash or a lost connection: methods are idempotent.
- Messages are hints and the database is the truth: what must happen is a row, and a lost message only delays it.
- Nothing grows without bound: beyond the limits a sender is refused.
- A consumer that was stopped takes no new message; what it accepted, it ends.
- Only the greenthreads of the process that made a transport use it: it is made after the fork.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nova_wsgi.rpc.messages import Address, Message, Reply

MiB = 1 << 20

Handler = Callable[[Message], Reply]  # runs a message; never raises


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The bounds of a queue."""

    handlers_max: int = 32  # messages a consumer works on at once; they mostly wait for disks and databases
    queue_max: int = 10_000  # messages that wait in a queue: an hour of hints, not a day of them
    queue_size_max: int = 64 * MiB  # bytes that wait in an embedded consumer: what its process can spare
    message_size_max: int = 1 * MiB  # a message names what it is about and does not carry it


class Consumer(Protocol):
    """Takes messages for one topic, on one host, until it is stopped."""

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until messages can arrive; False when they cannot yet after ``timeout_s``. It goes on trying."""
        ...

    def stop(self) -> None:
        """Take no further message; what was accepted goes on. Does not wait."""
        ...

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """After :meth:`stop`: wait until what was accepted has ended; False when it has not after ``timeout_s``."""
        ...

    def close(self) -> None:
        """End what still goes on, now, and let go of sockets and connections."""
        ...


class Transport(Protocol):
    """Carries messages to consumers, and replies back."""

    @property
    def limits(self) -> QueueLimits:
        """The bounds it keeps."""
        ...

    def send(self, address: Address, message: Message, *, timeout_s: float) -> None:
        """Hand a cast over; returns when it is accepted, by a consumer or by the broker on its disk.

        A fanout goes to all consumers there are at the moment, none being no error, and is accepted when all have it.
        Raises QueueFull, NoConsumer, BadMessage, and QueueDown when it was not accepted within ``timeout_s``.
        """
        ...

    def request(self, address: Address, message: Message) -> Reply:
        """Hand a call over and wait for its reply, ``message.timeout_s`` in all.

        Raises what :meth:`send` does, CallTimeout, and ConsumerLost where the driver can tell.
        """
        ...

    def listen(self, topic: str, host: str, handle: Handler) -> Consumer:
        """Take the messages to ``topic``, to ``topic.host`` and to every one of ``topic``; run each by ``handle``."""
        ...

    def close(self) -> None:
        """Close connections; consumers are closed by themselves. Calls that wait for a reply fail."""
        ...
