"""What an application answers: a light Response, and bodies that the server may send straight from files.

Strategy: a response is a status, a list of headers and a body; nothing is guessed and nothing is parsed back. It is
not WebOb's, so that the server and the object store's hot path can use it without loading WebOb; a ``webob.Response``,
being a WSGI callable, serves wherever this one does.

Laws:

- Header names and values are latin-1 text, sent in the order and spelling given.
- ``Content-Length`` is set when the length is known, unless the application has set it.
- A :class:`FileBody` owns its file descriptors until ``close()``; whoever iterates or sends it closes it.
"""

from __future__ import annotations

import errno
import html
import http
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from nova_wsgi.errors import RequestError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FILE_CHUNK_SIZE = 64 * 1024  # bytes read at a time when a file body is iterated instead of sent by sendfile

ERROR_FORMS = "nova.error_forms"  # in the environ: the media types among which error_response chooses
XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

STATUS_LINES: dict[int, str] = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
STATUS_LINES[413] = "413 Content Too Large"  # RFC 9110's names, which Python took up in 3.13
STATUS_LINES[416] = "416 Range Not Satisfiable"
STATUS_LINES[422] = "422 Unprocessable Content"
BODILESS = frozenset((204, 205, 304))  # RFC 9110 6.4.1, 15.3.6: never with content (1xx are not an application's)


@dataclass(frozen=True, slots=True)
class FileSegment:
    """A run of ``count`` bytes at ``offset`` of the open file ``fd``."""

    fd: int
    offset: int
    count: int


class FileBody:
    """A response body that lies in files: segments in order, sent by sendfile where the connection allows.

    A segment may also be ``bytes``, sent as they are. With ``length``, the bytes of all segments together, ``segments``
    may be an iterator that opens each file when it is asked for it and closes it when it is asked for the next: it is
    gone through once.

    Iterating reads it in chunks of at most 64 KiB, so that any WSGI server can send it. Reading blocks, by ``pread``:
    the descriptors' own positions neither matter nor move, and several bodies may share a descriptor.

    ``close`` is called once, when the body has been sent or given up; it gives the descriptors back.
    """

    __slots__ = ("_close", "length", "segments")

    def __init__(
        self,
        segments: Iterable[FileSegment | bytes],
        close: Callable[[], None] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        if length is None:
            segments = list(segments)
            length = sum(len(part) if isinstance(part, bytes) else part.count for part in segments)
        self.segments = segments
        self.length = length
        self._close = close

    @classmethod
    def of_descriptor(cls, fd: int, *, offset: int = 0, count: int | None = None) -> Self:
        """Make a body of one open file and own its descriptor; ``count`` None is up to the file's end."""
        if count is None:
            count = max(0, os.fstat(fd).st_size - offset)
        return cls([FileSegment(fd, offset, count)], lambda: os.close(fd))

    def __iter__(self) -> Iterator[bytes]:
        for segment in self.segments:
            if isinstance(segment, bytes):
                yield segment
            else:
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
            # The length is promised already: ending quietly would pass off a truncated file as a whole one.
            raise OSError(errno.EIO, f"file ends at byte {position}, {end - position} bytes short")
        position += len(chunk)
        yield chunk


def file_wrapper(file: Any, block_size: int = FILE_CHUNK_SIZE) -> Iterable[bytes]:
    """``wsgi.file_wrapper`` (PEP 3333): the rest of a file as a body; closing the body closes the file.

    A regular file opened in binary mode becomes a :class:`FileBody` from its current position on; anything else with
    a ``read(size)`` is read in blocks of ``block_size`` bytes.
    """
    segment = _as_segment(file)
    if segment is None:
        return _Blocks(file, block_size)
    return FileBody([segment], file.close)


def _as_segment(file: Any) -> FileSegment | None:
    # By type, not by the presence of fileno(): a decompressing wrapper has one too, of the compressed file.
    raw = getattr(file, "raw", file)
    if not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO) or not isinstance(raw, io.FileIO):
        return None
    size = os.fstat(file.fileno()).st_size
    if size == 0 or not file.seekable():  # pipes; and files of /proc, which say 0 and have content
        return None
    position = file.tell()
    return FileSegment(file.fileno(), position, max(0, size - position))


class _Blocks:
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
    def of_json(cls, document: Any, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Self:
        """Answer a JSON document."""
        return cls(json.dumps(document), status=status, headers=headers, content_type="application/json")

    @property
    def status_line(self) -> str:
        """The status as WSGI wants it: ``"404 Not Found"``."""
        return STATUS_LINES.get(self.status) or f"{self.status} Unknown"

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
        """Start the response and return its body. Those above may change the header list: it is a copy."""
        headers = self.headers.copy()
        if self.status in BODILESS:
            close_body(self.body)
            start_response(self.status_line, headers)
            return ()
        length = self.length
        if length is not None and self.header("content-length") is None:
            headers.append(("Content-Length", str(length)))
        start_response(self.status_line, headers)
        return (self.body,) if isinstance(self.body, bytes) else self.body


def close_body(body: object) -> None:
    """Close a WSGI body that will not be sent, if it has a ``close()``."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


# -- the answers that the house gives by itself ---------------------------------------------------------------------


def preferred_type(accept: str, offered: Sequence[str]) -> str:
    """Choose from ``offered`` media types by an Accept header (RFC 9110 12.5.1); the earlier wins a tie.

    An empty header accepts all; when nothing offered is acceptable the first is chosen all the same, since a document
    in the wrong form tells a person more than an empty 406.
    """
    if not accept.strip():
        return offered[0]
    ranges = [_media_range(item) for item in accept.lower().split(",")]
    return max(offered, key=lambda media_type: _quality(media_type, ranges))


def _media_range(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in item.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(media_type: str, ranges: Iterable[tuple[str, float]]) -> float:
    """The quality of the most specific range that matches; 0 when none does."""
    specificity = {media_type: 2, media_type.partition("/")[0] + "/*": 1, "*/*": 0}
    matching = [(specificity[name], quality) for name, quality in ranges if name in specificity]
    return max(matching)[1] if matching else 0.0


def error_response(
    environ: Mapping[str, Any], status: int, hint: str = "", *, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """Answer a failure as text, or as JSON to a client that prefers it, with the request's id and a hint.

    The JSON is ``{"error": {"status": 404, "reason": "Not Found", "hint": "...", "request_id": "..."}}``. Where the
    filter ``extension`` stands in the pipeline it is JSON or XML, ``<error status="404" .../>``, as the client prefers.
    """
    reason = STATUS_LINES.get(status, "500 Unknown")[4:]
    request_id = environ.get("nova.request_id", "")
    form = preferred_type(environ.get("HTTP_ACCEPT", ""), environ.get(ERROR_FORMS, ("text/plain", "application/json")))
    error = {"status": status, "reason": reason, "hint": hint, "request_id": request_id}
    if form == "application/json":
        return Response.of_json({"error": error}, status=status, headers=headers)
    if form == "application/xml":
        attributes = " ".join(f'{name}="{_xml_text(str(value))}"' for name, value in error.items())
        return Response(f"{XML_DECLARATION}<error {attributes}/>", status=status, headers=headers, content_type=form)
    lines = [f"{status} {reason}", hint, f"Request id: {request_id}" if request_id else ""]
    return Response.of_text("".join(f"{line}\n" for line in lines if line), status=status, headers=headers)


def _xml_text(text: str) -> str:
    """Escape for an attribute; what XML 1.0 cannot hold (section 2.2) becomes a question mark."""
    return html.escape("".join(char if char.isprintable() else "?" for char in text))


def request_error_response(environ: Mapping[str, Any], error: RequestError) -> Response:
    """Answer a fault of the client's with its status and its hint; its ``headers``, if it has some, go along."""
    return error_response(environ, error.status, error.hint, headers=getattr(error, "headers", ()))
