"""Local files on their way into the store: digests, and bodies of PUTs. For the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from nova_objectstore.checksums import CRC64NVME, FULL_OBJECT, new_digest
from nova_objectstore.data.engine import DataWriter
from nova_objectstore.domain.bodies import Digests, Hasher
from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.limits import STREAM_BUFFER
from nova_objectstore.types import Checksum


class FileFacts(NamedTuple):
    """A file's size, and what a PUT of it would store: MD5 in hex, and a CRC64NVME."""

    size: int
    etag: str
    checksum: Checksum


def digest_file(file: BinaryIO, copy: DataWriter | None = None) -> FileFacts:
    """Read a file to its end; write its bytes to ``copy`` too. Raises OSError, and what the writer raises. Blocking."""
    md5, crc, size = hashlib.md5(usedforsecurity=False), new_digest(CRC64NVME), 0
    while data := file.read(STREAM_BUFFER):
        md5.update(data)
        crc.update(data)
        if copy is not None:
            copy.write(data)
        size += len(data)
    return FileFacts(size, md5.hexdigest(), Checksum(CRC64NVME, FULL_OBJECT, crc.base64()))


class LocalBody:
    """An open file as the body of a PUT (``domain.bodies.IncomingBody``): ``size`` bytes from where it stands.

    ``sha1``, in hex, is what its bytes must have; empty where nobody said.
    """

    def __init__(self, file: BinaryIO, size: int, *, sha1: str = "") -> None:
        self.size: int | None = size
        self._file = file
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = new_digest(CRC64NVME)
        self._claimed = sha1
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.hashers: Sequence[Hasher] = [self._md5, self._crc, *([self._sha1] if sha1 else ())]

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end."""
        return self._file.read(size)

    def finish(self) -> None:
        """Check what was claimed. Raises InvalidBundle."""
        if self._claimed and self._sha1.hexdigest() != self._claimed:
            raise InvalidBundle("A file of the bundle was changed while it was stored.")

    def digests(self) -> Digests:
        """The ETag and the checksum of what was read."""
        return Digests(self._md5.hexdigest(), Checksum(CRC64NVME, FULL_OBJECT, self._crc.base64()))
