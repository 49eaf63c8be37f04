"""The job: buckets in turns, soft stops, transitions, faults in the middle, events; with a clock that obeys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.classes import ClassedPlace
from support.faulty_sqlite import Faults, is_any
from support.metadata import Metadata, sqlite_metadata

from nova_objectstore.delivery.ports import Change, Event
from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    NoncurrentExpiration,
    Predicates,
    Rule,
    Transition,
)
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.domain.notifications import EXPIRE
from nova_objectstore.errors import EngineError, StorageFull
from nova_objectstore.jobs.lifecycle import BATCH, Happened, LifecycleJob
from nova_objectstore.meta.lifecycle_port import LookKind
from nova_objectstore.types import Bucket, ListQuery, Version, Versioning, VersionsQuery

DAY = Day.of_seconds(100)
DAY_US = DAY.length_us


def rule(number: int = 1, prefix: str = "", **facts: Any) -> Rule:
    return Rule(f"rule-{number}", True, filter=Filter(Predicates(prefix=prefix)), **facts)


def configured(*rules: Rule) -> Configuration:
    return Configuration(rules)


class NoMover:
    def move(self, *args: Any, **kwargs: Any) -> Version | None:
        raise AssertionError("there are no transitions")


class Kit:
    """A bucket's lifecycle over an engine, and what it reported."""

    def __init__(self, meta: Metadata, mover: Any = None) -> None:
        self.meta = meta
        self.reported: list[Happened] = []
        self.lifecycles = BucketLifecycles(meta.engine, day=DAY)
        self.job = LifecycleJob(
            meta.engine,
            self.lifecycles,
            mover or NoMover(),
            now_us=lambda: meta.now_us,
            report=self.reported.append,
        )

    def keys(self, bucket: Bucket) -> list[str]:
        return [version.key for version in self.meta.engine.list_objects(bucket.id, ListQuery()).versions]


@pytest.fixture
def meta(tmp_path) -> Iterator[Metadata]:
    with sqlite_metadata(tmp_path, sync="never") as metadata:
        yield metadata
        metadata.check_state()


# -- turns -------------------------------------------------------------------------------------------------------------


def test_buckets_take_turns(meta):
    kit = Kit(meta)
    large, small = meta.bucket("large"), meta.bucket("small")
    for bucket in (large, small):
        kit.lifecycles.put(bucket, configured(rule(expiration=Expiration(days=1))))
    for number in range(2 * BATCH + 1):
        meta.put(large, f"key-{number:04}")
    meta.put(small, "key")
    meta.tick(DAY_US)
    assert kit.job.run() == {"expired": 2 * BATCH + 2}
    order = [happened.bucket.name for happened in kit.reported]
    assert order.index("small") == BATCH, "after the first batch of the other, not after all of it"


def test_a_run_is_stopped_between_batches_and_the_next_goes_on(meta):
    kit = Kit(meta)
    bucket = meta.bucket()
    kit.lifecycles.put(bucket, configured(rule(expiration=Expiration(days=1))))
    kit.job.run()
    for number in range(BATCH + 5):
        meta.put(bucket, f"key-{number:04}")
    meta.tick(DAY_US)
    answers = iter([True, False])
    assert kit.job.run(lambda: next(answers)) == {"expired": BATCH}
    assert len(kit.keys(bucket)) == 5
    assert kit.job.run() == {"expired": 5}


def test_what_was_done_is_reported(meta):
    kit = Kit(meta)
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules = rule(1, "a", expiration=Expiration(days=1)), rule(2, noncurrent_expiration=NoncurrentExpiration(1))
    kit.lifecycles.put(bucket, configured(*rules, rule(3, abort_days=1)))
    version = meta.put(bucket, "a")
    meta.begin(bucket, "b", "u1")
    for _ in range(3):
        meta.tick(DAY_US)
        kit.job.run()
    told = {happened.subject.kind: (happened.rule_id, happened.subject.key) for happened in kit.reported}
    assert told == {
        LookKind.CURRENT: ("rule-1", "a"),
        LookKind.NONCURRENT: ("rule-2", "a"),
        LookKind.MARKER: ("rule-1", "a"),  # alone, and old enough
        LookKind.UPLOAD: ("rule-3", "b"),
    }
    deleted = {happened.subject.kind: happened.deleted for happened in kit.reported}
    assert deleted[LookKind.CURRENT].is_marker
    assert deleted[LookKind.NONCURRENT] == (version.version_id, False)
    assert deleted[LookKind.MARKER] == deleted[LookKind.CURRENT]
    assert deleted[LookKind.UPLOAD] is None
    assert not meta.engine.list_versions(bucket.id, VersionsQuery()).versions


def test_days_of_another_length_hold_for_what_is_there(meta):
    kit = Kit(meta)
    bucket = meta.bucket()
    calendar = BucketLifecycles(meta.engine)
    calendar.put(bucket, configured(rule(expiration=Expiration(days=1))))
    meta.put(bucket, "a")
    LifecycleJob(meta.engine, calendar, NoMover(), now_us=lambda: meta.now_us).run()
    meta.tick(DAY_US)
    kit.job.run()
    assert kit.keys(bucket) == []


# -- faults ------------------------------------------------------------------------------------------------------------


def test_a_fault_at_any_statement_leaves_whole_steps(tmp_path):
    faults = Faults()
    with sqlite_metadata(tmp_path, sync="never", connection_class=faults.connection_class()) as meta:
        kit = Kit(meta)
        bucket = meta.bucket(versioning=Versioning.ENABLED)
        first = configured(rule(1, "gone", expiration=Expiration(days=1)), rule(2, abort_days=1))
        kit.lifecycles.put(bucket, first)
        skip = 0
        while True:
            meta.put(bucket, f"gone/{skip}")
            meta.put(bucket, f"kept/{skip}")
            meta.begin(bucket, "gone", f"u{skip}")
            meta.tick(DAY_US)
            faults.fail("io", is_any, skip=skip)
            _run_and_fail(kit)
            struck = faults.struck
            faults.heal()
            meta.check_state()
            kit.job.run()
            assert kit.keys(bucket) == sorted(f"kept/{number}" for number in range(skip + 1))
            assert not meta.rows("uploads")
            if not struck:
                break
            skip += 1
        assert skip > 20, "faults at many places"
        meta.check_state()


def _run_and_fail(kit: Kit) -> None:
    try:
        kit.job.run()
    except EngineError:
        return


def test_a_bucket_in_trouble_does_not_stop_the_others(tmp_path):
    faults = Faults()
    with sqlite_metadata(tmp_path, sync="never", connection_class=faults.connection_class()) as meta:
        kit = Kit(meta)
        buckets = [meta.bucket(name) for name in ("first", "second")]
        for bucket in buckets:
            kit.lifecycles.put(bucket, configured(rule(expiration=Expiration(days=1))))
        kit.job.run()
        for bucket in buckets:
            meta.put(bucket, "a")
        meta.tick(DAY_US)
        faults.fail("full", lambda sql: sql.startswith("DELETE FROM objects"))
        assert kit.job.run() == {"expired": 1}
        assert [kit.keys(bucket) for bucket in buckets] == [["a"], []]
        assert kit.job.run() == {"expired": 1}


# -- transitions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(classed_place: ClassedPlace) -> ClassedPlace:
    return classed_place


class Failing:
    """A mover that fails as often as it is told, and moves then."""

    def __init__(self, mover: Any, failures: int) -> None:
        self.mover = mover
        self.failures = failures
        self.calls = 0

    def move(self, *args: Any, **kwargs: Any) -> Version | None:
        self.calls += 1
        if self.calls <= self.failures:
            raise StorageFull
        return self.mover.move(*args, **kwargs)


def job_of(place: ClassedPlace, mover: Any = None) -> tuple[LifecycleJob, BucketLifecycles]:
    lifecycles = BucketLifecycles(place.store.meta, day=DAY)
    return LifecycleJob(place.store.meta, lifecycles, mover or place.store.mover, now_us=place.clock), lifecycles


def test_objects_go_down_step_by_step_and_expire(place):
    job, lifecycles = job_of(place)
    moves = (Transition("COOL", days=1), Transition("COLD", days=2))
    lifecycles.put(place.find_bucket(), configured(rule(transitions=moves, expiration=Expiration(days=3))))
    place.put("small", b"x")
    body = bytes(range(256)) * 10
    place.put("large", body)
    place.multipart("parts", [bytes(5 << 20), b"end"])
    classes = []
    for _ in range(3):
        place.now_us += DAY_US
        classes.append(dict(job.run()))
        classes.append(
            {version.storage_class for version in place.store.objects.list(place.find_bucket(), ListQuery()).versions}
        )
        if classes[-1] == {"COLD"}:
            assert place.read(place.get("large")) == body
            assert place.engines_of(place.get("parts")) == {"COLD"}
    assert classes == [{"moved": 3}, {"COOL"}, {"moved": 3}, {"COLD"}, {"expired": 3}, set()]


def test_a_move_that_fails_is_tried_a_day_later(place):
    mover = Failing(place.store.mover, failures=1)
    job, lifecycles = job_of(place, mover)
    lifecycles.put(place.find_bucket(), configured(rule(transitions=(Transition("COLD", days=1),))))
    place.put("a", b"x" * 1000)
    place.now_us += DAY_US
    assert job.run() == {}
    assert job.run() == {}
    assert mover.calls == 1
    place.now_us += DAY_US
    assert job.run() == {"moved": 1}
    assert place.get("a").storage_class == "COLD"
    place.now_us += 10 * DAY_US
    assert job.run() == {}


# -- events ------------------------------------------------------------------------------------------------------------


class Recording:
    """An announcement that only remembers what it was asked."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def events(self, change: Change) -> list[Event]:
        self.changes.append(change)
        return []


def test_removals_are_announced_with_their_effects(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    announced = Recording()
    lifecycles = BucketLifecycles(meta.engine, day=DAY)

    def announcer(found: Bucket, names: Any) -> Recording:
        assert (found.name, names) == (bucket.name, EXPIRE)
        return announced

    job = LifecycleJob(meta.engine, lifecycles, NoMover(), now_us=lambda: meta.now_us, announcer=announcer)
    rules = rule(1, expiration=Expiration(days=1)), rule(2, noncurrent_expiration=NoncurrentExpiration(1))
    lifecycles.put(bucket, configured(*rules, rule(3, abort_days=1)))
    version = meta.put(bucket, "a")
    meta.begin(bucket, "b", "u1")
    for _ in range(3):
        meta.tick(DAY_US)
        job.run()
    effects = [
        (change.effect.value, change.key, change.version_id == version.version_id) for change in announced.changes
    ]
    assert effects == [("hidden", "a", False), ("removed", "a", True), ("removed", "a", False)]
