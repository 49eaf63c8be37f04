"""LoopingCall: one call, made again and again in a greenthread of its own.

Laws:

- It never overlaps itself: the next call begins after the last one ended.
- Late ticks are skipped, not bunched: a call that took three intervals is followed by one call, not by three.
- An exception is logged and the loop goes on, unless it was made with ``stop_on_error``.
- ``stop()`` lets a running call end and ends the wait between calls at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from nova_wsgi import green

log = logging.getLogger(__name__)


class LoopDone(Exception):
    """Raised by the call: end the loop; ``wait()`` returns ``result``."""

    def __init__(self, result: Any = None) -> None:
        self.result = result
        super().__init__(result)


class Pace(Protocol):
    """Decides how long a loop waits before its next call."""

    def next_delay_s(self, *, took_s: float, result: Any, failed: bool) -> float:
        """Seconds from the end of a call, which took ``took_s`` and returned ``result``, to the next one's begin."""
        ...


class FixedInterval:
    """A call begins every ``interval_s`` seconds, counted from begin to begin; ticks that were missed are skipped."""

    def __init__(self, interval_s: float) -> None:
        if interval_s <= 0:
            raise ValueError(f"an interval is more than 0 s, not {interval_s}")
        self.interval_s = interval_s

    def next_delay_s(self, *, took_s: float, result: Any, failed: bool) -> float:
        """What is left until the next tick that is still to come."""
        return self.interval_s - took_s % self.interval_s


class Dynamic:
    """The call returns the seconds until it wants to be called again; None, or an exception, means ``delay_max_s``."""

    def __init__(self, delay_max_s: float) -> None:
        self.delay_max_s = delay_max_s

    def next_delay_s(self, *, took_s: float, result: Any, failed: bool) -> float:
        """What the call asked for, at most ``delay_max_s``."""
        if failed or result is None:
            return self.delay_max_s
        return min(max(0.0, float(result)), self.delay_max_s)


class BackOff:
    """Each call that fails, or returns something false ("nothing done"), makes the next wait longer.

    The wait doubles (``factor``) from ``delay_min_s`` up to ``delay_max_s``; a call that returns something true sets
    it back to ``delay_min_s``. ``jitter`` (0.1: up to 10 % shorter) keeps many processes from calling in step.
    """

    def __init__(self, delay_min_s: float, delay_max_s: float, *, factor: float = 2.0, jitter: float = 0.1) -> None:
        self.delay_min_s = delay_min_s
        self.delay_max_s = delay_max_s
        self.factor = factor
        self.jitter = jitter
        self._delay_s = delay_min_s

    def next_delay_s(self, *, took_s: float, result: Any, failed: bool) -> float:
        """The wait after a call that did something, or after one more that did not."""
        if result and not failed:
            self._delay_s = self.delay_min_s
        delay_s = self._delay_s
        if failed or not result:
            self._delay_s = min(self._delay_s * self.factor, self.delay_max_s)
        return delay_s * (1 - self.jitter * random.random())


class LoopingCall:
    """Calls ``call()`` at the given pace, from ``start()`` until ``stop()``, :class:`LoopDone` or a fatal error."""

    def __init__(
        self,
        call: Callable[[], Any],
        pace: Pace,
        *,
        name: str,
        initial_delay_s: float = 0.0,
        stop_on_error: bool = False,
    ) -> None:
        self.name = name
        self.calls = 0
        self.failures = 0
        self._call = call
        self._pace = pace
        self._initial_delay_s = initial_delay_s
        self._stop_on_error = stop_on_error
        self._stopping = threading.Event()
        self._thread: green.GreenThread | None = None
        self._ended = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether calls are still to come, or one is being made."""
        return self._thread is not None and not self._ended.is_set()

    def start(self) -> LoopingCall:
        """Begin; the first call comes after ``initial_delay_s``. A loop is started once."""
        assert self._thread is None, f"the loop {self.name} was started already"
        self._thread = green.spawn(self._run)
        return self

    def stop(self) -> None:
        """Make no further call; one that runs goes on to its end. Does not wait: see :meth:`wait`."""
        self._stopping.set()

    def kill(self) -> None:
        """End the loop now, in the middle of its call."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.kill()
        self._ended.set()

    def wait(self, timeout_s: float | None = None) -> Any:
        """Wait until the loop has ended and return LoopDone's result.

        Raises the error that ended a loop made with ``stop_on_error``; TimeoutError after ``timeout_s``.
        """
        if self._thread is not None and not self._ended.wait(timeout_s):
            raise TimeoutError(f"the loop {self.name} has not ended within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            stopped = self._stopping.wait(self._initial_delay_s) if self._initial_delay_s > 0 else False
            while not stopped and not self._stopping.is_set():
                stopped = self._stopping.wait(self._call_once())
        except LoopDone as done:
            self._result = done.result
        finally:
            self._ended.set()

    def _call_once(self) -> float:
        """Make one call; give the seconds until the next."""
        began = time.monotonic()
        result, failed = None, False
        self.calls += 1
        try:
            result = self._call()
        except LoopDone:
            raise
        except Exception as error:  # noqa: BLE001  a periodic call's failure must not end the period
            failed = True
            self.failures += 1
            self._fail(error)
        return max(0.0, self._pace.next_delay_s(took_s=time.monotonic() - began, result=result, failed=failed))

    def _fail(self, error: Exception) -> None:
        log.exception("%s failed", self.name)
        if self._stop_on_error:
            self._error = error
            raise LoopDone from error
