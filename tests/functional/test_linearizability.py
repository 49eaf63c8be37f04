"""Sixteen clients at a few keys of a store with two workers: the store answers as if each key were one copy.

``make linearizability`` is the long form. ``LINEARIZABILITY_SEED`` repeats what the clients were to do.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.object_model import History, describe, write_history
from support.register_run import Plan, Torn, keep, register_store, run_round
from support.stale_cache import stale_cache
from support.store import Store

SEED = int(os.environ.get("LINEARIZABILITY_SEED") or random.SystemRandom().getrandbits(24))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with register_store(tmp_path_factory.mktemp("state"), "--sync=never") as running:
        yield running


def check(history: History, directory: Path) -> None:
    verdict = history.check()
    if not verdict.is_linearizable:
        path = keep(history, directory, write_history)
        assert verdict.stuck is not None
        pytest.fail(f"{history.about}: {path}: nothing explains {describe(verdict.stuck)}")


@pytest.mark.parametrize(
    "plan",
    [
        Plan(SEED, keys=1, steps=60),
        Plan(SEED + 1, keys=3, steps=80),
        Plan(SEED + 2, keys=2, steps=60, is_versioned=True),
        Plan(SEED + 3, keys=2, steps=60, kills=True),
    ],
    ids=["one-key", "three-keys", "versioned", "a-worker-killed"],
)
def test_each_key_is_as_one_copy(store: Store, plan: Plan, tmp_path: Path) -> None:
    print(f"LINEARIZABILITY_SEED={SEED}")
    done = run_round(store, plan)
    assert len(done.workers) >= 2, "both workers have answered"
    assert done.refused, "conditions have failed"
    assert done.done.total() == plan.clients * plan.steps
    for history in done.histories:
        check(history, tmp_path)


def test_a_stale_cache_in_front_is_found(store: Store, tmp_path: Path) -> None:
    plan = Plan(SEED + 4, clients=8, keys=1, steps=60)
    with stale_cache(store.port, seed=SEED) as cache:
        try:
            done = run_round(store, plan, port=cache.port)
        except Torn as error:
            pytest.fail(f"whole answers, though old ones: {error}")
        assert cache.stale
    assert not all(history.check().is_linearizable for history in done.histories)
