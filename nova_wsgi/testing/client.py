"""An in-process client: requests to a WSGI application without a server.

Strategy: a request is written as bytes and read by the server's own parser and body reader, so that an application sees
in a test what it will see in service, malformed requests and bodies that end early included. The response is read as
strictly: what PEP 3333 forbids is a :class:`WsgiViolation`, which fails the test.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.util import is_hop_by_hop

from nova_wsgi.body import NO_BODY, Body, ChunkedBody, SizedBody
from nova_wsgi.http import Finished
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.http_parse import Framing, parse_head
from nova_wsgi.response import FileBody, close_body, file_wrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_STATUS = re.compile(r"[1-5][0-9]{2} [ -~\t]*", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110 5.6.2
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[ -~\t\x80-\xff]*[!-~\x80-\xff])?)?")  # RFC 9110 5.5
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))  # left as it is in a target; everything else is percent-encoded


class WsgiViolation(AssertionError):
    """The application broke a rule of PEP 3333 or of HTTP that a server would have to trust it to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, read whole.

    ``body`` is empty where a server sends none (HEAD, 204, 304). ``is_file_body``: it was a FileBody, which the server
    sends by sendfile. ``continued``: a client that waited for 100 Continue got it. ``finished`` is what the finish
    hooks were given.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    is_file_body: bool
    continued: bool
    finished: Finished
    environ: WSGIEnvironment

    def header(self, name: str) -> str | None:
        """The value of a header, its name compared without case; several are joined by commas; None if absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as a JSON document."""
        return json.loads(self.body)


class Client:
    """Sends requests to ``app``.

    ``host`` is the Host field, ``headers`` go with every request, ``environ`` adds keys or replaces the server's
    (``REMOTE_ADDR``, ``wsgi.url_scheme``). What the application raises rises from the request, after the finish hooks.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        host: str = "localhost",
        headers: Headers = (),
        environ: Mapping[str, Any] | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self.app = app
        self._host = host
        self._headers = _pairs(headers)
        self._environ = dict(environ or {})
        self._limits = limits or HttpLimits()

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes | str | Iterable[bytes] = b"",
        trailers: Headers = (),
        json: Any = None,
        environ: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send a request and read its answer.

        ``target`` is path and query as they travel; what cannot travel is percent-encoded. Bytes or text make a body
        of that length, any other iterable a chunked one, which ``trailers`` may follow; ``json`` makes a JSON body. A
        Content-Length among ``headers`` stands, also when it is a lie.

        Raises RequestError where the server would refuse the request itself, and WsgiViolation.
        """
        fields = [*self._headers, *_pairs(headers)]
        if json is not None:
            body = _as_json(json)
            fields.append(("Content-Type", "application/json"))
        content, framing_field = _encode(body, _pairs(trailers))
        names = {name.lower() for name, _ in fields}
        if framing_field and "content-length" not in names:
            fields.append(framing_field)
        if "host" not in names:
            fields.insert(0, ("Host", self._host))
        source = _Source(content)
        request = self._environ_of(method, target, fields, source)
        return _Exchange({**request, **self._environ, **(environ or {})}, source).run(self.app)

    def _environ_of(self, method: str, target: str, fields: list[tuple[str, str]], source: _Source) -> WSGIEnvironment:
        lines = [f"{method} {quote(target, safe=_PRINTABLE)} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        environ: WSGIEnvironment = {}
        framing = parse_head("\r\n".join(lines).encode("latin-1"), environ, self._limits)
        reader = self._reader(framing, source)
        host, _, port = environ["HTTP_HOST"].partition(":")
        return {
            **environ,
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": port or "80",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "49152",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": reader,
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": file_wrapper,
            "nova.finish_hooks": [],
        }

    def _reader(self, framing: Framing, source: _Source) -> Body:
        length, expects = framing.body_length, framing.expects_continue
        if length < 0:
            return ChunkedBody(source, self._limits, expects_continue=expects)
        return SizedBody(source, length, expects_continue=expects) if length else NO_BODY

    def get(self, target: str, **settings: Any) -> Answer:
        """``request("GET", ...)``."""
        return self.request("GET", target, **settings)

    def head(self, target: str, **settings: Any) -> Answer:
        """``request("HEAD", ...)``."""
        return self.request("HEAD", target, **settings)

    def put(self, target: str, **settings: Any) -> Answer:
        """``request("PUT", ...)``."""
        return self.request("PUT", target, **settings)

    def post(self, target: str, **settings: Any) -> Answer:
        """``request("POST", ...)``."""
        return self.request("POST", target, **settings)

    def delete(self, target: str, **settings: Any) -> Answer:
        """``request("DELETE", ...)``."""
        return self.request("DELETE", target, **settings)

    def options(self, target: str, **settings: Any) -> Answer:
        """``request("OPTIONS", ...)``."""
        return self.request("OPTIONS", target, **settings)


# -- the request ----------------------------------------------------------------------------------------------------


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def _as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _encode(
    body: bytes | str | Iterable[bytes], trailers: list[tuple[str, str]]
) -> tuple[bytes, tuple[str, str] | None]:
    """The body as it travels, and the field that frames it; none for no body."""
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes):
        return body, ("Content-Length", str(len(body))) if body else None
    chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in body if chunk]
    fields = [f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers]
    return b"".join([*chunks, b"0\r\n", *fields, b"\r\n"]), ("Transfer-Encoding", "chunked")


class _Source:
    """A connection that has already brought all that will come; see :class:`nova_wsgi.body.Source`."""

    def __init__(self, content: bytes) -> None:
        self.buffer = b""
        self.continued = False
        self._content = io.BytesIO(content)

    def receive(self, size_max: int) -> bytes:
        return self._content.read(size_max)

    def receive_into(self, view: memoryview) -> int:
        return self._content.readinto(view)

    def send(self, data: bytes) -> None:
        self.continued = True  # 100 Continue is all that a body sends


# -- the response -----------------------------------------------------------------------------------------------------


class _Exchange:
    """One call of an application, checked."""

    def __init__(self, environ: WSGIEnvironment, source: _Source) -> None:
        self._environ = environ
        self._source = source
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._written: list[bytes] = []
        self._headers_sent = False
        self._started = time.monotonic()
        self._first_byte_s = 0.0

    def run(self, app: WSGIApplication) -> Answer:
        """Call the application, read its body, close it, run the hooks."""
        aborted = True
        body = b""
        try:
            iterable = app(self._environ, self._start_response)
            body = self._read(iterable)
            aborted = False
        finally:
            finished = self._finish(len(body), aborted)
        _check_length(self._headers, body, sends_body=self._sends_body())
        code, _, reason = self._status.partition(" ")
        return Answer(
            status=int(code),
            reason=reason,
            headers=self._headers,
            body=body,
            is_file_body=isinstance(iterable, FileBody),
            continued=self._source.continued,
            finished=finished,
            environ=self._environ,
        )

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        if exc_info is None and self._status:
            raise WsgiViolation("start_response was called twice without exc_info")
        if exc_info is not None and self._headers_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        _check_status(status)
        _check_headers(headers)
        self._status, self._headers = status, list(headers)
        return self._write

    def _write(self, chunk: bytes) -> None:
        self._written.append(self._checked(chunk))

    def _checked(self, chunk: bytes) -> bytes:
        if type(chunk) is not bytes:
            raise WsgiViolation(f"a piece of the body is {type(chunk).__name__}, not bytes")
        if chunk and not self._status:
            raise WsgiViolation("the body came before start_response was called")
        if chunk and not self._headers_sent:
            self._headers_sent = True
            self._first_byte_s = time.monotonic() - self._started
        return chunk

    def _read(self, iterable: Any) -> bytes:
        if isinstance(iterable, str | bytes):
            raise WsgiViolation(f"the body is {type(iterable).__name__} itself, not an iterable of bytes")
        try:
            # A generator may call start_response as late as in its first step.
            pieces = [self._checked(piece) for piece in self._pieces(iterable)]
        finally:
            close_body(iterable)
        if not self._status:
            raise WsgiViolation("start_response was not called")
        body = b"".join([*self._written, *pieces])
        return body if self._sends_body() else b""

    def _pieces(self, iterable: Iterable[bytes]) -> Iterator[bytes]:
        if self._status and not self._sends_body():
            return iter(())  # as a server does: what nobody gets is not read
        return iter(iterable)

    def _sends_body(self) -> bool:
        return self._environ["REQUEST_METHOD"] != "HEAD" and self._status[:3] not in ("204", "304")

    def _finish(self, bytes_sent: int, aborted: bool) -> Finished:
        finished = Finished(
            status=int(self._status[:3] or 500),
            bytes_sent=bytes_sent,
            bytes_received=getattr(self._environ["wsgi.input"], "received", 0),
            duration_s=time.monotonic() - self._started,
            first_byte_s=self._first_byte_s,
            aborted=aborted,
        )
        for hook in self._environ["nova.finish_hooks"]:
            hook(self._environ, finished)
        return finished


def _check_status(status: Any) -> None:
    if type(status) is not str or not _STATUS.fullmatch(status):
        raise WsgiViolation(f"the status is {status!r}, not text like '200 OK'")


def _check_headers(headers: Any) -> None:
    if type(headers) is not list:
        raise WsgiViolation(f"the headers are a {type(headers).__name__}, not a list")
    for pair in headers:
        if type(pair) is not tuple or [type(part) for part in pair] != [str, str]:
            raise WsgiViolation(f"the header {pair!r} is not a pair of text")
        name, value = pair
        if not _TOKEN.fullmatch(name):
            raise WsgiViolation(f"the header name {name!r} is not a token (RFC 9110 5.6.2)")
        if not _VALUE.fullmatch(value):
            raise WsgiViolation(f"the value of {name}, {value!r}, cannot travel (RFC 9110 5.5)")
        if is_hop_by_hop(name):
            raise WsgiViolation(f"{name} is for the server to send (PEP 3333)")
    if sum(name.lower() == "content-length" for name, _ in headers) > 1:
        raise WsgiViolation("there is more than one Content-Length")


def _check_length(headers: list[tuple[str, str]], body: bytes, *, sends_body: bool) -> None:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if lengths and not lengths[0].isdecimal():
        raise WsgiViolation(f"the Content-Length is {lengths[0]!r}, not a number")
    if lengths and sends_body and int(lengths[0]) != len(body):
        raise WsgiViolation(f"the Content-Length is {lengths[0]}, the body has {len(body)} bytes")
