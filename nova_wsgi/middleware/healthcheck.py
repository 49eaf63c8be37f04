"""Healthcheck: answers a load balancer's question before the application is asked, and takes the host out on request.

It says that this process serves; whether the service can do its work is for ``apps.health``. The path is compared
whole, so it shadows exactly one resource of the application's: the object store's pipeline gives it a path that can be
no bucket's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Healthcheck:
    """GET and HEAD of ``path`` answer 200 ``OK``, or 503 while the file ``disable_by_file_path`` exists."""

    def __init__(
        self, app: WSGIApplication, *, path: str = "/healthcheck", disable_by_file_path: str | None = None
    ) -> None:
        self._app = entry_of(app)
        self._path = path
        self._disabling_file = disable_by_file_path

    @classmethod
    def filter_factory(
        cls,
        global_conf: Mapping[str, str],
        *,
        path: str = "/healthcheck",
        disable_by_file_path: str = "",
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: ``path``, default /healthcheck; ``disable_by_file_path``, default none."""
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash, not {path!r}")
        return lambda app: cls(app, path=path, disable_by_file_path=disable_by_file_path or None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the check, or hand the request on."""
        if environ["PATH_INFO"] == self._path and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            environ["nova.operation"] = "Healthcheck"
            return self._check()(environ, start_response)
        return self._app(environ, start_response)

    def _check(self) -> Response:
        headers = [("Cache-Control", "no-store")]
        if self._disabling_file is not None and os.path.exists(self._disabling_file):
            return Response.of_text("DISABLED BY FILE\n", status=503, headers=headers)
        return Response.of_text("OK\n", headers=headers)
