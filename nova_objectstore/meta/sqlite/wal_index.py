"""Whether anything was committed since: asked of SQLite's wal-index, the memory that all its connections share.

The first 48 bytes of the ``-shm`` file are the wal-index header, which every commit rewrites (sqlite.org/walformat.html,
"The WAL-Index Header"): as long as they stand still, so does the database, for every process. Looking costs a tenth of a
microsecond; a statement that asks the same costs four, and two locks.

Laws:

- Equal marks prove that nothing was committed between them. Unequal ones prove nothing.
- The file is never closed while it has a name. A process that closes any descriptor of a file loses all its POSIX locks on
  it (fcntl(2)), and those on this one are SQLite's: of every engine in the process. Once SQLite has removed the file, which
  it does when the last connection of any process ends, no lock on it counts any more.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

HEADER_SIZE = 48  # bytes: of the first of the two copies, the one that a commit writes last

_open: dict[tuple[int, int], WalIndex] = {}  # (device, inode) -> the one mapping that this process has of it
_kept: list[int] = []  # descriptors that could not be mapped


class WalIndex:
    """The wal-index of one database, mapped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, HEADER_SIZE, access=mmap.ACCESS_READ)

    def mark(self) -> bytes:
        """What the header says now."""
        return self._map[:HEADER_SIZE]

    @property
    def is_gone(self) -> bool:
        """Whether SQLite has removed the file."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        """Let go of a file that is gone."""
        self._map.close()
        os.close(self._fd)


def open_wal_index(database: Path) -> WalIndex:
    """The wal-index of a database to which a connection is open. Raises OSError when it cannot be mapped."""
    for key in [key for key, index in _open.items() if index.is_gone]:
        _open.pop(key).close()
    path = f"{database}-shm"
    there = os.stat(path)
    known = _open.get((there.st_dev, there.st_ino))
    if known is not None:
        return known
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        index = WalIndex(fd)
    except ValueError as error:  # shorter than a header: nobody has read or written yet
        _kept.append(fd)
        raise OSError(f"{path} has no header yet") from error
    except OSError:
        _kept.append(fd)
        raise
    there = os.fstat(fd)
    _open[there.st_dev, there.st_ino] = index
    return index
