"""File systems for the file engine's tests: one that fails the n-th call, one that knows what a power cut leaves."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.filesystem import FileSystem
from nova_objectstore.data.names import is_ref


class FaultyFileSystem(FileSystem):
    """Counts its calls; the ``fail_at``-th (from 1) raises ``error``, and with ``sticky`` all after it too."""

    def __init__(self, *, write_max: int | None = None) -> None:
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.error = errno.EIO
        self.sticky = False
        self.write_max = write_max
        self.locks: list[int] = []

    def fail(self, at: int, *, error: int, sticky: bool = False) -> None:
        self.calls.clear()
        self.fail_at, self.error, self.sticky = at, error, sticky

    def heal(self) -> None:
        self.fail_at = None

    def release_locks(self) -> None:
        """What the kernel does when the process that took them dies."""
        for fd in self.locks:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.locks.clear()

    def _step(self, call: str) -> None:
        self.calls.append(call)
        if self.fail_at is not None:
            count = len(self.calls)
            if count == self.fail_at or (self.sticky and count > self.fail_at):
                raise OSError(self.error, f"injected at {call}")

    def create(self, path):
        self._step("create")
        return super().create(path)

    def open(self, path):
        self._step("open")
        return super().open(path)

    def size(self, fd):
        self._step("size")
        return super().size(fd)

    def read(self, fd, offset, size):
        self._step("read")
        return super().read(fd, offset, size)

    def write(self, fd, data):
        self._step("write")
        return super().write(fd, data[: self.write_max])

    def start_writeback(self, fd, offset, size):
        self._step("start_writeback")
        super().start_writeback(fd, offset, size)

    def sync_file(self, fd):
        self._step("sync_file")  # and no more: no test cuts the power, and a real sync takes long

    def close(self, fd):
        if fd in self.locks:
            self.locks.remove(fd)
        super().close(fd)  # Linux releases the descriptor even when close fails
        self._step("close")

    def exists(self, path):
        self._step("exists")
        return super().exists(path)

    def link(self, source, target):
        self._step("link")
        super().link(source, target)

    def rename(self, source, target):
        self._step("rename")
        super().rename(source, target)

    def unlink(self, path):
        self._step("unlink")
        super().unlink(path)

    def make_directory(self, path):
        self._step("make_directory")
        super().make_directory(path)

    def remove_directory(self, path):
        self._step("remove_directory")
        super().remove_directory(path)

    def list_directory(self, path):
        self._step("list_directory")
        return super().list_directory(path)

    def sync_directory(self, path):
        self._step("sync_directory")

    def try_lock(self, path):
        self._step("try_lock")
        fd = super().try_lock(path)
        if fd is not None:
            self.locks.append(fd)
        return fd


@dataclass
class Inode:
    """A file: bytes written, and how many of them a sync has made durable."""

    size: int = 0
    durable_size: int = 0


@dataclass
class Disk:
    """What is there now, and what would be there after a power cut that keeps nothing but what was synced."""

    entries: dict[str, Inode] = field(default_factory=dict)
    durable: dict[str, Inode] = field(default_factory=dict)

    def survives(self, path: str, root: str) -> Inode | None:
        """The file or directory under ``path`` after a power cut; its directories must survive too."""
        above = os.path.dirname(path)
        if above != root and self.survives(above, root) is None:
            return None
        return self.durable.get(path)


class RecordingFileSystem(FileSystem):
    """Keeps a :class:`Disk` in step with the real one and calls ``after_call(name)`` behind every call."""

    def __init__(self, after_call=lambda name: None) -> None:
        self.disk = Disk()
        self.after_call = after_call
        self._open: dict[int, Inode] = {}

    def create(self, path):
        fd = super().create(path)
        self._open[fd] = self.disk.entries[path] = Inode()
        self.after_call("create")
        return fd

    def write(self, fd, data):
        written = super().write(fd, data)
        self._open[fd].size += written
        self.after_call("write")
        return written

    def sync_file(self, fd):
        inode = self._open[fd]
        inode.durable_size = inode.size
        self.after_call("sync_file")

    def close(self, fd):
        self._open.pop(fd, None)
        super().close(fd)

    def link(self, source, target):
        super().link(source, target)
        self.disk.entries[target] = self.disk.entries[source]
        self.after_call("link")

    def rename(self, source, target):
        super().rename(source, target)
        self.disk.entries[target] = self.disk.entries.pop(source)
        self.after_call("rename")

    def unlink(self, path):
        super().unlink(path)
        self.disk.entries.pop(path, None)
        self.after_call("unlink")

    def make_directory(self, path):
        super().make_directory(path)
        self.disk.entries[path] = Inode()
        self.after_call("make_directory")

    def remove_directory(self, path):
        super().remove_directory(path)
        self.disk.entries.pop(path, None)
        self.after_call("remove_directory")

    def sync_directory(self, path):
        for known in list(self.disk.durable):
            if os.path.dirname(known) == path and known not in self.disk.entries:
                del self.disk.durable[known]
        self.disk.durable.update({e: i for e, i in self.disk.entries.items() if os.path.dirname(e) == path})
        self.after_call("sync_directory")


def stored_files(root) -> Iterator[str]:
    """The refs of all files under final names."""
    for directory in os.listdir(root):
        if directory not in ("pending", "quarantine"):
            yield from os.listdir(os.path.join(root, directory))


def check_state(root, named: dict[str, bytes]) -> None:
    """Recover as a fresh process would; then exactly ``named``, the metadata's word, is there, whole."""
    engine = FilesEngine(root, sync="never")
    engine.start()
    for ref in list(engine.list_unsettled()):
        if ref in named:
            engine.settle([ref])
        else:
            engine.delete(ref)
    for ref, content in named.items():
        reader = engine.open(ref)
        assert reader.size == len(content)
        assert reader.read(0, len(content) + 1) == content
        reader.close()
    assert sorted(stored_files(root)) == sorted(named)
    assert all(map(is_ref, stored_files(root)))
    engine.stop()
    assert os.listdir(os.path.join(root, "pending")) == []
