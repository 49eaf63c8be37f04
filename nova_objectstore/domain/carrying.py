"""Carrying: stored bytes from one place to another, as they are.

Strategy: a step at a time in a native thread, which reads a buffer and writes it; nothing is held between steps. Who
carries much is asked between them whether to go on (``on_step``), and renews a lease there.

Laws:

- What is made is durable and unsettled; the caller names it in the metadata and settles it, or discards it.
- What is damaged is not carried on: it would get a digest that fits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_objectstore.data.engine import DataEngine, DataReader, DataWriter
from nova_objectstore.errors import DataCorrupt, StoreError
from nova_objectstore.limits import STREAM_BUFFER, MiB
from nova_objectstore.types import Content, ContentKind
from nova_wsgi import green

_native_thread = green.original("_thread")

STEP = 8 * MiB  # some tens of milliseconds in a thread that others wait for


def go_on() -> None:
    """Where nobody need be asked."""


class Carrier:
    """Carries contents from wherever they lie. ``data`` opens every ref."""

    def __init__(self, data: DataEngine) -> None:
        self._data = data

    def carry(self, content: Content, target: DataEngine, *, on_step: Callable[[], None] = go_on) -> Content:
        """The same bytes in ``target``: DATA, durable and unsettled. ``content`` is DATA, or INLINE with its bytes.

        Raises DataMissing, DataCorrupt, StorageFull, StorageFailed, and what ``on_step`` raises; nothing is kept then.
        """
        with _Load(target) as load:
            if content.kind is ContentKind.INLINE:
                assert content.inline is not None, "inline content comes with its bytes"
                green.run_native(load.write, content.inline)
            else:
                assert content.kind is ContentKind.DATA, content.kind
                size = green.run_native(load.open_source, self._data, content.ref)
                for offset in range(0, size, STEP):
                    green.run_native(load.copy, offset, min(STEP, size - offset))
                    on_step()
            on_step()  # making it durable may take long
            return Content(ContentKind.DATA, green.run_native(load.commit))

    def settle(self, contents: Sequence[Content]) -> None:
        """The metadata names them now."""
        self._data.settle([content.ref for content in contents])

    def doubt(self, contents: Sequence[Content]) -> None:
        """Whether the metadata names them could not be learnt."""
        self._data.doubt([content.ref for content in contents])

    def discard(self, contents: Sequence[Content]) -> None:
        """No version will ever name them."""
        for content in contents:
            with contextlib.suppress(StoreError):  # it is doubtful then: the collector finds that nothing names it
                green.run_native(self._data.delete, content.ref)


class _Load:
    """New data being written. Its steps run in native threads and exclude each other.

    A greenthread that is killed while a step runs may leave at once: ``_give_up`` waits for the step, removes what was
    written, a commit too, and later steps do nothing.
    """

    def __init__(self, target: DataEngine) -> None:
        self._target = target
        self._lock = _native_thread.allocate_lock()
        self._digest = new_digest(CRC64NVME)
        self._reader: DataReader | None = None
        self._writer: DataWriter | None = None
        self._ref = ""
        self._given_up = False

    def __enter__(self) -> _Load:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            green.run_native(self._give_up)

    # -- in native threads -------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        with self._lock:
            if not self._given_up:
                self._open(len(data)).write(data)

    def open_source(self, data: DataEngine, ref: str) -> int:
        with self._lock:
            if self._given_up:
                return 0
            self._reader = data.open(ref)
            self._open(self._reader.size)
            return self._reader.size

    def copy(self, offset: int, size: int) -> None:
        with self._lock:
            if self._given_up:
                return
            assert self._reader is not None, "the source is opened first"
            end = offset + size
            while offset < end:
                data = self._reader.read(offset, min(STREAM_BUFFER, end - offset))
                if not data:
                    raise DataCorrupt("stored data became shorter while they were read")
                self._digest.update(data)
                self._open(end).write(data)
                offset += len(data)

    def commit(self) -> str:
        with self._lock:
            if not self._given_up:
                if self._reader is not None and self._reader.digest not in (None, self._digest.digest()):
                    raise DataCorrupt("stored data are not what was written")
                self._close_source()
                self._ref = self._open(0).commit()
            return self._ref

    def _open(self, size: int) -> DataWriter:
        if self._writer is None:
            self._writer = self._target.create(size)
        return self._writer

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            self._close_source()
            if self._ref:
                with contextlib.suppress(StoreError):  # it stays unsettled: the next start finds that nothing names it
                    self._target.delete(self._ref)
            elif self._writer is not None:
                self._writer.abort()

    def _close_source(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
