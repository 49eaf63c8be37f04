"""Routing: a request's path and method find the controller method that answers it.

Strategy: Routes' Mapper is called directly and holds one route per path template; the method is a dict lookup after
it. (A route per method would cost one regular expression each, and could not tell 404 from 405.)

Laws:

- Templates match whole decoded paths: a trailing newline is part of the path, never ignored.
- PATH_INFO is UTF-8; a path that is not is a BadRequest.
- Of the templates that match and have the method, the one with the longer fixed beginning wins, then the one added
  first.

    class Greetings(Controller):
        @route("GET /hello/{name}")
        def hello(self, req, name):
            return f"Hello, {name}\\n"

    app = Router(Greetings())
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from routes.mapper import Mapper
from routes.route import Route

from nova_wsgi.errors import BadRequest, RequestError
from nova_wsgi.request import Request
from nova_wsgi.response import Response, request_error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Endpoint = Callable[..., Any]
E = TypeVar("E", bound=Endpoint)


class NotFound(RequestError):
    """No resource has this path."""

    status = 404
    reason = "Not Found"


class MethodNotAllowed(RequestError):
    """The resource is there and has no such method. ``allow``: those it has (RFC 9110 15.5.6)."""

    status = 405
    reason = "Method Not Allowed"

    def __init__(self, allow: Iterable[str]) -> None:
        self.allow = tuple(sorted(allow))
        self.headers = (("Allow", ", ".join(self.allow)),)
        super().__init__(f"this resource allows {', '.join(self.allow)}")


class Match(NamedTuple):
    """A path's template, as it was added, and what its variables took from the path."""

    template: str
    variables: dict[str, str]


def route(request_line: str) -> Callable[[E], E]:
    """Mark a controller's method as the answer to a request line, ``"GET /hello/{name}"``; one method may have several.

    The template is Routes': ``{name}`` takes one segment, ``{path:.*}`` what the regular expression takes;
    ``{key:[\\s\\S]*}`` takes everything, newlines included. A colon or a star in a literal part needs a backslash.
    """

    def mark(method: E) -> E:
        request_lines = [request_line, *getattr(method, "request_lines", ())]
        method.request_lines = request_lines  # type: ignore[attr-defined]
        return method

    return mark


class Controller:
    """A resource: its methods marked with :func:`route` answer requests.

    A method is called as ``method(request, **variables)``. It returns a Response or any WSGI application; text, which
    is answered as plain text; a dict or list, answered as JSON; or None, answered as 204.
    """

    def endpoints(self) -> Iterator[tuple[str, Endpoint]]:
        """The marked methods, in the order of their definition: pairs of request line and bound method."""
        names = dict.fromkeys(name for cls in reversed(type(self).__mro__) for name in vars(cls))
        for name in names:
            for request_line in getattr(getattr(type(self), name), "request_lines", ()):
                yield request_line, getattr(self, name)


class Router:
    """The WSGI application made of controllers.

    It sets ``wsgiorg.routing_args``, and ``nova.operation`` to the answering method's name ("Greetings.hello").
    ``render_error(environ, error)`` answers RequestErrors, the routing's own and those a controller raises; with None
    they rise to the filters above. ``request_class`` is called with the environ.
    """

    def __init__(
        self,
        *controllers: Controller,
        request_class: Callable[[dict[str, Any]], Any] = Request,
        render_error: Callable[[WSGIEnvironment, RequestError], WSGIApplication] | None = request_error_response,
    ) -> None:
        self._request_class = request_class
        self._render_error = render_error
        self._mapper = _Mapper(controller_scan=None, register=False)
        self._compiled = False
        self._methods: dict[str, dict[str, tuple[Endpoint, str]]] = {}  # template -> method -> endpoint and its name
        self._variables: dict[str, frozenset[str]] = {}  # template -> the names in it
        for controller in controllers:
            for request_line, endpoint in controller.endpoints():
                self.add(request_line, endpoint)

    def add(self, request_line: str, endpoint: Endpoint) -> None:
        """Have ``endpoint`` answer ``request_line``. ValueError: a bad line, or one that is taken; TypeError: a
        template variable that the endpoint does not take, or an argument it lacks."""
        method, _, template = request_line.partition(" ")
        if not method.isupper() or not template.startswith("/"):
            raise ValueError(f"a request line is METHOD /path, not {request_line!r}")
        if template not in self._methods:
            self._connect(template)
        methods = self._methods[template]
        if method in methods:
            raise ValueError(f"{request_line!r} is answered by {methods[method][1]} already")
        self._check_arguments(request_line, endpoint)
        methods[method] = endpoint, endpoint.__qualname__

    def _connect(self, template: str) -> None:
        added = _Route(None, template, _explicit=True)
        if "controller" in added.minkeys:
            raise ValueError(f"{template!r}: Routes keeps the variable name 'controller' for itself")
        added.makeregexp([])  # a bad expression shows here, not at the first request
        self._mapper.connect(None, template)
        self._compiled = False
        self._variables[template] = added.minkeys
        self._methods[template] = {}

    def _check_arguments(self, request_line: str, endpoint: Endpoint) -> None:
        variables = self._variables[request_line.partition(" ")[2]]
        try:
            inspect.signature(endpoint).bind(None, **dict.fromkeys(variables, ""))
        except TypeError as error:
            raise TypeError(f"{endpoint.__qualname__} cannot answer {request_line!r}: {error}") from error

    def table(self) -> list[tuple[str, str, str]]:
        """Every route as method, template and endpoint's name."""
        return [
            (method, template, name)
            for template, methods in self._methods.items()
            for method, (_, name) in methods.items()
        ]

    def match(self, path: str, environ: WSGIEnvironment) -> Match | None:
        """Find the template that matches a decoded path, whatever the method."""
        if not self._compiled:
            self._mapper.create_regs([])
            self._compiled = True
        found = self._mapper.routematch(path, environ)
        return None if found is None else Match(found[1].routepath, found[0])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            app = self._answer(environ)
        except RequestError as error:
            if self._render_error is None:
                raise
            app = self._render_error(environ, error)
        return app(environ, start_response)

    def _answer(self, environ: WSGIEnvironment) -> WSGIApplication:
        path, method = _path(environ), environ["REQUEST_METHOD"]
        found = self.match(path, environ)
        if found is None:
            raise NotFound("nothing is found at this path")
        if method not in self._methods[found.template]:
            found, method = self._other_match(path, environ)
        endpoint, name = self._methods[found.template][method]
        environ["wsgiorg.routing_args"] = ((), found.variables)
        environ["nova.operation"] = name
        return _as_app(endpoint(self._request_class(environ), **found.variables))

    def _other_match(self, path: str, environ: WSGIEnvironment) -> tuple[Match, str]:
        """The first template's resource lacks the method: another that matches may have it; and HEAD may be GET's."""
        every = [
            Match(route.routepath, variables)
            for route in self._mapper.matchlist
            if (variables := route.match(path, environ)) is not False
        ]
        wanted = environ["REQUEST_METHOD"]
        for method in (wanted, "GET") if wanted == "HEAD" else (wanted,):  # the server sends no body to HEAD
            for match in every:
                if method in self._methods[match.template]:
                    return match, method
        allow = {method for match in every for method in self._methods[match.template]}
        raise MethodNotAllowed(allow | {"HEAD"} if "GET" in allow else allow)


def _path(environ: WSGIEnvironment) -> str:
    try:
        return environ["PATH_INFO"].encode("latin-1").decode("utf-8") or "/"
    except UnicodeDecodeError as error:
        raise BadRequest("the path is not valid UTF-8") from error


def _as_app(result: Any) -> WSGIApplication:
    if result is None:
        return Response(status=204)
    if isinstance(result, str):
        return Response.of_text(result)
    if isinstance(result, dict | list):
        return Response.of_json(result)
    if not callable(result):
        raise TypeError(f"a controller returned {type(result).__name__}: not a response, text, dict, list or None")
    return result  # type: ignore[no-any-return]


class _Route(Route):  # type: ignore[misc]  # Routes has no types
    """A route whose expression ends at the path's end: Routes' own ``$`` would let a newline through before it."""

    def buildfullreg(self, clist: Any, include_names: bool = True) -> str:
        expression: str = super().buildfullreg(clist, include_names)
        return expression.removesuffix("$") + r"\Z"


class _Mapper(Mapper):  # type: ignore[misc]  # Routes has no types
    """Routes' Mapper with the strict route."""

    def make_route(self, *args: Any, **kargs: Any) -> _Route:
        return _Route(*args, **kargs)
