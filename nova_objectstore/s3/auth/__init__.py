"""Who signed a request, and what: pure functions over plain values, with the clock and the secrets passed in.

    request.py      WireRequest (what is verified), SignedRequest (what a verified signature proves)
    canonical.py    the one spelling of path, query and headers that both sides sign
    sigv4.py        SigV4 in the Authorization header; scope, skew and signing keys, for all that is SigV4
    presigned.py    SigV4 in the query
    sigv2.py        SigV2 in the header and in the query
    chunked.py      aws-chunked bodies: signed and unsigned chunks, trailers
    post_policy.py  browser forms: the policy, its signature, its conditions

:func:`authenticate` chooses among the first four.
"""

from __future__ import annotations

import re

from nova_objectstore.errors import InvalidArgument, NotOffered
from nova_objectstore.s3.auth import presigned, sigv2, sigv4
from nova_objectstore.s3.auth.canonical import decode_component
from nova_objectstore.s3.auth.request import (
    AuthType,
    PayloadForm,
    SecretLookup,
    SignatureVersion,
    SignedRequest,
    WireRequest,
)

__all__ = [
    "AuthType",
    "PayloadForm",
    "SecretLookup",
    "SignatureVersion",
    "SignedRequest",
    "WireRequest",
    "authenticate",
]

_V4_PARAMETERS = frozenset(("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"))
_V2_PARAMETERS = frozenset(("AWSAccessKeyId", "Signature"))


def authenticate(
    request: WireRequest, *, lookup: SecretLookup, region: str, now_s: float, bucket: str = "", service: str = "s3"
) -> SignedRequest | None:
    """Verify a request's signature, whichever it has; None for an anonymous request.

    ``bucket`` is the bucket of a virtual-host address (SigV2 signs it), ``""`` for path style; ``now_s`` is in epoch seconds.
    Raises InvalidArgument for two mechanisms at once or an unknown one, NotOffered for SigV4A, and what the mechanisms raise.
    """
    authorization = request.headers.get("authorization")
    in_query = _query_mechanism(request.query) if request.query else ""
    if in_query and (authorization or in_query == "both"):
        raise InvalidArgument(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
            "or the Authorization header should be specified",
            argument_name="Authorization",
            argument_value=_scheme_of(authorization or ""),
        )
    if in_query == "v4":
        return presigned.verify_presigned(request, lookup=lookup, region=region, now_s=now_s, service=service)
    if in_query:
        return sigv2.verify_query(request, lookup=lookup, now_s=now_s, bucket=bucket)
    if not authorization:
        return None
    scheme, space, _ = authorization.partition(" ")
    if scheme == sigv4.ALGORITHM and space:
        return sigv4.verify_header(request, lookup=lookup, region=region, now_s=now_s, service=service)
    if scheme == "AWS" and space:
        return sigv2.verify_header(request, lookup=lookup, now_s=now_s, bucket=bucket)
    raise _unknown_scheme(scheme, space, authorization)


_escaped_name = re.compile(r"(?:^|&)[^=&%]*+%").search


def _query_mechanism(query: str) -> str:
    """``v4``, ``v2``, ``both`` or ``""``: by the parameters that only signed requests have.

    Names are decoded: a URL whose parameters stood there escaped would have the canonical query of a presigned one, and its
    signature, in a header, would be good for longer than the URL was.
    """
    is_escaped = "%" in query and _escaped_name(query) is not None
    if not is_escaped and "X-Amz-" not in query and "AWSAccessKeyId" not in query and "Signature" not in query:
        return ""  # PERF: nearly every query
    names = {item.partition("=")[0] for item in query.split("&")}
    if is_escaped:
        names = {decode_component(name) for name in names}
    if names & _V4_PARAMETERS:
        return "both" if names & _V2_PARAMETERS else "v4"
    return "v2" if names & _V2_PARAMETERS else ""


def _unknown_scheme(scheme: str, space: str, authorization: str) -> InvalidArgument | NotOffered:
    if scheme == sigv4.ECDSA_ALGORITHM:
        return NotOffered(header="Authorization")
    message = (
        "Unsupported Authorization Type"
        if space
        else "Authorization header is invalid -- one and only one ' ' (space) required."
    )
    return InvalidArgument(message, argument_name="Authorization", argument_value=_scheme_of(authorization))


def _scheme_of(authorization: str) -> str:
    """What an answer repeats of the header: tokens and passwords of other schemes stay out of it."""
    scheme, space, _ = authorization.partition(" ")
    return scheme if space and scheme.isascii() and scheme.replace("-", "").isalnum() else ""
