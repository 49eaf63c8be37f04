"""The checksums that S3 keeps of an object: running digests, and how those of parts make that of the whole.

Strategy: hashlib for the SHA family, zlib for CRC32, and awscrt's vectorised code for CRC32C and CRC64NVME (its import takes
some 60 ms: ``prepare`` pays them before the first request, and a program that needs no CRC never). A CRC of a concatenation
follows from the CRCs of its pieces by arithmetic over GF(2), so a full-object checksum never needs the bytes again.

Laws (AWS: "Checking object integrity in Amazon S3"):

- Values are base64 of the big-endian digest; a composite one is the digest of the parts' digests, with ``-N`` parts.
- A CRC may be FULL_OBJECT; CRC64NVME may be nothing else. SHA1 and SHA256 of a multipart object are COMPOSITE.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

CRC32 = "CRC32"
CRC32C = "CRC32C"
CRC64NVME = "CRC64NVME"
SHA1 = "SHA1"
SHA256 = "SHA256"

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"

Buffer = bytes | bytearray | memoryview


class Digest(Protocol):
    """A running digest. ``update`` may run in a native thread; the calls of one digest never overlap."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """The digest of what was taken so far, big-endian."""
        ...

    def base64(self) -> str:
        """The digest as S3 writes it."""
        ...


class ShaDigest:
    """SHA1 or SHA256."""

    __slots__ = ("_hash", "update")

    def __init__(self, make: Callable[..., hashlib._Hash]) -> None:
        self._hash = make(usedforsecurity=False)
        self.update: Callable[[Buffer], None] = self._hash.update

    def digest(self) -> bytes:
        """20 or 32 bytes."""
        return self._hash.digest()

    def base64(self) -> str:
        """The digest as S3 writes it."""
        return b64encode(self._hash.digest()).decode("ascii")


class CrcDigest:
    """A CRC of ``size`` bytes over ``step(data, previous)``."""

    __slots__ = ("_size", "_step", "_value")

    def __init__(self, step: Callable[[Buffer, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        """Take more bytes."""
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        """4 or 8 bytes."""
        return self._value.to_bytes(self._size, "big")

    def base64(self) -> str:
        """The digest as S3 writes it."""
        return binascii.b2a_base64(self._value.to_bytes(self._size, "big"), newline=False).decode()


def prepare() -> None:
    """Import what some algorithms need, before the first request waits for it. Idempotent."""
    for algorithm in ALGORITHMS.values():
        algorithm.new()


def _new_crc32() -> Digest:
    return CrcDigest(zlib.crc32, 4)


def _new_crc32c() -> Digest:
    return CrcDigest(_vectorised("crc32c"), 4)


def _new_crc64nvme() -> Digest:
    return CrcDigest(_vectorised("crc64nvme"), 8)


@lru_cache  # PERF: an import statement costs 3 us even of what was imported
def _vectorised(name: str) -> Callable[[Buffer, int], int]:
    from awscrt import checksums

    return getattr(checksums, name)  # type: ignore[no-any-return]


class Algorithm(NamedTuple):
    """A row: what S3 lets one do with the algorithm. ``types`` has the default of a multipart upload first."""

    name: str
    digest_size: int
    types: tuple[str, ...]
    new: Callable[[], Digest]
    polynomial: int = 0  # of a CRC, reflected


ALGORITHMS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        Algorithm(CRC32, 4, (COMPOSITE, FULL_OBJECT), _new_crc32, 0xEDB88320),
        Algorithm(CRC32C, 4, (COMPOSITE, FULL_OBJECT), _new_crc32c, 0x82F63B78),
        Algorithm(CRC64NVME, 8, (FULL_OBJECT,), _new_crc64nvme, 0x9A6C9329AC4BC9B5),
        Algorithm(SHA1, 20, (COMPOSITE,), lambda: ShaDigest(hashlib.sha1)),
        Algorithm(SHA256, 32, (COMPOSITE,), lambda: ShaDigest(hashlib.sha256)),
    )
}


def new_digest(algorithm: str) -> Digest:
    """A running digest of one of the five algorithms. Raises KeyError for another name."""
    return ALGORITHMS[algorithm].new()


def parse_base64(text: str, size: int) -> bytes | None:
    """``size`` bytes from their base64; None when the text is not exactly that."""
    if len(text) > 4 * (size // 3 + 1):
        return None
    try:
        value = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == size else None


def is_digest(algorithm: str, value: str) -> bool:
    """Whether ``value`` can be a (not composite) value of the algorithm."""
    row = ALGORITHMS.get(algorithm)
    return row is not None and parse_base64(value, row.digest_size) is not None


def compose(algorithm: str, values: Sequence[str]) -> str:
    """The COMPOSITE checksum of an object from its parts' values: the digest of their digests, and ``-N``."""
    digest = new_digest(algorithm)
    for value in values:
        digest.update(b64decode(value))
    return f"{digest.base64()}-{len(values)}"


def combine(algorithm: str, values: Sequence[tuple[str, int]]) -> str:
    """The FULL_OBJECT checksum of an object from its parts' (value, size in bytes), in order.

    Raises ValueError for an algorithm that is no CRC: nothing but the bytes can tell the SHA of a whole.
    """
    row = ALGORITHMS[algorithm]
    if not row.polynomial:
        raise ValueError(f"{algorithm} of a whole cannot be told from its parts")
    crc = 0
    for value, size in values:
        crc = combine_crcs(crc, int.from_bytes(b64decode(value), "big"), size, row)
    return b64encode(crc.to_bytes(row.digest_size, "big")).decode("ascii")


def combine_crcs(first: int, second: int, second_size: int, row: Algorithm) -> int:
    """The CRC of A+B from those of A and B and B's size in bytes.

    Appending n bytes multiplies A's remainder by x^8n modulo the polynomial; what the CRC inverts before and after
    cancels out, because B's own CRC has both inversions too.
    """
    bits = row.digest_size * 8
    return _multiply(_power_of_x(second_size, row.polynomial, bits), first, row.polynomial, bits) ^ second


def _multiply(a: int, b: int, polynomial: int, bits: int) -> int:
    """a * b modulo the polynomial, all reflected: the highest bit is the coefficient of x^0."""
    product = 0
    mask = 1 << (bits - 1)
    while a:
        if a & mask:
            product ^= b
            a ^= mask
        mask >>= 1
        b = (b >> 1) ^ polynomial if b & 1 else b >> 1
    return product


@lru_cache(maxsize=1024)  # the parts of an upload have one size, but the last
def _power_of_x(size: int, polynomial: int, bits: int) -> int:
    """x^(8 * size) modulo the polynomial, by squaring: 43 steps for 5 TiB."""
    result = 1 << (bits - 1)  # x^0
    square = 1 << (bits - 1 - 8)  # x^8
    while size:
        if size & 1:
            result = _multiply(square, result, polynomial, bits)
        square = _multiply(square, square, polynomial, bits)
        size >>= 1
    return result
