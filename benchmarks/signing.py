"""Requests as they go over the wire, signed in each of the ways that S3 has. Pure: the clock is passed in.

botocore's signers do the same ten times slower; ten thousand different requests are signed before a run begins.
Sources: AWS, "Signature Calculations for the Authorization Header", "Authenticating Requests: Using Query Parameters",
"... Transferring Payload in Multiple Chunks", "Signing and Authenticating REST Requests" (SigV2).
"""

from __future__ import annotations

import base64
import enum
import functools
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote

ACCESS_KEY = "AKIABENCHBENCHBENCHB"
SECRET_KEY = "bench/secret+key0123456789abcdefghijklmn"
REGION = "us-east-1"

CHUNK_SIZE = 64 * 1024  # what SDKs send
EMPTY = hashlib.sha256(b"").hexdigest()
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED = "UNSIGNED-PAYLOAD"
SDK_HEADERS = (  # what an SDK sends besides: a server has to read it
    "User-Agent: Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux lang/python",
    "Accept-Encoding: identity",
    "amz-sdk-invocation-id: 3f8a2b52-6f0a-4d6e-9a43-6f4bd6f3a2c1",
    "amz-sdk-request: attempt=1",
)


class Kind(enum.Enum):
    """How a request is signed."""

    HEADER = "header"  # SigV4, with the SHA-256 of the body
    UNSIGNED_BODY = "unsigned-body"  # SigV4, UNSIGNED-PAYLOAD
    CHUNKS = "chunks"  # SigV4, the body in signed chunks
    PRESIGNED = "presigned"  # SigV4 in the query
    V2 = "sigv2"  # SigV2 in the header


@dataclass(frozen=True)
class Request:
    """One request before it is signed. ``path`` is percent-encoded, ``query`` is not; ``headers`` are signed too."""

    method: str
    path: str
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def sign(request: Request, host: str, now_s: float, *, kind: Kind = Kind.HEADER) -> bytes:
    """The request's bytes on the wire, for ``host`` (with its port), signed at ``now_s`` (seconds since 1970)."""
    target, headers, body = parts(request, host, now_s, kind=kind)
    lines = [f"{request.method} {target} HTTP/1.1", *SDK_HEADERS, f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def parts(
    request: Request, host: str, now_s: float, *, kind: Kind = Kind.HEADER
) -> tuple[str, Mapping[str, str], bytes]:
    """The target, the headers (with Host) and the body to send; for clients that make the request themselves."""
    if kind is Kind.PRESIGNED:
        return _presigned(request, host, now_s)
    if kind is Kind.V2:
        return _v2(request, host, now_s)
    return _header(request, host, now_s, kind)


# -- SigV4 -------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def _signing_key(day: str) -> bytes:
    key = b"AWS4" + SECRET_KEY.encode()
    for step in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def _stamp(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def _scope(stamp: str) -> str:
    return f"{stamp[:8]}/{REGION}/s3/aws4_request"


def _query(pairs: Mapping[str, str]) -> str:
    return "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs.items()))


def _signature(stamp: str, *canonical: str) -> str:
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{_scope(stamp)}\n{digest}"
    return hmac.digest(_signing_key(stamp[:8]), text.encode(), "sha256").hex()


def _header(request: Request, host: str, now_s: float, kind: Kind) -> tuple[str, Mapping[str, str], bytes]:
    stamp, query = _stamp(now_s), _query(request.query)
    headers = {"host": host, "x-amz-date": stamp, **{name.lower(): text for name, text in request.headers.items()}}
    headers["x-amz-content-sha256"] = _payload(request, kind)
    if kind is Kind.CHUNKS:
        headers |= {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(request.body))}
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    signature = _signature(
        stamp, request.method, request.path, query, lines, ";".join(names), headers["x-amz-content-sha256"]
    )
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{_scope(stamp)}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    body = _chunks(request.body, stamp, signature) if kind is Kind.CHUNKS else request.body
    return request.path + (f"?{query}" if query else ""), headers, body


def _payload(request: Request, kind: Kind) -> str:
    if kind is Kind.CHUNKS:
        return STREAMING
    if kind is Kind.UNSIGNED_BODY:
        return UNSIGNED
    return hashlib.sha256(request.body).hexdigest() if request.body else EMPTY


def _chunks(body: bytes, stamp: str, seed: str) -> bytes:
    """The body as aws-chunked, each chunk's signature over the one before."""
    made, previous, key = [], seed, _signing_key(stamp[:8])
    for start in (*range(0, len(body), CHUNK_SIZE), len(body)):
        chunk = body[start : start + CHUNK_SIZE]
        text = "\n".join(
            ("AWS4-HMAC-SHA256-PAYLOAD", stamp, _scope(stamp), previous, EMPTY, hashlib.sha256(chunk).hexdigest())
        )
        previous = hmac.digest(key, text.encode(), "sha256").hex()
        made.append(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), previous.encode(), chunk))
    return b"".join(made)


def _presigned(request: Request, host: str, now_s: float) -> tuple[str, Mapping[str, str], bytes]:
    stamp = _stamp(now_s)
    headers = {"host": host, **{name.lower(): text for name, text in request.headers.items()}}
    names = sorted(headers)
    pairs = {
        **request.query,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY}/{_scope(stamp)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": "3600",
        "X-Amz-SignedHeaders": ";".join(names),
    }
    query = _query(pairs)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    signature = _signature(stamp, request.method, request.path, query, lines, ";".join(names), UNSIGNED)
    return f"{request.path}?{query}&X-Amz-Signature={signature}", headers, request.body


# -- SigV2 -------------------------------------------------------------------------------------------------------------


def _v2(request: Request, host: str, now_s: float) -> tuple[str, Mapping[str, str], bytes]:
    """Of plain requests for objects: no header and no query of those that SigV2 signs."""
    date = formatdate(now_s, usegmt=True)
    text = f"{request.method}\n\n\n{date}\n{request.path}"
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), text.encode(), "sha1")).decode()
    query = _query(request.query)
    headers = {**request.headers, "host": host, "date": date, "authorization": f"AWS {ACCESS_KEY}:{signature}"}
    return request.path + (f"?{query}" if query else ""), headers, request.body
