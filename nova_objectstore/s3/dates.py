"""The two forms of time that S3 answers, from integer microseconds."""

from __future__ import annotations

import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# PERF: the times of a page of keys are a thousand different seconds of a few hours. (Kept by the second, they made the memory
# of a process grow for an hour.)
SIXTY = [f":{number:02d}" for number in range(60)]  # minutes, and seconds
MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]


@lru_cache(maxsize=512)
def _http_hour(hour: int) -> str:
    """``Wed, 21 Oct 2015 07``, from hours since 1970."""
    year, month, day, hour_of_day, _, _, weekday, _, _ = time.gmtime(hour * 3600)
    return f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} {hour_of_day:02d}"


@lru_cache(maxsize=512)
def iso_hour(hour: int) -> str:
    """``2015-10-21T07``, from hours since 1970."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(hour * 3600))


def http_date(moment_us: int) -> str:
    """``Wed, 21 Oct 2015 07:28:00 GMT`` (RFC 9110 section 5.6.7)."""
    hour, second = divmod(moment_us // 1_000_000, 3600)
    return f"{_http_hour(hour)}{SIXTY[second // 60]}{SIXTY[second % 60]} GMT"


def iso_date(moment_us: int) -> str:
    """``2015-10-21T07:28:00.000Z``, as S3's XML has it."""
    milliseconds = moment_us // 1000
    return (
        f"{iso_hour(milliseconds // 3_600_000)}{SIXTY[milliseconds // 60_000 % 60]}{SIXTY[milliseconds // 1000 % 60]}"
        f"{MILLISECONDS[milliseconds % 1000]}"
    )
