"""Peers: both ends of the embedded queue's connections between processes.

A :class:`Peer` is the sender's end: one connection to a consumer, with many messages on their way at once. A
:class:`Doorway` is the consumer's: it accepts connections and puts what arrives into the inbox.
"""

from __future__ import annotations

import logging
import socket
import time
from functools import partial

from eventlet.event import Event

from nova_wsgi import green
from nova_wsgi.rpc.errors import BadMessage, CallTimeout, ConsumerLost, QueueDown, QueueFull
from nova_wsgi.rpc.frames import FRAME_OVERHEAD, Answer, Outcome, Stream
from nova_wsgi.rpc.inbox import Delivery, Inbox, Stopping
from nova_wsgi.rpc.messages import Message, Reply, decode_message, decode_reply, encode_reply
from nova_wsgi.rpc.port import QueueLimits
from nova_wsgi.rpc.rendezvous import ConsumerGone, Rendezvous, remove

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 1000  # to one consumer: one a sending process, and some
ANSWER_TIMEOUT_S = 10.0  # a sender that does not read its answers for so long is cut off
LOAD_VALID_S = 5.0  # what a consumer said of its load is forgotten then, or it might never be asked again
ACCEPT_PAUSE_S = 0.1  # after an accept that failed (no descriptors left), so that it is not tried in a loop
ENDED = (Outcome.REPLY, Outcome.LOST)


# -- the sender's end ----------------------------------------------------------------------------------------------


class Peer:
    """The way to a consumer of another process. It connects when it is first used."""

    def __init__(self, path: str, rendezvous: Rendezvous, limits: QueueLimits) -> None:
        self.path = path
        self.last_used = 0
        self.closed = False
        self._rendezvous = rendezvous
        self._limits = limits
        self._stream: Stream | None = None
        self._waiting: dict[bytes, Event] = {}
        self._said_load = 0
        self._said_at = 0.0

    @property
    def load(self) -> int:
        """The larger of what the consumer said a moment ago and what we wait for."""
        said = self._said_load if time.monotonic() - self._said_at < LOAD_VALID_S else 0
        return max(said, len(self._waiting))

    def deliver(self, message: Message, data: bytes, *, deadline: float) -> Reply | None:
        """Hand over a message and wait for the consumer's answer: see ``embedded.Route``."""
        key = message.id.encode()
        event = self._waiting[key] = Event()
        try:
            self._connected().write(data, timeout_s=max(0.0, deadline - time.monotonic()))
            answer: Answer | None = event.wait(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            answer = None
        except OSError:
            raise ConsumerGone from None  # cut while writing: the consumer has no whole message
        finally:
            self._waiting.pop(key, None)
        if answer is None:
            raise _late(message)
        return self._conclude(message, answer)

    def close(self) -> None:
        """Close the connection; who waits for an answer is told that the consumer is lost."""
        self.closed = True
        if self._stream is not None:
            self._stream.shutdown()

    def _conclude(self, message: Message, answer: Answer) -> Reply | None:
        match answer.outcome:
            case Outcome.REPLY:
                return decode_reply(answer.reply)
            case Outcome.ACCEPTED:
                return None
            case Outcome.FULL:
                raise QueueFull(f"as many messages as may wait for {self.path}")
            case Outcome.LOST if message.is_call:
                raise ConsumerLost(f"{message.method} was ended before it answered")
            case _:
                raise ConsumerGone

    def _connected(self) -> Stream:
        if self.closed:
            raise ConsumerGone
        if self._stream is None:
            try:
                connected = self._rendezvous.connect(self.path)
            except ConsumerGone:
                self.closed = True
                raise
            self._stream = Stream(connected, frame_size_max=self._limits.message_size_max + FRAME_OVERHEAD)
            green.spawn(self._read, self._stream)
        return self._stream

    def _read(self, stream: Stream) -> None:
        """Hand each answer to who waits for it; at the end, tell all that are left."""
        try:
            while (frame := stream.read()) is not None:
                self._take(Answer.decode(frame))
        except (OSError, BadMessage) as error:
            log.info("the connection to the consumer %s ended: %s", self.path, error)
        finally:
            self.closed = True
            stream.close()
            for id, event in self._waiting.items():
                if not event.ready():
                    event.send(Answer(Outcome.LOST, 0, id))

    def _take(self, answer: Answer) -> None:
        self._said_load, self._said_at = answer.load, time.monotonic()
        event = self._waiting.get(answer.id)
        if event is not None and not event.ready():  # its sender may have given up
            event.send(answer)


def _late(message: Message) -> CallTimeout | QueueDown:
    if message.is_call:
        return CallTimeout(f"no answer to {message.method} within {message.timeout_s:g} s")
    return QueueDown(f"the consumer did not take {message.method} in time")


# -- the consumer's end --------------------------------------------------------------------------------------------


class Doorway:
    """Accepts other processes' connections for one inbox."""

    def __init__(self, inbox: Inbox, limits: QueueLimits, listening: socket.socket, path: str) -> None:
        self.path = path
        self._inbox = inbox
        self._limits = limits
        self._listening = listening
        self._connections: set[_Connection] = set()
        self._accepting = green.spawn(self._accept)

    def hide(self) -> None:
        """Leave the directory. Who knows the way already is still answered: that the inbox is stopping."""
        remove(self.path)

    def close(self) -> None:
        """Accept no more, and cut the connections there are."""
        self._accepting.kill()
        self._listening.close()
        for connection in self._connections:
            connection.stream.shutdown()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError as error:
                log.error("the queue cannot accept a connection: %s", error.strerror)
                green.sleep(ACCEPT_PAUSE_S)
                continue
            if len(self._connections) >= CONNECTIONS_MAX:
                log.error("the queue refuses a connection: it has %d", CONNECTIONS_MAX)
                accepted.close()
                continue
            green.spawn(self._serve, Stream(accepted, frame_size_max=self._limits.message_size_max))

    def _serve(self, stream: Stream) -> None:
        connection = _Connection(stream, self._inbox, self._limits)
        self._connections.add(connection)
        try:
            connection.run()
        finally:
            self._connections.discard(connection)
            stream.close()


class _Connection:
    """One sender's connection: takes its messages, answers each."""

    def __init__(self, stream: Stream, inbox: Inbox, limits: QueueLimits) -> None:
        self.stream = stream
        self._inbox = inbox
        self._limits = limits

    def run(self) -> None:
        """Read until the sender ends. Answering here slows down a sender that does not read, and nobody else."""
        try:
            while (frame := self.stream.read()) is not None:
                self._take(decode_message(frame), len(frame))
        except (OSError, BadMessage) as error:
            log.info("a sender's connection ended: %s", error)

    def _take(self, message: Message, size: int) -> None:
        id = message.id.encode()
        if message.is_call:
            lost = partial(self._answer, Outcome.LOST, id)
            delivery = Delivery(message, size, answer=partial(self._reply, id), lost=lost)
        else:
            delivery = Delivery(message, size, answer=_not_wanted, lost=_not_wanted)
        try:
            self._inbox.put(delivery)
        except QueueFull:
            self._answer(Outcome.FULL, id)
        except Stopping:
            self._answer(Outcome.STOPPING, id)
        else:
            if not message.is_call:
                self._answer(Outcome.ACCEPTED, id)

    def _reply(self, id: bytes, reply: Reply) -> None:
        self._answer(Outcome.REPLY, id, encode_reply(reply, size_max=self._limits.message_size_max))

    def _answer(self, outcome: Outcome, id: bytes, reply: bytes = b"") -> None:
        load = self._inbox.load - (outcome in ENDED)  # what is being answered is still in the inbox
        answer = Answer(outcome, max(0, load), id, reply)
        try:
            self.stream.write(answer.encode(), timeout_s=ANSWER_TIMEOUT_S)
        except OSError:  # TimeoutError is one: the sender has gone or does not read
            self.stream.shutdown()


def _not_wanted(*_: object) -> None:
    """Nobody waits for the end of a cast."""
