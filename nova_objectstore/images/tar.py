"""One regular file out of a tar archive that comes in pieces: a push parser that trusts nothing.

Strategy: bytes are fed in; a state takes what it needs (a block, a header's body, the file's data) and names the next.
Python's own tarfile reads pax headers of any length into memory and follows whatever comes; a disk image needs neither.

Laws:

- Exactly one entry is taken, a regular file; links, devices, directories and a second entry are refused, and so are
  absolute names and names with ``..``. The name is never used as a path all the same.
- Nothing an archive says makes memory grow beyond the bounds in ``limits.py``; sizes are checked before they are used.
- Holes of sparse files are written as zeros: what is written is the file.

Sources: POSIX.1-2008 pax, "ustar Interchange Format" and "pax Extended Header"; the GNU tar manual, "Basic Tar Format" and
"Storing Sparse Files" (``tar -S``, which ec2-bundle-image uses, writes the old GNU format; ``--format=posix`` version 1.0).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.limits import TAR_HEADERS_MAX, TAR_META_BYTES_MAX, TAR_SPARSE_ENTRIES_MAX
from nova_objectstore.limits import KiB

BLOCK = 512
_ZERO_BLOCK = bytes(BLOCK)
_ZEROS = bytes(64 * KiB)

_REGULAR = frozenset((b"0", b"\0", b"7"))
_GNU_SPARSE = b"S"
_LONG_NAME = b"L"
_PAX = b"x"
_PAX_GLOBAL = b"g"
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a directory",
    b"6": "a named pipe",
}
_MAP_LINE_CHARS_MAX = 20

_octal = re.compile(rb"[0-7]*").fullmatch

Write = Callable[[bytes | memoryview], object]


class TarFile(NamedTuple):
    """The entry that is taken: its name as the archive has it, and its size in bytes, holes included."""

    name: str
    size: int


class _Extent(NamedTuple):
    """A run of data in a sparse file."""

    offset: int
    size: int


class TarReader:
    """Feed it the archive; it hands the file's bytes to ``write``, in order.

    ``size_max`` bounds the file's size in bytes. ``file`` is set when the file's header has been read. Raises InvalidBundle
    from ``feed`` and ``finish``.
    """

    def __init__(self, write: Write, *, size_max: int) -> None:
        self.file: TarFile | None = None
        self.written = 0
        self._write = write
        self._size_max = size_max
        self._held = bytearray()  # what a state has of what it waits for
        self._wanted = BLOCK
        self._whole: Callable[[bytes], None] = self._take_header  # called with _wanted bytes
        self._headers = 0
        self._long_name = ""
        self._pax: dict[str, str] = {}
        self._data_left = 0  # bytes of the entry's data still to come: they go to the file
        self._padding_left = 0
        self._extents: list[_Extent] = []
        self._extent = 0  # index of the one that comes
        self._zero_blocks = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the archive. Blocking as ``write`` is."""
        view = memoryview(data)
        while view:
            if self._data_left:
                view = self._take_data(view)
            elif self._padding_left:
                count = min(self._padding_left, len(view))
                self._padding_left -= count
                view = view[count:]
            else:
                view = self._gather(view)

    def finish(self) -> TarFile:
        """The archive has ended: the file, whole. An archive may end without its blocks of zeros, as GNU tar takes it."""
        if self.file is None:
            raise InvalidBundle("The tar holds no file.")
        if self._data_left or self._padding_left or self.written != self.file.size:
            raise InvalidBundle("The tar ends within the file.")
        if self._held:
            raise InvalidBundle("The tar ends within a block.")
        return self.file

    # -- headers -----------------------------------------------------------------------------------------------------

    def _gather(self, view: memoryview) -> memoryview:
        if not self._held and len(view) >= self._wanted:
            piece, view = bytes(view[: self._wanted]), view[self._wanted :]
        else:
            count = self._wanted - len(self._held)
            self._held += view[:count]
            view = view[count:]
            if len(self._held) < self._wanted:
                return view
            piece = bytes(self._held)
            self._held.clear()
        self._whole(piece)
        return view

    def _expect(self, size: int, whole: Callable[[bytes], None]) -> None:
        self._wanted, self._whole = size, whole

    def _take_header(self, block: bytes) -> None:
        if block == _ZERO_BLOCK:
            self._zero_blocks += 1
            return
        if self._zero_blocks:
            raise InvalidBundle("The tar goes on behind its end.")
        if self.file is not None:
            raise InvalidBundle("The tar holds more than one file.")
        self._headers += 1
        if self._headers > TAR_HEADERS_MAX:
            raise InvalidBundle("The tar has too many headers.")
        _check_sum(block)
        kind = block[156:157]
        size = _number(block[124:136])
        if kind in (_LONG_NAME, _PAX, _PAX_GLOBAL):
            self._expect_meta(kind, size)
        elif kind in _REGULAR:
            self._begin_file(_header_name(block), size)
        elif kind == _GNU_SPARSE:
            self._begin_gnu_sparse(block, size)
        elif kind != b"K":  # a long link name, which only a link can have: refused as what it is
            raise InvalidBundle(f"The tar holds {_REFUSED.get(kind, 'an entry of an unknown kind')}.")
        else:
            raise InvalidBundle("The tar holds a link.")

    def _expect_meta(self, kind: bytes, size: int) -> None:
        if not 0 < size <= TAR_META_BYTES_MAX:
            raise InvalidBundle("The tar has a header of an unreasonable size.")

        def take(padded: bytes) -> None:
            self._expect(BLOCK, self._take_header)
            if kind == _LONG_NAME:
                self._long_name = padded[:size].rstrip(b"\0").decode("utf-8", "replace")
            else:
                self._pax.update(_parse_pax(padded[:size]))

        self._expect(size + _padding(size), take)

    # -- the file ----------------------------------------------------------------------------------------------------

    def _begin_file(self, name: str, size: int) -> None:
        """A regular file; ``size`` bytes of data follow."""
        size = self._pax_number("size", size)
        if "GNU.sparse.major" in self._pax:
            version = self._pax.get("GNU.sparse.major"), self._pax.get("GNU.sparse.minor")
            if version != ("1", "0"):
                raise InvalidBundle("The tar holds a sparse file of a version that is not taken.")
            self._begin_pax_sparse(name, size)
            return
        if any(key.startswith("GNU.sparse.") for key in self._pax):
            raise InvalidBundle("The tar holds a sparse file of a version that is not taken.")
        self._set_file(name, size, [_Extent(0, size)])
        self._begin_data(size)

    def _set_file(self, name: str, size: int, extents: list[_Extent]) -> None:
        name = self._pax.get("GNU.sparse.name") or self._pax.get("path") or self._long_name or name
        _check_name(name)
        if not 0 <= size <= self._size_max:
            raise InvalidBundle(f"The image in the tar is larger than {self._size_max} bytes.")
        end = 0
        for extent in extents:
            if extent.offset < end:
                raise InvalidBundle("The tar's sparse map is out of order.")
            end = extent.offset + extent.size
        if end > size:
            raise InvalidBundle("The tar's sparse map goes beyond the file.")
        self._extents = [extent for extent in extents if extent.size]
        self.file = TarFile(name, size)

    def _begin_data(self, size: int) -> None:
        """``size`` bytes of data come: those of the extents."""
        if size != sum(extent.size for extent in self._extents):
            raise InvalidBundle("The tar's sparse map is not that of its data.")
        self._expect(BLOCK, self._take_header)
        self._data_left = size
        self._padding_left = _padding(size)
        if not size:
            self._fill_to_end()

    def _take_data(self, view: memoryview) -> memoryview:
        extent = self._extents[self._extent]
        self._fill(extent.offset)
        count = min(extent.offset + extent.size - self.written, len(view))
        self._write(view[:count])
        self.written += count
        self._data_left -= count
        if self.written == extent.offset + extent.size:
            self._extent += 1
        if not self._data_left:
            self._fill_to_end()
        return view[count:]

    def _fill_to_end(self) -> None:
        assert self.file is not None, "data come behind the file's header"
        self._fill(self.file.size)

    def _fill(self, end: int) -> None:
        """Write the hole from here to ``end``."""
        while self.written < end:
            count = min(end - self.written, len(_ZEROS))
            self._write(memoryview(_ZEROS)[:count])
            self.written += count

    # -- sparse files ------------------------------------------------------------------------------------------------

    def _begin_gnu_sparse(self, block: bytes, size: int) -> None:
        """The old GNU format: four entries in the header, 21 in each block that goes on."""
        if any(key.startswith("GNU.sparse.") for key in self._pax):
            raise InvalidBundle("The tar describes a sparse file in two ways.")  # readers differ in which one counts
        name, real_size = _header_name(block), _number(block[483:495])
        size = self._pax_number("size", size)
        extents = list(_sparse_entries(block[386:482], 4))

        def take(more: bytes) -> None:
            extents.extend(_sparse_entries(more[:504], 21))
            go_on(more[504:505])

        def go_on(is_extended: bytes) -> None:
            if len(extents) > TAR_SPARSE_ENTRIES_MAX:
                raise InvalidBundle("The tar's sparse map has too many entries.")
            if is_extended not in (b"\0", b"0"):
                self._expect(BLOCK, take)
                return
            self._set_file(name, real_size, extents)
            self._begin_data(size)

        go_on(block[482:483])

    def _begin_pax_sparse(self, name: str, size: int) -> None:
        """Version 1.0: the data begin with the map, decimal numbers in lines, padded to a block."""
        real_size = self._pax_number("GNU.sparse.realsize", -1)
        reader = _MapReader()

        def take(block: bytes) -> None:
            reader.feed(block)
            if not reader.complete:
                return
            self._set_file(name, real_size, reader.extents())
            self._begin_data(size - reader.size)

        self._expect(BLOCK, take)

    def _pax_number(self, name: str, default: int) -> int:
        text = self._pax.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= _MAP_LINE_CHARS_MAX):
            raise InvalidBundle("The tar has a header with a number that is none.")
        return int(text)


class _MapReader:
    """The sparse map of version 1.0: a count, then offset and size of each entry, one number a line."""

    def __init__(self) -> None:
        self.size = 0  # bytes of the map, its padding included
        self.complete = False
        self._numbers: list[int] = []
        self._rest = b""

    def feed(self, block: bytes) -> None:
        self.size += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if self.complete:
                return  # the padding
            self._take(line)
        if not self.complete and len(self._rest) > _MAP_LINE_CHARS_MAX:
            raise InvalidBundle("The tar's sparse map is malformed.")

    def _take(self, line: bytes) -> None:
        if not (line.isdigit() and len(line) <= _MAP_LINE_CHARS_MAX):
            raise InvalidBundle("The tar's sparse map is malformed.")
        self._numbers.append(int(line))
        if self._numbers[0] > TAR_SPARSE_ENTRIES_MAX:
            raise InvalidBundle("The tar's sparse map has too many entries.")
        self.complete = len(self._numbers) == 1 + 2 * self._numbers[0]

    def extents(self) -> list[_Extent]:
        numbers = self._numbers[1:]
        return [_Extent(offset, size) for offset, size in zip(numbers[::2], numbers[1::2], strict=True)]


# -- parsing ---------------------------------------------------------------------------------------------------------


def _padding(size: int) -> int:
    return -size % BLOCK


def _check_sum(block: bytes) -> None:
    """The sum of the header's bytes, its own field as spaces; old writers summed signed bytes."""
    stated = _number(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    if stated not in (sum(rest), sum(struct.unpack("512b", rest))):
        raise InvalidBundle("The image is not in a tar, or the tar is damaged.")


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or GNU's base 256 behind a set bit."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not _octal(digits):
        raise InvalidBundle("The tar has a header with a number that is none.")
    return int(digits or b"0", 8)


def _header_name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return name.decode("utf-8", "replace")


def _check_name(name: str) -> None:
    if name.endswith("/"):  # tar of Version 7 marked directories so
        raise InvalidBundle("The tar holds a directory.")
    if not name or "\0" in name:
        raise InvalidBundle("The file in the tar has no name.")
    if name.startswith("/") or ".." in name.split("/"):
        raise InvalidBundle("The file in the tar has a name that leaves its directory.")


def _sparse_entries(table: bytes, count: int) -> Iterable[_Extent]:
    for position in range(0, 24 * count, 24):
        entry = table[position : position + 24]
        if entry == bytes(24):
            return
        yield _Extent(_number(entry[:12]), _number(entry[12:]))


def _parse_pax(body: bytes) -> dict[str, str]:
    """``25 ctime=1084839148.1212\\n`` and so on: length, a space, name, ``=``, value, newline."""
    records = {}
    while body:
        digits, space, _ = body[:6].partition(b" ")
        if not space or not digits.isdigit() or not len(digits) + 3 < int(digits) <= len(body):
            raise InvalidBundle("The tar has a malformed pax header.")
        record, body = body[len(digits) + 1 : int(digits)], body[int(digits) :]
        name, equals, value = record[:-1].partition(b"=")
        if record[-1:] != b"\n" or not equals:
            raise InvalidBundle("The tar has a malformed pax header.")
        records[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return records
