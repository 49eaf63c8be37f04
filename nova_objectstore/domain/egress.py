"""Bodies on their way out: a version's byte range as bytes and runs of files, opened one at a time.

Strategy: the range becomes runs, one for each part that it touches. The first run's data is opened at once, so that
data removed by a racing overwrite is found missing while the answer can still be another; the others when it is their
turn, each closed before the next: an object of 10,000 parts never holds more than one file.

Law: a body yields exactly the bytes asked for, or raises DataMissing or DataCorrupt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import NamedTuple

from nova_objectstore.data.engine import DataEngine, DataReader
from nova_objectstore.errors import DataCorrupt, DataMissing
from nova_objectstore.limits import STREAM_BUFFER
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Content, ContentKind, Version
from nova_wsgi import green
from nova_wsgi.response import FileBody, FileSegment


class _Run(NamedTuple):
    """``size`` bytes, at least one, at ``offset`` of one content, INLINE (with its bytes) or DATA."""

    content: Content
    offset: int
    size: int


class Egress:
    """Opens versions for reading."""

    def __init__(self, meta: MetadataEngine, data: DataEngine, *, buffer: int = STREAM_BUFFER) -> None:
        self._meta = meta
        self._data = data
        self._buffer = buffer

    def open_body(self, version: Version, first: int = 0, last: int | None = None) -> FileBody | tuple[bytes, ...]:
        """The bytes ``first`` to ``last`` (inclusive; None: to the end) as a response body, its first data opened.

        The body is closed by whoever sends it. Raises DataMissing, then or while it is sent: read the metadata again.
        """
        runs = self._find_runs(version, first, version.size - 1 if last is None else last)
        if not runs:
            return ()
        if len(runs) == 1 and runs[0].content.inline is not None:
            return (_inline(runs[0]),)
        length = sum(run.size for run in runs)
        reader = self._open(runs[0])
        segments = self._segments(runs, reader)

        def close() -> None:
            segments.close()
            if reader is not None:  # a generator that nobody has begun runs no finally
                reader.close()

        return FileBody(segments, close, length=length)

    def read(self, version: Version, first: int = 0, last: int | None = None) -> Generator[bytes, None, None]:
        """The same bytes in buffers, read in native threads; opened when they are asked for. Raises DataMissing."""
        runs = self._find_runs(version, first, version.size - 1 if last is None else last)
        while runs:
            run = runs.popleft()
            reader = self._open(run)
            if reader is None:
                yield _inline(run)
            else:
                yield from self._read(reader, run)

    # -- runs --------------------------------------------------------------------------------------------------------

    def _find_runs(self, version: Version, first: int, last: int) -> deque[_Run]:
        size = last - first + 1
        if size <= 0:
            return deque()
        if version.content.kind is ContentKind.PARTS:
            runs = self._find_part_runs(version, first, last)
        else:
            runs = deque((_Run(self._content(version), first, size),))
        if sum(run.size for run in runs) != size:  # replaced between the two reads of the metadata
            raise DataMissing(key=version.key, version_id=version.version_id)
        return runs

    def _find_part_runs(self, version: Version, first: int, last: int) -> deque[_Run]:
        runs = deque[_Run]()
        for part in self._meta.list_content_parts(version, first_byte=first, last_byte=last):
            begin = max(first, part.offset)
            size = min(last + 1, part.offset + part.size) - begin
            if size > 0:
                runs.append(_Run(part.content, begin - part.offset, size))
        return runs

    def _content(self, version: Version) -> Content:
        """The version's content, with its bytes where they lie in the metadata."""
        content = version.content
        if content.kind is ContentKind.INLINE and content.inline is None:
            again = self._meta.get_version(version.bucket_id, version.key, version.version_id, inline=True)
            if again.sequence != version.sequence:
                raise DataMissing(key=version.key, version_id=version.version_id)
            content = again.content
        return content

    # -- data --------------------------------------------------------------------------------------------------------

    def _open(self, run: _Run) -> DataReader | None:
        """The run's data; None when its bytes are at hand."""
        if run.content.kind is ContentKind.INLINE:
            return None
        reader = self._data.open(run.content.ref)
        if run.offset + run.size > reader.size:
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
        if fd is None:
            yield from self._read(reader, run)
            return
        try:
            yield FileSegment(fd, run.offset, run.size)
        finally:
            reader.close()

    def _read(self, reader: DataReader, run: _Run) -> Iterator[bytes]:
        """The run's bytes in buffers; closes the reader."""
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


def _inline(run: _Run) -> bytes:
    assert run.content.inline is not None
    return run.content.inline[run.offset : run.offset + run.size]
