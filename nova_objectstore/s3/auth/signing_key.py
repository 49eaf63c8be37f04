"""SigV4's keys: derived from a secret once a day, and quick to sign with.

AWS: "Create a signed AWS API request", "Derive a signing key".
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256

TERMINATOR = "aws4_request"

_BLOCK_SIZE = 64  # bytes, SHA-256's
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class SigningKey(bytes):
    """The key that a secret has for one day, region and service; it makes signatures."""

    def __init__(self, key: bytes) -> None:
        # PERF: HMAC's two hashes with the key's block taken in already (RFC 2104 section 4), a third of hmac.digest's time
        block = key.ljust(_BLOCK_SIZE, b"\0")
        self._inner = sha256(block.translate(_INNER_PAD))
        self._outer = sha256(block.translate(_OUTER_PAD))

    def sign(self, data: bytes) -> str:
        """HMAC-SHA256 of ``data``, in hex."""
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


NO_KEY = SigningKey(b"")  # where nothing was signed that has such a key


@lru_cache(maxsize=4096)  # a key pair has one signing key a day; days and scopes are checked before
def signing_key(secret: str, day: str, region: str, service: str) -> SigningKey:
    """The key that a secret has for one day, region and service."""
    key = hmac.digest(b"AWS4" + secret.encode(), day.encode(), "sha256")
    for part in (region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return SigningKey(key)
