"""A day of the lifecycle: AWS's, which ends at midnight UTC, or a shorter one to try rules with. Pure.

AWS, "Lifecycle rules: based on an object's age": S3 adds the number of days to the object's creation time and rounds the
resulting time up to the next day at midnight UTC.
"""

from __future__ import annotations

from typing import NamedTuple

SECOND_US = 1_000_000
CALENDAR_DAY_US = 24 * 3600 * SECOND_US


class Day(NamedTuple):
    """How long a day is; ``rounds``: what lasts days ends with one."""

    length_us: int = CALENDAR_DAY_US
    rounds: bool = True

    @classmethod
    def of_seconds(cls, length_s: int) -> Day:
        """A day of that many seconds, which ends when it is over; 0: the calendar's."""
        return cls(length_s * SECOND_US, rounds=False) if length_s else CALENDAR_DAY

    @property
    def round_us(self) -> int:
        """What ends are rounded up to; 0 for not at all."""
        return self.length_us if self.rounds else 0


CALENDAR_DAY = Day()
