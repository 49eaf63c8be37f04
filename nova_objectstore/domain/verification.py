"""Verification: stored bytes compared with what was written, whatever they are of.

How each kind is told to be sound:

    data files            the digest that they were written with (``DataReader.digest``); those that were taken over unread
                          and are not encrypted, their object's checksum or MD5
    small plain bodies    their object's checksum or MD5
    small sealed bodies   the tags of their frames, where the store has the key; those under customers' keys (SSE-C) only
                          their length: every read of them is authenticated
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_objectstore.crypto.frames import open_whole, stored_size
from nova_objectstore.data.engine import DataEngine, DataReader
from nova_objectstore.domain.encryption import Encryption, key_of_part
from nova_objectstore.domain.intact import Expected, check_body
from nova_objectstore.domain.walk import Found
from nova_objectstore.errors import (
    DataCorrupt,
    DataMissing,
    InvalidRequest,
    KmsKeyDisabled,
    NoSuchKmsKey,
    StorageFailed,
)
from nova_objectstore.limits import MiB
from nova_objectstore.types import ContentKind
from nova_wsgi import green

STEP = 1 * MiB  # a few milliseconds in a thread that others wait for

SOUND: Final = ""
DIGEST: Final = "digest"  # the bytes are others
SIZE: Final = "size"  # there are more or fewer of them
MISSING: Final = "missing"  # the data engine has none
UNREADABLE: Final = "unreadable"  # the disk does not give them
QUARANTINED: Final = "quarantined"  # found before


class Pace:
    """Holds a reader to ``bytes_per_s``; 0: as fast as it can."""

    def __init__(
        self,
        bytes_per_s: int,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = green.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock_s = clock_s
        self._sleep = sleep
        self._free_s = 0.0  # when what was spent so far is paid

    def spend(self, size: int) -> None:
        """Wait until ``size`` bytes more may be read; always lets other greenthreads in."""
        if not self._bytes_per_s:
            self._sleep(0)
            return
        now_s = self._clock_s()
        self._free_s = max(self._free_s, now_s) + size / self._bytes_per_s
        self._sleep(max(0.0, self._free_s - now_s))


class Interrupted(Exception):
    """Whoever asked for it does not want to wait for the end."""


class Verifier:
    """Verifies contents. Nothing is changed."""

    def __init__(self, data: DataEngine, encryption: Encryption) -> None:
        self._data = data
        self._encryption = encryption

    def verify(self, found: Found, pace: Pace, *, goes_on: Callable[[], bool] = lambda: True) -> str:
        """SOUND, or what is wrong with the bytes. Raises Interrupted when ``goes_on`` says no before their end."""
        content = found.content
        if content.kind is not ContentKind.INLINE:
            return self._verify_data(found, pace, goes_on)
        assert content.inline is not None, "a walk brings small bodies"
        pace.spend(len(content.inline))
        try:
            if found.is_sealed:
                green.run_native(self._open_small, found, content.inline)
            else:
                green.run_native(check_body, content.inline, found.part or found.stored)
        except DataCorrupt:
            return DIGEST
        return SOUND

    def _open_small(self, found: Found, body: bytes) -> None:
        if found.size < 0:
            return
        if len(body) != stored_size(found.size):
            raise DataCorrupt
        try:
            key = self._encryption.open(found.stored.extra, None)
        except (InvalidRequest, NoSuchKmsKey, KmsKeyDisabled):  # a customer's key, or one that was taken away
            return
        if key is None:  # a part of a restored copy, whose key stands with its version
            return
        if found.part is not None:
            key = key_of_part(key, found.part.extra)
        open_whole(key, body, found.size)

    def _verify_data(self, found: Found, pace: Pace, goes_on: Callable[[], bool]) -> str:
        try:
            reader = green.run_native(self._data.open, found.content.ref)
        except DataMissing:
            return MISSING
        except DataCorrupt:
            return QUARANTINED
        except StorageFailed:
            return UNREADABLE
        try:
            return self._read(found, reader, pace, goes_on)
        except StorageFailed:
            return UNREADABLE
        finally:
            reader.close()

    def _read(self, found: Found, reader: DataReader, pace: Pace, goes_on: Callable[[], bool]) -> str:
        if not has_size(found, reader.size):
            return SIZE
        expected = _expected(found, reader)
        green.run_native(_forget_cached, reader)
        offset = 0
        while offset < reader.size:
            if not goes_on():
                raise Interrupted
            count = green.run_native(_step, reader, expected, offset)
            if not count:
                return SIZE
            offset += count
            pace.spend(count)
        return SOUND if expected is None or expected.is_met() else DIGEST


def has_size(found: Found, stored_bytes: int) -> bool:
    """Whether a data file has the length that it must have."""
    if found.size < 0:
        return True
    return stored_bytes == (stored_size(found.size) if found.is_sealed else found.size)


def _expected(found: Found, reader: DataReader) -> Expected | None:
    if reader.digest is not None:
        return Expected(new_digest(CRC64NVME), reader.digest)
    return None if found.is_sealed or found.size < 0 else Expected.of(found.part or found.stored)


def _forget_cached(reader: DataReader) -> None:
    """Have the disk asked, and not the system's cache: it is the disk that rots."""
    fd = reader.fileno()
    if fd is not None:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _step(reader: DataReader, expected: Expected | None, offset: int) -> int:
    data = reader.read(offset, STEP)
    if expected is not None:
        expected.update(data)
    return len(data)
