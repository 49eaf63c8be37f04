"""Killed at random moments, the store loses nothing that it acknowledged. ``make crash`` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.crash import Harness, Lost, seed_of
from support.store_state import stored_paths

KILLS = 20
DEADLINE_S = 60.0


def test_nothing_acknowledged_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    seed = seed_of()
    print(f"CRASH_SEED={seed}")
    harness = Harness(tmp_path / "state", seed)
    try:
        result = harness.run(KILLS)
    finally:
        harness.close()

    print(result.table())
    assert result.kills.total() == KILLS
    assert result.acknowledged.total() > KILLS
    assert result.seconds < DEADLINE_S


def test_the_harness_sees_what_is_lost(tmp_path: Path) -> None:
    harness = Harness(tmp_path / "state", 7)
    try:
        harness.run(1)
        harness.patient.put_object(Bucket="plain", Key="client0/key0", Body=b"behind its back")
        harness.workers[0].touched.add("client0/key0")
        with pytest.raises(Lost, match="not one of"):
            harness.check_everything()
        harness.patient.put_object(Bucket="plain", Key="large", Body=bytes(100_000))
        (path, *_) = (path for path in stored_paths(tmp_path / "state") if path.stat().st_size == 100_000)
        path.unlink()
        with pytest.raises(Lost, match="missing"):
            harness.check_engines()
        harness.patient.delete_object(Bucket="plain", Key="large")
        path.with_name("a" * 26).write_bytes(b"nobody's")
        with pytest.raises(Lost, match="orphan"):
            harness.check_engines()
    finally:
        harness.close()
