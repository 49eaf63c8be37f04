"""A request of the query protocol, read once: parameters from the query and the form, and what its signature covers."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nova_objectstore.limits import QUERY_BODY_MAX
from nova_objectstore.query.context import QueryContext
from nova_objectstore.query.faults import InvalidAction, MalformedQueryString
from nova_objectstore.query.parameters import Parameters, parse_pairs
from nova_objectstore.types import ANONYMOUS, Principal
from nova_wsgi.request import Request

FORM = "application/x-www-form-urlencoded"


class QueryRequest:
    """One request. The pipeline fills ``principal``, ``action``, ``version`` and ``context`` in, before an action sees it.

    ``path`` and ``query`` are raw, ``headers`` by lower-case name; ``pairs`` are all parameters, decoded, the signature's too.
    Raises MalformedQueryString, InvalidAction (a method other than GET and POST), BodyTooLarge and its like.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        if self.method not in ("GET", "POST"):
            raise InvalidAction(f"The method {self.method} is not one of GET and POST.")
        wire = Request(environ)
        self.path: str = wire.raw_path or "/"
        self.query: str = environ.get("QUERY_STRING", "")
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in wire.headers.items()}
        body = wire.read_body(QUERY_BODY_MAX)
        self.body_sha256 = sha256(body).hexdigest()
        self.pairs = parse_pairs(self.query, self._form(body))
        self.parameters = Parameters(self.pairs)
        self.principal: Principal = ANONYMOUS
        self.action = ""
        self.version = ""
        self.context = QueryContext(environ, self.headers, now_s=0.0, region="")

    def _form(self, body: bytes) -> str:
        if not body:
            return ""
        if self.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
            raise MalformedQueryString(f"The body is not {FORM}.")
        return body.decode("latin-1")


def is_query_call(environ: Mapping[str, Any]) -> bool:
    """Whether a request to ``/`` of the S3 endpoint is one: a form, or a query with an Action. No operation of S3 is."""
    if environ["REQUEST_METHOD"] == "POST":
        content_type = environ.get("CONTENT_TYPE") or ""
        return content_type.partition(";")[0].strip().lower() == FORM
    query = environ.get("QUERY_STRING", "")
    return environ["REQUEST_METHOD"] == "GET" and (query.startswith("Action=") or "&Action=" in query)
