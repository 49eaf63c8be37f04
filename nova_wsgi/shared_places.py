"""Memory that a process shares with those forked from it, and places of which each belongs to one living process at a time.

Strategy: a place is a byte of a file, and who has locked that byte (fcntl(2): record locks) has the place. The kernel
unlocks what a process holds when it ends, however it ends: no place is left with the dead, and nobody has to be told.

Laws:

- What is to be shared is made before the first fork. A child inherits the memory, and none of its parent's places.
- A process knows which places are its own, for the kernel does not tell it: to take one of them again succeeds, and to
  ask whether it is taken gives it away.
- A process opens the file once: it unlocks everything there when it closes any descriptor of it.
"""

from __future__ import annotations

import fcntl
import mmap
import os


def take_place(fd: int, place: int) -> bool:
    """Take a place of an open file, or keep it; False when another process has it. Does not wait.

    The place may lie beyond the file's end.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except OSError:
        return False
    return True


class SharedPlaces:
    """``memory``, ``size`` bytes that begin as zeros, and ``places`` places, numbered from 0.

    What belongs to which place in the memory, and whether it outlives who held it, is the caller's law.
    """

    def __init__(self, name: str, *, places: int, size: int) -> None:
        self._places = places
        self._fd = os.memfd_create(name)
        os.ftruncate(self._fd, size)
        self.memory = mmap.mmap(self._fd, size)

    def take(self, place: int) -> bool:
        """Take a place, or keep it; False when another process has it."""
        return take_place(self._fd, place)

    def take_first(self) -> int | None:
        """Take the first place that no other process has; None when there is none."""
        return next(filter(self.take, range(self._places)), None)

    def give_back(self, place: int) -> None:
        """Have it no more."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, place)

    def is_taken(self, place: int) -> bool:
        """Whether another process has a place. Who looks for a free one at this moment takes the next one instead."""
        if not self.take(place):
            return True
        self.give_back(place)
        return False

    def close(self) -> None:
        """Let go of the file, and so of this process's places; the memory stays. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
