"""What an application raises becomes an answer: the one place where failures of ordinary Web Managers are worded.

Laws:

- A client never sees a traceback or an exception's text, only the status, the request id, and the hint that a
  RequestError carries for it.
- What is our fault is logged once, with its traceback. What is the client's is its access log line.
- What is not an Exception (a worker being killed, a deadline) is not caught: that is the server's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.errors import RequestError, ServiceBusy
from nova_wsgi.response import Response, error_response, request_error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)


class CatchErrors:
    """RequestError: its own status. ServiceBusy: 503 with Retry-After. Anything else: 500."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = entry_of(app)

    @classmethod
    def filter_factory(cls, global_conf: Mapping[str, str]) -> Callable[[WSGIApplication], Self]:
        """No paste options."""
        return cls

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand the request on; answer what comes back as an exception."""
        try:
            return self._app(environ, start_response)
        except Exception as error:  # noqa: BLE001  the last stop: no fault of a handler may end a connection or worker
            response = self._answer(environ, error)
            return response(environ, _Restart(start_response, sys.exc_info()))

    def _answer(self, environ: WSGIEnvironment, error: Exception) -> Response:
        if isinstance(error, RequestError):
            return request_error_response(environ, error)
        if isinstance(error, ServiceBusy):
            headers = [("Retry-After", str(error.retry_after_s))]
            return error_response(environ, 503, "the service is busy, try again later", headers=headers)
        LOG.error("%s %s failed", environ["REQUEST_METHOD"], ascii(environ.get("RAW_PATH_INFO", "")), exc_info=error)
        return error_response(environ, 500, "the service failed; its log has the reason under the request id")


class _Restart:
    """``start_response`` with the exception's exc_info: PEP 3333's way to replace headers that are not sent yet.

    When they are sent, the server raises the exception again and the connection is cut: an answer half sent must not
    look like a whole one.
    """

    def __init__(self, start_response: StartResponse, exc_info: Any) -> None:
        self._start_response = start_response
        self._exc_info = exc_info

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        try:
            return self._start_response(status, headers, self._exc_info)
        finally:
            self._exc_info = None  # breaks the cycle of frame and traceback
