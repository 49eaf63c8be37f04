"""The HTTP parser and its bodies against a second, strict reader of the same bytes; and the PROXY protocol.

Properties: the server takes no request that the strict reader does not, and reads each as it does, to the byte; what it
refuses beside is on a list; the outcome does not depend on how the bytes were split on their way.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from support import http_vectors, rfc9112
from support.fuzzing import Target, step_of
from support.rfc9112 import CLOSED, CUT, OPEN, REFUSED, Parsed

from nova_wsgi.body import NO_BODY, Body, ChunkedBody, SizedBody
from nova_wsgi.errors import (
    BadRequest,
    ClientDisconnected,
    HeadersTooLarge,
    RequestError,
    UnsupportedTransferEncoding,
    UriTooLong,
)
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.http_parse import Framing, find_head_end, head_start, parse_head
from nova_wsgi.proxy_protocol import read_header

RECEIVE_SIZE = 16 * 1024  # of the server, at once
LIMITS = HttpLimits(
    request_line_max=400, header_count_max=12, header_size_max=300, headers_total_max=900, chunk_line_max=60,
    chunk_extensions_max=200,
)  # fmt: skip

# What the server refuses and RFC 9112 allows, or leaves to others to judge; none of it is about where a request ends.
STRICTER = (
    "the Host field is not a host and port",
    "the request target's authority is not a host and port",
    "the request target is neither a path nor an http URI",
    "the request target has characters that must be percent-encoded",
    "the Content-Length is not a decimal number",  # of more than 18 digits
    "a chunk size is not a hexadecimal number",  # of more than 16
    "a chunk line is too long",
    "too many chunk extensions",
)


class Source:
    """A connection that was written to beforehand: gives at most ``step`` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.buffer = data[:step]
        self._data, self._at, self._step = data, step, step

    def receive(self, size_max: int) -> bytes:
        piece = self._data[self._at : self._at + min(size_max, self._step)]
        self._at += len(piece)
        return piece

    def receive_into(self, view: memoryview) -> int:
        piece = self.receive(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def send(self, data: bytes) -> None:
        """A 100 Continue goes nowhere."""


class Outcome:
    """What the server makes of some bytes."""

    def __init__(self, data: bytes, step: int, reading: int) -> None:
        self.requests: list[Parsed] = []
        self.error: RequestError | None = None
        self._reading = reading
        source = Source(data, step)
        try:
            self.end = self._serve(source)
        except ClientDisconnected:
            self.end = CUT
        except RequestError as error:
            self.end, self.error = REFUSED, error

    def _serve(self, source: Source) -> str:
        scanned = 0
        while True:
            end = find_head_end(source.buffer, scanned, LIMITS) if source.buffer else -1
            if end < 0:
                scanned = len(source.buffer)
                more = source.receive(RECEIVE_SIZE)
                if not more:
                    return CUT if source.buffer else OPEN
                source.buffer += more
                continue
            head, source.buffer = source.buffer[head_start(source.buffer) : end], source.buffer[end + 4 :]
            scanned = 0
            environ: dict[str, Any] = {}
            framing = parse_head(head, environ, LIMITS)
            body = _open(framing, source)
            content = READINGS[self._reading](body)
            self.requests.append(_parsed(head, environ, content, body))
            if not framing.keep_alive:
                return CLOSED

    @property
    def verdict(self) -> tuple[int, str]:
        """How many requests, and how it ended. Of two faults at once either may be the one that is told."""
        return len(self.requests), self.end

    @property
    def name(self) -> str:
        told = f" {self.error.status} {self.error.hint}" if self.error is not None else ""
        return f"{min(3, len(self.requests))} {self.end}{told}"


def _open(framing: Framing, source: Source) -> Body:
    if framing.body_length < 0:
        return ChunkedBody(source, LIMITS, expects_continue=framing.expects_continue)
    if not framing.body_length:
        return NO_BODY
    return SizedBody(source, framing.body_length, expects_continue=framing.expects_continue)


def _parsed(head: bytes, environ: dict[str, Any], content: bytes, body: Body) -> Parsed:
    """A request in the strict reader's words; the target is its own, for ours is told in parts."""
    target = head.split(b" ", 2)[1]
    fields = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in environ["nova.headers"].items())
    trailers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in body.trailers.items())
    version = environ["SERVER_PROTOCOL"].encode()
    return Parsed(environ["REQUEST_METHOD"].encode(), target, version, fields, content, trailers)


# -- the ways an application reads -------------------------------------------------------------------------------------


def _read_whole(body: Body) -> bytes:
    return body.read()


def _read_pieces(body: Body) -> bytes:
    return b"".join(iter(lambda: body.read(7), b""))


def _read_lines(body: Body) -> bytes:
    return b"".join(body)


def _read_into(body: Body) -> bytes:
    made, view = b"", bytearray(11)
    while count := body.readinto(view):
        made += view[:count]
    return made


READINGS = (_read_whole, _read_pieces, _read_lines, _read_into)


# -- the check ---------------------------------------------------------------------------------------------------------


def check_requests(data: bytes) -> str:
    """Both readers, whole and in pieces."""
    ours = Outcome(data, RECEIVE_SIZE, step_of(data, len(READINGS)) - 1)
    split = Outcome(data, step_of(data, 23, salt=1), step_of(data, len(READINGS), salt=2) - 1)
    assert ours.requests == split.requests, "what is read depends on how it comes"
    assert ours.verdict == split.verdict, f"the outcome depends on how it comes: {ours.name}, {split.name}"
    theirs = rfc9112.read(data)
    joined = [
        request._replace(fields=_join(request.fields), trailers=_join(request.trailers)) for request in theirs.requests
    ]
    common = len(ours.requests)
    assert ours.requests == joined[:common], "the strict reader reads other requests"
    if ours.end == REFUSED:
        assert ours.error is not None
        if not (theirs.end == REFUSED and common == len(theirs.requests)):
            assert _may_refuse(ours.error, theirs.end), f"refused without need: {ours.name}"
    else:
        assert (common, ours.end) == (len(joined), theirs.end), (
            f"strictly it is {len(joined)} {theirs.end}: {ours.name}"
        )
    return ours.name


def _may_refuse(error: RequestError, end: str) -> bool:
    if isinstance(error, (HeadersTooLarge, UriTooLong, UnsupportedTransferEncoding)) or error.hint in STRICTER:
        return True
    return end == CUT  # what cannot become right any more need not be waited for


def _join(fields: rfc9112.Fields) -> rfc9112.Fields:
    """RFC 9110 section 5.3: the values of one name are a list."""
    joined: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        joined.setdefault(name, []).append(value)
    return tuple((name, b",".join(values)) for name, values in joined.items())


# -- the grammar -------------------------------------------------------------------------------------------------------

_LINE_ENDS = (b"\r\n",) * 60 + (b"\n", b"\r", b"\r\r\n", b"\r\n ", b"")
_METHODS = (b"GET", b"PUT", b"POST", b"HEAD", b"OPTIONS", b"DELETE", b"BREW", b"CONNECT", b"get", b"G(T")
_TARGETS = (
    b"/",
    b"/a/b?c=d",
    b"/%2e%2e/%00",
    b"*",
    b"http://a.example/x?y",
    b"https://b:1",
    b"/a#b",
    b"/\xc3\xa9",
    b"//",
    b"a",
)
_VERSIONS = (b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.10")
_NAMES = (
    b"X-A",
    b"x-a",
    b"Cookie",
    b"Expect",
    b"X_A",
    b"Accept",
    b"Content-Type",
    b"X A",
    b"",
    b" X",
    b"X-A ",
    b"X\xe9",
)
_VALUES = (b"1", b"", b"  two words ", b"\t3\t", b"\xe9", b"100-continue", b"a,b", b"a\x00b", b"a\x0bb", b'"x', b"\x7f")
_CONNECTIONS = (b"close", b"keep-alive", b"Keep-Alive, x", b"x,close", b"", b"Close")
_CODINGS = (b"chunked",) * 10 + (
    b"Chunked",
    b"gzip, chunked",
    b"chunked, gzip",
    b"identity",
    b"chunked,",
    b" chunked ",
    b"xchunked",
)
_SIZES = (b"%d", b"%d", b"%d", b"%d", b"%d", b"+%d", b"0%d", b"%d, %d", b"%d ", b"0x%d", b"-%d", b"%d1", b"%d\x0b")
_EXTENSIONS = (b"",) * 12 + (b";a", b";a=b", b' ; a="b c"', b";", b" ", b";\t", b"; a=\x00", b";a\n")


def make_requests(rng: random.Random) -> bytes:
    """One to three requests in a row, now and then with a line that is wrong."""
    return b"".join(_make_request(rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))


def _make_request(rng: random.Random) -> bytes:
    content = bytes(rng.choice(b"ab\r\n0 :") for _ in range(rng.randrange(12)))
    lines = [b" ".join((rng.choice(_METHODS), rng.choice(_TARGETS), rng.choice(_VERSIONS)))]
    fields = (
        [b"Host: " + rng.choice((b"a.example", b"a.example:80", b"[::1]:1", b"", b"a b", b"a@b"))]
        if rng.random() < 0.97
        else []
    )
    fields += [rng.choice(_NAMES) + b":" + rng.choice(_VALUES) for _ in range(rng.randrange(3))]
    framing = rng.random()
    body = b""
    if framing < 0.4:
        fields.append(b"Transfer-Encoding:" + rng.choice(_CODINGS))
        body = _make_chunks(rng, content)
    if framing < 0.03 or 0.4 <= framing < 0.75:
        form = rng.choice(_SIZES)
        fields.append(b"Content-Length: " + form.replace(b"%d", str(len(content)).encode()))
        body = body or content
    if rng.random() < 0.15:
        fields.append(b"Connection: " + rng.choice(_CONNECTIONS))
    rng.shuffle(fields)
    head = b"".join(line + rng.choice(_LINE_ENDS) for line in lines + fields)
    return (b"\r\n" if rng.random() < 0.05 else b"") + head + rng.choice(_LINE_ENDS) + body


def _make_chunks(rng: random.Random, content: bytes) -> bytes:
    made = b""
    while content:
        size = rng.randrange(1, len(content) + 1)
        piece, content = content[:size], content[size:]
        form = rng.choice((b"%x",) * 20 + (b"%X", b"0%x", b"%x ", b" %x", b"0x%x", b"+%x", b"f%x"))
        made += form % size + rng.choice(_EXTENSIONS) + rng.choice(_LINE_ENDS) + piece + rng.choice(_LINE_ENDS)
    made += rng.choice((b"0", b"0", b"0", b"00", b"")) + rng.choice(_EXTENSIONS) + rng.choice(_LINE_ENDS)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        made += rng.choice(_NAMES) + rng.choice((b":", b":", b"")) + rng.choice(_VALUES) + rng.choice(_LINE_ENDS)
    return made + rng.choice(_LINE_ENDS)


# -- the PROXY protocol ------------------------------------------------------------------------------------------------


def check_proxy_header(data: bytes) -> str:
    """One header, read exactly."""
    at = 0

    def read_exactly(size: int) -> bytes:
        nonlocal at
        if at + size > len(data):
            raise ClientDisconnected("the header ended early")
        at += size
        return data[at - size : at]

    try:
        client = read_header(read_exactly)
    except BadRequest as error:
        return error.hint
    return "local" if client is None else f"client {':' in client.address} {client.tls}"


_PROXIES = (
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nGET", b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x2c" + bytes(36) + b"\x20\x00\x05\x01\x00\x00\x00\x00",
    b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
)  # fmt: skip


def _targets() -> Sequence[Target]:
    seeds = [vector.request for vector in http_vectors.read_all() if len(vector.request) < 2000]
    words = (b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Host: a\r\n", b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
             b"Connection: close\r\n", b"\r\n ", b"5;a=b\r\nhello\r\n")  # fmt: skip
    growths = {
        "a head": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * n + b"\r\n",
        "chunks": lambda n: (
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * n + b"0\r\n\r\n"
        ),
        "pipelined": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * n,
        "empty lines": lambda n: b"\r\n" * n,
        "a line without an end": lambda n: b"GET /" + b"a" * n,
    }
    return (
        Target("http_requests", check_requests, make_requests, seeds=seeds, words=words, growths=growths),
        Target("proxy_protocol", check_proxy_header, seeds=_PROXIES),
    )


TARGETS = _targets()
