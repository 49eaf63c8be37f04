"""Request ids: every request has one, every log line of it and its response say so.

An id is 16 capitals and digits, unlike any other of any worker's or restart's: 40 random bits of the process and a
count. It names a request; it is no secret and may be guessed.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from paste.deploy.converters import asbool, aslist

from nova_wsgi import logs
from nova_wsgi.calling import entry_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)  # no more: it goes into logs and headers as it is
DEFAULT_HEADER = "X-Request-Id"
ADDED_HEADERS = (
    "nova.added_headers"  # our own server's list of headers to add to the response: no call to wrap for them
)

_process_part = ""
_count = itertools.count()


def _renew() -> None:
    """Take fresh random bits: at import, and in every forked child, which would repeat its parent's ids."""
    global _process_part, _count
    _process_part = base64.b32encode(os.urandom(5)).decode()
    _count = itertools.count()


_renew()
os.register_at_fork(after_in_child=_renew)


def new_request_id() -> str:
    """Make an id: 16 characters of A-Z and 0-9 (one more after four thousand million requests)."""
    return "%s%08X" % (_process_part, next(_count))  # noqa: UP031  PERF: half the time of an f-string's format()


class RequestId:
    """Sets ``nova.request_id``, the logging context, and the response headers named.

    ``header`` names the request header that is taken over when ``trust`` is on and its value is well formed
    (``[A-Za-z0-9_-]{8,64}``); trust it only behind a proxy that sets it. The application need not name the id itself.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        header: str = DEFAULT_HEADER,
        trust: bool = False,
        response_headers: Iterable[str] = (DEFAULT_HEADER,),
    ) -> None:
        self._app = entry_of(app)
        self._trust = trust
        self._key = "HTTP_" + header.upper().replace("-", "_")
        self._response_headers = tuple(response_headers)

    @classmethod
    def filter_factory(
        cls,
        global_conf: Mapping[str, str],
        *,
        header: str = DEFAULT_HEADER,
        trust: str = "false",
        response_headers: str = DEFAULT_HEADER,
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: ``header`` and ``trust`` (default false); ``response_headers``, names between blanks."""
        trusted, names = asbool(trust), aslist(response_headers)
        return lambda app: cls(app, header=header, trust=trusted, response_headers=names)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Name the request and hand it on."""
        request_id = self._given(environ) if self._trust else new_request_id()
        environ["nova.request_id"] = request_id
        logs.bind_request_id(request_id)
        taken = environ.get(ADDED_HEADERS)
        if taken is not None:
            for name in self._response_headers:
                taken.append((name, request_id))
            return self._app(environ, start_response)
        added = [(name, request_id) for name in self._response_headers]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
            return start_response(status, headers + added, exc_info)

        return self._app(environ, start)

    def _given(self, environ: WSGIEnvironment) -> str:
        given: str = environ.get(self._key, "")
        return given if WELL_FORMED.fullmatch(given) else new_request_id()
