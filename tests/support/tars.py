"""Tar archives for tests, hostile ones too: headers made by hand, with a right checksum."""

from __future__ import annotations

import io
import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: bytes = b"disk.img",
    size: int | bytes = 0,
    kind: bytes = b"0",
    *,
    tail: bytes = b"",
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """A header block; ``size`` as bytes goes in as it is, ``tail`` replaces what stands behind the magic's 8 bytes."""
    length = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(BLOCK)
    block[:100] = name.ljust(100, b"\0")
    block[100:108] = b"0000644\0"
    block[124:136] = length.ljust(12, b"\0")
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = magic
    block[265 : 265 + len(tail)] = tail
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def entry(data: bytes = b"", name: bytes = b"disk.img", kind: bytes = b"0", **fields: bytes) -> bytes:
    """An entry: header and data."""
    return header(name, len(data), kind, **fields) + padded(data)


def record(name: bytes, value: bytes) -> bytes:
    """A record of a pax header."""
    length = len(name) + len(value) + 3
    digits = len(str(length))
    while len(str(length + digits)) != digits:
        digits += 1
    return b"%d %s=%s\n" % (length + digits, name, value)


def python_tar(data: bytes, *, name: str = "disk.img", form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of one file as Python's tarfile writes it."""
    output = io.BytesIO()
    with tarfile.open(mode="w", fileobj=output, format=form) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return output.getvalue()


def gnu_sparse(extents: list[tuple[int, bytes]], size: int) -> bytes:
    """An old GNU sparse entry (``tar -S``)."""
    table = [b"%011o\0%011o\0" % (offset, len(data)) for offset, data in extents]
    data = b"".join(data for _, data in extents)
    more = [b"".join(table[start : start + 21]) for start in range(4, len(table), 21)]
    tail = bytearray(512 - 265)
    tail[386 - 265 : 482 - 265] = b"".join(table[:4]).ljust(96, b"\0")
    tail[482 - 265] = bool(more)
    tail[483 - 265 : 495 - 265] = b"%011o\0" % size
    blocks = b"".join(
        chunk.ljust(504, b"\0") + bytes([number < len(more) - 1]) + bytes(7) for number, chunk in enumerate(more)
    )
    return header(size=len(data), kind=b"S", tail=bytes(tail), magic=b"ustar  \0") + blocks + padded(data)
