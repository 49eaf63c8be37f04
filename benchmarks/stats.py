"""Samples and what is told of them: percentiles, medians, ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Sample:
    """What one run of a load measured. What a load cannot tell is 0."""

    requests: int = 0
    requests_per_s: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    cpu_us: float = 0.0  # of the whole server, per request
    load_cpu_us: float = 0.0  # of the program that sends, per request: where cores are shared, they go without it
    errors: int = 0
    bytes_per_s: float = 0.0
    resident_bytes: float = 0.0  # of all the server's processes, after the run
    seconds: float = 0.0  # of rows that measure one thing once: a start


MEASURES: Mapping[str, Callable[[Sample], float]] = {
    "rate": lambda sample: sample.requests_per_s,
    "cpu": lambda sample: sample.cpu_us,
    "bytes": lambda sample: sample.bytes_per_s,
    "p50": lambda sample: sample.p50_us,
    "p99": lambda sample: sample.p99_us,
    "tail": lambda sample: sample.p99_us / sample.p50_us if sample.p50_us else 0.0,
    "resident": lambda sample: sample.resident_bytes,
    "seconds": lambda sample: sample.seconds,
}


@dataclass(frozen=True)
class Bound:
    """What must hold of a row: of our own value, or of its ratio to that of the subject ``against``.

    ``measure`` is a name of MEASURES; ``limit`` in its unit (us, bytes, seconds), or the ratio.
    """

    measure: str
    limit: float
    at_most: bool
    against: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value is within it."""
        return value <= self.limit if self.at_most else value >= self.limit


def at_most(limit: float, measure: str, *, of: str = "") -> Bound:
    """The measure, or its ratio to that ``of`` a yardstick, may not exceed ``limit``."""
    return Bound(measure, limit, True, of)


def at_least(limit: float, measure: str, *, of: str = "") -> Bound:
    """The measure, or its ratio to that ``of`` a yardstick, must reach ``limit``."""
    return Bound(measure, limit, False, of)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of ``values`` that at least ``share`` (0 to 1) of them do not exceed (nearest rank); 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(1, -int(-share * len(ordered) // 1))  # rounded up
    return ordered[min(rank, len(ordered)) - 1]


def median(samples: Sequence[Sample], measure: str) -> float:
    """The median of a measure over the rounds."""
    return statistics.median(MEASURES[measure](sample) for sample in samples)


def middle(samples: Sequence[Sample]) -> Sample:
    """Every figure's own median: what a table shows of a subject."""
    figures = [asdict(sample) for sample in samples]
    medians = {name: statistics.median(figure[name] for figure in figures) for name in figures[0]}
    return Sample(
        **{**medians, "requests": int(medians["requests"]), "errors": sum(sample.errors for sample in samples)}
    )


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], measure: str) -> float | None:
    """Our median over theirs; None where either was not measured."""
    if not ours or not theirs:
        return None
    below = median(theirs, measure)
    return median(ours, measure) / below if below else None
