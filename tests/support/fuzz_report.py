"""What a run of the fuzzer shows: a bar while it goes on, a table for people, JSON for machines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from support.fuzzing import MEMORY_GROWTH_MAX, Result

REFRESH_S = 0.2
MiB = 1024 * 1024


@contextmanager
def show_inputs(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw a bar on a terminal's standard error while the block runs; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    drawn_s = 0.0

    def tell(done: int) -> None:
        nonlocal drawn_s
        bar.update(task, completed=done)
        if time.monotonic() - drawn_s >= REFRESH_S:
            drawn_s = time.monotonic()
            bar.refresh()

    with bar:
        task = bar.add_task(name, total=total)
        yield tell


def row_of(result: Result, growths: Mapping[str, float]) -> dict[str, Any]:
    """A result for JSON. ``growths``: how many times the CPU time of twice the size is, by name."""
    return {
        "target": result.target,
        "seed": result.seed,
        "inputs": result.inputs,
        "cpu_s": round(result.cpu_s, 1),
        "outcomes": len(result.outcomes),
        "memory_growth_mib": round(result.memory_growth / MiB, 1),
        "memory_is_flat": result.memory_growth <= MEMORY_GROWTH_MAX,
        "growths": {name: round(growth, 2) for name, growth in growths.items()},
        "findings": [
            {"name": finding.name, "problem": finding.problem, "input": finding.data.hex()}
            for finding in result.findings
        ],
    }


def render_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All results, a line each."""
    lines = [
        f"{'target':<26}{'inputs':>11}{'CPU s':>9}{'outcomes':>10}{'memory +MiB':>13}{'growth':>8}{'findings':>10}"
    ]
    for row in rows:
        growth = max(row["growths"].values(), default=None)
        lines.append(
            f"{row['target']:<26}{row['inputs']:>11,}{row['cpu_s']:>9,}{row['outcomes']:>10,}{row['memory_growth_mib']:>13,}"
            f"{'-' if growth is None else growth:>8}{len(row['findings']):>10}"
        )
    return "\n".join(lines)
