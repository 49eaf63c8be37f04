"""Signed requests: botocore signs, the store verifies; and the readers of tests/vectors/{sigv4,sigv2,chunked}."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.http_vectors import decode

from nova_objectstore.s3.auth import (
    AuthType,
    PayloadForm,
    SignatureVersion,
    SignedRequest,
    WireRequest,
    authenticate,
)
from nova_objectstore.s3.auth.canonical import EMPTY_SHA256
from nova_objectstore.s3.auth.signing_key import signing_key
from nova_objectstore.s3.auth.sigv4 import parse_timestamp
from nova_objectstore.s3.conditions import parse_http_date

VECTORS = Path(__file__).parent.parent / "vectors"

# AWS's documented examples are signed with this pair.
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
SECRETS = {ACCESS_KEY: SECRET_KEY}
EXAMPLE_TIME = "20130524T000000Z"
EXAMPLE_SCOPE = "20130524/us-east-1/s3/aws4_request"


def verify(request: WireRequest, now_s: float, **options) -> SignedRequest | None:
    """The store's verdict on a request."""
    return authenticate(request, lookup=SECRETS.get, region=REGION, now_s=now_s, **options)


# -- botocore signs ------------------------------------------------------------------------------------------------


class _V4Query(S3SigV4QueryAuth):
    def __init__(self, credentials, region, expires):
        super().__init__(credentials, "s3", region, expires=expires)


def _wire(request: AWSRequest) -> WireRequest:
    """What an HTTP client puts on the wire of botocore's request."""
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.setdefault("host", parts.netloc)
    return WireRequest(request.method, parts.path or "/", parts.query, headers)


def sign_v4(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"",
    token: str | None = None,
    region: str = REGION,
) -> tuple[WireRequest, float]:
    """A request signed in its header, and the time it was signed at."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, token), "s3", region).add_auth(request)
    wire = _wire(request)
    return wire, float(parse_timestamp(wire.headers["x-amz-date"]))


def presign_v4(
    method: str, url: str, headers: Mapping[str, str] | None = None, *, expires_s: int = 3600, token: str | None = None
) -> tuple[WireRequest, float]:
    """A request signed in its query, and the time it was signed at."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
    _V4Query(Credentials(ACCESS_KEY, SECRET_KEY, token), REGION, expires_s).add_auth(request)
    wire = _wire(request)
    date = wire.query.partition("X-Amz-Date=")[2][:16]
    return wire, float(parse_timestamp(date))


def sign_v2(
    method: str, url: str, headers: Mapping[str, str] | None = None, *, auth_path: str | None = None
) -> tuple[WireRequest, float]:
    """A request signed with SigV2 in its header, and the time it was signed at."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}), auth_path=auth_path)
    HmacV1Auth(Credentials(ACCESS_KEY, SECRET_KEY)).add_auth(request)
    wire = _wire(request)
    return wire, float(parse_http_date(wire.headers["date"]))


def presign_v2(
    method: str, url: str, headers: Mapping[str, str] | None = None, *, expires_s: int = 3600
) -> WireRequest:
    """A request signed with SigV2 in its query; good from now."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
    HmacV1QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), expires=expires_s).add_auth(request)
    wire = _wire(request)
    return wire._replace(headers={"host": wire.headers["host"]})


# -- aws-chunked bodies ---------------------------------------------------------------------------------------------


def example_signed(payload: PayloadForm, seed: str = "0" * 64) -> SignedRequest:
    """A verified request as AWS's chunked examples have it."""
    key = signing_key(SECRET_KEY, "20130524", REGION, "s3")
    return SignedRequest(
        ACCESS_KEY, AuthType.HEADER, SignatureVersion.V4, (), payload, payload.value, EXAMPLE_TIME, EXAMPLE_SCOPE, seed, key,
        None, 0.0,
    )  # fmt: skip


def _sign(*lines: str) -> str:
    key = signing_key(SECRET_KEY, "20130524", REGION, "s3")
    return hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()


def encode_chunks(
    pieces: Iterable[bytes], *, seed: str | None = None, trailers: Mapping[str, str] | None = None
) -> bytes:
    """An aws-chunked body of these chunks; signed when there is a seed. The twin of ``chunked.ChunkedReader``."""
    previous = seed or ""
    made = []
    for piece in (*pieces, b""):
        header = f"{len(piece):x}"
        if seed is not None:
            previous = _sign(
                "AWS4-HMAC-SHA256-PAYLOAD",
                EXAMPLE_TIME,
                EXAMPLE_SCOPE,
                previous,
                EMPTY_SHA256,
                sha256(piece).hexdigest(),
            )
            header += f";chunk-signature={previous}"
        made.append(header.encode() + b"\r\n" + (piece + b"\r\n" if piece else b""))
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        made.append(lines.replace("\n", "\r\n").encode())
        if seed is not None:
            signature = _sign(
                "AWS4-HMAC-SHA256-TRAILER", EXAMPLE_TIME, EXAMPLE_SCOPE, previous, sha256(lines.encode()).hexdigest()
            )
            made.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
    return b"".join([*made, b"\r\n"])


# -- vectors ---------------------------------------------------------------------------------------------------------


@dataclass
class RequestVector:
    """A raw request: ``now`` (ISO time), ``expect`` (``ok`` or an error's class), ``bucket`` of a virtual host."""

    name: str
    request: WireRequest
    now_s: float
    expect: str
    bucket: str = ""

    def __str__(self) -> str:
        return self.name


def read_requests(topic: str) -> list[RequestVector]:
    return [_read_request(path) for path in sorted((VECTORS / topic).glob("*.txt"))]


def _read_fields(path: Path) -> tuple[dict[str, str], str]:
    head, _, rest = path.read_text("utf-8").partition("---\n")
    pairs = (line.partition(":") for line in head.splitlines() if not line.startswith("#"))
    return {key: value.strip() for key, _, value in pairs}, rest


def _read_request(path: Path) -> RequestVector:
    fields, raw = _read_fields(path)
    line, *header_lines = raw.splitlines()
    method, _, target = line.partition(" ")
    target_path, _, query = target.partition("?")
    pairs = (header.partition(":") for header in header_lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    now_s = datetime.fromisoformat(fields["now"]).timestamp()
    request = WireRequest(method, target_path, query, headers)
    return RequestVector(path.stem, request, now_s, fields["expect"], fields.get("bucket", ""))


@dataclass
class ChunkedVector:
    """An encoded body: ``form``, decoded ``size``, ``announced`` trailers, ``seed``; ``expect`` may name several errors.

    The body, and ``data``, are written as in ``http_vectors``.
    """

    name: str
    form: str
    size: int
    announced: tuple[str, ...]
    seed: str
    expect: list[str]
    body: bytes
    data: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def read_chunked() -> list[ChunkedVector]:
    return [_read_chunked(path) for path in sorted((VECTORS / "chunked").glob("*.txt"))]


def _read_chunked(path: Path) -> ChunkedVector:
    fields, raw = _read_fields(path)
    return ChunkedVector(
        path.stem,
        fields["form"],
        int(fields["size"]),
        tuple(fields["announced"].split()),
        fields.get("seed", ""),
        fields["expect"].split(),
        decode(raw),
        decode(fields.get("data", "")),
        json.loads(fields.get("trailers", "{}")),
    )
