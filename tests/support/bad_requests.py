"""Bad requests as rows: what goes onto the wire, how the client ends, and what it may expect."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from support.raw_http import Client
from support.raw_store import Signed, read_error_code, sign

from nova_wsgi import green

CLOSED = "closed"  # the connection ended without a word
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SEND_STEP = 64 * 1024


class Sent(NamedTuple):
    """What a client sends; ``stops``: it has no more to say, and closes its side for writing."""

    data: bytes
    stops: bool = False
    method: str = "GET"


@dataclass(frozen=True)
class Request:
    """A signed request. ``length`` is the Content-Length it claims; None the true one, -1 none at all.

    ``payload`` is x-amz-content-sha256, by default the body's true hash. ``unsigned`` headers are not covered by the
    signature. ``damage`` is done to the finished head. ``stops`` as in :class:`Sent`.
    """

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: str | None = None
    length: int | None = None
    unsigned: Mapping[str, str] = field(default_factory=dict)
    damage: Callable[[bytes], bytes] | None = None
    stops: bool = False

    def render(self) -> Sent:
        length = len(self.body) if self.length is None else self.length
        unsigned = {**({"Content-Length": str(length)} if length >= 0 else {}), **self.unsigned}
        payload = hashlib.sha256(self.body).hexdigest() if self.payload is None else self.payload
        signed = sign(self.method, self.target, self.headers, payload=payload, unsigned=unsigned)
        head = signed.head if self.damage is None else self.damage(signed.head)
        return Sent(head + self.body, self.stops, self.method)


@dataclass(frozen=True)
class Raw:
    """Bytes as they are."""

    data: bytes
    stops: bool = False
    method: str = "GET"

    def render(self) -> Sent:
        return Sent(self.data, self.stops, self.method)


@dataclass(frozen=True)
class Chunked:
    """An upload in signed chunks. ``forge`` makes its encoded body; ``size`` and ``length`` are the two lengths claimed."""

    target: str
    forge: Callable[[Signed], bytes]
    size: int | str
    length: int | None = None
    stops: bool = False

    def render(self) -> Sent:
        encoded_size = len(self.forge(Signed(b"", "0" * 64, "", "x")))
        headers = {"x-amz-decoded-content-length": str(self.size), "content-encoding": "aws-chunked"}
        length = encoded_size if self.length is None else self.length
        signed = sign("PUT", self.target, headers, payload=STREAMING, unsigned={"Content-Length": str(length)})
        return Sent(signed.head + self.forge(signed), self.stops, "PUT")


class Case(NamedTuple):
    """One row: a name, what is sent, what is expected: ``400 MalformedXML``, ``closed``, or several with `` | ``."""

    name: str
    request: Request | Raw | Chunked
    expected: str

    def __str__(self) -> str:
        return self.name


def md5(body: bytes) -> str:
    """A Content-MD5."""
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def document(method: str, target: str, body: bytes, **changes: object) -> Request:
    """A request with a document, everything about it right but perhaps the document."""
    return Request(method, target, body, {"content-md5": md5(body), "content-type": "application/xml"}, **changes)  # type: ignore[arg-type]


def pieces(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(view), SEND_STEP):
        yield view[start : start + SEND_STEP]


def deliver(wire: Client, sent: Sent) -> str:
    """Send it, and read one answer: ``status Code`` of an error document, ``status``, or ``closed``."""
    sending = green.spawn(_send, wire, sent)  # who refuses early may not read to the end
    try:
        return read_outcome(wire, sent.method)
    finally:
        sending.kill()


def _send(wire: Client, sent: Sent) -> None:
    try:
        for piece in pieces(sent.data):
            wire.sock.sendall(piece)
        if sent.stops:
            wire.sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it has heard enough; its answer tells the rest


def read_outcome(wire: Client, method: str = "GET") -> str:
    if not wire.received and not wire.receive_more():
        return CLOSED
    response = wire.response(method=method)
    if response.status < 400 or method == "HEAD":
        return str(response.status)
    assert response.header("Content-Type") == "application/xml", response
    assert response.header("x-amz-request-id"), response
    return f"{response.status} {read_error_code(response.body)}"
