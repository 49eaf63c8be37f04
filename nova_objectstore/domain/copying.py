"""A stored version's bytes as an incoming body: what a copy reads when the bytes cannot be shared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from nova_objectstore.checksums import CRC64NVME, Digest, new_digest
from nova_objectstore.domain.bodies import Digests, Hasher
from nova_objectstore.domain.bucket_encryption import CustomerKey
from nova_objectstore.domain.egress import Egress
from nova_objectstore.types import Checksum, Version


class StoredBody:
    """Reads ``version``, or its bytes ``first`` to ``last`` (inclusive), and computes the digests of a new object.

    ``customer`` opens a version that was stored with SSE-C.
    """

    def __init__(
        self,
        egress: Egress,
        version: Version,
        algorithm: str = "",
        *,
        first: int = 0,
        last: int | None = None,
        customer: CustomerKey | None = None,
    ) -> None:
        end = version.size - 1 if last is None else last
        self.size: int | None = end - first + 1
        self._algorithm = algorithm or CRC64NVME
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._digest: Digest = new_digest(self._algorithm)
        self.hashers: Sequence[Hasher] = [self._md5, self._digest]
        self._chunks: Iterator[bytes] = egress.read(version, first, end, customer=customer)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def finish(self) -> None:
        """Nothing to check: the engines check what they read."""

    def digests(self) -> Digests:
        """The ETag and the checksum of what was read."""
        return Digests(self._md5.hexdigest(), Checksum(self._algorithm, "FULL_OBJECT", self._digest.base64()))

    def close(self) -> None:
        """Release the stored data."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
