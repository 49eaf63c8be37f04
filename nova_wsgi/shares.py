"""How many connections each of the processes that share a listening socket has, so that they share them evenly.

The kernel wakes every process that waits for a connection, and the one that is awake already takes it: of 32 clients that
connect at once the first worker may get 31, and the second core idles. Here each process writes its count into memory that
all of them see, and takes of the connections that wait only what is its share.

Laws:

- :class:`Shares` is made before the first fork, by whoever makes the socket.
- A process has its cell as long as it lives (shared_places): what a dead one has written makes nobody wait for it.
- It is advice. Who has no share gives way once, for a moment; then it accepts, whatever the counts say.
"""

from __future__ import annotations

from nova_wsgi.shared_places import SharedPlaces

CELLS = 64  # processes that take part; those beyond neither give way nor are waited for
_CELL_SIZE = 8
_UNUSED = 2**63 - 1  # more than anybody has: who has fewer waits for nobody there


class Shares:
    """A count of connections for each process. One process joins once, and leaves when it accepts no more."""

    def __init__(self) -> None:
        self._places = SharedPlaces("nova-shares", places=CELLS, size=CELLS * _CELL_SIZE)
        self._counts = memoryview(self._places.memory).cast("q")
        for cell in range(CELLS):
            self._counts[cell] = _UNUSED
        self._own: int | None = None

    def join(self) -> None:
        """Take part, without a connection so far."""
        self._own = self._places.take_first()
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
            self._places.give_back(own)

    def share_of(self, waiting: int) -> int:
        """How many of ``waiting`` connections are for this process, so that all who take part have as many; 0 to ``waiting``."""
        if self._own is None:
            return waiting
        counts = self._counts.tolist()
        mine = counts[self._own]
        # PERF: nearly always; below, a system call asks for each process
        if waiting == 1 and min(counts) >= mine:
            return 1
        # Who has more than this process would have with all of them gets none in any case.
        alike = [count for cell, count in enumerate(counts) if count < mine + waiting and self._takes_part(cell)]
        level = -(-(sum(alike) + waiting) // len(alike))  # rounded up
        return max(0, min(waiting, level - mine))

    def close(self) -> None:
        """Leave for good. Idempotent."""
        self.leave()
        self._places.close()

    def _takes_part(self, cell: int) -> bool:
        if cell == self._own or not self._places.take(cell):
            return True
        self._counts[cell] = _UNUSED  # before another can take the cell
        self._places.give_back(cell)
        return False
