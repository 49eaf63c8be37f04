"""Disks that fill up or fail, databases that are locked, verbs that break: nothing half, nothing lost, and it heals."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from support.faulty_sqlite import Faults, is_any, is_commit, is_write
from support.metadata import Metadata, new_part, new_version, sqlite_metadata

from nova_objectstore.errors import NoSuchBucket, PreconditionFailed, StorageFailed, StorageFull
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.sql.statements.accounts import grow_epoch
from nova_objectstore.meta.sqlite.connection import CHECKPOINT_PAGES, PAGE_SIZE
from nova_objectstore.meta.sqlite.turnstile import Turnstile
from nova_objectstore.types import Content, ContentKind, ListQuery, Version, Versioning, WriteCondition
from nova_wsgi import green

TABLES = (
    "epoch", "accounts", "buckets", "documents", "bucket_usage", "objects", "hidden_versions", "blobs", "uploads", "parts",
    "completed_uploads", "garbage",
)  # fmt: skip


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def meta(tmp_path, faults):
    """SQLite that fails when ``faults`` says so."""
    with sqlite_metadata(tmp_path, connection_class=faults.connection_class(), lock_timeout_s=0.3) as metadata:
        yield metadata
        metadata.check_state()


def state(meta: Metadata) -> dict[str, list]:
    return {table: meta.rows(table) for table in TABLES}


# -- each verb, failing at each of its statements ----------------------------------------------------------------------


def prepare(meta: Metadata):
    """A bucket with something of everything in it, and every kind of write to it."""
    bucket = meta.bucket()
    engine = meta.engine
    meta.put_data(bucket, "null", "ref-null")
    engine.set_versioning(bucket.id, Versioning.ENABLED)
    version = meta.put_data(bucket, "k", "ref-old")
    meta.put(bucket, "k", b"inline")
    meta.put_data(bucket, "null", "ref-newer")
    hidden = meta.delete(bucket, "hidden")
    meta.begin(bucket, "m", "upload")
    for number in (1, 2, 3):
        engine.put_part(bucket.id, "m", "upload", new_part(number))
    parts = engine.list_parts(bucket.id, "m", "upload")[:2]
    off = meta.bucket("off")
    meta.put_data(off, "k", "ref-off")
    suspended = meta.bucket("suspended", Versioning.SUSPENDED)
    meta.put_data(suspended, "k", "ref-suspended")
    now_us = meta.tick()

    return {
        "put over an object": lambda: engine.put_version(off, new_version("k", b"new", now_us=now_us)),
        "put a version": lambda: engine.put_version(bucket, new_version("k", b"new", now_us=now_us)),
        "put over a null version": lambda: engine.put_version(suspended, new_version("k", b"new", now_us=now_us)),
        "delete": lambda: engine.delete_object(off, "k", owner_id="o", now_us=now_us),
        "hide": lambda: engine.delete_object(bucket, "k", owner_id="o", now_us=now_us),
        "erase": lambda: engine.delete_version(bucket, "k", version.version_id, now_us=now_us),
        "erase a marker": lambda: engine.delete_version(bucket, "hidden", hidden.version_id, now_us=now_us),
        "erase many": lambda: engine.delete_objects(
            off, [("k", None, WriteCondition()), ("l", None, WriteCondition())], owner_id="o", now_us=now_us
        ),
        "rename": lambda: engine.rename_object(bucket, "k", "l", now_us=now_us),
        "complete": lambda: engine.complete_upload(
            bucket, Assembly("upload", parts, new_version("m", now_us=now_us, etag="two-2"))
        ),
        "abort": lambda: engine.abort_upload(bucket.id, "m", "upload"),
        "replace a part": lambda: engine.put_part(
            bucket.id, "m", "upload", new_part(1, 5, content=Content(ContentKind.INLINE, inline=b"small"))
        ),
        "tag": lambda: engine.set_tags(bucket.id, "k", None, {"a": "b"}),
        "put a document": lambda: engine.put_document(bucket.id, "policy", b"{}"),
        "create a bucket": lambda: engine.create_bucket(
            "new", owner_id="o", region="r", now_us=1, documents={"a": b""}
        ),
    }


VERBS = (
    "put over an object", "put a version", "put over a null version", "delete", "hide", "erase", "erase a marker",
    "erase many", "rename", "complete", "abort", "replace a part", "tag", "put a document", "create a bucket",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_fails_at_any_statement_has_done_nothing_and_can_be_repeated(tmp_path, verb):
    faults = Faults()
    with sqlite_metadata(tmp_path, connection_class=faults.connection_class(), sync="never") as meta:
        step = prepare(meta)[verb]
        before = state(meta)
        failures = 0
        while True:
            faults.fail(("full", "io", "corrupt")[failures % 3], is_any, skip=failures)
            try:
                step()
            except (StorageFull, StorageFailed):
                assert faults.struck
                assert state(meta) == before
                failures += 1
                continue
            break
        faults.heal()
        assert failures >= 4, "BEGIN, a read, a write and COMMIT at least"
        assert state(meta) != before
        meta.check_state()


# -- many verbs in one transaction -------------------------------------------------------------------------------------


def put_at_once(meta: Metadata, bucket, names, body: bytes = b"body") -> list[object]:
    def put(name):
        try:
            return meta.put(bucket, name, body)
        except (StorageFull, StorageFailed, PreconditionFailed, RuntimeError) as error:
            return error

    return [thread.wait() for thread in [green.spawn(put, name) for name in names]]


def listed(meta: Metadata, bucket) -> list[str]:
    return [version.key for version in meta.engine.list_objects(bucket.id, ListQuery()).versions]


@pytest.mark.parametrize(("name", "error"), [("full", StorageFull), ("fsync", StorageFailed), ("io", StorageFailed)])
def test_a_commit_that_fails_fails_all_its_writes_and_the_next_one_succeeds(meta, faults, name, error):
    bucket = meta.bucket()
    before = state(meta)
    faults.fail(name, is_commit)

    outcomes = put_at_once(meta, bucket, "abcdefgh")

    assert [type(outcome) for outcome in outcomes] == [error] * 8
    assert state(meta) == before
    assert [type(outcome) for outcome in put_at_once(meta, bucket, "abcdefgh")] == [Version] * 8
    assert listed(meta, bucket) == list("abcdefgh")


def test_a_refusal_that_rests_on_a_write_that_failed_is_no_refusal(meta, faults):
    bucket = meta.bucket()
    faults.fail("fsync", is_commit)
    condition = WriteCondition(if_none_match=True)

    def put():
        try:
            return meta.put(bucket, "k", condition=condition)
        except (StorageFailed, PreconditionFailed) as error:
            return error

    outcomes = [thread.wait() for thread in [green.spawn(put) for _ in range(4)]]

    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 4
    assert listed(meta, bucket) == []


def test_a_statement_that_fails_once_costs_none_of_the_writes_beside_it(meta, faults):
    bucket = meta.bucket()
    faults.fail("full", is_write, skip=7)

    outcomes = put_at_once(meta, bucket, "abcdefgh")

    assert faults.struck
    assert [type(outcome) for outcome in outcomes] == [Version] * 8
    assert listed(meta, bucket) == list("abcdefgh")


def broken_verb(tx):
    """Writes, and then breaks its law: it raises."""
    tx.run(grow_epoch)
    raise RuntimeError("on purpose")


def test_a_verb_that_breaks_after_writing_is_undone_alone(meta):
    bucket = meta.bucket()
    epoch = meta.engine.epoch()

    def break_it():
        try:
            meta.engine._write(broken_verb, (), {})
        except RuntimeError as error:
            return str(error)

    threads = [green.spawn(put_at_once, meta, bucket, name) for name in "ab"]
    threads += [green.spawn(break_it), green.spawn(put_at_once, meta, bucket, "c"), green.spawn(break_it)]
    outcomes = [thread.wait() for thread in threads]

    assert outcomes[2] == outcomes[4] == "on purpose"
    assert listed(meta, bucket) == ["a", "b", "c"]
    assert meta.engine.epoch() == epoch


def test_a_refused_verb_does_not_disturb_those_beside_it(meta, faults):
    bucket = meta.bucket()
    gone = bucket._replace(id=bucket.id + 1)
    commits = faults.seen

    def refuse():
        try:
            meta.put(gone, "x")
        except NoSuchBucket:
            return "refused"

    threads = [green.spawn(refuse), green.spawn(put_at_once, meta, bucket, "a"), green.spawn(refuse)]
    assert [thread.wait() for thread in threads][::2] == ["refused", "refused"]

    assert listed(meta, bucket) == ["a"]
    assert faults.seen > commits


# -- a full disk -------------------------------------------------------------------------------------------------------


def test_a_database_that_is_full_says_so_and_takes_writes_again_when_there_is_room(tmp_path):
    with sqlite_metadata(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "metadata.sqlite")) as made:
        room = {"pages": made.execute("PRAGMA page_count").fetchone()[0] + 30}

    class SmallConnection(sqlite3.Connection):
        def execute(self, sql, *params):
            if sql == "BEGIN IMMEDIATE":
                super().execute(f"PRAGMA max_page_count = {room['pages']}")
            return super().execute(sql, *params)

    with sqlite_metadata(tmp_path, connection_class=SmallConnection) as meta:
        bucket = meta.bucket()
        outcomes = put_at_once(meta, bucket, [f"k{number}" for number in range(200)], b"x" * 4000)
        assert {type(outcome) for outcome in outcomes} == {Version, StorageFull}
        stored = listed(meta, bucket)
        assert 3 < len(stored) < 60
        for _ in range(3):
            with pytest.raises(StorageFull):
                meta.put(bucket, "more", b"x" * 16_000)
        meta.check_state()
        assert meta.engine.get_version(bucket.id, stored[-1]).content.inline == b"x" * 4000
        meta.delete(bucket, stored[0])

        room["pages"] = 10_000
        meta.put(bucket, "more", b"x" * 16_000)

        assert listed(meta, bucket) == sorted([*stored[1:], "more"])
        meta.check_state()


# -- reads -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["io", "corrupt"])
def test_a_read_that_fails_is_tried_on_a_new_connection_the_next_time(meta, faults, name):
    bucket = meta.bucket()
    put = meta.put(bucket, "k")
    for read in (
        lambda: meta.engine.get_version(bucket.id, "k"),
        lambda: meta.engine.list_objects(bucket.id, ListQuery(delimiter="/")),
        meta.engine.epoch,
    ):
        made = faults.connections
        faults.fail(name, lambda sql: sql.startswith("SELECT"))
        with pytest.raises(StorageFailed):
            read()
        read()
        assert faults.connections == made + 1

    assert meta.engine.get_version(bucket.id, "k") == put


def test_a_writer_whose_connection_is_spoilt_gets_a_new_one(meta, faults):
    bucket = meta.bucket()
    made = faults.connections
    faults.fail("io", lambda sql: sql.startswith("ROLLBACK") or is_write(sql), times=2)
    with pytest.raises(StorageFailed):
        meta.put(bucket, "k")

    meta.put(bucket, "k")

    assert faults.connections == made + 1


# -- a locked database -------------------------------------------------------------------------------------------------


def test_a_write_waits_for_the_turnstile_and_then_fails_and_the_next_succeeds(meta, tmp_path):
    bucket = meta.bucket()
    other = Turnstile(tmp_path / "metadata.sqlite")
    other.open()
    assert other.try_enter()
    started = time.monotonic()
    outcomes = put_at_once(meta, bucket, "abc")
    waited_s = time.monotonic() - started
    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3
    assert 0.2 < waited_s < 2
    assert listed(meta, bucket) == []

    waiting = green.spawn(put_at_once, meta, bucket, "d")
    green.sleep(0.05)
    other.leave()

    assert [type(outcome) for outcome in waiting.wait()] == [Version]
    assert other.try_enter(), "nobody stays inside"
    other.close()
    assert [type(outcome) for outcome in put_at_once(meta, bucket, "e")] == [Version]


def test_a_write_waits_for_a_foreign_writer_and_reads_go_on(meta, tmp_path):
    bucket = meta.bucket()
    put = meta.put(bucket, "k")
    foreign = sqlite3.connect(tmp_path / "metadata.sqlite", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    outcomes = put_at_once(meta, bucket, "abc")
    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3

    waiting = green.spawn(put_at_once, meta, bucket, "d")
    for _ in range(5):
        green.sleep(0.01)
        assert meta.engine.get_version(bucket.id, "k") == put
    foreign.execute("ROLLBACK")
    foreign.close()

    assert [type(outcome) for outcome in waiting.wait()] == [Version]
    assert listed(meta, bucket) == ["d", "k"]


def test_the_log_is_cut_back_though_writes_never_stop(tmp_path):
    with sqlite_metadata(tmp_path, sync="never") as meta:
        bucket = meta.bucket()
        wal = tmp_path / "metadata.sqlite-wal"
        size_max, written = 0, 0
        for _ in range(600):
            put_at_once(meta, bucket, "abcdefgh", b"x" * 16_000)
            size_max, written = max(size_max, wal.stat().st_size), written + 8 * 16_000

        assert size_max < 1.5 * CHECKPOINT_PAGES * PAGE_SIZE < written
        meta.check_state()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_closed_engine_refuses_and_what_was_queued_is_done(tmp_path):
    with sqlite_metadata(tmp_path) as meta:
        bucket = meta.bucket()
        queued = [green.spawn(meta.put, bucket, name) for name in "abc"]
        green.sleep(0)
        meta.engine.close()
        assert [thread.wait().key for thread in queued] == ["a", "b", "c"]
        for step in (lambda: meta.put(bucket, "d"), meta.engine.epoch, lambda: meta.engine.get_version(bucket.id, "a")):
            with pytest.raises(StorageFailed):
                step()
        meta.engine.open()
        assert listed(meta, bucket) == ["a", "b", "c"]
        meta.check_state()


def test_nothing_is_left_beside_a_closed_database(tmp_path):
    with sqlite_metadata(tmp_path) as meta:
        meta.put(meta.bucket(), "k")

    assert sorted(path.name for path in Path(tmp_path).iterdir()) == [
        "metadata.sqlite",
        "metadata.sqlite-turn",
        "metadata.sqlite-writer",
    ]
