"""Bodies on their way in: received by a greenthread, hashed and written by a native thread, durable at the end.

Strategy: what fits into a metadata row is kept in memory. What is larger goes through buffers: while one is hashed and
written in a native thread, in one job, the next is received. A buffer is the list of the pieces that have arrived, so
that a slow upload holds no memory for what it has not sent. A body that is to be encrypted is sealed in the same job,
between hashing and writing: digests and sizes are those of the plaintext.

Laws:

- At most two buffers of ``buffer`` bytes (and a piece) belong to an upload, however large it is.
- The verdict on the body (its length, its digests) comes after the last byte and before the data is committed.
- Whatever ends an upload early, a kill of its greenthread included, leaves nothing behind: see :class:`_Upload`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.crypto.frames import DataKey, FrameSealer, seal_whole, stored_size
from nova_objectstore.data.engine import DataEngine, DataWriter
from nova_objectstore.domain.bodies import Hasher
from nova_objectstore.errors import EntityTooLarge, IncompleteBody, StoreError
from nova_objectstore.limits import INLINE_SIZE_MAX, PUT_SIZE_MAX, STREAM_BUFFER, KiB
from nova_objectstore.types import DATA, INLINE, Content, new_tuple
from nova_wsgi import green

_native_thread = green.original("_thread")

PIECE_SIZE = 128 * KiB  # bytes asked of the source at once: small enough to give memory back, large enough to hash
HUB_HASH_MAX = 32 * KiB  # up to here hashing takes less time than handing it to a thread and waking up again

Pieces = list[bytes]


class Source(Protocol):
    """A body: a WSGI input, a decoder over one, a stored object."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end. Waits without blocking the hub; raises what is wrong."""
        ...


class Place(Protocol):
    """Where a body goes: a storage class."""

    @property
    def data(self) -> DataEngine:
        """Where larger bodies lie."""
        ...

    @property
    def inline_size_max(self) -> int:
        """Bodies up to this many bytes lie in the metadata."""
        ...


class DefaultPlace(NamedTuple):
    """The place of what says no other."""

    data: DataEngine
    inline_size_max: int


class Stored(NamedTuple):
    """A body that was taken in. DATA is durable and unsettled: the caller names it in the metadata, or deletes it.

    ``size`` is that of the body; sealed, it takes up more (``crypto.frames.stored_size``).
    """

    content: Content
    size: int


class Ingest:
    """Takes bodies in. ``size_max`` bounds every body, whether its length was told or not."""

    def __init__(
        self,
        data: DataEngine,
        *,
        inline_size_max: int = INLINE_SIZE_MAX,
        buffer: int = STREAM_BUFFER,
        size_max: int = PUT_SIZE_MAX,
    ) -> None:
        self._place = DefaultPlace(data, inline_size_max)
        self._buffer = buffer
        self._size_max = size_max

    def store(
        self,
        source: Source,
        *,
        size: int | None = None,
        hashers: Sequence[Hasher] = (),
        verify: Callable[[], None] | None = None,
        key: DataKey | None = None,
        place: Place | None = None,
    ) -> Stored:
        """Read ``source`` to its end and keep its bytes; update ``hashers`` with all of them, in order.

        They lie where ``place`` says, by default in the engine and the rows of STANDARD. With a ``key``, which nothing
        else was sealed with, they are kept sealed. ``size`` is the length that was promised, if one was. ``verify`` is
        called after the last byte, on the hub's thread, and may refuse the body by raising. Raises IncompleteBody
        (another length than promised), EntityTooLarge, StorageFull, StorageFailed, and what ``source`` and ``verify``
        raise; nothing is kept then.
        """
        place = place or self._place
        intake = _Intake(source, size, self._size_max)
        pieces = intake.fill(max(self._buffer, place.inline_size_max + 1))  # one byte more tells what fits into a row
        if not intake.ended:
            return self._stream(_Upload(place.data, hashers, intake.size, key), intake, pieces, verify)
        update_all(hashers, pieces, intake.total)
        intake.check(verify)
        if intake.total <= place.inline_size_max:
            body = b"".join(pieces) if key is None else self._seal(key, intake.total, pieces)
            content = new_tuple(Content, (INLINE, "", body))
            return new_tuple(Stored, (content, intake.total))
        with _Upload(place.data, (), intake.total, key) as upload:
            return Stored(upload.finish(pieces), intake.total)

    def _seal(self, key: DataKey, total: int, pieces: Pieces) -> bytes:
        if total <= HUB_HASH_MAX:
            return seal_whole(key, pieces)
        return green.run_native(seal_whole, key, pieces)

    def _stream(self, upload: _Upload, intake: _Intake, pieces: Pieces, verify: Callable[[], None] | None) -> Stored:
        with upload:
            while pieces:
                upload.push(pieces)
                pieces = intake.fill(self._buffer)
            upload.drain()
            intake.check(verify)
            return Stored(upload.finish([]), intake.total)


class _Intake:
    """Counts a source's bytes against what was promised and what is allowed."""

    __slots__ = ("_size_max", "_source", "ended", "size", "total")

    def __init__(self, source: Source, size: int | None, size_max: int) -> None:
        self._source = source
        self._size_max = size_max
        self.size = size
        self.total = 0
        self.ended = False

    def fill(self, wanted: int) -> Pieces:
        """The next pieces, ``wanted`` bytes together; fewer at the end, which sets ``ended``."""
        pieces: Pieces = []
        while wanted > 0 and not self.ended:
            # PERF: exactly what is to come first, so that a source need not look for more; then one byte too many
            left = wanted if self.size is None else self.size - self.total or 1
            piece = self._source.read(min(wanted, left, PIECE_SIZE))
            if piece:
                pieces.append(piece)
                wanted -= len(piece)
                self._count(len(piece))
            else:
                self.ended = True
        return pieces

    def _count(self, count: int) -> None:
        self.total += count
        if self.size is not None and self.total > self.size:
            raise IncompleteBody("the body is longer than its stated length")
        if self.total > self._size_max:
            raise EntityTooLarge(proposed_size=self.total, max_size_allowed=self._size_max)

    def check(self, verify: Callable[[], None] | None) -> None:
        """Judge the whole body. Raises IncompleteBody, and what ``verify`` raises."""
        if self.size is not None and self.total != self.size:
            raise IncompleteBody
        if verify is not None:
            verify()


class _Upload:
    """One upload's native side. Its jobs exclude each other by a native lock, whatever threads they run in.

    So that a greenthread that is killed while a job runs may hand in ``_give_up`` and be gone: it waits for the job,
    deletes what the job did, a commit too, and later jobs find the upload given up.
    """

    __slots__ = ("_data", "_given_up", "_hashers", "_job", "_lock", "_ref", "_sealer", "_size", "_writer")

    def __init__(self, data: DataEngine, hashers: Sequence[Hasher], size: int | None, key: DataKey | None) -> None:
        self._data = data
        self._hashers = hashers
        self._sealer = FrameSealer(key) if key is not None else None
        self._size = size if key is None or size is None else stored_size(size)
        self._lock = _native_thread.allocate_lock()
        self._writer: DataWriter | None = None
        self._ref = ""
        self._given_up = False
        self._job: green.Completion[None] | None = None

    def __enter__(self) -> _Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            green.run_native(self._give_up)

    # -- the greenthread's side ------------------------------------------------------------------------------------

    def push(self, pieces: Pieces) -> None:
        """Have ``pieces`` hashed, written and emptied; return when those before them are, and raise what went wrong."""
        self.drain()
        self._job = green.submit_native(self._take, pieces)

    def drain(self) -> None:
        """Wait for what was pushed. Raises StorageFull, StorageFailed."""
        job, self._job = self._job, None
        if job is not None:
            job.wait()

    def finish(self, pieces: Pieces) -> Content:
        """Write the last pieces and make all durable. Raises StorageFull, StorageFailed."""
        green.run_native(self._commit, pieces)
        return Content(DATA, self._ref)

    # -- in native threads -----------------------------------------------------------------------------------------

    def _take(self, pieces: Pieces) -> None:
        with self._lock:
            if not self._given_up:
                _update(self._hashers, pieces)
                self._write(pieces)
            pieces.clear()  # frames above, of this thread and of the greenthread, still name the list

    def _write(self, pieces: Pieces) -> DataWriter:
        if self._writer is None:
            self._writer = self._data.create(self._size)
        for piece in pieces if self._sealer is None else self._sealer.update(pieces):
            self._writer.write(piece)
        return self._writer

    def _commit(self, pieces: Pieces) -> None:
        with self._lock:
            if not self._given_up:
                writer = self._write(pieces)
                if self._sealer is not None:
                    writer.write(self._sealer.finish())
                self._ref = writer.commit()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            if self._ref:
                _delete(self._data, self._ref)
            elif self._writer is not None:
                self._writer.abort()


def update_all(hashers: Sequence[Hasher], pieces: Pieces, total: int) -> None:
    """Update each of ``hashers`` with ``pieces``, ``total`` bytes together: in a native thread where there are many."""
    if total <= HUB_HASH_MAX:
        _update(hashers, pieces)
    else:
        green.run_native(_update, hashers, pieces)


def _update(hashers: Sequence[Hasher], pieces: Pieces) -> None:
    for piece in pieces:
        for hasher in hashers:
            hasher.update(piece)


def _delete(data: DataEngine, ref: str) -> None:
    try:
        data.delete(ref)
    except StoreError:
        return  # it stays unsettled: the next start finds it, and the metadata will not know it
