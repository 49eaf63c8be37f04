"""Who signed a request of the query protocol: SigV2 of that protocol here, SigV4 by ``s3/auth``. Pure, the clock passed in.

SigV2 (AWS: "Signing AWS API requests, Signature Version 2"; withdrawn there, what boto 2 and euca2ools send): an HMAC over
method, host, path and the sorted parameters, each percent-encoded as RFC 3986 has it.

Laws:

- The scope names the service that is asked. The body is what was signed: its hash is computed, never believed.
- Every parameter but the signature is signed; ``Timestamp`` is at most 15 minutes off, or ``Expires`` still to come.
- Signatures are compared in constant time. A request has one: what was signed in a query counts in no header.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from nova_objectstore.errors import (
    AuthorizationHeaderMalformed,
    InvalidAccessKeyId,
    SignatureDoesNotMatch,
    XAmzContentSHA256Mismatch,
)
from nova_objectstore.limits import CLOCK_SKEW_MAX_S
from nova_objectstore.query.faults import InvalidParameterValue, RequestExpired
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.s3.auth import WireRequest
from nova_objectstore.s3.auth.presigned import verify_presigned
from nova_objectstore.s3.auth.sigv4 import ALGORITHM, CONTENT_SHA256, verify_header
from nova_objectstore.types import Principal

_IN_QUERY = frozenset(("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"))  # what only presigned requests have
_METHODS = {"HmacSHA1": "sha1", "HmacSHA256": "sha256"}
_port = re.compile(r":[0-9]{1,5}\Z").sub
_timestamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII).fullmatch
_scope = re.compile(r"Credential=[^/\s,]+/[0-9]{8}/([^/\s,]*)/([^/\s,]+)/").search


class Credentials(NamedTuple):
    """A secret, and whom it stands for."""

    secret_key: str
    principal: Principal


FindCredentials = Callable[[str, str | None], Credentials | None]
"""From an access key and a session token (None without one) to credentials; None when they are nobody's."""


class Scope(NamedTuple):
    """What a request was signed for, as it says itself."""

    region: str
    service: str


def scope_of(request: QueryRequest) -> Scope | None:
    """The scope of a SigV4 request; None for another, or one that cannot be read."""
    credential = request.pairs.get("X-Amz-Credential")
    text = f"Credential={credential}" if credential is not None else request.headers.get("authorization", "")
    match = _scope(text)
    return Scope(match[1], match[2]) if match is not None else None


def authenticate(
    request: QueryRequest, find: FindCredentials, *, region: str, service: str, now_s: float
) -> Principal | None:
    """Who signed, by either version; None for a request without a signature. Raises what a bad one raises."""
    principal = verify_v4(request, find, region=region, service=service, now_s=now_s)
    if principal is not None:
        return principal
    if "AWSAccessKeyId" in request.pairs or "Signature" in request.pairs:
        return verify_v2(request, find, now_s=now_s)
    if "authorization" in request.headers:
        raise AuthorizationHeaderMalformed("The Authorization header names no algorithm that this service knows.")
    return None


# -- SigV4 -------------------------------------------------------------------------------------------------------------


def verify_v4(
    request: QueryRequest, find: FindCredentials, *, region: str, service: str, now_s: float
) -> Principal | None:
    """Who signed; None without such a signature. Raises what a bad one raises, XAmzContentSHA256Mismatch too."""
    in_header = request.headers.get("authorization", "").startswith(ALGORITHM)
    if not in_header and "X-Amz-Algorithm" not in request.pairs:
        return None
    if in_header and not _IN_QUERY.isdisjoint(request.pairs):
        # A presigned URL's signature would be good in a header for longer than the URL was.
        raise AuthorizationHeaderMalformed("A request is signed in its header or in its query, not in both.")
    token = request.headers.get("x-amz-security-token") or request.pairs.get("X-Amz-Security-Token")
    found: list[Credentials] = []

    def lookup(access_key: str) -> str | None:
        credentials = find(access_key, token)
        if credentials is None:
            return None
        found.append(credentials)
        return credentials.secret_key

    wire = WireRequest(request.method, request.path, request.query, request.headers)
    body_sha256 = request.body_sha256
    if in_header:
        signed = verify_header(
            wire, lookup=lookup, region=region, now_s=now_s, service=service, body_sha256=body_sha256
        )
    else:
        # Only S3's presigned requests leave the body out: others sign its hash.
        wire = wire._replace(headers={**request.headers, CONTENT_SHA256: body_sha256})
        signed = verify_presigned(wire, lookup=lookup, region=region, now_s=now_s, service=service)
    if signed.payload_hash != body_sha256:
        raise XAmzContentSHA256Mismatch
    return found[-1].principal


# -- SigV2 -------------------------------------------------------------------------------------------------------------


def verify_v2(request: QueryRequest, find: FindCredentials, *, now_s: float) -> Principal:
    """Who signed with SigV2.

    Raises SignatureDoesNotMatch, InvalidAccessKeyId, RequestExpired, InvalidParameterValue (a time that is none).
    """
    pairs = request.pairs
    access_key = pairs.get("AWSAccessKeyId", "")
    digest = _METHODS.get(pairs.get("SignatureMethod", ""))
    if pairs.get("SignatureVersion") != "2" or digest is None:
        raise SignatureDoesNotMatch(aws_access_key_id=access_key)
    _check_time(pairs, now_s)
    credentials = find(access_key, pairs.get("SecurityToken"))
    if credentials is None:
        raise InvalidAccessKeyId(aws_access_key_id=access_key)
    provided = pairs.get("Signature", "").encode()
    for to_sign in strings_to_sign(request):
        computed = b64encode(hmac.digest(credentials.secret_key.encode(), to_sign.encode(), digest))
        if hmac.compare_digest(computed, provided):
            return credentials.principal
    raise SignatureDoesNotMatch(aws_access_key_id=access_key)


def strings_to_sign(request: QueryRequest) -> list[str]:
    """What SigV2 signs: method, host in lower case, path, and the parameters in the order of their names' bytes.

    AWS has the host as the Host header says it; boto 2 leaves the port out.
    """
    items = sorted((name.encode(), value) for name, value in request.pairs.items() if name != "Signature")
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in items)
    host = request.headers.get("host", "").lower()
    hosts = dict.fromkeys((host, _port("", host)))
    return [f"{request.method}\n{name}\n{request.path}\n{query}" for name in hosts]


def _check_time(pairs: Mapping[str, str], now_s: float) -> None:
    if "Timestamp" in pairs:
        if abs(now_s - _read_time("Timestamp", pairs["Timestamp"])) > CLOCK_SKEW_MAX_S:
            raise RequestExpired("Request has expired. Timestamp date is " + pairs["Timestamp"])
    elif "Expires" in pairs:
        if now_s >= _read_time("Expires", pairs["Expires"]):
            raise RequestExpired("Request has expired. Expires date is " + pairs["Expires"])
    else:
        raise SignatureDoesNotMatch(aws_access_key_id=pairs.get("AWSAccessKeyId", ""))


def _read_time(name: str, text: str) -> float:
    if not _timestamp(text):
        raise InvalidParameterValue(f"Invalid value for {name}: {text}")
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidParameterValue(f"Invalid value for {name}: {text}") from None
