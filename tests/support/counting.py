"""How much work something is, without a clock: calls of functions, of Python's and of C's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import FrameType
from typing import Any


def count_calls(work: Callable[[], Any]) -> int:
    """How many functions ``work`` calls."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(former)
    return count


def check_growth(work: Callable[[int], Any], sizes: Sequence[int], *, at_most: float = 2.2) -> None:
    """Each size is twice the one before: so may the calls be, and no more than ``at_most`` times."""
    assert all(larger == 2 * size for size, larger in pairwise(sizes))
    work(sizes[0])  # what is made once, is
    counts = [count_calls(lambda size=size: work(size)) for size in sizes]  # type: ignore[misc]
    for count, larger in pairwise(counts):
        assert larger <= at_most * count + 100, counts
