"""The embedded data engine: every ref is a file, in a directory named after the ref's first characters.

Strategy: bytes are written to ``pending/<owner>/<ref>``, this process's own staging directory (``staging.py``). A
commit syncs the file, completes its ref with the digest of the bytes, syncs the staging entry, links the file to
``<xx>/<ref>``, and syncs that directory: whatever the moment of a crash, a file under a final name is whole, and has a
staging entry until its metadata is committed. What is found damaged is moved to ``quarantine/``.

Laws:

- A final name appears by ``link`` alone, after the bytes are on the disk, or comes back from the quarantine; no file is
  ever opened for writing twice.
- A failed ``fsync`` means that the bytes may be lost, whatever a second one says: the write is aborted, never retried.
- A directory is trusted to be durable only by the process that has synced its parent itself.
- ``sync="never"`` leaves out every sync: a killed process still loses nothing, a power failure loses what the
  operating system had not written yet (seconds), acknowledged or not, and may leave files empty or short.

A removal is durable after ``sync_deletions``, which the collector calls before the metadata forgets what it removed; that of
something unsettled, before its staging entry is removed. So no power failure brings back a file that nobody would find.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_objectstore.data.engine import Committed
from nova_objectstore.data.exports import CANNOT_LINK, export_file
from nova_objectstore.data.filesystem import FileSystem, storage_error
from nova_objectstore.data.names import FAN_OUT_CHARS, add_digest, digest_of, is_ref, new_ref, new_twin
from nova_objectstore.data.staging import Staging
from nova_objectstore.errors import DataCorrupt, DataMissing
from nova_objectstore.limits import MiB

STAGING_DIRECTORY = "pending"
QUARANTINE_DIRECTORY = "quarantine"
SYNC_ALWAYS = "always"
SYNC_NEVER = "never"

# Write-back is started this often, so that the final fsync of 5 GiB has little left to wait for: of 512 MiB written
# at the pace of MD5 it took 1 ms instead of 180. An fdatasync each 64 MiB stalled for 40 ms, posix_fallocate won
# nothing.
_WRITEBACK_STEP = 4 * MiB


class FilesEngine:
    """A :class:`~nova_objectstore.data.engine.DataEngine` over the directory ``root``, which must take hard links.

    ``sync`` is ``always`` or ``never`` (see the module). One engine a process: a forked child makes its own.
    """

    def __init__(self, root: str | Path, *, sync: str = SYNC_ALWAYS, filesystem: FileSystem | None = None) -> None:
        if sync not in (SYNC_ALWAYS, SYNC_NEVER):
            raise ValueError(f"sync is {SYNC_ALWAYS!r} or {SYNC_NEVER!r}, not {sync!r}")
        self._fs = filesystem or FileSystem()
        self._durable = sync == SYNC_ALWAYS
        self._root = os.path.abspath(root)
        self._staging = Staging(f"{self._root}/{STAGING_DIRECTORY}", self._fs, sync_directory=self._sync_directory)
        self._directories: set[str] = set()  # fan-out directories whose entry in root is on the disk
        self._doubtful: set[str] = set()
        self._deleted_from: set[str] = set()  # directories whose removals a power failure may undo

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the directories and claim a staging area. Idempotent. Raises StorageFull, StorageFailed. Blocking."""
        try:
            self._make_root(self._root)
            self._sync_directory(os.path.dirname(self._root))
            self._make_directory(f"{self._root}/{STAGING_DIRECTORY}")
            there = self._fs.list_directory(self._root)
            self._sync_directory(self._root)  # after it, what was listed is durable, whoever made it
            self._directories = {f"{self._root}/{name}" for name in there}
            self._staging.claim()
        except OSError as error:
            raise storage_error(error) from error

    def stop(self) -> None:
        """Release the staging area; nothing may be created or committed any more. Idempotent."""
        self._staging.release()

    # -- the port ----------------------------------------------------------------------------------------------------

    def create(self, size_hint: int | None = None) -> FileWriter:
        """Begin new data. Raises StorageFull, StorageFailed. Blocking."""
        assert self._staging.pid in (0, os.getpid()), "a forked process makes its own engine"
        ref = new_ref()
        try:
            return FileWriter(self, ref, self._fs.create(self._staging.path(ref)))
        except OSError as error:
            raise storage_error(error) from error

    def open(self, ref: str) -> FileReader:
        """Open committed data. Raises DataMissing, DataCorrupt (in quarantine), StorageFailed. Blocking, but short."""
        try:
            return FileReader(self._fs, ref, self._fs.open(self._final(ref)))
        except FileNotFoundError:
            raise self._absent(ref) from None
        except OSError as error:
            raise storage_error(error) from error

    def _absent(self, ref: str) -> DataMissing | DataCorrupt:
        """What to say of data that are not under their name. Raises StorageFailed."""
        try:
            quarantined = self._fs.exists(self._quarantined(ref))
        except OSError as error:
            raise storage_error(error) from error
        return DataCorrupt(ref=ref, reason="in quarantine") if quarantined else DataMissing(ref=ref)

    def copy(self, ref: str) -> str | None:
        """A second name for the same bytes: a hard link, staged and published like new data. Blocking.

        None when the file has as many links as the file system allows. Raises DataMissing, StorageFull, StorageFailed.
        """
        twin = new_twin(ref)
        try:
            self._fs.link(self._final(ref), self._staging.path(twin))
            self._publish(twin)
        except FileNotFoundError:
            self._withdraw(twin)
            raise self._absent(ref) from None
        except OSError as error:
            self._withdraw(twin)
            if error.errno in CANNOT_LINK:
                return None
            raise storage_error(error) from error
        return twin

    def adopt(self, path: str | Path) -> str | None:
        """A ref to the bytes of a file that somebody else wrote, by a hard link: durable, unsettled. Blocking.

        Whoever wrote the file must never write it again: the link shares its bytes. None when it lies on another file
        system, or takes no more links. Raises FileNotFoundError, PermissionError, StorageFull, StorageFailed.
        """
        twin = new_ref()
        try:
            fd = self._fs.open(os.fspath(path))
            try:
                if self._durable:
                    self._fs.sync_file(fd)
            finally:
                self._fs.close(fd)
            self._fs.link(os.fspath(path), self._staging.path(twin))
        except OSError as error:
            if error.errno in CANNOT_LINK:
                return None
            if isinstance(error, FileNotFoundError | PermissionError):  # the file's own trouble, not the disk's
                raise
            raise storage_error(error) from error
        try:
            self._publish(twin)
        except OSError as error:
            self._withdraw(twin)
            raise storage_error(error) from error
        return twin

    def delete(self, ref: str) -> None:
        """Remove data, settled or not; nothing when it is gone. Raises StorageFailed. Blocking."""
        if not is_ref(ref):  # never one of ours
            return
        try:
            is_staged = self._staging.has(ref)
            directory = self._unlink(ref)
            if is_staged:  # nobody would find the file if it came back and its entry did not
                self._sync_directory(directory)
        except OSError as error:
            self._doubtful.add(ref)
            raise storage_error(error) from error
        self._deleted_from.add(directory)
        self._unstage(ref)

    def _unlink(self, ref: str) -> str:
        """Remove committed bytes, wherever they are, and answer from where; nothing when gone. Raises OSError."""
        for path in (self._final(ref), self._quarantined(ref)):
            with contextlib.suppress(FileNotFoundError):
                self._fs.unlink(path)
                return os.path.dirname(path)
        return os.path.dirname(self._final(ref))  # a process that died may have removed it, and not synced that

    def sync_deletions(self) -> None:
        """One sync for each directory that something was deleted from. Raises StorageFailed. Blocking."""
        while self._deleted_from:
            directory = self._deleted_from.pop()
            try:
                self._sync_directory(directory)
            except FileNotFoundError:  # somebody tidied empty directories away
                continue
            except OSError as error:
                self._deleted_from.add(directory)
                raise storage_error(error) from error

    def quarantine(self, ref: str) -> bool:
        """Move committed bytes aside; whether they are there. Raises StorageFull, StorageFailed. Blocking."""
        if not is_ref(ref):
            return False
        try:
            self._make_directory(f"{self._root}/{QUARANTINE_DIRECTORY}")
            self._sync_directory(self._root)
            return self._move(self._final(ref), self._quarantined(ref))
        except OSError as error:
            raise storage_error(error) from error

    def release(self, ref: str) -> bool:
        """Give bytes that were moved aside their name again; whether they are there. Raises the same. Blocking."""
        if not is_ref(ref):
            return False
        try:
            self._fan_out(ref)
            return self._move(self._quarantined(ref), self._final(ref))
        except OSError as error:
            raise storage_error(error) from error

    def _move(self, source: str, target: str) -> bool:
        """Rename durably, the new name first; whether the file is under it. Raises OSError."""
        try:
            self._fs.rename(source, target)
        except FileNotFoundError:
            return self._fs.exists(target)
        self._sync_directory(os.path.dirname(target))
        self._sync_directory(os.path.dirname(source))
        return True

    def list_settled(self) -> Iterator[Committed]:
        """All files but those that are staged, one directory after the other. Raises StorageFailed. Blocking."""
        try:
            for directory in sorted(self._fs.list_directory(self._root)):
                if directory == STAGING_DIRECTORY:
                    continue
                yield from self._list_settled(f"{self._root}/{directory}")
        except OSError as error:
            raise storage_error(error) from error

    def _list_settled(self, directory: str) -> Iterator[Committed]:
        try:
            refs = set(filter(is_ref, self._fs.list_directory(directory)))
        except NotADirectoryError:
            return
        # After the files: what is not staged now was settled, and named before that, or is nobody's.
        for ref in sorted(refs - self._staging.list_staged()) if refs else ():
            with contextlib.suppress(FileNotFoundError):
                yield Committed(ref, *self._fs.look(f"{directory}/{ref}"))

    def export(self, ref: str, path: str, *, link: bool) -> int:
        """The same bytes in a new file. Raises DataMissing, DataCorrupt, StorageFull, StorageFailed. Blocking."""
        reader = self.open(ref)
        try:
            source = self._final(ref) if link else None
            if not export_file(self._fs, source, reader.fileno(), path, digest=reader.digest):
                raise DataCorrupt(ref=ref)
            return reader.size
        except OSError as error:
            raise storage_error(error) from error
        finally:
            reader.close()

    def settle(self, refs: Sequence[str]) -> None:
        """Forget the staging entries of ``refs``: one ``unlink`` each. Never raises."""
        for ref in filter(is_ref, refs):
            self._unstage(ref)

    def doubt(self, refs: Sequence[str]) -> None:
        """Tell ``refs`` by ``list_doubtful``, until they are settled or deleted."""
        self._doubtful.update(refs)

    def list_doubtful(self) -> Sequence[str]:
        """What was doubted, and whatever the system refused to remove a part of."""
        return list(self._doubtful)

    def _unstage(self, ref: str) -> None:
        """Forget a staging entry; one that the system refuses to remove makes the ref doubtful. Never raises."""
        if self._staging.remove(ref):
            self._doubtful.discard(ref)
        else:
            self._doubtful.add(ref)

    def list_unsettled(self) -> Iterator[str]:
        """What dead processes of this host committed and did not settle; the caller settles or deletes each.

        What they had not committed is removed. While somebody decides about a dead process's refs, others that look
        are not told them. Raises StorageFailed. Blocking.
        """
        try:
            yield from self._staging.list_unsettled(lambda ref: self._fs.exists(self._final(ref)))
        except OSError as error:
            raise storage_error(error) from error

    # -- names and directories ---------------------------------------------------------------------------------------

    def _final(self, ref: str) -> str:
        if not is_ref(ref):
            raise DataMissing(ref=ref)
        return f"{self._root}/{ref[:FAN_OUT_CHARS]}/{ref}"

    def _quarantined(self, ref: str) -> str:
        return f"{self._root}/{QUARANTINE_DIRECTORY}/{ref}"

    def _publish(self, ref: str) -> None:
        """Give staged bytes, synced before, their final name, durably. Raises OSError."""
        self._staging.sync()
        directory = self._fan_out(ref)
        try:
            self._fs.link(self._staging.path(ref), self._final(ref))
        except FileNotFoundError:  # somebody tidied empty directories away: the next write makes it anew
            self._directories.discard(directory)
            raise
        self._sync_directory(directory)

    def _withdraw(self, ref: str) -> None:
        """Remove whatever there is of a ref whose commit failed. Never raises.

        While the final name cannot be removed the staging entry stays, and the ref is doubtful; should this process die,
        the entry is found.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                self._fs.unlink(self._final(ref))
        except OSError:
            self._doubtful.add(ref)
        else:
            self._unstage(ref)

    def _fan_out(self, ref: str) -> str:
        directory = f"{self._root}/{ref[:FAN_OUT_CHARS]}"
        if directory not in self._directories:
            self._make_directory(directory)
            self._sync_directory(self._root)
            self._directories.add(directory)
        return directory

    def _make_root(self, path: str) -> None:
        """Make ``path`` and what is missing above it, each synced into its parent."""
        if self._fs.exists(path):
            return
        parent = os.path.dirname(path)
        self._make_root(parent)
        self._make_directory(path)
        self._sync_directory(parent)

    def _make_directory(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            self._fs.make_directory(path)

    def _sync_directory(self, path: str) -> None:
        if self._durable:
            self._fs.sync_directory(path)


class FileWriter:
    """Bytes on their way into one file."""

    __slots__ = ("_digest", "_engine", "_fd", "_flushed", "_fs", "_ref", "_size")

    def __init__(self, engine: FilesEngine, ref: str, fd: int) -> None:
        self._engine = engine
        self._fs = engine._fs
        self._ref = ref
        self._digest = new_digest(CRC64NVME)  # PERF: some 20 GiB/s, in the native thread that writes
        self._fd = fd  # -1 when ended
        self._size = 0
        self._flushed = 0  # bytes whose write-back was started

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of ``data``. Raises StorageFull, StorageFailed; only ``abort`` may follow then. Blocking."""
        self._digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                written = self._fs.write(self._fd, rest)
                if written == 0:
                    raise OSError(errno.EIO, "the file takes no more bytes")
                self._size += written
                rest = rest[written:]
        except OSError as error:
            raise storage_error(error) from error
        if self._size - self._flushed >= _WRITEBACK_STEP:
            self._start_writeback()

    def _start_writeback(self) -> None:
        if self._engine._durable:
            with contextlib.suppress(OSError):  # advice: a file system that does not take it is only slower
                self._fs.start_writeback(self._fd, self._flushed, self._size - self._flushed)
        self._flushed = self._size

    def commit(self) -> str:
        """Sync the bytes and publish them under their ref; on a failure nothing is left. Blocking.

        Raises StorageFull, StorageFailed.
        """
        assert self._fd >= 0, "commit or abort ends a writer, once"
        try:
            if self._engine._durable:
                self._fs.sync_file(self._fd)
            self._close()
            self._complete_ref()
            self._engine._publish(self._ref)
        except OSError as error:
            self._give_up()
            raise storage_error(error) from error
        return self._ref

    def _complete_ref(self) -> None:
        whole = add_digest(self._ref, self._digest.digest())
        self._engine._staging.rename(self._ref, whole)
        self._ref = whole

    def abort(self) -> None:
        """Forget everything written; nothing after commit or abort. Never raises. Blocking."""
        if self._fd >= 0:
            self._give_up()

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            self._close()
        self._engine._withdraw(self._ref)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._fs.close(fd)


class FileReader:
    """One stored file, open. Owns its descriptor until ``close``."""

    __slots__ = ("_fd", "_fs", "_ref", "size")

    def __init__(self, filesystem: FileSystem, ref: str, fd: int) -> None:
        self._fs = filesystem
        self._ref = ref
        self._fd = fd
        try:
            self.size = filesystem.size(fd)
        except OSError:
            self.close()
            raise

    @property
    def digest(self) -> bytes | None:
        """The CRC64NVME of what was written; None of files that were taken over unread."""
        return digest_of(self._ref)

    def fileno(self) -> int:
        """The descriptor; its offset 0 is the data's first byte."""
        return self._fd

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``; fewer only at the end of the data. Raises StorageFailed. Blocking."""
        chunks = []
        try:
            while size > 0 and (chunk := self._fs.read(self._fd, offset, size)):
                chunks.append(chunk)
                offset += len(chunk)
                size -= len(chunk)
        except OSError as error:
            raise storage_error(error) from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """Release the descriptor. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # nothing was written through it
                self._fs.close(fd)
