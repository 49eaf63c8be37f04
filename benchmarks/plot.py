"""A picture of the results: what was asked of each row, and each subject's figures. matplotlib is imported when it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import UNITS, Result
from benchmarks.row import OURS

INCHES_PER_LINE = 0.28
GOOD, MISSED, WORSE = "#1f77b4", "#d62728", "#b0b0b0"  # colours
MORE_IS_BETTER = ("rate", "bytes")


def bound_bars(results: Sequence[Result]) -> list[tuple[str, float, bool]]:
    """Of each bound that was measured: its label, the value as a share of the limit, whether it holds."""
    bars = []
    for result in results:
        for bound in result.bounds:
            value = result.value(bound)
            if value is not None:
                side = "at most" if bound.at_most else "at least"
                to = f" to {bound.against}" if bound.against else ""
                label = f"{result.name}: {UNITS[bound.measure][0]}{to}, {side} {bound.limit:g}"
                bars.append((label, value / bound.limit, bound.holds(value)))
    return bars


def subject_bars(results: Sequence[Result]) -> list[tuple[str, float, bool]]:
    """Of each yardstick: its label, our median over its (rates, bytes: more is better), and whether ours is the better."""
    bars = []
    for result in results:
        for subject in result.samples:
            ratio = None if subject == OURS else result.ratio(subject)
            if ratio:
                label = f"{result.name}: {UNITS[result.shows][0]} to {subject}"
                bars.append((label, ratio, (ratio >= 1) == (result.shows in MORE_IS_BETTER)))
    return bars


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a PNG. Raises ImportError without matplotlib (``pip install nova-wsgi[bench]``)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bounds, subjects = bound_bars(results), subject_bars(results)
    lines = max(len(bounds), len(subjects), 4)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(17, 1.5 + INCHES_PER_LINE * lines), layout="constrained")
    _bars(left, bounds, (GOOD, MISSED), "Bounds: value / limit (red: not held)")
    _bars(right, subjects, (GOOD, WORSE), "Yardsticks: ours / theirs, logarithmic (grey: theirs is better)")
    if subjects:
        right.set_xscale("log")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _bars(axes: Any, bars: Sequence[tuple[str, float, bool]], colours: tuple[str, str], title: str) -> None:
    places = range(len(bars))
    axes.barh(places, [value for _, value, _ in bars], color=[colours[0] if good else colours[1] for *_, good in bars])
    axes.set_yticks(places, [label for label, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_title(title, fontsize=10)
