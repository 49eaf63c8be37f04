"""THE DATA ENGINE, the port: where the bytes of larger objects lie.

Laws, for every engine (``tests/nova_objectstore/data`` runs one conformance suite on each):

- A ref is a fresh, unique, opaque name, made by the engine; no object key ever becomes a path or a name here.
- ``DataWriter.commit()`` returns when the bytes are durable under the ref, directory entries included; before it nothing
  can be opened, after ``abort()`` nothing is left.
- Data is immutable: there is no overwriting, only ``create`` and ``delete``.
- The CRC64NVME of what was written is known for good (``DataReader.digest``): whoever reads data as a whole can tell
  whether they are what was written. The engine itself checks nothing when data are read.
- What is in quarantine is kept and counts as there, but opening or copying it raises ``DataCorrupt``.
- A ref that was committed stays *unsettled* until ``settle``: the caller settles it when the metadata that names it is
  committed. What dead processes left unsettled is told by ``list_unsettled``, for the caller to keep or delete.
- A ref is *doubtful* when a caller says so, for it could not learn whether the metadata names it, and when the engine could
  not remove something of it. It stays so until it is settled.
- Calls marked *blocking* belong in a native thread (``green.run_native``): they touch the disk and may wait for it.
- Failures are ``errors.StorageFull``, ``errors.StorageFailed``, ``errors.DataMissing``, ``errors.DataCorrupt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class Committed(NamedTuple):
    """Data that lie in the engine, settled, in quarantine or not."""

    ref: str
    size: int
    changed_us: int  # when they got their name, or changed it


class DataWriter(Protocol):
    """Bytes on their way in. Exactly one of commit and abort ends it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Blocking."""

    def commit(self) -> str:
        """Make the bytes durable and answer their ref. Blocking."""

    def abort(self) -> None:
        """Forget everything written. Blocking; never raises for what is already gone."""


class DataReader(Protocol):
    """Bytes on their way out. ``size`` is that of the stored data."""

    size: int

    @property
    def digest(self) -> bytes | None:
        """The CRC64NVME of all of them as they were written (8 bytes, big-endian); None where nobody computed it."""

    def fileno(self) -> int | None:
        """A descriptor whose offset 0 is the data's first byte, for sendfile; None where the engine has no files."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``; fewer only at the end of the data. Blocking."""

    def close(self) -> None:
        """Release it. Idempotent."""


class DataEngine(Protocol):
    """create -> writer; open -> reader; delete."""

    def start(self) -> None:
        """Make the place ready and claim this process's own staging area. Idempotent. Blocking."""

    def stop(self) -> None:
        """Release the staging area. Idempotent."""

    def create(self, size_hint: int | None = None) -> DataWriter:
        """Begin new data; ``size_hint`` bytes are expected when it is known. Blocking."""

    def open(self, ref: str) -> DataReader:
        """Open committed data. Raises DataMissing; DataCorrupt for what is in quarantine. Blocking, but short."""

    def copy(self, ref: str) -> str | None:
        """A second, durable, unsettled ref to the same bytes without moving them; None where the engine can't. Blocking."""

    def delete(self, ref: str) -> None:
        """Remove data; readers that have it open go on. Nothing when it is gone already. Blocking."""

    def sync_deletions(self) -> None:
        """Make what this process has deleted durable: until then a power failure may bring settled data back. Blocking."""

    def quarantine(self, ref: str) -> bool:
        """Keep the data from being read, durably, until ``release`` or ``delete``; whether they are there. Blocking."""

    def release(self, ref: str) -> bool:
        """Let data that are in quarantine be read again; whether they were. Blocking."""

    def settle(self, refs: Sequence[str]) -> None:
        """The metadata that names ``refs`` is committed. Cheap; losing it in a crash costs only a check at the next start."""

    def doubt(self, refs: Sequence[str]) -> None:
        """Whether the metadata names ``refs`` could not be learnt: ``list_doubtful`` tells them until they are settled."""

    def list_doubtful(self) -> Sequence[str]:
        """The doubtful refs of this process."""

    def list_settled(self) -> Iterable[Committed]:
        """All data but those that are unsettled when it comes to them: whatever it tells had been settled, or was given up.

        Blocking, between two of them too.
        """

    def export(self, ref: str, path: str, *, link: bool) -> int:
        """The same bytes in a new file, which must not exist, durable but for its name; answer how many.

        A hard link where ``link`` allows it and it can be, else a copy that is compared with the digest. Blocking.
        Raises DataMissing, DataCorrupt, StorageFull, StorageFailed (of this engine, or of where ``path`` is).
        """

    def list_unsettled(self) -> Iterable[str]:
        """Refs that processes which are no more left unsettled, and remove what they had not even committed. Blocking."""
