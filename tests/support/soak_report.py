"""What came out of a soak: a table, a document, a picture. matplotlib is imported when it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from support.soak import Outcome
from support.soak_samples import PARENT, Sample
from support.soak_verdict import HEADINGS, JUDGED_MIN_S, as_json, cells, measure_of

PANELS = (
    ("Memory of each process (RSS), MiB", "rss"),
    ("Memory, each page shared out (PSS), MiB", "pss"),
    ("Descriptors", "descriptors"),
    ("Threads (lines), greenthreads (dots)", "threads"),
    ("Database and its WAL, MiB", "wal", "database"),
    ("Files", "data files", "unnamed files", "staged files", "log files"),
)
MINUTE_S = 60.0


def table(outcome: Outcome) -> str:
    """For people."""
    rows = [HEADINGS, *map(cells, outcome.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row in rows:
        name, *numbers, verdict = row
        aligned = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join((name.ljust(widths[0]), *aligned, verdict)).rstrip())
    return "\n".join((*lines, "", *summary(outcome)))


def summary(outcome: Outcome) -> list[str]:
    """In sentences."""
    told = [
        f"seed {outcome.plan.seed}: {outcome.done.total():,} requests in {outcome.seconds / MINUTE_S:.1f} minutes, "
        f"{outcome.refused.total():,} refused as they had to be, {outcome.errors.total():,} that should not have been; "
        f"{outcome.events:,} events, {outcome.reloads} reloads"
    ]
    if outcome.seconds < JUDGED_MIN_S:
        told.append(f"slopes are judged after {JUDGED_MIN_S / MINUTE_S:.0f} minutes")
    return [*told, *(f"PROBLEM: {problem}" for problem in outcome.problems or ())] or told


def document(outcome: Outcome) -> dict[str, object]:
    """Everything, for programs."""
    return {
        "plan": asdict(outcome.plan),
        "seconds": outcome.seconds,
        "problems": outcome.problems,
        "figures": as_json(outcome.lines),
        "requests": dict(outcome.done),
        "refused": dict(outcome.refused),
        "errors": dict(outcome.errors),
        "events": outcome.events,
        "reloads": outcome.reloads,
        "start": dict(outcome.start),
        "samples": [{"at_s": round(sample.at_s, 1), **sample.figures} for sample in outcome.samples],
    }


def draw(outcome: Outcome, path: Path) -> None:
    """Write a PNG. Raises ImportError without matplotlib (``pip install nova-wsgi[bench]``)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 2, figsize=(14, 12), layout="constrained", sharex=True)
    names = sorted({name for sample in outcome.samples for name in sample.figures})
    for (title, *wanted), panel in zip(PANELS, axes.flat, strict=True):
        for name in names:
            if name in wanted or name.rpartition(" ")[2] in wanted:
                panel.plot(*series(outcome.samples, name), label=_label(name), linewidth=1)
            elif "threads" in wanted and name.endswith(" greenthreads"):
                panel.plot(*series(outcome.samples, name), ".", markersize=3)
        panel.set_title(title, fontsize=10)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, loc="lower right")
    for panel in axes[-1]:
        panel.set_xlabel("minutes")
    plan = outcome.plan
    figure.suptitle(
        f"{outcome.seconds / MINUTE_S:.0f} minutes of mixed load, {plan.rate:g} requests/s, seed {plan.seed}"
    )
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def series(samples: Sequence[Sample], name: str) -> tuple[list[float], list[float]]:
    """Minutes, and the figure in its unit."""
    scale = measure_of(name).scale
    points = [(sample.at_s / MINUTE_S, sample.figures[name] / scale) for sample in samples if name in sample.figures]
    return [x for x, _ in points], [y for _, y in points]


def _label(name: str) -> str:
    return name.rpartition(" ")[0] if name.partition(" ")[0].partition("/")[2] or name.startswith(PARENT) else name
