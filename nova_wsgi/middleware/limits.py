"""Limits of one application: requests in flight, and the size of a request's body.

The server has its own limits, for all it serves; these are narrower ones for one pipeline. They count per process: with
N workers, N times as many requests may be in flight.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.errors import BodyTooLarge
from nova_wsgi.middleware.finish import HOOKS, call_with_hooks
from nova_wsgi.response import STATUS_LINES, Response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from nova_wsgi.http import Finished

    Refusal = Callable[[int, str, str, str], tuple[list[tuple[str, str]], bytes]]


class Limits:
    """503 with Retry-After beyond ``requests_in_flight_max``; 413 for a body above ``body_size_max`` bytes.

    A body that tells its length is refused unread; a chunked one raises BodyTooLarge to the application that reads
    past the limit. 0 switches a limit off. ``refusal_renderer(status, reason, hint, request_id)`` returns headers and
    body of a refusal in the application's own form.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        requests_in_flight_max: int = 0,
        body_size_max: int = 0,
        retry_after_s: int = 1,
        refusal_renderer: Refusal | None = None,
    ) -> None:
        self.in_flight = 0
        self._app = entry_of(app)
        self._in_flight_max = requests_in_flight_max
        self._body_size_max = body_size_max
        self._retry_after_s = retry_after_s
        self._refusal_renderer = refusal_renderer

    @classmethod
    def filter_factory(
        cls,
        global_conf: Mapping[str, str],
        *,
        requests_in_flight_max: str = "0",
        body_size_max: str = "0",
        retry_after_s: str = "1",
        refusal_renderer: str = "",
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: the constructor's, ``refusal_renderer`` as ``module:name``; requests, bytes and seconds."""
        settings: dict[str, Any] = {
            "requests_in_flight_max": int(requests_in_flight_max),
            "body_size_max": int(body_size_max),
            "retry_after_s": int(retry_after_s),
            "refusal_renderer": pkgutil.resolve_name(refusal_renderer) if refusal_renderer else None,
        }
        return lambda app: cls(app, **settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse the request, or count it and hand it on."""
        hooks = environ.get(HOOKS)
        if hooks is None:
            return call_with_hooks(self, environ, start_response)
        if self._in_flight_max and self.in_flight >= self._in_flight_max:
            hint = f"{self._in_flight_max} requests are in progress already"
            return self._refuse(environ, 503, hint)(environ, start_response)
        if self._body_size_max and not self._body_fits(environ):
            return self._refuse(environ, 413, f"at most {self._body_size_max} bytes")(environ, start_response)
        self.in_flight += 1
        hooks.append(self._finished)
        return self._app(environ, start_response)

    def _finished(self, environ: WSGIEnvironment, finished: Finished) -> None:
        self.in_flight -= 1

    def _body_fits(self, environ: WSGIEnvironment) -> bool:
        """Compare the declared length; bound the body when none is declared."""
        declared = environ.get("CONTENT_LENGTH")
        if declared:
            # A length that is none is the server's to refuse.
            return not declared.isdecimal() or int(declared) <= self._body_size_max
        if environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = BoundedBody(environ["wsgi.input"], self._body_size_max)
        return True

    def _refuse(self, environ: WSGIEnvironment, status: int, hint: str) -> Response:
        headers = [("Retry-After", str(self._retry_after_s))] if status == 503 else []
        if self._refusal_renderer is None:
            return error_response(environ, status, hint, headers=headers)
        reason = STATUS_LINES[status][4:]
        rendered, body = self._refusal_renderer(status, reason, hint, environ.get("nova.request_id", ""))
        return Response(body, status=status, headers=[*rendered, *headers])


class BoundedBody:
    """``wsgi.input`` that raises BodyTooLarge once more than ``size_max`` bytes have been read from it."""

    def __init__(self, body: Any, size_max: int) -> None:
        self._body = body
        self._size_max = size_max
        self._read = 0

    @property
    def trailers(self) -> dict[str, str]:
        """The trailer fields, once the end has been read."""
        return self._body.trailers  # type: ignore[no-any-return]

    def _count(self, size: int) -> None:
        self._read += size
        if self._read > self._size_max:
            raise BodyTooLarge(f"at most {self._size_max} bytes are accepted here")

    def _bounded(self, size: int | None) -> int:
        """Ask for one byte more than fits at most: a ``read()`` of everything must not take it all first."""
        room = self._size_max - self._read + 1
        return room if size is None or size < 0 else min(size, room)

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes, all that come if it is negative."""
        if size is not None and size >= 0:
            chunk: bytes = self._body.read(self._bounded(size))
            self._count(len(chunk))
            return chunk
        return b"".join(iter(lambda: self.read(64 * 1024), b""))

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        size: int = self._body.readinto(view[: self._bounded(len(view))])
        self._count(size)
        return size

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line, with its newline."""
        line: bytes = self._body.readline(self._bounded(size))
        self._count(len(line))
        return line

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Read all lines (``hint`` is not heeded, as PEP 3333 allows)."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
