"""The response to one HTTP/1 request: ``start_response``, framing after RFC 9112, and the way onto the connection.

Strategy: the application's headers are rendered once, when it starts the response, and judged as one block: outside
the CRLF that this module put in, no control character may be left. Header and a small body leave in one call.

Laws:

- The framing never lies. A body longer than its Content-Length is cut and logged; a shorter one breaks the connection.
- No body follows HEAD, 204 or 304, whatever the application returns.
- ``keep_alive`` says after the header was sent what the client was told.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, Final

from nova_wsgi.body import Body
from nova_wsgi.connection import JOIN_MAX, Connection, turn_size
from nova_wsgi.http_parse import VISIBLE
from nova_wsgi.response import FileBody

LOG = logging.getLogger(__name__)

_STATUS = re.compile(r"[2-5][0-9]{2} [\t\x20-\x7e\xa0-\xff]*")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
UNREAD_BODY_MAX: Final = 64 * 1024  # bytes of a body the application left that are read for the connection's sake
BODILESS: Final = frozenset((204, 304))  # RFC 9112 6.3: their header block is their end

# What a response header name means to the server. Bounded, because applications may echo what clients chose.
_ORDINARY, _LENGTH, _CONNECTION, _DATE, _SERVER, _DROPPED, _FORBIDDEN = range(7)
_MEANINGS: Final = {
    "content-length": _LENGTH,
    "connection": _CONNECTION,
    "date": _DATE,
    "server": _SERVER,
    "keep-alive": _DROPPED,
    "transfer-encoding": _FORBIDDEN,
}
_NAMES_MAX: Final = 2048
_names: dict[str, int] = {}
_statuses: dict[str, int] = {}

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HeaderTail:
    """What all responses of a server have in common: Server and Date, made once a second.

    ``closing``: the server is being stopped, and every response tells its client that the connection ends.
    """

    def __init__(self, server_name: str) -> None:
        self.closing = False
        self.server = f"Server: {server_name}\r\n".encode("latin-1")
        self._second = -1
        self._date = b""
        self._whole = b""

    def whole(self) -> bytes:
        """Server, Date and the empty line."""
        if int(time.time()) != self._second:
            self._renew()
        return self._whole

    def date(self) -> bytes:
        """The Date header."""
        self.whole()
        return self._date

    def _renew(self) -> None:
        self._second = int(time.time())
        self._date = f"Date: {format_date(self._second)}\r\n".encode("ascii")
        self._whole = self.server + self._date + b"\r\n"


def format_date(timestamp: float) -> str:
    """An IMF-fixdate (RFC 9110 5.6.7); strftime would speak the locale's language."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(timestamp)
    return f"{_WEEKDAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


class ResponseWriter:
    """One response on its way. ``start`` is the ``start_response`` of PEP 3333, ``write`` what it returns.

    Attributes: ``status``; ``header_sent``; ``bytes_sent`` of the body, without framing; ``first_byte_at``, monotonic
    time at which the header was handed over, 0.0 before; ``keep_alive``.
    """

    __slots__ = (
        "_added",
        "_chunked",
        "_connection",
        "_fields",
        "_finished",
        "_given",
        "_is_1_1",
        "_is_head",
        "_left",
        "_length",
        "_request_body",
        "_tail",
        "bodiless",
        "bytes_sent",
        "first_byte_at",
        "header_sent",
        "keep_alive",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        tail: HeaderTail,
        request_body: Body,
        added_headers: Sequence[tuple[str, str]] = (),
        *,
        keep_alive: bool,
        is_1_1: bool,
        is_head: bool,
    ) -> None:
        self._connection = connection
        self._tail = tail
        self._request_body = request_body
        self._added = added_headers  # what filters have put into environ["nova.added_headers"]
        self._is_1_1 = is_1_1
        self._is_head = is_head
        self.keep_alive = keep_alive
        self._fields: bytes | None = None  # status line and headers as given; None until the response was started
        self._given = 0  # bits 1 << meaning of the headers that the application gave itself
        self._length: int | None = None  # the Content-Length
        self._left = 0  # what is still missing of it
        self._chunked = False
        self._finished = False
        self.status = 0
        self.bodiless = is_head  # no body may follow the header
        self.header_sent = False
        self.bytes_sent = 0
        self.first_byte_at = 0.0

    @property
    def started(self) -> bool:
        """Tell whether the application has called ``start_response``."""
        return self._fields is not None

    # -- WSGI -----------------------------------------------------------------------------------------------------

    def start(self, status: str, headers: Sequence[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and headers; return ``write``.

        Raises ValueError for a status or header that cannot be sent, AssertionError when called a second time without
        ``exc_info``; with it, what it holds, if the header has been sent already.
        """
        if exc_info:
            try:
                if self.header_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a traceback that holds this frame would live until the garbage collector comes
        elif self._fields is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        self.status = _statuses.get(status) or _check_status(status)
        self.bodiless = self._is_head or self.status in BODILESS
        self._given = 0
        self._length = None
        self._fields = self._render(status, [*headers, *self._added] if self._added else headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once; the header before the first."""
        if self._fields is None:
            raise AssertionError("the application sends a body before it has called start_response")
        if not data:
            return
        if not isinstance(data, bytes | bytearray | memoryview):  # before a header is sent that promises it
            raise TypeError("a body is bytes, not text")
        head = b"" if self.header_sent else self._open_head(None)
        if self.bodiless:
            if head:
                self._connection.send(head)
            return
        data = self._measure(data)
        if self._chunked:
            self._connection.send_parts((head, b"%x\r\n" % len(data), data, b"\r\n"))
        elif head:
            self._connection.send_parts((head, data))
        elif data:
            self._connection.send(data)
        self.bytes_sent += len(data)

    # -- the server's side ----------------------------------------------------------------------------------------

    def send_whole(self, pieces: Sequence[bytes]) -> None:
        """Send a body of which all pieces are there: its length is declared if the application has not done so."""
        data = b"".join(pieces)  # PERF: of a single bytes object this is the object itself
        if self._fields is None:
            raise AssertionError("the application returned without having called start_response")
        head = b"" if self.header_sent else self._open_head(len(data))
        if not head:
            self.write(data)  # after the write() callable was used
        elif self.bodiless:
            self._connection.send(head)
        elif self._length == len(data):  # PERF: the common response, without further ado
            self._left = 0
            self.bytes_sent = size = len(data)
            if size <= JOIN_MAX:
                self._connection.send(head + data)
            else:
                self._connection.send_parts((head, data))
        else:
            data = self._measure(data)
            self._connection.send_parts((head, data))
            self.bytes_sent += len(data)

    def send_files(self, body: FileBody) -> None:
        """Send a body from files by sendfile. Raises OSError when a file cannot be read; see ``missing``."""
        if self._connection.tls or self.header_sent or not self.started:
            return self.send_iterable(body)
        head = self._open_head(body.length)
        if self.bodiless or not body.length:
            return self._connection.send(head)
        self._connection.send_ahead(head)
        for segment in body.segments:
            if isinstance(segment, bytes):
                self.write(segment)
                continue
            count = min(segment.count, self._left)
            try:
                sent = self._connection.send_file(segment.fd, segment.offset, count, sent=self.bytes_sent)
            finally:
                self.bytes_sent += self._connection.file_bytes_sent
                self._left -= self._connection.file_bytes_sent
            if sent < count:
                return None  # the file is shorter than the response has promised: see ``missing``
        if body.length > self.bytes_sent:
            self._log_excess()
        return None

    def send_iterable(self, body: Iterable[bytes]) -> None:
        """Send the pieces of a body as they come."""
        if self.started and self.bodiless:
            return
        for piece in body:
            if piece:
                self.write(piece)
            if self.started and self.bodiless:  # a generator starts the response only now
                return
            self._connection.give_way(turn_size(self.bytes_sent))

    def finish(self) -> None:
        """Send what is due after the last piece: a header not sent yet, the last chunk."""
        if self._fields is None:
            raise AssertionError("the application returned without having called start_response")
        if not self.header_sent:
            self._connection.send(self._open_head(0))
        elif self._chunked and not self.bodiless:
            self._connection.send(b"0\r\n\r\n")
        self._finished = True

    @property
    def is_whole(self) -> bool:
        """Tell whether everything the client was promised was handed to the socket."""
        return self._finished and not (self._left and self.missing)

    @property
    def missing(self) -> int:
        """Bytes that the Content-Length has promised and nobody sent."""
        return self._left if self._left and not self.bodiless else 0

    # -- rendering ------------------------------------------------------------------------------------------------

    def _render(self, status: str, headers: Sequence[tuple[str, str]]) -> bytes:
        parts = [f"HTTP/1.1 {status}\r\n"]
        for name, value in headers:
            meaning = _names.get(name)
            if meaning is None:
                meaning = _learn_name(name)
            if meaning:
                if meaning == _LENGTH and self._length is None and value.isdecimal() and self.status != 204:
                    self._given |= 1 << _LENGTH  # PERF: what nearly every response has
                    self._length = int(value)
                elif not self._note(meaning, value):
                    continue
            parts.append(f"{name}: {value}\r\n")
        text = "".join(parts)
        rendered = text.encode() if text.isascii() else text.encode("latin-1")  # PERF: no look-up of a codec
        # No response splitting: besides the CRLF of each line nothing but text may be there.
        if len(rendered.translate(None, VISIBLE)) != 2 * len(parts):
            raise ValueError("a response header has a control character in its value")
        return rendered

    def _note(self, meaning: int, value: str) -> bool:
        """Take in a header that means something to the server; tell whether it is sent as it is."""
        if meaning == _FORBIDDEN:
            raise ValueError("Transfer-Encoding is the server's to choose (PEP 3333: no hop-by-hop headers)")
        self._given |= 1 << meaning
        if meaning == _CONNECTION and "close" in value.lower():
            self.keep_alive = False
        if meaning == _LENGTH:
            if not value.isdecimal() or self._length not in (None, int(value)):
                raise ValueError("a response has one Content-Length, a decimal number")
            self._length = int(value)
            return self.status != 204  # RFC 9110 8.6
        return meaning in (_DATE, _SERVER)

    def _open_head(self, length: int | None) -> bytes:
        """Decide the framing and complete the header block; ``length`` is the body's, None when nobody knows it."""
        fields = self._fields
        assert fields is not None
        framing = b""
        if self._length is None and not self.bodiless:
            if length is not None:
                self._length = length
                framing = b"Content-Length: %d\r\n" % length
            elif self._is_1_1:
                self._chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
            else:
                self.keep_alive = False  # HTTP/1.0 knows a body's end by the connection's
        self._left = self._length or 0
        if not self._request_body.ended:
            self._judge_request_body()
        if self._tail.closing:
            self.keep_alive = False
        if not self.keep_alive:
            framing += b"Connection: close\r\n"
        elif not self._is_1_1:
            framing += b"Connection: keep-alive\r\n"
        self.header_sent = True
        self.first_byte_at = monotonic()
        if not self._given & (1 << _DATE | 1 << _SERVER):
            return fields + framing + self._tail.whole()
        server = b"" if self._given & 1 << _SERVER else self._tail.server
        date = b"" if self._given & 1 << _DATE else self._tail.date()
        return fields + framing + server + date + b"\r\n"

    def _judge_request_body(self) -> None:
        """Tell the client at once when the connection cannot go on behind a body that was not read."""
        body = self._request_body
        # RFC 9110 10.1.1: after a final status instead of 100, the client may or may not send the body.
        if body.broken or body.expects_continue or (body.length_left or 0) > UNREAD_BODY_MAX:
            self.keep_alive = False
        body.expects_continue = False

    def _measure(self, data: bytes) -> bytes:
        """Count a piece against the Content-Length; cut what is beyond it."""
        if self._chunked or self._length is None:
            return data
        if len(data) > self._left:
            self._log_excess()
            data = data[: self._left]
        self._left -= len(data)
        return data

    def _log_excess(self) -> None:
        LOG.error("the application's body is longer than its Content-Length of %s: cut off", self._length)


def _check_status(status: str) -> int:
    """Check a status line's code and phrase; 1xx are the server's own."""
    if not _STATUS.fullmatch(status):
        raise ValueError(f"not a final status: {status!r}")
    if len(_statuses) < _NAMES_MAX:
        _statuses[status] = int(status[:3])
    return int(status[:3])


def _learn_name(name: str) -> int:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"not a header name: {name!r}")
    meaning = _MEANINGS.get(name.lower(), _ORDINARY)
    if len(_names) < _NAMES_MAX:
        _names[name] = meaning
    return meaning
