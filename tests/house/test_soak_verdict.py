"""Slopes: what grows is told from what only wavers, and from what grew while caches filled."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from support.soak_samples import Sample
from support.soak_verdict import Line, cells, judge, lay_line, markdown, stretches

from nova_objectstore.limits import KiB, MiB

HOUR_S = 3600.0
NAME = "objectstore/0 rss"
WORKER_REQUESTS_PER_HOUR = 25 * 3600  # half of tools/soak's rate


def given_back(share: float) -> float:
    """MiB that come and go with the minutes of an hour: what a process frees, it returns at their ends."""
    return 4.0 * (share * 60 % 1)


def judged(level: Callable[[float], float], *, seconds: float = HOUR_S, noise: float = 0.0) -> Line:
    """The line of a figure in MiB, sampled every five seconds, by the share of the run."""
    rng = random.Random(1)
    moments = range(0, int(seconds), 5)
    samples = [Sample(at, {NAME: (level(at / seconds) + rng.gauss(0, noise)) * MiB}) for at in moments]
    (line,) = judge({NAME: level(0) * MiB}, samples)
    return line


@pytest.mark.parametrize(
    ("level", "noise", "leaks"),
    [
        (lambda _: 70.0, 0.0, False),
        (lambda _: 70.0, 3.0, False),
        (lambda share: 70.0 + 30.0 * min(share, 0.4), 0.5, False),
        (lambda share: 70.0 - 20.0 * share, 0.5, False),
        (lambda share: 70.0 + 3.0 * share, 0.5, False),
        (lambda share: 70.0 + 8.0 * share, 0.5, True),
        (lambda share: 70.0 + 60.0 * share, 5.0, True),
        (lambda share: 70.0 + given_back(share), 0.5, False),
        (lambda share: 70.0 + given_back(share) + WORKER_REQUESTS_PER_HOUR * share * KiB / MiB, 0.5, True),
        (lambda share: 70.0 + given_back(share) + WORKER_REQUESTS_PER_HOUR * share * 100 / MiB, 0.5, True),
    ],
    ids=[
        "still",
        "noise",
        "warming up",
        "shrinking",
        "allowed",
        "leaking",
        "leaking under noise",
        "given back each minute",
        "a KiB a request",
        "100 bytes a request",
    ],
)
def test_a_leak_is_what_grows_to_the_end(level: Callable[[float], float], noise: float, leaks: bool) -> None:
    line = judged(level, noise=noise)
    assert line.leaks is leaks
    assert cells(line)[-1] == ("LEAKS" if leaks else "steady")


def test_a_short_run_is_not_judged() -> None:
    line = judged(lambda share: 70.0 + 60.0 * share, seconds=300.0)
    assert line.leaks is None
    assert cells(line)[-1] == "not judged"


def test_levels_are_of_the_start_the_middle_and_the_end() -> None:
    line = judged(lambda share: 10.0 + 10.0 * share)
    assert line.start == 10.0
    assert line.warm == pytest.approx(15.3, abs=0.1)
    assert line.end == pytest.approx(19.7, abs=0.1)
    assert line.slope_per_h == pytest.approx(10.0, abs=0.1)
    assert markdown([line]).splitlines()[-1].startswith(f"| {NAME}, MiB | 10.0 | 15.3 | 19.7 | +10.0")


def test_a_line_is_laid_by_least_squares() -> None:
    assert lay_line([(0, 1), (1, 3), (2, 5), (3, 7)]) == (2.0, 0.0)
    slope, error = lay_line([(0, 0), (1, 1), (2, 0), (3, 1)])
    assert (slope, error) == (pytest.approx(0.2), pytest.approx(math.sqrt(0.8 / 2 / 5)))


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(0.0, 1.0), (1.0, 2.0)], [(1.0, 1.0)] * 5])
def test_of_few_points_nothing_is_said(points: Sequence[tuple[float, float]]) -> None:
    assert lay_line(points) == (0.0, math.inf)


def test_stretches_are_means() -> None:
    points = [(float(at), float(at % 2)) for at in range(101)]
    means = stretches(points, 10)
    assert len(means) == 10
    assert all(y == pytest.approx(0.5, abs=0.05) for _, y in means)
    assert stretches([]) == []
