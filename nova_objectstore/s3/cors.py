"""Cross-origin requests on the wire: preflights answered, and what other answers tell a browser (AWS: "How does Amazon S3
evaluate the CORS configuration on a bucket?"; Fetch, "HTTP extensions").

Laws:

- A preflight is answered by the bucket's rules alone: before authentication, without a look at the key.
- Other requests are served whether a rule fits or not; without one their answers, errors too, are kept from the page by
  the browser.
- What may differ by origin says so in Vary, also to requests without one: a cache must not hand their answers to a page.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.bucket_rules import NO_RULES, BucketRules
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.cors import ANY_ORIGIN, METHODS, Shared, find_rule
from nova_objectstore.errors import NoSuchBucket, StoreError
from nova_objectstore.s3.answer import Answer, Headers, empty_answer
from nova_objectstore.s3.faults import CorsForbidden, PreflightIncomplete
from nova_objectstore.s3.operation import Scope
from nova_objectstore.s3.request import S3Request

ORIGIN = "origin"
REQUEST_METHOD = "access-control-request-method"
REQUEST_HEADERS = "access-control-request-headers"
PREFLIGHT = "OPTIONS"

_VARY = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


class CrossOrigin:
    """Knows the buckets and their rules."""

    def __init__(self, buckets: Buckets, access: Access) -> None:
        self._buckets = buckets
        self._access = access

    def preflight(self, req: S3Request) -> Answer:
        """Answer an OPTIONS request whose address is known. Raises PreflightIncomplete, CorsForbidden."""
        origin, method = req.headers.get(ORIGIN), req.headers.get(REQUEST_METHOD)
        if origin is None:
            raise PreflightIncomplete("Insufficient information. Origin request header needed.")
        rules = self._open(req, method)
        if method not in METHODS:
            raise PreflightIncomplete(f"Invalid Access-Control-Request-Method: {method or 'null'}")
        wanted = _read_names(req.headers.get(REQUEST_HEADERS, ""))
        shared = find_rule(rules.cors, origin, method, wanted)
        if shared is None:
            raise _forbidden(_NOT_ALLOWED, method, "OBJECT" if req.scope is Scope.OBJECT else "BUCKET")
        headers = _shared_headers(shared)
        if wanted:
            headers.append(("Access-Control-Allow-Headers", ", ".join(wanted)))
        return empty_answer(200, [*headers, _VARY])

    def _open(self, req: S3Request, method: str | None) -> BucketRules:
        try:
            rules = self._access.rules(self._buckets.find(req.bucket_name))
        except NoSuchBucket:
            raise _forbidden("CORSResponse: Bucket not found", method) from None
        if not rules.cors:
            raise _forbidden("CORSResponse: CORS is not enabled for this bucket.", method)
        return rules

    def share(self, req: S3Request, headers: Headers) -> None:
        """Add to an answer's headers what its bucket's rules say of the request; a preflight's has it already."""
        if req.method == PREFLIGHT:
            return
        rules = self._rules(req)
        if not rules.cors:
            return
        headers.append(_VARY)
        origin = req.headers.get(ORIGIN)
        if origin is None:
            return
        shared = find_rule(rules.cors, origin, req.headers.get(REQUEST_METHOD, req.method))
        if shared is not None:
            headers.extend(_shared_headers(shared))

    def _rules(self, req: S3Request) -> BucketRules:
        """The rules of the request's bucket; also of one that was refused before it came to them, as a bad signature is."""
        if req.rules is not NO_RULES or not req.bucket_name:
            return req.rules
        try:
            return self._access.rules(self._buckets.find(req.bucket_name, epoch=req.epoch))
        except StoreError:
            return NO_RULES  # there is an answer already, and nothing to say of it


def _forbidden(message: str, method: str | None, resource_type: str = "BUCKET") -> CorsForbidden:
    return CorsForbidden(message, method=method or PREFLIGHT, resource_type=resource_type)


def _read_names(text: str) -> Sequence[str]:
    """Header names in lower-case, as they were asked for."""
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def _shared_headers(shared: Shared) -> Headers:
    rule, origin = shared
    headers = [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
    ]
    if rule.exposed:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age_s is not None:
        headers.append(("Access-Control-Max-Age", str(rule.max_age_s)))
    if origin != ANY_ORIGIN:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers
