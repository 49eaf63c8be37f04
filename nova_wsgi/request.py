"""What a client asks, for ordinary Web Managers: WebOb's Request, made strict about what clients send.

Strategy: WebOb parses; this class turns what a client did wrong into a :class:`~nova_wsgi.errors.RequestError` (a 4xx)
where WebOb would raise something that ends as a 500, and bounds what it reads into memory. All of WebOb's ways to the
whole body (``body``, ``text``, ``json``, ``POST``, ``copy``) go through ``copy_body``; that is where the bound stands.

The object store's hot path does not use it: a WebOb request costs about 14 microseconds.
"""

from __future__ import annotations

import json
import warnings
from typing import Any
from urllib.parse import quote

from nova_wsgi.errors import BadRequest, BodyTooLarge, ClientDisconnected

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # WebOb 1.8 imports cgi, which Python 3.11 and 3.12 deprecate
    import webob

BODY_SIZE_MAX = 1024 * 1024  # bytes: a form or a document; what is larger should be streamed from ``stream``
READ_SIZE = 64 * 1024


class Request(webob.BaseRequest):  # type: ignore[misc]  # WebOb has no types
    """A request. Set ``body_size_max`` (bytes) on a subclass or on an instance to read larger bodies whole."""

    body_size_max: int = BODY_SIZE_MAX

    @property
    def request_id(self) -> str:
        """The request's id, empty when no request_id filter stands in the pipeline."""
        return self.environ.get("nova.request_id", "")  # type: ignore[no-any-return]

    @property
    def raw_path(self) -> str:
        """The path as the client sent it, undecoded; under a server that does not keep it, encoded again."""
        raw = self.environ.get("RAW_PATH_INFO")
        if raw is not None:
            return raw  # type: ignore[no-any-return]
        path = self.environ.get("SCRIPT_NAME", "") + self.environ.get("PATH_INFO", "")
        return quote(path.encode("latin-1"), safe="/~!$&'()*+,;=:@")

    @property
    def variables(self) -> dict[str, str]:
        """What the route's template took from the path."""
        return self.environ.get("wsgiorg.routing_args", ((), {}))[1]  # type: ignore[no-any-return]

    @property
    def client_addr(self) -> str:
        """The client's address. Unlike WebOb's, never X-Forwarded-For: the proxy filter decides whom to believe."""
        return self.environ.get("REMOTE_ADDR", "")  # type: ignore[no-any-return]

    @property
    def stream(self) -> Any:
        """``wsgi.input``: the body as it comes, unbounded here, for handlers that stream."""
        return self.environ["wsgi.input"]

    def encget(self, key: str, default: Any = webob.request.NoDefault, encattr: str | None = None) -> Any:
        """Read an environ value as text; bytes that are not UTF-8 are a BadRequest."""
        try:
            return super().encget(key, default, encattr)
        except UnicodeDecodeError as error:
            raise BadRequest("the path is not valid UTF-8") from error

    @property
    def GET(self) -> Any:
        """The query's parameters, a MultiDict; bytes that are not UTF-8 are a BadRequest."""
        try:
            return super().GET
        except UnicodeDecodeError as error:
            raise BadRequest("the query is not valid UTF-8") from error

    @property
    def POST(self) -> Any:
        """A form's fields, a MultiDict; a malformed form is a BadRequest, one above ``body_size_max`` BodyTooLarge."""
        try:
            return super().POST
        except (ValueError, DeprecationWarning) as error:  # a bad boundary; a charset that is not UTF-8
            raise BadRequest("the form is malformed or not in UTF-8") from error

    @property
    def text(self) -> str:
        """The body as text in the charset it declares, else UTF-8."""
        try:
            return self.body.decode(self.charset or "UTF-8")
        except (UnicodeDecodeError, LookupError) as error:
            raise BadRequest("the body is not text in the charset it declares") from error

    @property
    def json_body(self) -> Any:
        """The body as a JSON document; anything else is a BadRequest."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadRequest("the body is not valid JSON") from error

    json = json_body

    def copy_body(self) -> None:
        """Take the body into memory, at most ``body_size_max`` bytes: WebOb calls this before it looks at a body."""
        self.body = self.read_body(self.body_size_max)

    def read_body(self, size_max: int) -> bytes:
        """Read the whole body, once.

        Raises BodyTooLarge as soon as it is, or says it is, above ``size_max`` bytes; ClientDisconnected when it ends
        before its Content-Length.
        """
        if not self.is_body_readable:
            return b""
        if self.is_body_seekable:
            self.body_file_raw.seek(0)
        declared: int | None = self.content_length
        if declared is not None and declared > size_max:
            raise BodyTooLarge(f"at most {size_max} bytes are accepted here")
        # A server that knows no wsgi.input_terminated must never be asked for more than the declared length.
        body = _read_up_to(self.environ["wsgi.input"], size_max + 1 if declared is None else declared)
        if len(body) > size_max:
            raise BodyTooLarge(f"at most {size_max} bytes are accepted here")
        if declared is not None and len(body) < declared:
            raise ClientDisconnected(f"the body ended after {len(body)} of {declared} bytes")
        return body


def _read_up_to(stream: Any, size: int) -> bytes:
    body = bytearray()
    while len(body) < size and (chunk := stream.read(min(READ_SIZE, size - len(body)))):
        body += chunk
    return bytes(body)
