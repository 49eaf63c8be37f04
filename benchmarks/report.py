"""What came out: tables for people, Markdown for the documentation, JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from benchmarks.row import OURS
from benchmarks.stats import MEASURES, Bound, Sample, median, middle, ratio

WIDE = 150  # columns
LEFT = ("row", "subject", "bound", "held")
HEADINGS = ("row", "subject", "req/s", "p50 us", "p99 us", "CPU us/req", "MB/s", "resident MB", "s", "ours to it")
BOUND_HEADINGS = ("row", "bound", "is", "held")
UNITS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "rate": ("requests/s", lambda value: f"{value:,.0f}"),
    "cpu": ("CPU us/request", lambda value: f"{value:,.0f}"),
    "bytes": ("bytes/s", lambda value: f"{value:,.0f}"),
    "p50": ("p50 us", lambda value: f"{value:,.0f}"),
    "p99": ("p99 us", lambda value: f"{value:,.0f}"),
    "tail": ("p99/p50", lambda value: f"{value:.1f}"),
    "resident": ("bytes resident", lambda value: f"{value:,.0f}"),
    "seconds": ("s", lambda value: f"{value:.2f}"),
}


@dataclass
class Result:
    """One row's samples, by subject, ours first; ``failure`` says why there are none."""

    name: str
    title: str
    shows: str
    bounds: Sequence[Bound] = ()
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failure: str = ""

    def ratio(self, subject: str, measure: str = "") -> float | None:
        """Our median over a subject's."""
        return ratio(self.samples.get(OURS, []), self.samples.get(subject, []), measure or self.shows)

    def value(self, bound: Bound) -> float | None:
        """What a bound is about, as measured; None when it was not."""
        if bound.against:
            return self.ratio(bound.against, bound.measure)
        ours = self.samples.get(OURS, [])
        return median(ours, bound.measure) if ours else None

    @property
    def errors(self) -> int:
        """Requests that failed, of all subjects."""
        return sum(sample.errors for samples in self.samples.values() for sample in samples)

    def as_json(self) -> dict[str, object]:
        """Everything that was measured."""
        return {
            "name": self.name,
            "title": self.title,
            "shows": self.shows,
            "failure": self.failure,
            "samples": {name: [asdict(sample) for sample in taken] for name, taken in self.samples.items()},
            "medians": {name: asdict(middle(taken)) for name, taken in self.samples.items() if taken},
            "ratios": {
                name: {measure: self.ratio(name, measure) for measure in MEASURES}
                for name in self.samples
                if name != OURS
            },
            "bounds": [
                {**asdict(bound), "value": value, "holds": None if value is None else bound.holds(value)}
                for bound in self.bounds
                for value in (self.value(bound),)
            ],
        }


def machine() -> dict[str, object]:
    """What it was measured on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def as_json(results: Sequence[Result]) -> dict[str, object]:
    """The whole run."""
    return {"machine": machine(), "results": [result.as_json() for result in results]}


def missed(results: Sequence[Result]) -> list[str]:
    """The rows whose bounds do not hold, or that failed."""
    return [
        result.name
        for result in results
        if result.failure
        or result.errors
        or any((value := result.value(bound)) is not None and not bound.holds(value) for bound in result.bounds)
    ]


# -- tables ------------------------------------------------------------------------------------------------------------


def result_lines(results: Sequence[Result], *, titles: bool = True) -> list[tuple[str, ...]]:
    """Under HEADINGS: a line a subject, ours first."""
    lines: list[tuple[str, ...]] = []
    for result in results:
        label = f"{result.name}: {result.title}" if titles else result.name
        if result.failure:
            lines.append((label, f"failed: {result.failure.splitlines()[-1]}", *[""] * (len(HEADINGS) - 2)))
        for subject, samples in result.samples.items():
            if samples:
                lines.append((label, *_figures(result, subject, middle(samples))))
                label = ""
    return lines


def _figures(result: Result, subject: str, shown: Sample) -> tuple[str, ...]:
    share = None if subject == OURS else result.ratio(subject)
    told = f"{subject} ({shown.errors} errors)" if shown.errors else subject
    return (
        told,
        _number(shown.requests_per_s),
        _number(shown.p50_us),
        _number(shown.p99_us),
        _number(shown.cpu_us),
        _number(shown.bytes_per_s / 1e6, 1),
        _number(shown.resident_bytes / 1e6, 1 if shown.resident_bytes >= 1e6 else 4),
        _number(shown.seconds, 2),
        "" if share is None else f"{share:.2f} {UNITS[result.shows][0]}",
    )


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}" if value else ""


def bound_lines(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Under BOUND_HEADINGS: a line a bound."""
    lines: list[tuple[str, ...]] = []
    for result in results:
        for bound in result.bounds:
            value = result.value(bound)
            held = "not measured" if value is None else "yes" if bound.holds(value) else "NO"
            unit, form = UNITS[bound.measure]
            form = (lambda number: f"{number:.2f}") if bound.against else form
            told = f"{unit} {'<=' if bound.at_most else '>='} {form(bound.limit)}"
            told += f" times {bound.against}" if bound.against else ""
            lines.append((result.name, told, "" if value is None else form(value), held))
    return lines


def show(results: Sequence[Result], console: Console) -> None:
    """Print both tables; on a narrow terminal without the rows' titles."""
    lines_of_results = result_lines(results, titles=console.width >= WIDE)
    for title, headings, lines in (
        ("Medians; CPU and memory are those of all processes of the server", HEADINGS, lines_of_results),
        ("Bounds", BOUND_HEADINGS, bound_lines(results)),
    ):
        table = Table(title=title)
        for heading in headings:
            table.add_column(heading, justify="left" if heading in LEFT else "right", overflow="fold")
        for line in lines:
            table.add_row(*line)
        console.print(table)


def markdown(results: Sequence[Result]) -> str:
    """Both tables for the documentation."""
    about = machine()
    head = f"{about['cores']} cores, {about['system']}, Python {about['python']}."
    return (
        "\n\n".join((head, _markdown(HEADINGS, result_lines(results)), _markdown(BOUND_HEADINGS, bound_lines(results))))
        + "\n"
    )


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rules = ["---" if heading in LEFT else "---:" for heading in headings]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rules, *lines))
