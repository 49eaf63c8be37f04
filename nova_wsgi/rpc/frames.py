"""Frames between the processes of one host: a length and that many bytes, on a stream socket.

A frame from a sender is a message (JSON). A consumer answers each with one frame: what became of it, how much the
consumer has to do, and the message's id, or the reply.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from enum import Enum
from typing import NamedTuple

from eventlet.semaphore import Semaphore

from nova_wsgi import green
from nova_wsgi.rpc.errors import BadMessage

RECEIVE_SIZE = 64 * 1024
FRAME_OVERHEAD = 1024  # an answer's head and id

_LENGTH = struct.Struct(">I")
_ANSWER = struct.Struct(">cIB")  # outcome, load, length of the id


class Outcome(Enum):
    """What became of a message."""

    ACCEPTED = b"A"  # a cast: it is queued
    FULL = b"F"  # refused: as many wait as may
    STOPPING = b"S"  # refused: the consumer takes no more
    LOST = b"L"  # a call that was ended before it answered
    REPLY = b"R"  # a call: the reply follows


class Answer(NamedTuple):
    """A consumer's frame about the message ``id``. ``load``: messages it has; ``reply``: JSON, empty without one."""

    outcome: Outcome
    load: int
    id: bytes
    reply: bytes = b""

    def encode(self) -> bytes:
        """As it travels."""
        return _ANSWER.pack(self.outcome.value, self.load, len(self.id)) + self.id + self.reply

    @classmethod
    def decode(cls, frame: bytes) -> Answer:
        """What a frame says. Raises BadMessage."""
        try:
            outcome, load, id_size = _ANSWER.unpack_from(frame)
            id_end = _ANSWER.size + id_size
            return cls(Outcome(outcome), load, frame[_ANSWER.size : id_end], frame[id_end:])
        except (struct.error, ValueError) as error:
            raise BadMessage(f"not an answer: {error}") from None


class Stream:
    """A stream socket that carries frames: read by one greenthread, written by any.

    The reader owns the socket: others :meth:`shutdown`, which ends its reading, and it closes.
    """

    def __init__(self, connected: socket.socket, *, frame_size_max: int) -> None:
        self._socket = connected
        self._frame_size_max = frame_size_max
        self._received = bytearray()
        self._writing = Semaphore(1)

    def read(self) -> bytes | None:
        """Wait for a frame; None at the end. Raises BadMessage for one too large, OSError."""
        while (frame := self._take()) is None:
            received = self._socket.recv(RECEIVE_SIZE)
            if not received:
                return None  # what is left of a cut frame was never told as accepted
            self._received += received
        return frame

    def _take(self) -> bytes | None:
        if len(self._received) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack_from(self._received)
        if size > self._frame_size_max:
            raise BadMessage(f"a frame of {size} bytes, and {self._frame_size_max} are the most")
        end = _LENGTH.size + size
        if len(self._received) < end:
            return None
        frame = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return frame

    def write(self, frame: bytes, *, timeout_s: float) -> None:
        """Write a frame whole. Raises TimeoutError when the other side does not take it in time, OSError."""
        with green.Timeout(timeout_s, TimeoutError(f"a frame was not taken within {timeout_s:.1f} s")), self._writing:
            try:
                self._socket.sendall(_LENGTH.pack(len(frame)) + frame)
            except BaseException:  # whatever it was: after a frame cut short nothing can follow
                self.shutdown()
                raise

    def shutdown(self) -> None:
        """End the connection in both directions; the reader sees its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket; the reader does, after its last read."""
        self._socket.close()
