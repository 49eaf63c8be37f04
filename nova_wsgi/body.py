"""Request bodies: ``wsgi.input`` over a connection, by length or by chunks. No sockets here: bytes come from a Source.

Strategy: a body pulls from its source only when the application reads, first what arrived along with the head
(``source.buffer``), then from the socket straight into the reader's memory. What lies behind the body stays in
``source.buffer``: it is the next request.

Laws:

- Never a byte past the body's end, and never silence about a missing one: a body that ends early raises.
- ``100 Continue`` is sent at the first read, and only when the client still waits for it.
- After an error every further read raises the same error: the place of the next request is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

from nova_wsgi import green
from nova_wsgi.errors import BadRequest, BodyTooLarge, ClientDisconnected, HeadersTooLarge, RequestError
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.http_parse import CRLF, VISIBLE, parse_trailers

RECEIVE_MAX: Final = 1024 * 1024  # bytes asked of the socket at once; more is rarely there
CHUNKED_RECEIVE: Final = 64 * 1024  # what a chunked body reads ahead, to find chunk lines without a call for each
DIRECT_MIN: Final = 16 * 1024  # from here on the rest of a chunk is received into the reader's memory
PIECES_MAX: Final = 1024  # pieces of one read() before they are joined: one of two bytes takes up twenty times as many
DISCARDED_PIECES_MAX: Final = 64  # of a body nobody wants; a chunk of one byte costs as much to read as one of 64 KiB
LINES_TURN: Final = 64  # chunk lines read before others get their turn: a chunk may be one byte, and always be there
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# RFC 9112 7.1: 1*HEXDIG, optional extensions. No sign, no 0x, no spaces but those before an extension.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;.*)?", re.DOTALL)


class Source(Protocol):
    """Where a body's bytes come from: a connection."""

    buffer: bytes  # received, not consumed yet

    def receive(self, size_max: int) -> bytes:
        """Wait for some bytes; b"" at the end of the stream. Raises RequestTimeout when the client stalls."""

    def receive_into(self, view: memoryview) -> int:
        """As ``receive``, into ``view``; 0 at the end of the stream."""

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""


class Body:
    """A request without a body, and what all bodies share.

    Attributes: ``trailers``, lower-case names to values, filled once the end was read; ``received``, payload bytes
    taken so far; ``ended``, whether the client's last byte of this body was taken from the connection. All reading
    methods raise RequestError: ClientDisconnected when the body ends early, RequestTimeout when the client stalls,
    BadRequest for bad chunks, BodyTooLarge, HeadersTooLarge for large trailers.
    """

    __slots__ = ("_ahead", "_error", "_source", "ended", "expects_continue", "received", "trailers")

    def __init__(self, source: Source | None = None, *, expects_continue: bool = False) -> None:
        self._source = source
        self._ahead = b""  # what readline() took too much of
        self._error: RequestError | None = None
        self.expects_continue = expects_continue
        self.received = 0
        self.trailers: dict[str, str] = {}
        self.ended = True

    @property
    def broken(self) -> bool:
        """Tell whether reading has failed: nobody knows any more where the next request begins."""
        return self._error is not None

    @property
    def length_left(self) -> int | None:
        """Bytes not yet taken from the connection; None when only reading would tell."""
        return 0

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, fewer only at the body's end; all that is left for -1 or None."""
        wanted = -1 if size is None else size
        piece = self._take(wanted if wanted >= 0 else RECEIVE_MAX)
        if len(piece) == wanted or not piece:
            return piece
        pieces, got = [piece], len(piece)
        while got != wanted and (piece := self._take(wanted - got if wanted >= 0 else RECEIVE_MAX)):
            pieces.append(piece)
            got += len(piece)
            if len(pieces) >= PIECES_MAX:
                pieces = [b"".join(pieces)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` (anything writable, contiguous) and return the bytes put in: fewer only at the end."""
        view = memoryview(buffer).cast("B")
        filled, size = 0, len(view)
        while filled < size and (count := self._take_into(view[filled:])):
            filled += count
        return filled

    def readline(self, size: int | None = -1) -> bytes:
        """Read up to and with the next LF, at most ``size`` bytes."""
        wanted = RECEIVE_MAX if size is None or size < 0 else size
        pieces: list[bytes] = []
        while wanted and (piece := self._take(min(wanted, 8192))):
            newline = piece.find(b"\n") + 1
            if newline:
                self._ahead = piece[newline:] + self._ahead
                pieces.append(piece[:newline])
                break
            pieces.append(piece)
            wanted -= len(piece) if size is not None and size >= 0 else 0
        return b"".join(pieces)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Read lines, until ``hint`` bytes or the end."""
        lines, total = [], 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def discard(self, size_max: int) -> bool:
        """Read and drop the rest if it is at most ``size_max`` bytes, and not in many pieces; tell whether its end came."""
        for _ in range(DISCARDED_PIECES_MAX):
            if self.ended or size_max <= 0:
                break
            size_max -= len(self._receive_guarded(min(size_max, CHUNKED_RECEIVE)))
        return self.ended

    def _take(self, size_max: int) -> bytes:
        """Some bytes, at most ``size_max``; b"" at the end."""
        if self._ahead:
            piece, self._ahead = self._ahead[:size_max], self._ahead[size_max:]
            return piece
        if self.ended or not size_max:
            return b""
        return self._receive_guarded(size_max)

    def _take_into(self, view: memoryview) -> int:
        """As ``_take``, into ``view``."""
        piece = self._take(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _receive_guarded(self, size_max: int) -> bytes:
        self._before_receiving()
        try:
            return self._receive(size_max)
        except RequestError as error:
            self._error = error
            raise

    def _before_receiving(self) -> None:
        if self._error is not None:
            raise self._error
        if self.expects_continue:
            self.expects_continue = False
            # RFC 9110 10.1.1: no interim response once content has begun to arrive.
            if self._source is not None and not self._source.buffer:
                self._source.send(CONTINUE)

    def _receive(self, size_max: int) -> bytes:
        """Take some bytes from the source; b"" only at the end."""
        return b""


class SizedBody(Body):
    """A body of ``length`` bytes (Content-Length)."""

    __slots__ = ("_left",)

    _source: Source

    def __init__(self, source: Source, length: int, *, expects_continue: bool = False) -> None:
        super().__init__(source, expects_continue=expects_continue)
        self._left = length
        self.ended = not length

    @property
    def length_left(self) -> int | None:
        """Bytes not yet taken from the connection."""
        return self._left

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, fewer only at the body's end; all that is left for -1 or None."""
        buffer, left = self._source.buffer, self._left
        if size != left or len(buffer) < left or self._ahead or self._error is not None:
            return b"" if self.ended and not self._ahead else super().read(size)
        # PERF: the whole of a small body, which came with its head
        self._source.buffer = buffer[left:]
        self._left = 0
        self.ended = True
        self.received += left
        self.expects_continue = False
        return buffer[:left]

    def _take_into(self, view: memoryview) -> int:
        if self._ahead or self._source.buffer or not self._left:
            return super()._take_into(view)
        self._before_receiving()
        try:
            count = self._source.receive_into(view[: min(len(view), self._left, RECEIVE_MAX)])
            self._count(count)
        except RequestError as error:
            self._error = error
            raise
        return count

    def _receive(self, size_max: int) -> bytes:
        source = self._source
        size = min(size_max, self._left, RECEIVE_MAX)
        if source.buffer:
            piece, source.buffer = source.buffer[:size], source.buffer[size:]
        else:
            piece = source.receive(size)
        self._count(len(piece))
        return piece

    def _count(self, count: int) -> None:
        if not count:
            raise ClientDisconnected(f"the body ended {self._left} bytes before its Content-Length")
        self._left -= count
        self.ended = not self._left
        self.received += count


class ChunkedBody(Body):
    """A body in chunks (RFC 9112 7.1), with its trailers."""

    __slots__ = ("_buffer", "_chunk_left", "_extensions_left", "_limits", "_lines", "_position", "_size_left")

    _source: Source

    def __init__(self, source: Source, limits: HttpLimits, *, expects_continue: bool = False) -> None:
        super().__init__(source, expects_continue=expects_continue)
        self._limits = limits
        # The read-ahead is held here while the body lasts, so that taking from it moves an index and copies no rest.
        self._buffer = b""
        self._position = 0
        self._chunk_left = -1  # -1: no chunk yet; 0: its CRLF is due
        self._size_left = limits.body_max
        self._extensions_left = limits.chunk_extensions_max
        self._lines = 0  # of chunks, read so far
        self.ended = False

    @property
    def length_left(self) -> int | None:
        """Zero after the end; before it nobody knows."""
        return 0 if self.ended else None

    def _take_into(self, view: memoryview) -> int:
        size = min(len(view), self._chunk_left)
        if size < DIRECT_MIN or self._ahead or self._source.buffer or self._position < len(self._buffer):
            return super()._take_into(view)
        self._before_receiving()
        try:
            count = self._source.receive_into(view[:size])
            self._count(count)
        except RequestError as error:
            self._error = error
            raise
        return count

    def _receive(self, size_max: int) -> bytes:
        if self._source.buffer:
            self._buffer = self._buffer[self._position :] + self._source.buffer
            self._position, self._source.buffer = 0, b""
        if self._chunk_left <= 0 and not self._begin_chunk():
            return b""
        size = min(size_max, self._chunk_left)
        if self._position == len(self._buffer):
            if size >= DIRECT_MIN:
                piece = self._source.receive(size)
                self._count(len(piece))
                return piece
            self._fill()
        piece = self._buffer[self._position : self._position + size]
        self._position += len(piece)
        self._count(len(piece))
        return piece

    def _count(self, count: int) -> None:
        if not count:
            raise ClientDisconnected("the body ended inside a chunk")
        self._chunk_left -= count
        self.received += count

    def _fill(self) -> None:
        """Receive more behind what is buffered."""
        data = self._source.receive(CHUNKED_RECEIVE)
        if not data:
            raise ClientDisconnected("the body ended before its last chunk")
        self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def _begin_chunk(self) -> bool:
        """Read the line of the next chunk; at the last one the trailers too. False: the body has ended."""
        self._lines += 1
        if not self._lines % LINES_TURN:
            green.sleep(0)
        if self._chunk_left == 0 and self._read_line(0) is None:
            raise BadRequest("a chunk is longer than its size says")
        size = self._parse_chunk_line(self._read_line(self._limits.chunk_line_max))
        if self._size_left is not None:
            self._size_left -= size
            if self._size_left < 0:
                raise BodyTooLarge(f"a body has at most {self._limits.body_max} bytes")
        self._chunk_left = size
        if size:
            return True
        self._read_trailers()
        self._source.buffer = self._buffer[self._position :]
        self._buffer, self._position, self.ended = b"", 0, True
        return False

    def _parse_chunk_line(self, line: bytes | None) -> int:
        if line is None:
            raise BadRequest("a chunk line is too long")
        match = _CHUNK_LINE.fullmatch(line)
        if match is None or line.translate(None, VISIBLE):
            raise BadRequest("a chunk size is not a hexadecimal number")
        # Extensions mean nothing here (RFC 9112 7.1.1), but each costs the client one byte and the server a scan.
        self._extensions_left -= len(line) - len(match[1])
        if self._extensions_left < 0:
            raise BadRequest("too many chunk extensions")
        return int(match[1], 16)

    def _read_line(self, size_max: int) -> bytes | None:
        """Take a line off the buffer, without its CRLF; None when it has more than ``size_max`` bytes."""
        scanned = 0
        while (end := self._buffer.find(CRLF, self._position + max(0, scanned - 1))) < 0:
            scanned = len(self._buffer) - self._position
            if scanned > size_max + 1:
                return None
            self._fill()
        line = self._buffer[self._position : end]
        self._position = end + 2
        return line if len(line) <= size_max else None

    def _read_trailers(self) -> None:
        lines: list[bytes] = []
        size_left = self._limits.headers_total_max
        while line := self._read_line(size_left):
            size_left = max(0, size_left - len(line) - 2)
            lines.append(line)
            if len(lines) > self._limits.header_count_max:
                raise HeadersTooLarge("the trailers are too many")
        if line is None:
            raise HeadersTooLarge("the trailers are too large")
        self.trailers.update(parse_trailers(CRLF.join(lines), self._limits))


NO_BODY: Final = Body()  # stateless: shared by all requests that have none
