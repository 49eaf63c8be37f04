"""What can go wrong between a sender and the method it names, as facts.

QueueError                    the message, or the answer to it, did not get through
├── BadMessage                it cannot travel: not JSON, malformed
│   └── MessageTooLarge       it is larger than the limit
├── QueueFull                 as many messages wait as may; come back later
├── NoConsumer                nobody listens there (only the embedded driver tells: RabbitMQ keeps the message)
├── QueueDown                 the queue itself did not take the message in time
├── ConsumerLost              the process that had the call ended before it answered: it may have been done, or not
├── CallTimeout               no answer came in time: it may be done later, or not
└── RemoteError               the answer is an error: ``kind`` says which, ``message`` how the other side put it
"""

from __future__ import annotations

from nova_wsgi.errors import NovaError

# Kinds of RemoteError that the queue itself answers; the others are the class names of what the method raised.
UNKNOWN_METHOD = "UnknownMethod"  # nothing was run
BAD_ARGUMENTS = "BadArguments"  # nothing was run
BAD_RESULT = "BadResult"  # the method returned, but what it returned cannot travel


class QueueError(NovaError):
    """A message, or the answer to it, did not get through."""


class BadMessage(QueueError):
    """A message that cannot travel, or bytes that are none."""


class MessageTooLarge(BadMessage):
    """A message larger than the limit: it should name what it is about, not carry it."""


class QueueFull(QueueError):
    """As many messages wait as may."""


class NoConsumer(QueueError):
    """Nobody listens at the address."""


class QueueDown(QueueError):
    """The queue did not take the message in time: the broker is away, or the consumer does not answer."""


class ConsumerLost(QueueError):
    """The process that had the call ended before it answered."""


class CallTimeout(QueueError):
    """No answer came in time."""


class RemoteError(QueueError):
    """The method answered with an error, or could not be run.

    ``kind``: the class name of what it raised, or UNKNOWN_METHOD, BAD_ARGUMENTS, BAD_RESULT. ``message``: its text,
    meant for operators; a front does not pass it on to clients.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.message = message
        super().__init__(f"{kind}: {message}" if message else kind)
