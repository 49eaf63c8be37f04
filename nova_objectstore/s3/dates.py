"""The two forms of time that S3 answers, from integer microseconds."""

from __future__ import annotations

import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4096)
def _http_date_of_second(second: int) -> str:
    year, month, day, hour, minute, sec, weekday, _, _ = time.gmtime(second)
    return f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} {hour:02d}:{minute:02d}:{sec:02d} GMT"


@lru_cache(maxsize=4096)
def _iso_of_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def http_date(moment_us: int) -> str:
    """``Wed, 21 Oct 2015 07:28:00 GMT`` (RFC 9110 section 5.6.7)."""
    return _http_date_of_second(moment_us // 1_000_000)


def iso_date(moment_us: int) -> str:
    """``2015-10-21T07:28:00.000Z``, as S3's XML has it."""
    second, micros = divmod(moment_us, 1_000_000)
    return f"{_iso_of_second(second)}.{micros // 1000:03d}Z"
