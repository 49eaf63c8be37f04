"""Which cores servers and loads run on: apart where there are enough, together where there are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

APART_CORES_MIN = 4  # below, two workers need what there is


def load_cores(available: Sequence[int]) -> Sequence[int]:
    """The cores that loads have for themselves: the last quarter; none where they are few."""
    return available[-(len(available) // 4) :] if len(available) >= APART_CORES_MIN else ()


def beside(command: Sequence[str | Path]) -> list[str]:
    """The command of a load, on the cores of loads."""
    return _on(command, load_cores(sorted(os.sched_getaffinity(0))))


def serving(command: Sequence[str | Path]) -> list[str]:
    """The command of a server, on the other cores."""
    available = sorted(os.sched_getaffinity(0))
    kept = load_cores(available)
    return _on(command, [core for core in available if core not in kept] if kept else ())


def _on(command: Sequence[str | Path], cores: Sequence[int]) -> list[str]:
    words = [str(word) for word in command]
    if not cores or shutil.which("taskset") is None:
        return words
    return ["taskset", "-c", ",".join(map(str, cores)), *words]
