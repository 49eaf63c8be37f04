"""Any call of the engines fails, in any request and any job: an AWS error, nothing lost, nothing half, and it heals.

Here each call meets one fault, chosen by the seed; ``make faults`` goes over all of them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from support.engine_faults import FILE_FAULTS
from support.fault_jobs import JOBS, Jobs
from support.fault_steps import REQUESTS, Step
from support.fault_sweep import CALLS_IN_TURN, Broken, Sweep, Sweeper
from support.faulty_store import FaultyStore, faulty_store


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with faulty_store(tmp_path_factory.mktemp("store") / "state") as store:
        yield Jobs(store)


@pytest.fixture(scope="module")
def seed() -> int:
    """FAULT_SEED, or a random one."""
    return int(os.environ.get("FAULT_SEED") or random.SystemRandom().getrandbits(32))


@pytest.mark.parametrize("name", [*REQUESTS, *JOBS])
def test_a_fault_at_any_call(jobs: Jobs, seed: int, name: str) -> None:
    print(f"FAULT_SEED={seed}")
    sweep = Sweep(seed)
    with healing(jobs.store):
        Sweeper(jobs.store, sweep, full=False).run(name, getattr(jobs, name))

    assert sweep.faults.total() >= min(sweep.calls[name], CALLS_IN_TURN) >= 1


@contextlib.contextmanager
def healing(store: FaultyStore) -> Iterator[None]:
    """A test that fails leaves no fault to the next."""
    try:
        yield
    finally:
        store.injector.heal()


def test_a_full_disk_is_one_line_in_the_log_and_a_failing_one_has_its_traceback(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    injector = jobs.store.injector
    for fault in ("ENOSPC", "EIO"):
        step = jobs.put_large(jobs.store.fresh_name())
        with healing(jobs.store):
            injector.arm(0, FILE_FAULTS.index(fault), only="create")
            with caplog.at_level(logging.ERROR), pytest.raises(ClientError):
                step.act()
    assert [(record.getMessage().rpartition("=")[2], bool(record.exc_info)) for record in caplog.records] == [
        ("'ENOSPC'", False),
        ("'EIO'", True),
    ]


def test_the_sweep_sees_a_success_that_is_none(jobs: Jobs) -> None:
    def make(name: str) -> Step:
        step = jobs.put_large(name)

        def lie() -> None:
            with contextlib.suppress(ClientError):
                step.act()

        return Step(lie, step.look, step.after)

    with healing(jobs.store), pytest.raises(Broken, match="success was answered"):
        Sweeper(jobs.store, Sweep(1), full=False).run("a lie", make)


def test_the_sweep_sees_what_does_not_heal(jobs: Jobs) -> None:
    def make(name: str) -> Step:
        step = jobs.put_large(name)
        tried: list[str] = []

        def once() -> None:
            tried.append(name)
            assert len(tried) == 1, "broken for good"
            step.act()

        return Step(once, step.look, step.after)

    with healing(jobs.store), pytest.raises(Broken, match="does not heal"):
        Sweeper(jobs.store, Sweep(1), full=False).run("a breach", make)
