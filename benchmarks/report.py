"""What came out: a table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from benchmarks.load import Sample


@dataclass
class Result:
    """One workload: the samples of the store and of its yardstick, taken alternately, and the bound their ratio has."""

    name: str
    unit: str  # "cpu": microseconds of CPU a request, lower is better; "bytes": bytes a second, higher is better
    bound: float | None = None
    ours: list[Sample] = field(default_factory=list)
    yardstick: list[Sample] = field(default_factory=list)
    yardstick_name: str = ""

    def value(self, samples: Sequence[Sample]) -> float:
        """The median of what counts."""
        return statistics.median(sample.cpu_us if self.unit == "cpu" else sample.bytes_per_s for sample in samples)

    @property
    def ratio(self) -> float | None:
        """Ours over the yardstick's."""
        return self.value(self.ours) / self.value(self.yardstick) if self.yardstick else None

    def as_json(self) -> dict[str, object]:
        """Everything that was measured."""
        return {**asdict(self), "ratio": self.ratio}


def show(results: Sequence[Result], console: Console) -> None:
    """Print the table."""
    table = Table(title="Medians; CPU is that of all processes and threads of the server")
    for heading in (
        "workload",
        "req/s",
        "p50 us",
        "p99 us",
        "CPU us/req",
        "MB/s",
        "yardstick",
        "its value",
        "ratio",
        "bound",
    ):
        table.add_column(heading, justify="left" if heading in ("workload", "yardstick") else "right")
    for result in results:
        table.add_row(*_row(result))
    console.print(table)


def _row(result: Result) -> list[str]:
    middle = sorted(result.ours, key=lambda sample: sample.cpu_us)[len(result.ours) // 2]
    ratio = result.ratio
    return [
        result.name,
        f"{middle.requests_per_s:,.0f}",
        f"{middle.p50_us:,.0f}",
        f"{middle.p99_us:,.0f}",
        f"{middle.cpu_us:,.0f}",
        f"{middle.bytes_per_s / 1e6:,.0f}" if middle.bytes_per_s else "",
        result.yardstick_name,
        _value(result) if result.yardstick else "",
        f"{ratio:.2f}" if ratio is not None else "",
        (("<= " if result.unit == "cpu" else ">= ") + f"{result.bound}") if result.bound is not None else "",
    ]


def _value(result: Result) -> str:
    value = result.value(result.yardstick)
    return f"{value:,.0f} us" if result.unit == "cpu" else f"{value / 1e6:,.0f} MB/s"
