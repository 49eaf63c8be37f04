"""The short form of the fuzzer: every target with what was found before, some thousand inputs, and inputs that grow."""

from __future__ import annotations

import pytest
from fuzz.targets import TARGETS
from support.fuzzing import Target, run, try_input, work_of

SEED = 20260101
SIZE = 1000  # of what grows, in what it repeats; then twice that
WORK_GROWTH_MAX = 2.5  # times for twice the size: 2 is linear, 4 quadratic

EACH = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
GROWTHS = [(target, name) for target in TARGETS.values() for name in target.growths]


@EACH
def test_nothing_is_found(target: Target) -> None:
    result = run(target, inputs=target.short, seed=SEED)
    assert result.inputs >= target.short
    assert not result.findings, (
        f"seed {SEED}: {result.findings[0].problem}\n{result.findings[0].data!r}\n{result.findings[0].trace}"
    )


@pytest.mark.parametrize(("target", "name"), GROWTHS, ids=[f"{target.name}: {name}" for target, name in GROWTHS])
def test_twice_the_input_is_twice_the_work(target: Target, name: str) -> None:
    make = target.growths[name]
    with target.open():
        once, twice = (work_of(target.check, make(size)) for size in (SIZE, 2 * SIZE))
    assert twice <= once * WORK_GROWTH_MAX, f"{once} lines, then {twice}"


@pytest.mark.parametrize(("target", "name"), GROWTHS, ids=[f"{target.name}: {name}" for target, name in GROWTHS])
def test_a_large_input_does_not_hang(target: Target, name: str) -> None:
    with target.open():
        _, finding = try_input(target.check, target.growths[name](20_000))
    assert finding is None, finding
