"""Many writers at once: greenthreads of one process, engines side by side, processes, and processes that are killed."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import metadata_writer
from support.metadata import Metadata, new_part, new_version, sqlite_metadata

from nova_objectstore.errors import NoSuchUpload, ObjectLocked, PreconditionFailed, StoreError
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.sql.statements.accounts import read_epoch
from nova_objectstore.meta.sqlite.connection import STATEMENTS_PER_SLICE
from nova_objectstore.meta.sqlite.turnstile import Turnstile
from nova_objectstore.types import Deleted, ListQuery, Version, Versioning, VersionsQuery, WriteCondition
from nova_wsgi import green


def at_once(steps) -> list[object]:
    """Run every step in a greenthread of its own; answer results and the store's errors, in order."""

    def outcome(step) -> object:
        try:
            return step()
        except StoreError as error:
            return error

    return [thread.wait() for thread in [green.spawn(outcome, step) for step in steps]]


def kinds(outcomes) -> list[str]:
    return sorted(type(outcome).__name__ for outcome in outcomes)


# -- one engine --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioning", list(Versioning))
def test_of_many_writers_who_want_a_new_key_one_wins(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    condition = WriteCondition(if_none_match=True)

    outcomes = at_once(
        lambda number=number: meta.put(bucket, "k", b"%d" % number, condition=condition) for number in range(32)
    )

    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Version)]
    assert kinds(outcomes) == ["PreconditionFailed"] * 31 + ["Version"]
    assert meta.engine.get_version(bucket.id, "k") == winner
    assert len(meta.engine.list_versions(bucket.id, VersionsQuery()).versions) == 1


def test_no_increment_is_lost(meta):
    bucket = meta.bucket()
    meta.put(bucket, "counter", b"0")

    def increment() -> None:
        while True:
            seen = meta.engine.get_version(bucket.id, "counter")
            body = b"%d" % (int(seen.content.inline) + 1)
            try:
                meta.put(bucket, "counter", body, condition=WriteCondition(if_match=seen.etag))
            except PreconditionFailed:
                continue
            return

    at_once([increment] * 24)

    assert meta.engine.get_version(bucket.id, "counter").content.inline == b"24"


def test_of_many_completions_one_makes_the_object_and_the_same_ones_agree(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.begin(bucket, "k", "upload")
    for number in (1, 2):
        meta.engine.put_part(bucket.id, "k", "upload", new_part(number))
    parts = meta.engine.list_parts(bucket.id, "k", "upload")

    def complete(chosen, etag):
        new = new_version("k", now_us=meta.tick(), etag=etag)
        return meta.engine.complete_upload(bucket, Assembly("upload", chosen, new))

    outcomes = at_once([lambda: complete(parts, "two-2"), lambda: complete(parts[:1], "one-1")] * 8)

    assert kinds(outcomes) == ["NoSuchUpload"] * 8 + ["Version"] * 8
    assert len({outcome.version_id for outcome in outcomes if isinstance(outcome, Version)}) == 1
    assert len(meta.engine.list_versions(bucket.id, VersionsQuery()).versions) == 1


def test_parts_race_the_end_of_their_upload(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")

    outcomes = at_once(
        [
            lambda number=number: meta.engine.put_part(bucket.id, "k", "upload", new_part(number))
            for number in range(1, 9)
        ]
        + [lambda: meta.engine.abort_upload(bucket.id, "k", "upload")]
        + [
            lambda number=number: meta.engine.put_part(bucket.id, "k", "upload", new_part(number))
            for number in range(9, 17)
        ]
    )

    put = [number for number, outcome in enumerate(outcomes, 1) if outcome is None and number != 9]
    assert {type(outcome) for outcome in outcomes} <= {type(None), NoSuchUpload}
    assert sorted(meta.garbage()) == sorted(f"part-{number}" for number in put)


def test_a_lock_and_a_removal_race(meta):
    bucket = meta.bucket(object_lock=True)
    versions = [meta.put(bucket, f"k{number}") for number in range(8)]

    for version in versions:
        held, erased = at_once(
            [
                lambda v=version: meta.engine.set_legal_hold(bucket.id, v.key, v.version_id, on=True),
                lambda v=version: meta.erase(bucket, v.key, v.version_id),
            ]
        )
        assert (type(held), type(erased)) in [(Version, ObjectLocked), (type(erased), Deleted)]


class CountedConnection(sqlite3.Connection):
    """Counts the commits of every connection."""

    commits = 0

    def execute(self, sql, *params):
        CountedConnection.commits += sql == "COMMIT"
        return super().execute(sql, *params)


def test_writes_that_come_together_share_their_commit(tmp_path):
    with sqlite_metadata(tmp_path, connection_class=CountedConnection) as meta:
        bucket = meta.bucket()
        before = CountedConnection.commits

        outcomes = at_once(lambda number=number: meta.put(bucket, f"k{number}") for number in range(100))

        assert kinds(outcomes) == ["Version"] * 100
        assert CountedConnection.commits - before <= 3
        before = CountedConnection.commits
        at_once(lambda: meta.put(bucket, "k0", condition=WriteCondition(if_none_match=True)) for _ in range(10))
        assert CountedConnection.commits == before, "refused writes have nothing to make durable"
        assert len(meta.engine.list_objects(bucket.id, ListQuery()).versions) == 100
        meta.check_state()


def test_a_long_write_lets_others_run(tmp_path):
    with sqlite_metadata(tmp_path) as meta:
        turns = 0
        ended = False

        def take_turns() -> None:
            nonlocal turns
            while not ended:
                turns += 1
                green.sleep(0)

        def long_verb(tx) -> int:
            before = turns
            for _ in range(10 * STATEMENTS_PER_SLICE):
                tx.one(read_epoch)
            return turns - before

        others = green.spawn(take_turns)
        taken = meta.engine._write(long_verb, (), {})
        ended = True
        others.wait()

        assert taken >= 10


def test_a_snapshot_does_not_move_under_its_reader(tmp_path):
    with two_engines(tmp_path) as (first, second):
        bucket = first.bucket()

        def read_twice(tx) -> list:
            before = tx.one(read_epoch)
            second.engine.put_document(bucket.id, "policy", b"{}")
            return [before, tx.one(read_epoch)]

        epochs = first.engine._snapshot(read_twice, (), {})

        assert epochs[0] == epochs[1] == (first.engine.epoch() - 1,)


# -- several engines ---------------------------------------------------------------------------------------------------


@contextmanager
def two_engines(directory: Path) -> Iterator[tuple[Metadata, Metadata]]:
    with sqlite_metadata(directory) as first, sqlite_metadata(directory) as second:
        yield first, second
        first.check_state()


def test_engines_see_each_others_writes_and_epochs_at_once(tmp_path):
    with two_engines(tmp_path) as (first, second):
        bucket = first.bucket()
        assert second.engine.find_bucket("photos") == bucket
        assert second.engine.epoch() == first.engine.epoch()
        for number in range(5):
            writer, reader = (first, second) if number % 2 else (second, first)
            put = writer.put(bucket, "k", b"%d" % number)
            assert reader.engine.get_version(bucket.id, "k") == put
            epoch = reader.engine.epoch()
            writer.engine.put_document(bucket.id, "policy", b"%d" % number)
            assert reader.engine.epoch() > epoch


def test_of_many_writers_on_two_engines_one_wins(tmp_path):
    with two_engines(tmp_path) as engines:
        bucket = engines[0].bucket()
        condition = WriteCondition(if_none_match=True)

        for key in ("a", "b", "c"):
            outcomes = at_once(
                lambda number=number, key=key: engines[number % 2].put(bucket, key, b"%d" % number, condition=condition)
                for number in range(32)
            )
            assert kinds(outcomes) == ["PreconditionFailed"] * 31 + ["Version"]


def test_who_has_just_written_lets_the_one_who_waits_in(tmp_path):
    first, second, third = (Turnstile(tmp_path / "db") for _ in range(3))
    for turnstile in (first, second, third):
        turnstile.open()
    assert first.try_enter()
    waiting = green.submit_native(second.enter)
    wait_until(lambda: turn_is_taken(tmp_path / "db-turn"))

    first.leave()
    assert not first.try_enter(), "it is the second's turn"
    assert not third.try_enter()
    waiting.wait()
    assert not first.try_enter(), "the second is inside"
    second.leave()

    assert third.try_enter()
    for turnstile in (first, second, third):
        turnstile.close()


def turn_is_taken(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# -- processes ---------------------------------------------------------------------------------------------------------


def start_writer(directory: Path, name: str, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [directory / "metadata.sqlite", name, str(seconds), directory / f"{name}.log"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, metadata_writer.__file__, *arguments], env=environ)


def acknowledged(*outputs: str) -> tuple[dict[str, str], list[int]]:
    """The last acknowledged ETag of each key, and the counts."""
    etags: dict[str, str] = {}
    counts: list[int] = []
    for output in outputs:
        for line in output.splitlines():
            verb, *facts = line.split()
            if verb == "put":
                etags[facts[0]] = facts[1]
            else:
                counts.append(int(facts[0]))
    return etags, counts


def wait_until(condition, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        green.sleep(0.01)


def number_of(etag: str) -> int:
    return int(etag.rpartition("-")[2])


@pytest.mark.parametrize("killed", [False, True])
def test_processes_write_side_by_side_and_one_may_be_killed(tmp_path, killed):
    with sqlite_metadata(tmp_path) as meta:
        bucket = meta.bucket("shared")
        meta.put(bucket, "counter", b"0", etag="0")
        writers = [start_writer(tmp_path, name, 1.5) for name in ("one", "two")]
        logs = [tmp_path / f"{name}.log" for name in ("one", "two")]
        if killed:
            wait_until(lambda: logs[0].exists() and logs[0].read_text().count("\n") > 100)
            writers[0].send_signal(signal.SIGKILL)
        assert [writer.wait(timeout=30) for writer in writers] == [-signal.SIGKILL if killed else 0, 0]
        outputs = [log.read_text() for log in logs]

        etags, counts = acknowledged(*outputs)
        stored = {version.key: version.etag for version in all_objects(meta, bucket.id)}
        for key, etag in etags.items():
            # A write that was under way when its process died may have happened without being told.
            assert number_of(etag) <= number_of(stored[key]) <= number_of(etag) + (50 if killed else 0)
            assert meta.engine.get_version(bucket.id, key).content.inline.decode() == stored[key]
        assert len(counts) == len(set(counts)), "no increment is told twice"
        assert len(counts) <= int(stored["counter"]) <= len(counts) + (1 if killed else 0)
        written = [output.count("\n") for output in outputs]
        assert min(written) > (50 if killed else max(written) / 4), "neither starves the other"
        meta.put(bucket, "afterwards")
        meta.check_state()


def all_objects(meta: Metadata, bucket_id: int) -> Iterator[Version]:
    after: str | None = ""
    while after is not None:
        page = meta.engine.list_objects(bucket_id, ListQuery(after=after))
        yield from page.versions
        after = page.next_after
