"""CautiousClock: the time by which things are deleted for their age. A clock that was set wrong must not empty a store.

Laws:

- It never runs ahead of the wall clock, and goes back with it at once.
- A step of the wall clock forward counts for nothing until it has lasted for ``trust_s``: whoever has set the clock wrong
  has that long to see it, and set it back.
- Both hold for steps while the process lives: what the clock was before, nobody knows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOG = logging.getLogger(__name__)

TRUST_S = 3600.0
STEP_MIN_S = 10.0  # less is a clock being corrected
_S = 1_000_000


def passed_us() -> int:
    """Microseconds that have passed since the machine was started, asleep or not, whatever the wall clock is set to."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class CautiousClock:
    """Call it for microseconds since 1970. ``wall_us`` may be set; ``passed_us`` never is."""

    def __init__(
        self, wall_us: Callable[[], int], *, passed_us: Callable[[], int] = passed_us, trust_s: float = TRUST_S
    ) -> None:
        self._wall_us = wall_us
        self._passed_us = passed_us
        self._trust_us = int(trust_s * _S)
        self._base_us = wall_us() - passed_us()  # what the wall clock showed when none had passed
        self._step_us = 0  # how far it was set forward, and is not trusted yet
        self._since_us = 0  # since when

    def __call__(self) -> int:
        """What time it is, at the earliest."""
        passed_us = self._passed_us()
        step_us = self._wall_us() - passed_us - self._base_us
        if step_us >= STEP_MIN_S * _S and not self._is_trusted(step_us, passed_us):
            return self._base_us + passed_us
        self._base_us += step_us
        self._step_us = 0
        return self._base_us + passed_us

    def _is_trusted(self, step_us: int, passed_us: int) -> bool:
        if abs(step_us - self._step_us) >= STEP_MIN_S * _S:
            self._step_us, self._since_us = step_us, passed_us
            LOG.warning(
                "the clock was set forward by %d s: what is deleted for its age waits %d s until that is believed",
                step_us // _S, self._trust_us // _S,
            )  # fmt: skip
        return passed_us - self._since_us >= self._trust_us
