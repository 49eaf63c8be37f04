"""What a worker tells its parent: a heartbeat in shared memory, and events through a pipe.

The heartbeat is written from the worker's hub: a hub that is stuck stops writing, and so tells that too.
"""

from __future__ import annotations

import contextlib
import mmap
import select
import struct
import time
from typing import NamedTuple

from nova_wsgi import green
from nova_wsgi.errors import ConfigError

_os = green.original("os")


class Beat(NamedTuple):
    """``at``: ``time.monotonic()`` seconds, a clock that all processes share."""

    at: float
    in_flight: int
    requests_total: int


class Board:
    """Shared memory with a cell for each worker: its last heartbeat, calls in flight, requests so far."""

    _CELL = struct.Struct("dQQ")  # time.monotonic() seconds, which all processes share; counts
    _SIZE = 64  # a cache line each, so that workers do not slow each other down

    def __init__(self, cells: int) -> None:
        self._memory = mmap.mmap(-1, cells * self._SIZE)
        self._free = list(range(cells))

    def take(self) -> int | None:
        """A free cell, beating now; None when there is none."""
        if not self._free:
            return None
        cell = self._free.pop()
        self.write(cell, 0, 0)
        return cell

    def give_back(self, cell: int) -> None:
        """Its worker is gone."""
        self._free.append(cell)

    def write(self, cell: int, in_flight: int, requests_total: int) -> None:
        """The worker's heartbeat."""
        self._CELL.pack_into(self._memory, cell * self._SIZE, time.monotonic(), in_flight, requests_total)

    def read(self, cell: int) -> Beat:
        """What the worker wrote last."""
        return Beat(*self._CELL.unpack_from(self._memory, cell * self._SIZE))


class WorkerVoice:
    """A worker's end: it speaks to its parent. ``requests_max``: after how many requests it asks for a successor."""

    is_worker = True

    def __init__(
        self, *, board: Board, cell: int, pipe_fd: int, life_fd: int, beat_s: float, requests_max: int
    ) -> None:
        self.beat_interval_s = beat_s
        self._board = board
        self._cell = cell
        self._pipe_fd = pipe_fd
        self._life_fd = life_fd
        self._requests_max = requests_max

    def ready(self) -> None:
        """The service takes work."""
        self._say("ready")

    def reloading(self) -> None:
        """The parent knows: it asked for it."""

    def reloaded(self, refused: str | None) -> None:
        """How the reload went."""
        self._say("reloaded" if refused is None else f"refused {refused}")

    def stopping(self) -> None:
        """The parent sees it end."""

    def unfit(self, error: ConfigError) -> None:
        """The worker cannot start as configured."""
        self._say(f"unfit {error}")

    def beat(self, in_flight: int, requests_total: int) -> None:
        """The hub runs; and perhaps the worker has served long enough."""
        self._board.write(self._cell, in_flight, requests_total)
        if self._requests_max and requests_total >= self._requests_max:
            self._requests_max = 0
            self._say("recycle")

    def wait_parent_end(self) -> None:
        """Return when the pipe's other end is closed: nothing is ever written into it."""
        green.wait_readable(self._life_fd)

    def _say(self, line: str) -> None:
        data = " ".join(line.split()).encode()[: select.PIPE_BUF - 1]
        with contextlib.suppress(OSError):  # the parent is gone; wait_parent_end sees it too
            _os.write(self._pipe_fd, data + b"\n")
