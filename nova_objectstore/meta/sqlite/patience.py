"""Patience: in which thread a COMMIT is to wait for the disk.

A native thread beside a busy hub gets the interpreter's lock late; each of its tries costs the hub a system call and a look at
what it did before: measured with 32 writers, a fourth of what a put costs. A hub that stands still for a third of a
millisecond costs less, and one that stands still for a hanging disk costs everybody everything. So a disk is trusted
by what it did last:

    THREAD    the native thread commits, the hub goes on
    PATIENT   the same, but the hub stands still for it, for up to ``PATIENCE_S``
    HUB       the hub's thread commits itself: the disk was quick, time after time

Laws:

- A disk that becomes slow stops the hub a few times, for as long as a commit takes; then for ``PATIENCE_S``, and that at most
  once in 20 ms, later in a second. Each loss of trust doubles how often the disk must be quick to be trusted again.
- A disk that hangs while it is trusted stops its process until it goes on, signals and heartbeats too: who watches over the
  process ends it (``worker_timeout_s``). One that hangs at any other time stops its writers alone.
"""

from __future__ import annotations

import enum

PATIENCE_S = 0.001  # a commit within this time is a quick one; a hub that stands still so long is hardly felt
STALL_S = 0.01  # one beyond this ends the trust at once
SLOW_COST, SLOW_MAX = 8, 32  # what takes between the two ends it when one in eight does so, and a few more than that
IMPATIENCE_MIN_S = 0.02  # how long the hub does not wait after it did so in vain; doubled each time
IMPATIENCE_MAX_S = 1.0
TRUST_MIN, TRUST_MAX = 16, 4096  # quick commits that earn the trust; one that is not quick costs TRUST_MIN of them
FORGIVEN_AFTER = 10_000  # quick commits without a loss of trust, and those before them are forgotten


class Way(enum.Enum):
    """Where a commit runs, and who waits for it."""

    THREAD = enum.auto()
    PATIENT = enum.auto()
    HUB = enum.auto()


class Patience:
    """What a disk has earned. Times are ``time.monotonic()`` seconds."""

    def __init__(self) -> None:
        self._quick = 0  # what quick commits have earned, one each, and others have lost
        self._slow = 0  # grows with commits of the hub's that were not quick, and falls with those that were
        self._trusted_from = TRUST_MIN
        self._impatient_until_s = 0.0
        self._impatience_s = IMPATIENCE_MIN_S

    def choose(self, now_s: float) -> Way:
        """The way of the next commit."""
        if self._quick >= self._trusted_from:
            return Way.HUB
        return Way.PATIENT if now_s >= self._impatient_until_s else Way.THREAD

    def note(self, way: Way, began_s: float, took_s: float) -> None:
        """A commit went that way."""
        if way is Way.HUB:
            self._note_trusted(took_s)
        elif took_s <= PATIENCE_S:
            self._quick += 1
            self._impatience_s = IMPATIENCE_MIN_S
        else:
            self._quick = max(0, self._quick - TRUST_MIN)
            if way is Way.PATIENT:
                self._impatient_until_s = began_s + self._impatience_s
                self._impatience_s = min(2 * self._impatience_s, IMPATIENCE_MAX_S)

    def _note_trusted(self, took_s: float) -> None:
        if took_s <= PATIENCE_S:
            self._quick += 1
            self._slow = max(0, self._slow - 1)
            if self._quick >= FORGIVEN_AFTER:
                self._quick = self._trusted_from = TRUST_MIN
            return
        self._slow += SLOW_COST
        if took_s > STALL_S or self._slow > SLOW_MAX:
            self._quick = self._slow = 0
            self._trusted_from = min(2 * self._trusted_from, TRUST_MAX)
