"""SigV4 in the query: presigned URLs. Pure: no clock, no storage.

Laws (AWS: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"):

- All of X-Amz-Algorithm, -Credential, -Date, -Expires, -SignedHeaders and -Signature are there; every query parameter but
  the signature is signed, in the canonical query.
- The URL is good from its date (less the clock skew) for X-Amz-Expires seconds, at most seven days; 0 is over at once.
- The body is not signed, unless x-amz-content-sha256 (header or parameter) says how.
- An unsigned ``x-amz-*`` header is refused: it could change what the URL was made for.
"""

from __future__ import annotations

from collections.abc import Mapping

from nova_objectstore.errors import (
    AccessDenied,
    AuthorizationQueryParametersError,
    NotOffered,
    PresignedExpiresOutOfRange,
)
from nova_objectstore.limits import CLOCK_SKEW_MAX_S, PRESIGNED_EXPIRES_MAX_S
from nova_objectstore.s3.auth.canonical import decode_component, split_query
from nova_objectstore.s3.auth.request import AuthType, SecretLookup, SignatureVersion, SignedRequest, WireRequest
from nova_objectstore.s3.auth.signing_key import signing_key
from nova_objectstore.s3.auth.sigv4 import (
    ALGORITHM,
    CONTENT_SHA256,
    ECDSA_ALGORITHM,
    Signable,
    check_scope,
    check_signed,
    find_secret,
    iso_time,
    parse_credential,
    parse_payload,
    parse_signed_headers,
    parse_timestamp,
)

SIGNATURE = "X-Amz-Signature"
REQUIRED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", SIGNATURE)
_OPTIONAL = ("X-Amz-Security-Token", "X-Amz-Content-Sha256")
_KNOWN = frozenset((*REQUIRED, *_OPTIONAL))


def query_fault(problem: str, **facts: object) -> AuthorizationQueryParametersError:
    """The error of a malformed credential in a presigned URL."""
    return AuthorizationQueryParametersError(f"Error parsing the X-Amz-Credential parameter; {problem}", **facts)


def parse_expires(text: str) -> int:
    """X-Amz-Expires in seconds. Raises AuthorizationQueryParametersError, PresignedExpiresOutOfRange."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    if digits != text:
        raise PresignedExpiresOutOfRange("X-Amz-Expires must be non-negative")
    if len(digits) > 9 or int(digits) > PRESIGNED_EXPIRES_MAX_S:
        raise PresignedExpiresOutOfRange(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{PRESIGNED_EXPIRES_MAX_S} seconds"
        )
    return int(digits)


def _read_parameters(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The authentication's own parameters, decoded. Raises AuthorizationQueryParametersError."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in _KNOWN:
            given.setdefault(name, decode_component(value))
    if not all(given.get(name) for name in REQUIRED):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    return given


def _check_algorithm(algorithm: str) -> None:
    if algorithm == ECDSA_ALGORITHM:
        raise NotOffered(header="X-Amz-Algorithm")
    if algorithm != ALGORITHM:
        raise AuthorizationQueryParametersError(f'X-Amz-Algorithm only supports "{ALGORITHM}"')


def _check_time(signed_at_s: int, expires_s: int, now_s: float) -> None:
    if now_s < signed_at_s - CLOCK_SKEW_MAX_S:
        raise AccessDenied("Request is not yet valid", x_amz_date=iso_time(signed_at_s), server_time=iso_time(now_s))
    if now_s >= signed_at_s + expires_s:
        raise AccessDenied(
            "Request has expired",
            x_amz_expires=expires_s,
            expires=iso_time(signed_at_s + expires_s),
            server_time=iso_time(now_s),
        )


def _payload_hash(given: Mapping[str, str], headers: Mapping[str, str]) -> str:
    return given.get("X-Amz-Content-Sha256") or headers.get(CONTENT_SHA256) or "UNSIGNED-PAYLOAD"


def verify_presigned(
    request: WireRequest, *, lookup: SecretLookup, region: str, now_s: float, service: str = "s3"
) -> SignedRequest:
    """Verify a request signed in its query; ``now_s`` in epoch seconds.

    Raises AuthorizationQueryParametersError, AccessDenied (``x_amz_expires``, ``expires``, ``server_time`` when expired;
    ``headers_not_signed``), NotOffered, InvalidArgument, InvalidAccessKeyId, SignatureDoesNotMatch.
    """
    pairs = split_query(request.query)
    given = _read_parameters(pairs)
    _check_algorithm(given["X-Amz-Algorithm"])
    credential = parse_credential(given["X-Amz-Credential"], query_fault)
    check_scope(credential, region=region, service=service, fault=query_fault)
    timestamp = given["X-Amz-Date"]
    signed_at_s = parse_timestamp(timestamp)
    if signed_at_s is None:
        raise AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    if timestamp[:8] != credential.day:
        raise AuthorizationQueryParametersError(
            f'Invalid credential date "{credential.day}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        )
    expires_s = parse_expires(given["X-Amz-Expires"])
    _check_time(signed_at_s, expires_s, now_s)
    signed_headers = parse_signed_headers(given["X-Amz-SignedHeaders"], query_fault)
    check_signed(request.headers, signed_headers)
    payload_hash = _payload_hash(given, request.headers)
    payload = parse_payload(payload_hash)
    secret = find_secret(credential.access_key, lookup)
    key = signing_key(secret, credential.day, credential.region, credential.service)
    signed_pairs = [pair for pair in pairs if pair[0] != SIGNATURE]
    signable = Signable(request, signed_pairs, signed_headers, payload_hash, timestamp, credential.scope)
    signable.verify(given[SIGNATURE], key, credential.access_key)
    return SignedRequest(
        credential.access_key,
        AuthType.QUERY,
        SignatureVersion.V4,
        signed_headers.names,
        payload,
        payload_hash,
        timestamp,
        credential.scope,
        given[SIGNATURE],
        key,
        given.get("X-Amz-Security-Token"),
        signed_at_s,
        signed_at_s + expires_s,
    )
