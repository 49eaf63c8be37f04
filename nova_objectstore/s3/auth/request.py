"""What a signature is about, and what a verified one proves: plain frozen values, no WSGI."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple

from nova_objectstore.s3.auth.signing_key import SigningKey

SecretLookup = Callable[[str], str | None]
"""Access key to secret key; None when there is no such key. May raise InvalidToken or ExpiredToken for a session's key."""


class WireRequest(NamedTuple):
    """A request as it came over the wire.

    ``path`` and ``query`` are undecoded, the path with its leading ``/``, the query without ``?``; bytes beyond ASCII are
    latin-1 characters, as in WSGI. ``headers`` are by lower-case name, the values of a repeated one joined with ``,``.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class AuthType(enum.StrEnum):
    """How a request was authenticated, in the words of the policy key ``s3:authType``."""

    HEADER = "REST-HEADER"
    QUERY = "REST-QUERY-STRING"
    FORM = "POST"


class SignatureVersion(enum.StrEnum):
    """In the words of the policy key ``s3:signatureversion``."""

    V2 = "AWS"
    V4 = "AWS4-HMAC-SHA256"


class PayloadForm(enum.Enum):
    """How the body is framed and protected (AWS: "Authenticating Requests", x-amz-content-sha256)."""

    HASH = "a SHA-256 of the whole body"
    UNSIGNED = "UNSIGNED-PAYLOAD"
    SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


HASH = PayloadForm.HASH  # PERF: Python 3.11 takes 0.15 us to look a member of an enum up in its class


class SignedRequest(NamedTuple):
    """A request whose signature was verified: who signed, what was signed, and the means to verify its chunks.

    ``payload_hash`` is the value of x-amz-content-sha256 as signed (SigV2: UNSIGNED-PAYLOAD, whose body nobody signs).
    ``signature`` is the seed of a chain of signed chunks; ``signing_key`` verifies that chain and is never shown.
    ``signed_at_s`` and ``expires_at_s`` are epoch seconds, the latter None but for presigned requests and forms.
    """

    access_key: str
    auth_type: AuthType
    version: SignatureVersion
    signed_headers: tuple[str, ...]
    payload: PayloadForm
    payload_hash: str
    timestamp: str  # as in the string to sign: 20130524T000000Z; "" for SigV2
    scope: str  # 20130524/us-east-1/s3/aws4_request; "" for SigV2
    signature: str
    signing_key: SigningKey
    session_token: str | None
    signed_at_s: float
    expires_at_s: float | None = None

    def __repr__(self) -> str:
        return f"SignedRequest({self.access_key!r}, {self.auth_type}, {self.version}, scope={self.scope!r})"
