"""Extension: ``/os-services.xml`` asks for ``/os-services`` in XML, whatever the Accept header says; ``.json`` in JSON.

It stands above the routing: those below see the path without the extension, and an Accept header that asks for the one
form. The raw path is left as the client sent it. Failures below are answered in JSON or XML too, never as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.response import ERROR_FORMS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FORMS = {".json": "application/json", ".xml": "application/xml"}


class Extension:
    """Takes a known extension off the path and into the Accept header."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = entry_of(app)

    @classmethod
    def filter_factory(cls, global_conf: Mapping[str, str]) -> Callable[[WSGIApplication], Self]:
        """Paste options: none."""
        return cls

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand the request on."""
        environ[ERROR_FORMS] = tuple(FORMS.values())
        path = environ["PATH_INFO"]
        for extension, form in FORMS.items():
            if path.endswith(extension):
                environ["PATH_INFO"] = path.removesuffix(extension)
                environ["HTTP_ACCEPT"] = form
        return self._app(environ, start_response)
