"""What a run of the lifecycle costs: it grows with what is due, and not with what the bucket holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.metadata import Metadata, sqlite_metadata

from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    NoncurrentExpiration,
    Predicates,
    Rule,
)
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.jobs.lifecycle import LifecycleJob
from nova_objectstore.types import Bucket, ListQuery, Versioning

DAY = Day.of_seconds(100)
STEPS_COUNTED = 10  # SQLite's virtual machine tells of every so many instructions
FEW, MANY = 100, 20_000
DUE = 7


class CountingCursor(sqlite3.Cursor):
    """Counts the statements of writes, which share a cursor."""

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        CountingConnection.count(sql)
        return super().execute(sql, *args)


class CountingConnection(sqlite3.Connection):
    """Counts statements and the instructions that SQLite runs for them."""

    statements: ClassVar[list[str]] = []
    ticks: ClassVar[int] = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_progress_handler(self._tick, STEPS_COUNTED)

    def _tick(self) -> int:
        CountingConnection.ticks += 1
        return 0

    @classmethod
    def count(cls, sql: str) -> None:
        if "FROM epoch" not in sql:  # read again as time goes by, however much there is to do
            cls.statements.append(sql)

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.count(sql)
        return super().execute(sql, *args)

    def cursor(self) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(CountingCursor)

    @classmethod
    def reset(cls) -> None:
        cls.statements.clear()
        cls.ticks = 0


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[Metadata]:
    with sqlite_metadata(tmp_path, sync="never", connection_class=CountingConnection) as metadata:
        yield metadata
        metadata.check_state()


RULES = Configuration(
    (
        Rule("logs", True, filter=Filter(Predicates(prefix="logs/")), expiration=Expiration(days=1)),
        Rule(
            "old",
            True,
            filter=Filter(Predicates(prefix="logs/")),
            noncurrent_expiration=NoncurrentExpiration(1, newer=3),
        ),
        Rule("all", True, filter=Filter(Predicates()), expiration=Expiration(days=1000)),
    )
)


def fill(meta: Metadata, bucket: Bucket, count: int) -> None:
    """Put so many objects that are old and not meant by the rule that is due, straight into the table."""
    meta.put_data(bucket, "kept/", ref="ref-0")
    (model,) = [row for row in meta.rows("objects") if row["bucket_id"] == bucket.id]
    meta.insert("objects", [{**model, "key": f"kept/{n:06}", "ref": f"ref-{n}"} for n in range(1, count)])
    meta.insert("bucket_usage", [{**row, "objects": count, "bytes": 4 * count} for row in meta.rows("bucket_usage")])


def run(meta: Metadata, versioning: Versioning, count: int) -> tuple[int, int]:
    """Statements and instructions of a run that has DUE objects to expire among ``count`` others."""
    bucket = meta.bucket(versioning=versioning)
    fill(meta, bucket, count)
    lifecycles = BucketLifecycles(meta.engine, day=DAY)
    job = LifecycleJob(meta.engine, lifecycles, NoMover(), now_us=lambda: meta.now_us)
    lifecycles.put(bucket, RULES)
    job.run()  # walks
    for number in range(DUE):
        meta.put(bucket, f"logs/{number}")
    meta.tick(DAY.length_us)
    CountingConnection.reset()
    assert job.run() == {"expired": DUE}
    cost = len(CountingConnection.statements), CountingConnection.ticks
    assert len(meta.engine.list_objects(bucket.id, ListQuery(prefix="logs/")).versions) == 0
    assert meta.engine.usage(bucket.id)[0] == count + (DUE if versioning is Versioning.ENABLED else 0)
    return cost


class NoMover:
    def move(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("there are no transitions")


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED])
def test_a_run_costs_what_is_due(tmp_path, versioning):
    costs = []
    for count in (FEW, MANY):
        (tmp_path / str(count)).mkdir()
        with sqlite_metadata(tmp_path / str(count), sync="never", connection_class=CountingConnection) as meta:
            costs.append(run(meta, versioning, count))
    (few_statements, few_ticks), (many_statements, many_ticks) = costs
    assert many_statements == few_statements <= 60 * DUE
    assert many_ticks <= few_ticks * 1.1
    assert many_ticks * STEPS_COUNTED < MANY, "not even one instruction for each object"


def test_a_run_with_nothing_due_asks_once(meta):
    bucket = meta.bucket()
    fill(meta, bucket, MANY)
    lifecycles = BucketLifecycles(meta.engine, day=DAY)
    job = LifecycleJob(meta.engine, lifecycles, NoMover(), now_us=lambda: meta.now_us)
    lifecycles.put(bucket, RULES)
    job.run()
    CountingConnection.reset()
    assert not any(job.run().values())
    assert len(CountingConnection.statements) == 1
    assert CountingConnection.ticks * STEPS_COUNTED < 500


def test_writes_to_buckets_without_rules_pay_nothing(meta):
    """Neither their own nor another bucket's agenda is touched, and no statement is more than before there were any."""
    other = meta.bucket("with-rules")
    BucketLifecycles(meta.engine, day=DAY).put(other, RULES)
    bucket = meta.bucket("without", Versioning.ENABLED)
    for verb in (lambda: meta.put(bucket, "a"), lambda: meta.put(bucket, "a"), lambda: meta.delete(bucket, "a")):
        CountingConnection.reset()
        verb()
        assert not [text for text in CountingConnection.statements if "lifecycle_agenda" in text]
        assert [text.split()[0] for text in CountingConnection.statements if "lifecycle" in text] == ["SELECT"]
