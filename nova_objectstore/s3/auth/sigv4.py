"""SigV4 in the Authorization header: recompute a request's signature and compare. Pure: no clock, no storage.

Strategy: what repeats from request to request (credential, signed header list, timestamp, signing key) is parsed or derived
once and cached, so that a request costs one SHA-256, one HMAC and a few string joins.

Laws (AWS: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)"):

- ``host`` and every ``x-amz-*`` header that is there must be signed; x-amz-content-sha256 is, as the canonical request's
  last line.
- The scope names this region and service, and the day of the timestamp; the timestamp is at most 15 minutes off.
- Checks that need no secret come first; nothing is said about a signature before they hold.
- Signatures are compared in constant time.
"""

from __future__ import annotations

import calendar
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from nova_objectstore.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    NotOffered,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    StoreError,
)
from nova_objectstore.limits import CLOCK_SKEW_MAX_S, CREDENTIAL_CHARS_MAX, SIGNED_HEADERS_CHARS_MAX
from nova_objectstore.s3.auth.canonical import (
    EMPTY_SHA256,
    canonical_headers,
    canonical_path,
    query_spellings,
    split_query,
    wire_bytes,
    without_secrets,
)
from nova_objectstore.s3.auth.request import (
    HASH,
    AuthType,
    PayloadForm,
    SecretLookup,
    SignatureVersion,
    SignedRequest,
    WireRequest,
)
from nova_objectstore.s3.auth.signing_key import TERMINATOR, SigningKey, signing_key
from nova_objectstore.s3.conditions import parse_http_date
from nova_objectstore.s3.usual_headers import USUAL_HEADERS
from nova_objectstore.types import new_tuple

ALGORITHM = "AWS4-HMAC-SHA256"
ECDSA_ALGORITHM = "AWS4-ECDSA-P256-SHA256"  # SigV4A
CONTENT_SHA256 = "x-amz-content-sha256"

Fault = Callable[..., StoreError]
"""Makes the error of one way to authenticate, from what is wrong and the facts."""

# All of the header but the signature, which is what changes from request to request.
_usual_head = re.compile(r"AWS4-HMAC-SHA256 +Credential=([^\s,]+),\s*SignedHeaders=([^\s,]+),\s*").fullmatch
_timestamp = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z").fullmatch
_sha256_hex = re.compile(r"[0-9a-fA-F]{64}").fullmatch

PAYLOAD_FORMS = {form.value: form for form in PayloadForm if form is not HASH}
_HEADER, _V4 = AuthType.HEADER, SignatureVersion.V4  # PERF: see HASH
_KNOWN_PAYLOADS = {**PAYLOAD_FORMS, EMPTY_SHA256: HASH}  # PERF: that of a request without a body, too


class Credential(NamedTuple):
    """``access_key/day/region/service/aws4_request``; ``scope`` is all but the key, ``has_day`` whether the day is one."""

    access_key: str
    day: str
    region: str
    service: str
    terminator: str
    scope: str
    has_day: bool


class SignedHeaders(NamedTuple):
    """The names that were signed: sorted, as a set, and as they were given."""

    names: tuple[str, ...]
    members: frozenset[str]
    text: str
    cover: frozenset[str]  # what a request may have under this signature without a closer look


def header_fault(problem: str, **facts: object) -> AuthorizationHeaderMalformed:
    """The error of a malformed Authorization header."""
    return AuthorizationHeaderMalformed(f"The authorization header is malformed; {problem}", **facts)


# -- parsing ---------------------------------------------------------------------------------------------------------


def parse_authorization(header: str) -> tuple[Credential, SignedHeaders, str]:
    """Credential, signed headers and signature of an Authorization header that begins with the SigV4 algorithm.

    Raises AuthorizationHeaderMalformed.
    """
    head, _, signature = header.rpartition("Signature=")
    if len(head) <= _HEAD_CACHED_CHARS_MAX and signature and "," not in signature and signature.isascii():
        usual = _split_usual_head(head)
        if usual is not None:
            return *usual, signature
    credential, names, signature = _split_components(header)
    return parse_credential(credential, header_fault), parse_signed_headers(names, header_fault), signature


# Nobody has been authenticated yet: this is what strangers can leave in the cache, 512 times.
_HEAD_CACHED_CHARS_MAX = 768


@lru_cache(maxsize=512)
def _split_usual_head(head: str) -> tuple[Credential, SignedHeaders] | None:
    """Credential and signed headers, where the components stand in their usual order; None where they do not."""
    match = _usual_head(head)
    if match is None:
        return None
    credential, names = match.groups()
    return parse_credential(credential, header_fault), parse_signed_headers(names, header_fault)


def _split_components(header: str) -> tuple[str, str, str]:
    """The slow way: components in another order, or the right complaint."""
    components = [item.strip() for item in header[len(ALGORITHM) :].split(",") if item.strip()]
    if len(components) != 3:
        raise header_fault(
            "the authorization header requires three components: Credential, SignedHeaders, and Signature."
        )
    found = {}
    for component in components:
        name, equals, value = component.partition("=")
        if not equals:
            raise header_fault(f'the authorization component "{component}" is malformed.')
        found[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not found.get(name):
            raise header_fault(f"missing {name}.")
    return found["Credential"], found["SignedHeaders"], found["Signature"]


def parse_credential(text: str, fault: Fault) -> Credential:
    """A credential's five parts. Raises what ``fault`` makes."""
    credential = _split_credential(text) if len(text) <= CREDENTIAL_CHARS_MAX else None
    if credential is None:
        raise fault('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
    return credential


@lru_cache(maxsize=4096)
def _split_credential(text: str) -> Credential | None:
    parts = text.split("/")
    if len(parts) != 5:
        return None
    access_key, day, region, service, terminator = parts
    if not (access_key and day and service and terminator):
        return None
    has_day = len(day) == 8 and day.isascii() and day.isdecimal()
    return Credential(access_key, day, region, service, terminator, text[len(access_key) + 1 :], has_day)


def parse_signed_headers(text: str, fault: Fault) -> SignedHeaders:
    """``host;x-amz-date`` as names. Raises what ``fault`` makes."""
    if len(text) <= _SIGNED_HEADERS_CACHED_CHARS_MAX:
        return _split_signed_headers_cached(text)
    if len(text) > SIGNED_HEADERS_CHARS_MAX:
        raise fault("too many SignedHeaders.")
    return _split_signed_headers(text)


def _split_signed_headers(text: str) -> SignedHeaders:
    members = frozenset(name for name in text.lower().split(";") if name)
    names = tuple(sorted(members))
    return SignedHeaders(names, members, ";".join(names), members | _MAY_BE_UNSIGNED)


# What need not be signed: all but x-amz-* headers, one of which is signed in another way.
_MAY_BE_UNSIGNED = frozenset(name for name in USUAL_HEADERS if not name.startswith("x-amz-")) | {CONTENT_SHA256}

# Nobody has been authenticated yet: what strangers can leave in a cache is 256 lists of some 20 KB at most.
_SIGNED_HEADERS_CACHED_CHARS_MAX = 512
_split_signed_headers_cached = lru_cache(maxsize=256)(_split_signed_headers)


def parse_timestamp(text: str) -> int | None:
    """Epoch seconds of ``20130524T000000Z``; None for another text."""
    return _parse_timestamp(text) if len(text) == 16 else None


@lru_cache(maxsize=256)
def _parse_timestamp(text: str) -> int | None:
    match = _timestamp(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(group) for group in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60 and year >= 1970):
        return None
    return calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0))


def iso_time(moment_s: float) -> str:
    """``2013-05-24T00:00:00Z``, as AWS tells times in errors."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment_s))


def parse_payload(value: str) -> PayloadForm:
    """The form that an x-amz-content-sha256 names. Raises InvalidArgument, NotOffered for SigV4A's."""
    form = _KNOWN_PAYLOADS.get(value)
    if form is not None:
        return form
    if _sha256_hex(value):
        return HASH
    if value.startswith("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"):
        raise NotOffered(header=CONTENT_SHA256)
    raise InvalidArgument(
        f"{CONTENT_SHA256} must be {', '.join(PAYLOAD_FORMS)} or a valid sha256 value.",
        argument_name=CONTENT_SHA256,
        argument_value=value,
    )


# -- checks that need no secret ---------------------------------------------------------------------------------------


def check_scope(credential: Credential, *, region: str, service: str, fault: Fault) -> None:
    """The credential is for this region and service. Raises what ``fault`` makes, with the fact ``region``."""
    _, day, said_region, said_service, terminator, _, has_day = credential  # PERF: a field by its name takes 0.03 us
    if terminator != TERMINATOR:
        raise fault(f'incorrect terminator "{terminator}". This endpoint uses "{TERMINATOR}".')
    if said_service != service:
        raise fault(f'incorrect service "{said_service}". This endpoint belongs to "{service}".')
    if not said_region and region:
        raise fault("a non-empty region must be provided in the credential.", region=region)
    if said_region != region:
        raise fault(f"the region '{said_region}' is wrong; expecting '{region}'", region=region)
    if not has_day:
        raise fault(f'incorrect date format "{day}". This date in the credential must be in the format "yyyyMMdd".')


def check_signed(headers: Mapping[str, str], signed: SignedHeaders) -> None:
    """``host`` and every x-amz-* header are signed. Raises AccessDenied (``headers_not_signed``)."""
    members = signed.members
    # PERF: nearly every request needs no more than this
    if signed.cover.issuperset(headers) and "host" in members:
        return
    missing = [name for name in headers if name not in members and name.startswith("x-amz-") and name != CONTENT_SHA256]
    if "host" not in members:
        missing.append("host")
    if missing:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            headers_not_signed=", ".join(sorted(missing)),
        )


def check_skew(signed_at_s: float, now_s: float, text: str) -> None:
    """A request was signed at about this time. Raises RequestTimeTooSkewed."""
    if abs(now_s - signed_at_s) > CLOCK_SKEW_MAX_S:
        raise RequestTimeTooSkewed(
            request_time=text, server_time=iso_time(now_s), max_allowed_skew_milliseconds=CLOCK_SKEW_MAX_S * 1000
        )


def missing_date() -> AccessDenied:
    """The error of a request that does not say when it was signed."""
    return AccessDenied("AWS authentication requires a valid Date or x-amz-date header")


def _read_date(headers: Mapping[str, str]) -> tuple[str, int, str]:
    """Timestamp for the string to sign, epoch seconds, and the text as sent. Raises AccessDenied."""
    text = headers.get("x-amz-date")
    if text is None:
        text = headers.get("date", "")
    signed_at_s = parse_timestamp(text)
    if signed_at_s is not None:
        return text, signed_at_s, text
    signed_at_s = parse_http_date(text)
    if signed_at_s is None or signed_at_s < 0:
        raise missing_date()
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(signed_at_s)), signed_at_s, text


# -- the signature -----------------------------------------------------------------------------------------------------


def find_secret(access_key: str, lookup: SecretLookup) -> str:
    """The secret of an access key. Raises InvalidAccessKeyId."""
    secret = lookup(access_key)
    if secret is None:
        raise InvalidAccessKeyId(aws_access_key_id=access_key)
    return secret


def hex_bytes(text: str) -> str:
    """The bytes of a text as AWS shows them in an error: ``41 57 53``."""
    return wire_bytes(text).hex(" ")


_NO_QUERIES = ("",)


class Signable(NamedTuple):
    """Everything a SigV4 signature covers but the spelling of path and query."""

    request: WireRequest
    query: Sequence[tuple[str, str]]  # the raw pairs that are signed
    signed_headers: SignedHeaders
    payload_hash: str
    timestamp: str
    scope: str

    def verify(self, signature: str, key: SigningKey, access_key: str) -> None:
        """Compare with the signature of each spelling that the client may have signed. Raises SignatureDoesNotMatch."""
        (method, sent_path, _, headers), pairs, (names, _, names_text, _), payload_hash, _, _ = self  # PERF: as above
        tail = f"{canonical_headers(headers, names)}\n{names_text}\n{payload_hash}"
        provided = signature if signature.isascii() else ""  # a signature is hex
        queries = query_spellings(pairs) if pairs else _NO_QUERIES
        # PERF: a path is nearly always signed as it was sent, which is canonical: the look at it comes second
        for query in queries:
            if self._is_signature(provided, f"{method}\n{sent_path}\n{query}\n{tail}", key):
                return
        path = canonical_path(sent_path)
        if path != sent_path:
            for query in queries:
                if self._is_signature(provided, f"{method}\n{path}\n{query}\n{tail}", key):
                    return
        raise self._mismatch(f"{method}\n{path}\n{queries[0]}\n{tail}", signature, access_key)

    def _is_signature(self, provided: str, canonical: str, key: SigningKey) -> bool:
        return hmac.compare_digest(key.sign(self._string_to_sign(canonical).encode()), provided)

    def _string_to_sign(self, canonical: str) -> str:
        return f"{ALGORITHM}\n{self.timestamp}\n{self.scope}\n{sha256(wire_bytes(canonical)).hexdigest()}"

    def _mismatch(self, canonical: str, signature: str, access_key: str) -> SignatureDoesNotMatch:
        to_sign = self._string_to_sign(canonical)
        canonical = without_secrets(canonical)
        return SignatureDoesNotMatch(
            aws_access_key_id=access_key,
            string_to_sign=to_sign,
            signature_provided=signature,
            string_to_sign_bytes=hex_bytes(to_sign),
            canonical_request=canonical,
            canonical_request_bytes=hex_bytes(canonical),
        )


def verify_header(
    request: WireRequest,
    *,
    lookup: SecretLookup,
    region: str,
    now_s: float,
    service: str = "s3",
    body_sha256: str | None = None,
) -> SignedRequest:
    """Verify a request signed in its Authorization header; ``now_s`` in epoch seconds.

    ``body_sha256`` is the hash of a body already read, for services whose clients do not send x-amz-content-sha256.
    Raises AuthorizationHeaderMalformed, AccessDenied, RequestTimeTooSkewed, InvalidRequest, InvalidArgument, NotOffered,
    InvalidAccessKeyId, SignatureDoesNotMatch.
    """
    headers = request.headers
    credential, signed_headers, signature = parse_authorization(headers["authorization"])
    check_scope(credential, region=region, service=service, fault=header_fault)
    access_key, day, _, _, _, scope, _ = credential
    timestamp, signed_at_s, date_text = _read_date(headers)
    if not timestamp.startswith(day):
        raise header_fault(
            f'Invalid credential date "{day}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        )
    check_skew(signed_at_s, now_s, date_text)
    payload_hash = headers.get(CONTENT_SHA256, body_sha256)
    if payload_hash is None:
        raise InvalidRequest(f"Missing required header for this request: {CONTENT_SHA256}")
    payload = parse_payload(payload_hash)
    check_signed(headers, signed_headers)
    key = signing_key(find_secret(access_key, lookup), day, region, service)
    query = split_query(request.query) if request.query else []
    signable = new_tuple(Signable, (request, query, signed_headers, payload_hash, timestamp, scope))
    signable.verify(signature, key, access_key)
    return new_tuple(
        SignedRequest,
        (
            access_key,
            _HEADER,
            _V4,
            signed_headers.names,
            payload,
            payload_hash,
            timestamp,
            scope,
            signature,
            key,
            headers.get("x-amz-security-token"),
            signed_at_s,
            None,
        ),
    )
