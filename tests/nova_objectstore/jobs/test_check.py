"""A check tells what metadata and data do not agree on; a repair removes nothing that is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from support.watched import Watched

from nova_objectstore.data.names import new_ref
from nova_objectstore.errors import StorageFailed
from nova_objectstore.jobs.check import COUNTERS, METADATA, ORPHAN, Checker


@pytest.fixture
def place(tmp_path):
    watched = Watched(tmp_path / "state")
    watched.fill()
    yield watched
    watched.close()


def test_a_sound_store_has_no_problem(place):
    place.add("0-300000", b"again" * 10_000)  # garbage is known

    assert place.check() == []


def test_an_orphan_is_told_and_removed_by_a_repair(place):
    ref = new_ref()
    orphan = place.path / "data" / ref[:2] / ref
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")

    (problem,) = place.check()
    assert (problem.kind, problem.ref, problem.size, problem.is_repaired) == (ORPHAN, ref, 8, False)
    assert place.check(young_s=10**12) == [], "young ones are left alone"
    assert orphan.exists()
    assert place.check(repair=True)[0].is_repaired
    assert not orphan.exists()
    assert place.check() == []


def test_what_is_being_written_is_no_orphan(place):
    writer = place.store.data.create()
    writer.write(b"half")
    written = place.store.data.create()
    written.write(b"whole")
    ref = written.commit()

    assert place.check(repair=True) == []
    assert place.store.data.open(ref).size == 5
    writer.abort()


def test_missing_data_are_told_and_recorded_by_a_repair(place):
    place.data_file("0-300000").unlink()

    (problem,) = place.check()
    assert (problem.kind, problem.key, problem.is_repaired) == ("missing", "0-300000", False)
    assert place.damages() == []
    (problem,) = place.check(repair=True)
    assert not problem.is_repaired, "nobody can"
    assert place.damages() == [("missing", "0-300000")]
    assert place.get("0-300000").size == 300_000, "its version stays"


def test_data_of_another_length_are_told_and_put_into_quarantine(place):
    path = place.data_file("1-300000")
    path.write_bytes(path.read_bytes() + b"more")

    assert [problem.kind for problem in place.check(repair=True)] == ["size"]
    assert [problem.kind for problem in place.check()] == ["quarantined"]
    assert place.damages() == [("size", "1-300000")]


def test_counters_are_told_and_rewritten(place):
    with closing(sqlite3.connect(place.database())) as connection, connection:
        connection.execute("UPDATE bucket_usage SET objects = objects + 1, bytes = 0")

    (problem,) = place.check(repair=True)
    assert (problem.kind, problem.is_repaired) == (COUNTERS, True)
    assert place.check() == []
    assert place.store.meta.usage(place.bucket.id) == (20, sum(len(body) for body in place.bodies.values()))


def test_a_damaged_database_is_told(place):
    def fail() -> None:
        raise StorageFailed("the metadata database is damaged: on purpose")

    checker = Checker(place.store.meta, place.watch, place.store.data, check_metadata=fail, now_us=lambda: place.now_us)

    (problem,) = checker.run(repair=True, young_s=0)
    assert (problem.kind, problem.is_repaired) == (METADATA, False)
    assert "on purpose" in problem.facts
