"""Reserve: space kept on the database's disk, so that a disk that is full can be emptied: a deletion is a write too.

A file of ``size`` bytes beside the database, filled with blocks and nothing else. It is given back a step at a time, to verbs
that remove something, and filled again when the disk has room for it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from nova_objectstore.limits import MiB
from nova_wsgi import green

os = green.original("os")  # called in native threads: the patched os.open would give each of them a hub

RESERVE_SIZE = 8 * MiB  # some hundred deletions, should nothing else give space back meanwhile
STEP = 1 * MiB
ROOM_FACTOR = 4  # it is filled where so many times its size is free: what was just given back must not be taken again


class Reserve:
    """The file. Every process of the store may use it; ``size`` 0: there is none. Its calls never raise. Blocking."""

    def __init__(self, database: Path, size: int) -> None:
        self._path = database.with_name(f"{database.name}-reserve")
        self._size = size

    def fill(self) -> None:
        """Take the space, where there is enough; next to nothing to do when it is taken already."""
        if not self._size:
            return
        with contextlib.suppress(OSError):  # a full disk, or one that fails: another time
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(fd).st_size < self._size and self._has_room(fd):
                    os.posix_fallocate(fd, 0, self._size)
            finally:
                os.close(fd)

    def _has_room(self, fd: int) -> bool:
        there = os.fstatvfs(fd)
        return bool(there.f_bavail * there.f_frsize >= ROOM_FACTOR * self._size)

    def release(self) -> bool:
        """Give a step back to the disk; whether there was something to give."""
        with contextlib.suppress(OSError):
            size = os.stat(self._path).st_size
            if self._size and size:
                os.truncate(self._path, max(0, size - STEP))
                return True
        return False
