"""Bodies on their way out: a version's byte range as bytes and runs of files, opened one at a time.

Strategy: the range becomes runs, one for each part that it touches. The first run's data is opened at once, so that
data removed by a racing overwrite is found missing while the answer can still be another; the others when it is their
turn, each closed before the next: an object of 10,000 parts never holds more than one file.

Encrypted bytes are read and opened in native threads, a buffer of frames at a time. The first buffer is opened before
the answer begins, so that a small object that was damaged is an error and not a broken answer.

Laws:

- A body yields exactly the bytes asked for, or raises DataMissing or DataCorrupt.
- Sealed bytes are authenticated frame by frame. Small plain bodies are checked against their checksum at every read.
  Plain data that pass through Python as a whole (copies, moves, a reader without a descriptor) are checked against the
  digest that they were written with, their last buffer held back until it fits. What ``sendfile`` sends is not seen by
  anybody: ``verifies`` gives it up and checks such reads too; without it they are the scrubber's (jobs/scrub.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, Protocol

from nova_objectstore.checksums import CRC64NVME, Digest, new_digest
from nova_objectstore.crypto.frames import FRAME_SIZE, DataKey, FrameOpener, FrameRun, open_whole, stored_size
from nova_objectstore.data.engine import DataEngine, DataReader
from nova_objectstore.domain.bucket_encryption import CustomerKey
from nova_objectstore.domain.encryption import Encryption, key_of_part
from nova_objectstore.domain.intact import check_body
from nova_objectstore.errors import DataCorrupt, DataMissing
from nova_objectstore.limits import STREAM_BUFFER, KiB, MiB
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import INLINE, PARTS, Content, Version
from nova_wsgi import green
from nova_wsgi.response import FileBody, FileSegment

INTACT_MAX = 1024  # bodies known to be intact
INTACT_BYTES_MAX = 2 * MiB
HUB_OPEN_MAX = 32 * KiB  # up to here opening takes less time than handing it to a thread and waking up again


class _Run(NamedTuple):
    """``size`` bytes, at least one, at ``offset`` of the ``total`` ones of one content, INLINE (with its bytes) or DATA.

    With a ``key`` the content is sealed; the three numbers are the plaintext's.
    """

    content: Content
    offset: int
    size: int
    total: int
    key: DataKey | None


class Archives(Protocol):
    """What knows which versions must be restored before they are read."""

    @property
    def archives(self) -> frozenset[str]:
        """Their storage classes."""
        ...

    def find_readable(self, version: Version) -> Version:
        """The version with its restored copy as its content. Raises InvalidObjectState."""
        ...


class _NoArchives:
    archives: frozenset[str] = frozenset()

    def find_readable(self, version: Version) -> Version:
        return version


NO_ARCHIVES = _NoArchives()


class Egress:
    """Opens versions for reading; archived ones only while they are restored, whoever asks."""

    def __init__(
        self,
        meta: MetadataEngine,
        data: DataEngine,
        encryption: Encryption,
        *,
        restores: Archives = NO_ARCHIVES,
        verifies: bool = False,
        buffer: int = STREAM_BUFFER,
    ) -> None:
        self._verifies = verifies
        self._restores = restores
        self._archives = restores.archives
        self._meta = meta
        self._data = data
        self._encryption = encryption
        self._buffer = buffer
        self._intact: dict[int, bytes] = {}  # bodies that were checked, by id(); they live as long as they are here
        self._intact_bytes = 0
        self._frames_max = max(1, buffer // FRAME_SIZE)

    def open_body(
        self, version: Version, first: int = 0, last: int | None = None, *, customer: CustomerKey | None = None
    ) -> FileBody | tuple[bytes, ...]:
        """The bytes ``first`` to ``last`` (inclusive; None: to the end) as a response body, its first data opened.

        The body is closed by whoever sends it. Raises DataMissing, then or while it is sent: read the metadata again.
        DataCorrupt where bytes are not what was written. Of an encrypted version also NoSuchKmsKey, KmsKeyDisabled, and
        InvalidRequest where ``customer`` is missing, wrong or too much; of an archived one InvalidObjectState.
        """
        version = self.find_readable(version)
        last = version.size - 1 if last is None else last
        inline = version.content.inline
        if inline is not None and not version.extra and customer is None:
            # PERF: a small object that is not encrypted, its bytes at hand
            self._check_inline(inline, version)
            body = inline if first == 0 and last + 1 == len(inline) else inline[first : last + 1]
            return (body,) if body else ()
        runs = self._find_runs(version, first, last, customer)
        if not runs:
            return ()
        if len(runs) == 1 and runs[0].content.inline is not None:
            return (_inline(runs[0]),)
        length = sum(run.size for run in runs)
        is_checked = runs[0].key is not None or self._verifies
        reader = self._open(runs[0])
        pieces = self._segments(runs, reader)
        segments: Iterable[FileSegment | bytes] = chain((next(pieces),), pieces) if is_checked else pieces

        def close() -> None:
            pieces.close()
            if reader is not None:  # a generator that nobody has begun runs no finally
                reader.close()

        return FileBody(segments, close, length=length)

    def read(
        self, version: Version, first: int = 0, last: int | None = None, *, customer: CustomerKey | None = None
    ) -> Generator[bytes, None, None]:
        """The same bytes in buffers, read in native threads; opened when they are asked for. Raises the same."""
        version = self.find_readable(version)
        runs = self._find_runs(version, first, version.size - 1 if last is None else last, customer)
        while runs:
            run = runs.popleft()
            reader = self._open(run)
            if reader is None:
                yield _inline(run)
            else:
                yield from self._read(reader, run)

    def _check_inline(self, inline: bytes, version: Version) -> None:
        """Make sure that a body is what was written: once, if the metadata engine hands out the same bytes again."""
        # PERF: the check takes some microseconds
        if self._intact.get(id(inline)) is inline:
            return
        check_body(inline, version)
        if len(self._intact) >= INTACT_MAX or self._intact_bytes > INTACT_BYTES_MAX:
            self._intact.clear()
            self._intact_bytes = 0
        self._intact[id(inline)] = inline
        self._intact_bytes += len(inline)

    def find_readable(self, version: Version) -> Version:
        """The version with the content that may be read: of an archived one its restored copy. Raises InvalidObjectState."""
        return self._restores.find_readable(version) if version.storage_class in self._archives else version

    # -- runs --------------------------------------------------------------------------------------------------------

    def _find_runs(self, version: Version, first: int, last: int, customer: CustomerKey | None) -> deque[_Run]:
        key = None
        if version.extra or customer is not None:
            key = self._encryption.open(version.extra, customer)
        size = last - first + 1
        if size <= 0:
            return deque()
        if version.content.kind is PARTS:
            runs = self._find_part_runs(version, first, last, key)
        else:
            content = self._content(version)
            if content.inline is not None and key is None:
                check_body(content.inline, version)
            runs = deque((_Run(content, first, size, version.size, key),))
        if sum(run.size for run in runs) != size:  # replaced between the two reads of the metadata
            raise DataMissing(key=version.key, version_id=version.version_id)
        return runs

    def _find_part_runs(self, version: Version, first: int, last: int, object_key: DataKey | None) -> deque[_Run]:
        runs = deque[_Run]()
        for part in self._meta.list_content_parts(version, first_byte=first, last_byte=last):
            begin = max(first, part.offset)
            size = min(last + 1, part.offset + part.size) - begin
            if size > 0:
                if part.content.inline is not None and object_key is None:
                    check_body(part.content.inline, part)
                key = None if object_key is None else key_of_part(object_key, part.extra)
                runs.append(_Run(part.content, begin - part.offset, size, part.size, key))
        return runs

    def _content(self, version: Version) -> Content:
        """The version's content, with its bytes where they lie in the metadata."""
        content = version.content
        if content.kind is INLINE and content.inline is None:
            again = self._meta.get_version(version.bucket_id, version.key, version.version_id, inline=True)
            if again.sequence != version.sequence:
                raise DataMissing(key=version.key, version_id=version.version_id)
            content = again.content
        return content

    # -- data --------------------------------------------------------------------------------------------------------

    def _open(self, run: _Run) -> DataReader | None:
        """The run's data; None when its bytes are at hand."""
        if run.content.kind is INLINE:
            return None
        reader = self._data.open(run.content.ref)
        if run.offset + run.size > reader.size or (run.key and reader.size != stored_size(run.total)):
            reader.close()
            raise DataCorrupt(ref=run.content.ref)
        return reader

    def _segments(self, runs: deque[_Run], reader: DataReader | None) -> Generator[FileSegment | bytes, None, None]:
        """Each run in its turn; ``reader`` is the first one's."""
        while runs:
            run = runs.popleft()
            if reader is None:
                yield _inline(run)
            else:
                yield from self._send(reader, run)
            reader = self._open(runs[0]) if runs else None

    def _send(self, reader: DataReader, run: _Run) -> Iterator[FileSegment | bytes]:
        fd = reader.fileno()
        if fd is None or run.key is not None or (self._verifies and _is_whole(run, reader)):
            yield from self._read(reader, run)
            return
        try:
            yield FileSegment(fd, run.offset, run.size)
        finally:
            reader.close()

    def _read(self, reader: DataReader, run: _Run) -> Iterator[bytes]:
        """The run's bytes in buffers; closes the reader."""
        if run.key is not None:
            return self._read_sealed(reader, run, run.key)
        if _is_whole(run, reader):
            return self._read_whole(reader, run)
        return self._read_plain(reader, run)

    def _read_whole(self, reader: DataReader, run: _Run) -> Iterator[bytes]:
        """All bytes of plain data, the last buffer when they are known to be what was written."""
        digest = new_digest(CRC64NVME)
        offset = 0
        try:
            while offset < run.size:
                data = green.run_native(_read_digesting, reader, digest, offset, min(self._buffer, run.size - offset))
                offset += len(data)
                if not data or (offset == run.size and digest.digest() != reader.digest):
                    raise DataCorrupt(ref=run.content.ref)
                yield data
        finally:
            reader.close()

    def _read_plain(self, reader: DataReader, run: _Run) -> Iterator[bytes]:
        offset, end = run.offset, run.offset + run.size
        try:
            while offset < end:
                data = green.run_native(reader.read, offset, min(self._buffer, end - offset))
                if not data:
                    raise DataCorrupt(ref=run.content.ref)
                offset += len(data)
                yield data
        finally:
            reader.close()

    def _read_sealed(self, reader: DataReader, run: _Run, key: DataKey) -> Iterator[bytes]:
        opener = FrameOpener(key, run.total, name=run.content.ref)
        try:
            for frames in opener.runs(run.offset, run.size, frames_max=self._frames_max):
                opened = green.run_native(_open_frames, reader, opener, frames)
                yield from opener.cut(frames, opened, run.offset, run.size)
        finally:
            reader.close()


def _is_whole(run: _Run, reader: DataReader) -> bool:
    """Whether the run is all of plain data whose digest is known."""
    return run.size == reader.size and reader.digest is not None


def _read_digesting(reader: DataReader, digest: Digest, offset: int, size: int) -> bytes:
    data = reader.read(offset, size)
    digest.update(data)
    return data


def _open_frames(reader: DataReader, opener: FrameOpener, frames: FrameRun) -> list[bytes]:
    return opener.open(frames, reader.read(frames.offset, frames.size))


def _inline(run: _Run) -> bytes:
    content = run.content.inline
    assert content is not None
    if run.key is None:
        return content[run.offset : run.offset + run.size]
    if run.total <= HUB_OPEN_MAX:
        opened = open_whole(run.key, content, run.total)
    else:
        opened = green.run_native(open_whole, run.key, content, run.total)
    return opened[run.offset : run.offset + run.size]
