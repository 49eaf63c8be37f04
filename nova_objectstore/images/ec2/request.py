"""A request of the query API, read once: parameters from the query and the form, and what its signature covers."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nova_objectstore.images.ec2.faults import InvalidAction, MalformedQueryString
from nova_objectstore.images.ec2.parameters import Parameters, parse_pairs
from nova_objectstore.images.limits import QUERY_BODY_MAX
from nova_objectstore.types import ANONYMOUS, Principal
from nova_wsgi.request import Request

_FORM = "application/x-www-form-urlencoded"


class Ec2Request:
    """One request. The pipeline fills ``principal`` in, and ``version``, before an action sees it.

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
        self.version = ""

    def _form(self, body: bytes) -> str:
        if not body:
            return ""
        if self.headers.get("content-type", _FORM).partition(";")[0].strip().lower() != _FORM:
            raise MalformedQueryString(f"The body is not {_FORM}.")
        return body.decode("latin-1")
