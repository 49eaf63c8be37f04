"""A row of the benchmark: what is measured side by side, and what must hold of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.lab import Lab
from benchmarks.stats import Bound, Sample

OURS = "nova"  # the subject that bounds are about

# Name of a subject -> what takes one sample of it. The first is ours.
Subjects = Mapping[str, Callable[[], Sample]]
Prepare = Callable[[Lab], Subjects]


@dataclass(frozen=True)
class Row:
    """One row. ``prepare`` starts what it needs and stores what is read, and answers its subjects.

    ``shows`` is the measure (stats.MEASURES) that its ratios are about.
    """

    name: str
    title: str
    prepare: Prepare
    bounds: Sequence[Bound] = ()
    shows: str = "cpu"
    is_default: bool = False

    def is_chosen(self, terms: Sequence[str]) -> bool:
        """Whether one of ``terms`` is its name or a shell pattern of it (``get-*``)."""
        return any(fnmatch.fnmatchcase(self.name, term) for term in terms)
