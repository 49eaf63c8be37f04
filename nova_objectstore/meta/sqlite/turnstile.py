"""Turnstile: the writers of all processes, one at a time and in turn.

SQLite lets a writer that comes too late sleep and try again, which is slow and unfair: the process that just committed is
the first to try. Here a writer waits in the kernel for two locks: it takes the *turn*, waits for the *writer* lock with the
turn in its hand, and then passes the turn on. Who has just written finds the turn taken by whoever waits, so two
processes alternate, and none waits for another's second write. The kernel releases both when a process dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turnstile:
    """Two lock files beside the database; used by one native thread or one greenthread at a time."""

    def __init__(self, database: Path) -> None:
        self._paths = [database.with_name(f"{database.name}-{role}") for role in ("turn", "writer")]
        self._fds: list[int] = []

    def open(self) -> None:
        """Open the lock files, made readable by their owner alone."""
        self._fds = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for path in self._paths]

    def close(self) -> None:
        """Leave, and close the files."""
        fds, self._fds = self._fds, []
        for fd in fds:
            os.close(fd)

    def try_enter(self) -> bool:
        """Enter if nobody is inside or waiting. Never waits."""
        turn, writer = self._fds
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)
        return True

    def enter(self) -> None:
        """Wait for the turn and enter. Blocks, for as long as another process writes."""
        turn, writer = self._fds
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(writer, fcntl.LOCK_EX)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let the next writer in."""
        if self._fds:
            fcntl.flock(self._fds[1], fcntl.LOCK_UN)
