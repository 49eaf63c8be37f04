"""How many connections each of the processes that share a listening socket has, so that they share them evenly.

The kernel wakes every process that waits for a connection, and the one that is awake already takes it: of 32 clients that
connect at once the first worker may get 31, and the second core idles. Here each process writes its count into memory that
all of them see, and one that has more than another lets that one go first.

Laws:

- :class:`Shares` is made before the first fork, by whoever makes the socket.
- A process holds a lock on its cell's byte (fcntl), which the kernel releases when it ends, however it ends: what a dead
  process has written makes nobody wait for it.
- It is advice. Who gives way does so once, for a moment; then it accepts, whatever the counts say.
"""

from __future__ import annotations

import fcntl
import mmap
import os

CELLS = 64  # processes that take part; those beyond neither give way nor are waited for
_CELL_SIZE = 8
_UNUSED = -1


class Shares:
    """A count of connections for each process. One process joins once, and leaves when it accepts no more."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("nova-shares")
        os.ftruncate(self._fd, CELLS * _CELL_SIZE)
        self._counts = memoryview(mmap.mmap(self._fd, CELLS * _CELL_SIZE)).cast("q")
        for cell in range(CELLS):
            self._counts[cell] = _UNUSED
        self._own: int | None = None

    def join(self) -> None:
        """Take part, without a connection so far."""
        self._own = next((cell for cell in range(CELLS) if self._lock(cell)), None)
        self.tell(0)

    def tell(self, connections: int) -> None:
        """So many connections are open now."""
        if self._own is not None:
            self._counts[self._own] = connections

    def leave(self) -> None:
        """Nobody is to wait for this process any more. Idempotent."""
        own, self._own = self._own, None
        if own is not None:
            self._counts[own] = _UNUSED
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, own)

    def has_more_than_another(self) -> bool:
        """Whether another process that takes part has fewer connections than this one."""
        if self._own is None:
            return False
        own, counts = self._own, self._counts
        mine = counts[own]
        return any(_UNUSED < count < mine and cell != own and self._lives(cell) for cell, count in enumerate(counts))

    def close(self) -> None:
        """Let go of the descriptor, and so of what is locked, in this process. Idempotent."""
        self.leave()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _lives(self, cell: int) -> bool:
        if not self._lock(cell):
            return True
        self._counts[cell] = _UNUSED
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, cell)
        return False

    def _lock(self, cell: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, cell)
        except OSError:
            return False
        return True
