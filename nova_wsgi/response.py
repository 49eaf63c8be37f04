"""What an application answers: a light Response, and bodies that the server may send straight from files.

Strategy: a response is a status, a list of headers and a body; nothing is guessed and nothing is parsed back. It is
not WebOb's, because the object store's hot path uses it too; a WebOb response, being a WSGI callable, serves wherever
this one does.

Laws:

- Header names and values are latin-1 text, sent in the order and spelling given.
- ``Content-Length`` is set when the length is known, unless the application has set it.
- A :class:`FileBody` owns its file descriptors until ``close()``; whoever iterates or sends it closes it.
"""

from __future__ import annotations

import errno
import http
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FILE_CHUNK_SIZE = 64 * 1024  # bytes read at a time when a file body is iterated instead of sent by sendfile

STATUS_LINES: dict[int, str] = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
BODILESS = frozenset((204, 205, 304))  # RFC 9110 6.4.1, 15.3.6: these never have content (1xx are not an application's)


@dataclass(frozen=True, slots=True)
class FileSegment:
    """A run of ``count`` bytes at ``offset`` of the open file ``fd``."""

    fd: int
    offset: int
    count: int


class FileBody:
    """A response body that lies in files: segments in order, sent by sendfile where the connection allows.

    Iterating reads it in chunks of at most 64 KiB, so that any WSGI server can send it. Reading is blocking, by
    ``pread``: the descriptors' own positions neither matter nor move, and several bodies may share a descriptor.

    ``close`` is called once, when the body has been sent or given up; it closes the descriptors.
    """

    __slots__ = ("_close", "segments")

    def __init__(self, segments: Sequence[FileSegment], close: Callable[[], None] | None = None) -> None:
        self.segments = list(segments)
        self._close = close

    @classmethod
    def of_descriptor(cls, fd: int, *, offset: int = 0, count: int | None = None) -> Self:
        """Make a body of one open file and own its descriptor; ``count`` None is to the file's end."""
        if count is None:
            count = max(0, os.fstat(fd).st_size - offset)
        return cls([FileSegment(fd, offset, count)], lambda: os.close(fd))

    @property
    def length(self) -> int:
        """The bytes in all segments."""
        return sum(segment.count for segment in self.segments)

    def __iter__(self) -> Iterator[bytes]:
        for segment in self.segments:
            yield from _read_segment(segment)

    def close(self) -> None:
        """Give the files back. A second call does nothing."""
        close, self._close = self._close, None
        if close is not None:
            close()


def _read_segment(segment: FileSegment) -> Iterator[bytes]:
    position, end = segment.offset, segment.offset + segment.count
    while position < end:
        chunk = os.pread(segment.fd, min(FILE_CHUNK_SIZE, end - position), position)
        if not chunk:
            # The length is promised already: ending early would pass off a truncated file as a whole one.
            raise OSError(errno.EIO, f"file ends at byte {position}, {end - position} bytes short")
        position += len(chunk)
        yield chunk


def file_wrapper(file: Any, block_size: int = FILE_CHUNK_SIZE) -> Iterable[bytes]:
    """``wsgi.file_wrapper`` (PEP 3333): the rest of a file as a body; closing the body closes the file.

    A regular file of the operating system, opened in binary mode, becomes a :class:`FileBody` from its current position; anything else with a ``read(size)`` is read in blocks.
    """
    segment = _as_segment(file)
    if segment is None:
        return _ReadBlocks(file, block_size)
    return FileBody([segment], file.close)


def _as_segment(file: Any) -> FileSegment | None:
    if not isinstance(file, io.BufferedIOBase | io.RawIOBase):  # a decompressing wrapper has a fileno() too
        return None
    raw = getattr(file, "raw", file)
    if not isinstance(raw, io.FileIO):
        return None
    position = file.tell() if file.seekable() else None
    size = os.fstat(file.fileno()).st_size
    if position is None or size == 0:  # /proc files say 0 and have content
        return None
    return FileSegment(file.fileno(), position, max(0, size - position))


class _ReadBlocks:
    """A file-like object as an iterable of blocks."""

    def __init__(self, file: Any, block_size: int) -> None:
        self._file = file
        self._block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self._file.read(self._block_size):
            yield block

    def close(self) -> None:
        close = getattr(self._file, "close", None)
        if close is not None:
            close()


class Response:
    """A status, headers and a body; a WSGI callable.

    ``body`` is bytes, text (sent as UTF-8), a :class:`FileBody`, or any iterable of bytes, whose ``close()`` the
    server calls. ``headers`` are pairs of text; ``content_type`` adds that header.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: bytes | str | Iterable[bytes] = b"",
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
    ) -> None:
        self.status = status
        self.headers = list(headers)
        self.body: bytes | Iterable[bytes] = body.encode() if isinstance(body, str) else body
        if content_type is not None:
            self.headers.append(("Content-Type", content_type))

    @classmethod
    def of_text(cls, text: str, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Self:
        """Answer plain text."""
        return cls(text, status=status, headers=headers, content_type="text/plain; charset=utf-8")

    @classmethod
    def of_json(
        cls, value: Mapping[str, Any] | Sequence[Any], *, status: int = 200, headers: Iterable[tuple[str, str]] = ()
    ) -> Self:
        """Answer a JSON document."""
        return cls(json.dumps(value), status=status, headers=headers, content_type="application/json")

    @property
    def status_line(self) -> str:
        """The status as WSGI wants it: ``"404 Not Found"``."""
        return STATUS_LINES.get(self.status) or f"{self.status} Status"

    @property
    def length(self) -> int | None:
        """The body's length in bytes; None when only iterating would tell."""
        if isinstance(self.body, bytes):
            return len(self.body)
        return self.body.length if isinstance(self.body, FileBody) else None

    def header(self, name: str) -> str | None:
        """The first value of a header, its name compared without case; None if it is absent."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def set_header(self, name: str, value: str) -> None:
        """Give a header this one value, in place of those it had."""
        wanted = name.lower()
        self.headers = [pair for pair in self.headers if pair[0].lower() != wanted]
        self.headers.append((name, value))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Start the response and return its body. The headers may be changed by those above, not this object's."""
        headers = self.headers.copy()
        body = self.body
        length = self.length
        if self.status in BODILESS:
            length, body = None, b""
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        if length is not None and self.header("content-length") is None:
            headers.append(("Content-Length", str(length)))
        start_response(self.status_line, headers)
        return [body] if isinstance(body, bytes) else body
