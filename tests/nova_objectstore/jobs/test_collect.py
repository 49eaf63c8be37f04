"""Collecting: what cannot be deleted keeps nothing else waiting; a clock that jumps makes nothing old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.encrypted import OWNER, Body

from nova_objectstore.assembly import Settings, Store, build_lifecycle_job, build_reaper, build_store
from nova_objectstore.domain.accounts import Accounts
from nova_objectstore.domain.cautious_clock import CautiousClock
from nova_objectstore.domain.lifecycle.configuration import Configuration, Expiration, Filter, Predicates, Rule
from nova_objectstore.domain.objects import Delete, ObjectSpec
from nova_objectstore.jobs.collect import STUCK_MAX

S = 1_000_000
DAY_US = 24 * 3600 * S
LARGE = bytes(100_000)


class Place:
    """A store whose clock is set, while time passes as it does."""

    def __init__(self, path: Path) -> None:
        self.passed_us = self.wall_us = 1_700_000_000 * S
        self.aging = CautiousClock(self.clock, passed_us=lambda: self.passed_us)
        settings = Settings(state_path=path, sync="never", collect_delay_s=600)
        self.store: Store = build_store(settings, clock_us=self.clock, aging_us=self.aging)
        self.store.open()
        Accounts(self.store.meta, now_us=self.clock).create("owner", account_id=OWNER)
        self.bucket = self.store.buckets.create("photos", owner_id=OWNER)

    def clock(self) -> int:
        return self.wall_us

    def wait(self, us: int) -> None:
        self.passed_us += us
        self.wall_us += us

    def put(self, key: str) -> str:
        """Its ref."""
        return self.store.objects.put(self.bucket, ObjectSpec(key, OWNER), Body(LARGE)).content.ref

    def delete(self, key: str) -> None:
        self.store.objects.delete(self.bucket, Delete(key), owner_id=OWNER)

    def queued(self) -> list[str]:
        return [item.ref for item in self.store.meta.list_garbage(queued_before_us=1 << 62, limit=10_000)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "state")
    yield made
    made.store.close()


def test_what_cannot_be_deleted_keeps_nothing_else_waiting(place: Place) -> None:
    meta = place.store.meta
    ref = place.put("key")
    meta.queue_unnamed(["GONE:abcdefghijklmnopqrstuvwxyz"], now_us=place.clock())  # of a class that is not configured
    place.delete("key")
    place.wait(601 * S)

    assert place.store.collector.run() == 1
    assert place.queued() == ["GONE:abcdefghijklmnopqrstuvwxyz"]
    assert not list(place.store.data.list_settled()), ref
    assert place.store.collector.run() == 0


def test_a_disk_that_refuses_everything_is_not_asked_for_ever(place: Place) -> None:
    refs = [f"GONE:{number:026}" for number in range(STUCK_MAX + 600)]
    place.store.meta.queue_unnamed(refs, now_us=place.clock())
    place.wait(601 * S)
    assert place.store.collector.run() == 0
    assert len(place.queued()) == len(refs)


def test_a_clock_that_is_set_forward_collects_nothing(place: Place) -> None:
    place.put("key")
    place.delete("key")
    place.wall_us += 8 * DAY_US
    place.wait(599 * S)
    assert place.store.collector.run() == 0
    place.wall_us -= 8 * DAY_US
    assert place.store.collector.run() == 0
    place.wait(2 * S)
    assert place.store.collector.run() == 1


def test_a_clock_that_is_set_forward_ends_no_upload_and_expires_nothing(place: Place) -> None:
    upload = place.store.uploads.begin(place.bucket, ObjectSpec("upload", OWNER), initiator="")
    rule = Rule("rule", True, filter=Filter(Predicates()), expiration=Expiration(days=1))
    place.store.lifecycles.put(place.bucket, Configuration((rule,)))
    place.put("key")
    reaper = build_reaper(place.store, age_days=1, clock_us=place.aging)
    lifecycle = build_lifecycle_job(place.store, clock_us=place.aging)
    lifecycle.run()

    place.wall_us += 8 * DAY_US
    assert reaper.run() == 0
    assert not any(lifecycle.run().values())
    place.wall_us -= 8 * DAY_US
    assert place.store.uploads.get(place.bucket, "upload", upload.upload_id)
    assert place.store.objects.get(place.bucket, "key")

    place.wait(2 * DAY_US)
    assert reaper.run() == 1
    assert lifecycle.run()["expired"] == 1


def test_what_is_doubtful_is_decided_by_the_metadata(place: Place) -> None:
    named, unnamed = place.put("key"), _write(place)
    place.store.data.doubt([named, unnamed])
    place.store.collector.decide()

    assert list(place.store.data.list_doubtful()) == []
    assert place.queued() == [unnamed]
    place.wait(601 * S)
    place.store.collector.run()
    assert [found.ref for found in place.store.data.list_settled()] == [named]


def _write(place: Place) -> str:
    writer = place.store.data.create()
    writer.write(LARGE)
    return writer.commit()
