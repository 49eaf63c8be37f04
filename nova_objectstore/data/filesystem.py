"""The operating system's calls that the file engine makes: few, so that tests can fail, record or delay each.

Laws: every call is the unpatched one (native threads must not meet green replacements); each raises the ``OSError`` of
the system, untranslated; descriptors are never inherited by child processes; no symbolic link is followed at the end
of a path.
"""

from __future__ import annotations

import errno
import fcntl
import stat

from nova_objectstore.errors import EngineError, StorageFailed, StorageFull
from nova_wsgi import green

os = green.original("os")

FILE_MODE = 0o600  # object data is its owner's alone
DIRECTORY_MODE = 0o700

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


def storage_error(error: OSError) -> EngineError:
    """The fact that a failed call stands for; ``reason`` is its errno's name. Raise it ``from error``."""
    reason = errno.errorcode.get(error.errno or 0, "EIO")
    return StorageFull(reason=reason) if error.errno in _FULL else StorageFailed(reason=reason)


class FileSystem:
    """The real file system. Paths are absolute; every method may raise OSError."""

    # -- files -------------------------------------------------------------------------------------------------------

    def create(self, path: str) -> int:
        """Make a file that must not exist yet; answer its descriptor, open for writing."""
        fd: int = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        return fd

    def open(self, path: str) -> int:
        """Open a file for reading; answer its descriptor."""
        fd: int = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        return fd

    def size(self, fd: int) -> int:
        """The bytes of an open file. Raises EINVAL for anything but a regular file."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return int(status.st_size)

    def read(self, fd: int, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``; fewer where the system gives fewer, none at the end."""
        data: bytes = os.pread(fd, size, offset)
        return data

    def write(self, fd: int, data: memoryview) -> int:
        """Append some of ``data``; answer how many bytes were taken."""
        written: int = os.write(fd, data)
        return written

    def start_writeback(self, fd: int, offset: int, size: int) -> None:
        """Have the system begin to write a run of dirty pages to the disk, and not wait for it.

        This is what POSIX_FADV_DONTNEED does on Linux to pages that are dirty: it keeps them cached, being in use.
        """
        os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)

    def sync_file(self, fd: int) -> None:
        """Wait until a file's bytes and size are on the disk. A failure means that they may be lost: never retry it."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Give a descriptor back; it is released even when this raises, as a network file system's late write error."""
        os.close(fd)

    # -- names -------------------------------------------------------------------------------------------------------

    def look(self, path: str) -> tuple[int, int]:
        """The bytes of a file, and when it or its names changed last, in microseconds since 1970."""
        status = os.lstat(path)
        return int(status.st_size), int(status.st_ctime_ns) // 1000

    def exists(self, path: str) -> bool:
        """Whether the name is there, whatever it names. A disk that cannot tell raises: "no" would be a guess."""
        try:
            os.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def link(self, source: str, target: str) -> None:
        """Give a file a second name, which must not exist yet."""
        os.link(source, target, follow_symlinks=False)

    def rename(self, source: str, target: str) -> None:
        """Give a file another name in place of this one; nobody else has the target's."""
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        """Remove a name of a file."""
        os.unlink(path)

    # -- directories -------------------------------------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        """Make a directory; its parent must exist."""
        os.mkdir(path, DIRECTORY_MODE)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory, in no order."""
        names: list[str] = os.listdir(path)
        return names

    def sync_directory(self, path: str) -> None:
        """Wait until a directory's entries are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # -- locks: held by a process for its life, whatever way it ends -------------------------------------------------

    def try_lock(self, path: str) -> int | None:
        """Make the lock file if need be and take its lock; answer the descriptor that holds it.

        None while somebody else holds it, or when the one who held it has just removed the file.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.lstat(path)):
                return int(fd)
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:  # a kill of a greenthread too: the lock would be held by a descriptor nobody knows
            os.close(fd)
            raise
        os.close(fd)
        return None
