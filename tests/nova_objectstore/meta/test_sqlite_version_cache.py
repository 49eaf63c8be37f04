"""The cache of current versions: what it answers is what the database would answer, whoever committed last."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.metadata import OWNER, START_US, new_version

from nova_objectstore.errors import NoSuchKey
from nova_objectstore.meta.sqlite import SqliteEngine, wal_index
from nova_objectstore.meta.sqlite.version_cache import INLINE_BYTES_MAX, VERSIONS_MAX
from nova_objectstore.types import Versioning


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metadata.sqlite"


def opened(path):
    engine = SqliteEngine(path)
    engine.open()
    return engine


@pytest.fixture
def engine(path):
    engine = opened(path)
    yield engine
    engine.close()


@pytest.fixture
def bucket(engine):
    return engine.create_bucket("box", owner_id=OWNER, region="us-east-1", now_us=START_US)


def put(engine, bucket, key, body=b"body"):
    return engine.put_version(bucket, new_version(key, body, now_us=START_US))


def test_a_version_that_was_read_is_the_same_object_until_something_is_committed(engine, bucket):
    put(engine, bucket, "a")
    engine.get_version(bucket.id, "a")  # the first read connects, the next one is kept
    first = engine.get_version(bucket.id, "a")
    assert engine.get_version(bucket.id, "a") is first
    put(engine, bucket, "b")
    again = engine.get_version(bucket.id, "a")
    assert again is not first
    assert again == first


def test_with_and_without_its_bytes_a_version_is_two_values(engine, bucket):
    put(engine, bucket, "a", b"bytes")
    for _ in range(3):
        assert engine.get_version(bucket.id, "a", inline=True).content.inline == b"bytes"
        assert engine.get_version(bucket.id, "a", inline=False).content.inline is None


def test_every_kind_of_change_is_seen_at_once_by_another_engine(engine, path):
    other = opened(path)
    bucket = engine.create_bucket("versioned", owner_id=OWNER, region="us-east-1", now_us=START_US, documents={})
    engine.set_versioning(bucket.id, Versioning.ENABLED)
    try:
        for number in range(20):
            put(engine, bucket, "a", b"%d" % number)
            for _ in range(3):
                assert other.get_version(bucket.id, "a").content.inline == b"%d" % number
            engine.set_tags(bucket.id, "a", None, {"n": str(number)})
            assert other.get_version(bucket.id, "a").tags == {"n": str(number)}
        engine.delete_object(bucket, "a", owner_id=OWNER, now_us=START_US)
        with pytest.raises(NoSuchKey):
            other.get_version(bucket.id, "a")
    finally:
        other.close()


def test_a_change_by_another_process_is_seen_at_once(engine, bucket, path):
    put(engine, bucket, "a", b"old")
    for _ in range(3):
        assert engine.get_version(bucket.id, "a").content.inline == b"old"
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute(\"UPDATE blobs SET body = X'6e6577' WHERE id = (SELECT content_id FROM objects WHERE key = 'a')\")"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)
    assert engine.get_version(bucket.id, "a").content.inline == b"new"


def test_the_cache_is_bounded_in_number_and_bytes(engine, bucket):
    engine.get_version(bucket.id, put(engine, bucket, "first").key)
    cache = engine._versions
    assert cache is not None
    bodies = {f"{number:04}": b"x" * 16_000 for number in range(200)}
    for key, body in bodies.items():
        put(engine, bucket, key, body)
    for key, body in bodies.items():
        assert engine.get_version(bucket.id, key).content.inline == body
        assert cache._inline_bytes <= INLINE_BYTES_MAX
    for _ in range(VERSIONS_MAX + 10):
        engine.get_version(bucket.id, "first", inline=False)
    assert len(cache._versions) <= VERSIONS_MAX


def test_the_wal_index_is_opened_once_a_process_and_let_go_when_it_is_gone(path):
    before = open_files()
    first, second = opened(path), opened(path)
    bucket = first.create_bucket("box", owner_id=OWNER, region="us-east-1", now_us=START_US)
    put(first, bucket, "a")
    for engine in (first, second):
        engine.get_version(bucket.id, "a")
    assert first._versions.index is second._versions.index
    first.close()
    assert second.get_version(bucket.id, "a").key == "a"  # its locks were not let go with the first
    assert not second._versions.index.is_gone
    second.close()
    other = opened(path.with_name("other.sqlite"))
    other.create_bucket("box", owner_id=OWNER, region="us-east-1", now_us=START_US)
    other.list_accounts()
    assert not any(index.is_gone for index in wal_index._open.values())
    other.close()
    assert open_files() <= before + 2  # the last one's descriptor and its mapping's, until the next is opened


def open_files():
    return len(os.listdir("/proc/self/fd"))
