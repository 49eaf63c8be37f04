"""A clock that is set wrong, and right again: nothing grows old by it."""

from __future__ import annotations

import pytest

from nova_objectstore.domain.cautious_clock import CautiousClock

S = 1_000_000
START_US = 1_700_000_000 * S


class Watch:
    """A wall clock that is set, and time that passes."""

    def __init__(self) -> None:
        self.passed = 5 * S
        self.wall = START_US
        self.clock = CautiousClock(lambda: self.wall, passed_us=lambda: self.passed, trust_s=3600)

    def wait(self, seconds: float) -> None:
        self.passed += int(seconds * S)
        self.wall += int(seconds * S)

    def set(self, seconds: float) -> None:
        self.wall += int(seconds * S)

    def read(self) -> float:
        """Seconds since the start."""
        return (self.clock() - START_US) / S


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_it_goes_as_the_wall_clock_goes(watch: Watch) -> None:
    for seconds in (0.5, 3600, 86_400):
        watch.wait(seconds)
        assert watch.clock() == watch.wall


def test_a_step_forward_and_back_never_was(watch: Watch) -> None:
    watch.set(8 * 86_400)
    assert watch.read() == 0
    watch.wait(600)
    assert watch.read() == 600
    watch.set(-8 * 86_400)
    assert watch.clock() == watch.wall


def test_a_step_forward_is_believed_when_it_has_lasted(watch: Watch) -> None:
    watch.set(86_400)
    assert watch.read() == 0
    watch.wait(3599)
    assert watch.read() == 3599
    watch.wait(1)
    assert watch.clock() == watch.wall


def test_another_step_begins_the_wait_anew(watch: Watch) -> None:
    watch.set(86_400)
    watch.read()
    watch.wait(3000)
    watch.set(86_400)
    assert watch.read() == 3000
    watch.wait(3000)
    assert watch.read() == 6000
    watch.wait(600)
    assert watch.clock() == watch.wall


def test_a_step_back_counts_at_once(watch: Watch) -> None:
    watch.set(-3600)
    assert watch.clock() == watch.wall
    watch.wait(10)
    watch.set(3600)
    assert watch.read() == 10 - 3600, "set right again is a step forward as any other"


def test_small_corrections_are_followed(watch: Watch) -> None:
    for _ in range(100):
        watch.set(0.5)
        watch.wait(1)
        assert watch.clock() == watch.wall
