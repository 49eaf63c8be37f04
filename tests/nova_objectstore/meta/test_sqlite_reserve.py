"""The reserve: taken where there is room, given back step by step; with it deletions are possible on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.faulty_sqlite import Faults, is_write
from support.metadata import sqlite_metadata

from nova_objectstore.errors import StorageFull
from nova_objectstore.limits import MiB
from nova_objectstore.meta.sqlite.reserve import STEP, Reserve


def blocks(path: Path) -> int:
    """The bytes that a file takes up."""
    return path.stat().st_blocks * 512


def test_it_is_taken_and_given_back_step_by_step(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "db", 2 * STEP + 10)
    path = tmp_path / "db-reserve"
    assert not reserve.release(), "there is none yet"
    reserve.fill()
    reserve.fill()
    assert blocks(path) >= 2 * STEP + 10
    assert path.stat().st_mode & 0o777 == 0o600
    assert [reserve.release() for _ in range(4)] == [True, True, True, False]
    assert blocks(path) == 0
    reserve.fill()
    assert blocks(path) >= 2 * STEP + 10


def test_it_is_not_taken_where_there_is_little_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "db", 1 << 60)
    reserve.fill()
    assert not reserve.release()


def test_without_a_size_there_is_none(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "db", 0)
    reserve.fill()
    assert not reserve.release()
    assert list(tmp_path.iterdir()) == []


def test_a_deletion_on_a_full_disk_uses_it_and_a_write_does_not(tmp_path: Path) -> None:
    faults = Faults()
    with sqlite_metadata(tmp_path, connection_class=faults.connection_class(), reserve_size=3 * MiB) as meta:
        bucket = meta.bucket()
        meta.put(bucket, "key")
        meta.put(bucket, "other")
        path = tmp_path / "metadata.sqlite-reserve"
        faults.fail("full", is_write, times=10)
        with pytest.raises(StorageFull):
            meta.put(bucket, "more")
        assert blocks(path) == 3 * MiB

        faults.fail("full", is_write, times=3)  # at once, with a new log, with one step
        meta.delete(bucket, "key")
        assert blocks(path) == 1 * MiB
        faults.fail("full", is_write, times=10)
        with pytest.raises(StorageFull):
            meta.delete(bucket, "other")
        assert blocks(path) == 0
        faults.heal()
        meta.engine.tidy()
        assert blocks(path) == 3 * MiB
        meta.check_state()
