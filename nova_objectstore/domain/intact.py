"""Whether bytes are what was written: what metadata say of a body, compared with the body.

The data engine knows the digest of what it was given (``DataReader.digest``). Bodies that lie in the metadata, and data
that were taken over unread, have what S3 keeps of them: a checksum over the full body, or the MD5 that is the ETag.
Only for bodies that are not encrypted: checksums and ETags are those of the plaintext, and sealed bytes prove themselves.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from typing import Protocol

from nova_objectstore.checksums import FULL_OBJECT, Digest, new_digest
from nova_objectstore.errors import DataCorrupt
from nova_objectstore.types import Checksum

_MD5 = re.compile(r"[0-9a-f]{32}")


class Described(Protocol):
    """A version or a part: what is known of its bytes."""

    @property
    def size(self) -> int:
        """How many they are."""
        ...

    @property
    def etag(self) -> str:
        """Their MD5 in hex, if it looks like one."""
        ...

    @property
    def checksum(self) -> Checksum | None:
        """Their checksum."""
        ...


def check_body(body: bytes, described: Described) -> None:
    """Make sure that a body which is not encrypted is what was written. Raises DataCorrupt."""
    if len(body) != described.size:
        raise DataCorrupt(reason="its length is another")
    checksum = described.checksum
    if checksum is not None and checksum.type == FULL_OBJECT:
        digest = new_digest(checksum.algorithm)
        digest.update(body)
        is_intact = digest.base64() == checksum.value
    elif _MD5.fullmatch(described.etag):
        is_intact = hashlib.md5(body, usedforsecurity=False).hexdigest() == described.etag
    else:
        return
    if not is_intact:
        raise DataCorrupt(reason="its digest is another")


class Expected:
    """A running digest, and what it should come to; ``of`` finds the one that is known of a body."""

    def __init__(self, digest: Digest, wanted: bytes) -> None:
        self.update = digest.update
        self._digest = digest
        self._wanted = wanted

    @classmethod
    def of(cls, described: Described) -> Expected | None:
        """What a body that is not encrypted must have; None when nothing is known of it but its size."""
        checksum = described.checksum
        if checksum is not None and checksum.type == FULL_OBJECT:
            return cls(new_digest(checksum.algorithm), b64decode(checksum.value))
        if _MD5.fullmatch(described.etag):
            return cls(_Md5(), bytes.fromhex(described.etag))
        return None

    def is_met(self) -> bool:
        """Whether what was taken is what was written."""
        return self._digest.digest() == self._wanted


class _Md5:
    def __init__(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)
        self.update = self._hash.update

    def digest(self) -> bytes:
        return self._hash.digest()

    def base64(self) -> str:
        return b64encode(self._hash.digest()).decode("ascii")
