"""What a body on its way in is to the domain: bytes to read, digests to keep, and a verdict at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.types import Checksum


class Hasher(Protocol):
    """A running digest: hashlib's objects fit, and those of ``s3/checksums``."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes. May run in a native thread."""
        ...


class Digests(NamedTuple):
    """What was computed over a whole body. ``etag`` is the MD5 in hex."""

    etag: str
    checksum: Checksum | None


class IncomingBody(Protocol):
    """A request's body, decoded: signed chunks and trailers are behind it."""

    size: int | None  # bytes to come, None when only the end will tell
    hashers: Sequence[Hasher]  # to be updated with every byte, in order, by whoever reads

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end. Raises what is wrong with the transfer (IncompleteBody, ...)."""
        ...

    def finish(self) -> None:
        """After the last byte: check signatures, trailers and claimed digests. Raises BadDigest and its like."""
        ...

    def digests(self) -> Digests:
        """After finish(): the ETag and the checksum to store."""
        ...
