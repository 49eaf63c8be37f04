"""What became of figures over time: a slope for each, with how sure it is, and whether that is a leak. Pure.

The second half of a run is judged, when caches are full and pools have grown. Neighbouring samples resemble each other,
so they are averaged into a few stretches of time; a line is laid through those by least squares. A figure leaks when its
slope, less twice its standard error, is steeper than what is allowed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from support.soak_samples import Sample

from nova_objectstore.limits import MiB

STRETCHES = 24
SURE = 2.0  # standard errors
JUDGED_MIN_S = 600.0  # a shorter run has a table, and no verdict on slopes
HOUR_S = 3600.0


@dataclass(frozen=True)
class Measure:
    """A kind of figure: its unit, how many of the sampled ones that is, and how much it may grow in an hour."""

    unit: str
    scale: float
    growth_max: float


MEASURES: Mapping[str, Measure] = {
    "rss": Measure("MiB", MiB, 4.0),
    "pss": Measure("MiB", MiB, 4.0),
    "descriptors": Measure("", 1, 4.0),
    "threads": Measure("", 1, 4.0),  # their pool fills when many of its calls meet, however late that is
    "greenthreads": Measure("", 1, 4.0),
    "processes": Measure("", 1, 0.5),
    "staged files": Measure("", 1, 4.0),
    "unnamed files": Measure("", 1, 60.0),
    "data files": Measure("", 1, 60.0),
    "log files": Measure("", 1, 2.0),
    "wal": Measure("MiB", MiB, 16.0),
    "database": Measure("MiB", MiB, 8.0),
}


@dataclass(frozen=True)
class Line:
    """One figure over a run, in its unit; ``start`` before the load. ``leaks`` is None when it was not judged."""

    name: str
    unit: str
    start: float
    warm: float
    end: float
    slope_per_h: float
    error_per_h: float
    growth_max: float
    leaks: bool | None


def measure_of(name: str) -> Measure:
    """By the end of a figure's name."""
    return MEASURES[name] if name in MEASURES else MEASURES[name.rpartition(" ")[2]]


def lay_line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and its standard error of the line through (x, y), by least squares; infinite where nothing can be said."""
    if len(points) < 3:
        return 0.0, math.inf
    x_mean = statistics.fmean(x for x, _ in points)
    y_mean = statistics.fmean(y for _, y in points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    if spread == 0:
        return 0.0, math.inf
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    rest = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in points)
    return slope, math.sqrt(rest / (len(points) - 2) / spread)


def stretches(points: Sequence[tuple[float, float]], count: int = STRETCHES) -> list[tuple[float, float]]:
    """The means of ``count`` equal stretches of time; fewer where some are empty."""
    if not points:
        return []
    begin, end = points[0][0], points[-1][0]
    width = (end - begin) / count or 1.0
    kept: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        kept.setdefault(min(int((x - begin) / width), count - 1), []).append((x, y))
    return [(statistics.fmean(x for x, _ in some), statistics.fmean(y for _, y in some)) for some in kept.values()]


def judge(start: Mapping[str, float], samples: Sequence[Sample]) -> list[Line]:
    """A line for each figure. ``start``: the figures before the load began."""
    names = sorted({name for sample in samples for name in sample.figures}, key=_order)
    return [_judge_one(name, start.get(name, math.nan), samples) for name in names]


def _judge_one(name: str, start: float, samples: Sequence[Sample]) -> Line:
    measure = measure_of(name)
    points = [(sample.at_s, sample.figures[name] / measure.scale) for sample in samples if name in sample.figures]
    begin_s, end_s = samples[0].at_s, samples[-1].at_s
    means = stretches([point for point in points if point[0] >= (begin_s + end_s) / 2])
    slope, error = lay_line(means)
    is_judged = end_s - begin_s >= JUDGED_MIN_S and math.isfinite(error)
    leaks = (slope - SURE * error) * HOUR_S > measure.growth_max if is_judged else None
    if means:
        warm, end = statistics.fmean(y for _, y in means[:3]), statistics.fmean(y for _, y in means[-3:])
    else:
        warm = end = math.nan
    return Line(
        name, measure.unit, start / measure.scale, warm, end, slope * HOUR_S, error * HOUR_S, measure.growth_max, leaks
    )


def _order(name: str) -> tuple[int, str]:
    what = name if name in MEASURES else name.rpartition(" ")[2]
    return list(MEASURES).index(what), name


HEADINGS = ("figure", "start", "warm", "end", "slope/h", "+-", "allowed/h", "verdict")


def cells(line: Line) -> tuple[str, ...]:
    """Under HEADINGS."""
    digits = 1 if line.unit else 0
    name = f"{line.name}, {line.unit}" if line.unit else line.name
    levels = [f"{value:,.{digits}f}" for value in (line.start, line.warm, line.end)]
    slope = f"{line.slope_per_h:+,.2f}" if math.isfinite(line.error_per_h) else ""
    error = f"{SURE * line.error_per_h:,.2f}" if math.isfinite(line.error_per_h) else ""
    verdict = {None: "not judged", True: "LEAKS", False: "steady"}[line.leaks]
    return (name, *levels, slope, error, f"{line.growth_max:g}", verdict)


def markdown(lines: Sequence[Line]) -> str:
    """The table."""
    rules = ("---", *["---:"] * (len(HEADINGS) - 2), "---")
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEADINGS, rules, *map(cells, lines)))


def as_json(lines: Sequence[Line]) -> list[dict[str, object]]:
    """The same for programs; what is no number is null."""
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in map(asdict, lines)
    ]
