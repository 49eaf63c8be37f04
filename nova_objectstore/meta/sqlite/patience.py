"""Patience: in which thread a COMMIT is to wait for the disk.

A native thread beside a busy hub gets the interpreter's lock late; each of its tries costs the hub a system call and a look at
what it did before: measured with 32 writers, a fourth of what a put costs. A hub that stands still for a third of a
millisecond costs less, and one that stands still for a hanging disk costs everybody everything. So a disk is trusted
by what it did last:

    THREAD    the native thread commits, the hub goes on
    PATIENT   the same, but the hub stands still for it, for up to ``PATIENCE_S``
    HUB       the hub's thread commits itself: the disk was quick, time after time

Laws:

- The hub stands still for a disk that is slow, or hangs, once for as long as that takes; then for ``PATIENCE_S``, and that
  at most once in 20 ms, later in a second.
- Each stall doubles how often the disk must be quick before it is trusted again.
"""

from __future__ import annotations

import enum

PATIENCE_S = 0.001  # a commit within this time is a quick one; a hub that stands still so long is hardly felt
STALL_S = 0.01  # one beyond this ends the trust
IMPATIENCE_MIN_S, IMPATIENCE_MAX_S = (
    0.02,
    1.0,
)  # how long the hub does not wait after it did so in vain; doubled each time
TRUST_MIN, TRUST_MAX = 16, 4096  # quick commits in a row that earn the trust
FORGIVEN_AFTER = 10_000  # commits without a stall, and the stalls before them are forgotten


class Way(enum.Enum):
    """Where a commit runs, and who waits for it."""

    THREAD = enum.auto()
    PATIENT = enum.auto()
    HUB = enum.auto()


class Patience:
    """What a disk has earned. Times are ``time.monotonic()`` seconds."""

    def __init__(self) -> None:
        self._quick = 0  # commits in a row that did not end the trust, or did not keep it from growing
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
            self._quick = 0
            if way is Way.PATIENT:
                self._impatient_until_s = began_s + self._impatience_s
                self._impatience_s = min(2 * self._impatience_s, IMPATIENCE_MAX_S)

    def _note_trusted(self, took_s: float) -> None:
        if took_s > STALL_S:
            self._quick = 0
            self._trusted_from = min(2 * self._trusted_from, TRUST_MAX)
            return
        self._quick += 1
        if self._quick >= FORGIVEN_AFTER:
            self._trusted_from = TRUST_MIN
            self._quick = TRUST_MIN
