"""Quotas, on every engine: what counts, what is refused, what never is; and that no race passes them."""

from __future__ import annotations

import pytest
from support.metadata import OTHER, OWNER, Metadata, new_account, new_part, new_version, sqlite_metadata

from nova_objectstore.errors import NoSuchAccount, NoSuchBucket, NoSuchKey, NoSuchUpload, QuotaExceeded
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.quota_port import NO_QUOTA, KnownQuota, Quota, QuotaUse
from nova_objectstore.meta.sql.migrations.upgrade import upgrade_sqlite
from nova_objectstore.types import Versioning, WriteCondition
from nova_wsgi import green


@pytest.fixture
def owned(meta: Metadata) -> Metadata:
    """An engine with the account that owns the buckets."""
    meta.engine.create_account(new_account(), None)
    return meta


def refuse(match: str, step, *args, **options) -> None:
    with pytest.raises(QuotaExceeded, match=match):
        step(*args, **options)


def complete(meta: Metadata, bucket, key: str, upload_id: str, *parts) -> None:
    assembly = Assembly(upload_id, parts, new_version(key, b"", now_us=meta.tick()))
    meta.engine.complete_upload(bucket, assembly)


# -- a bucket's ----------------------------------------------------------------------------------------------------------


def test_objects_beyond_the_quota_are_refused_and_room_that_is_made_is_taken(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=2))
    meta.put(bucket, "a")
    meta.put(bucket, "b")
    refuse("bucket's quota of 2 objects", meta.put, bucket, "c")
    meta.put(bucket, "a", b"another")
    meta.delete(bucket, "b")
    meta.put(bucket, "c")
    assert meta.engine.get_bucket_quota(bucket.id) == QuotaUse(Quota(objects_max=2), 2, 11)


def test_bytes_beyond_the_quota_are_refused_to_the_byte(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(bytes_max=10))
    meta.put(bucket, "a", b"12345")
    refuse("bucket's quota of 10 bytes", meta.put, bucket, "b", b"123456")
    meta.put(bucket, "b", b"12345")
    refuse("bytes", meta.put, bucket, "a", b"123456")
    meta.put(bucket, "a", b"1234")
    meta.put(bucket, "empty", b"")
    assert meta.engine.usage(bucket.id) == (3, 9)


def test_every_version_counts_and_no_marker_does(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=2))
    first = meta.put(bucket, "a")
    meta.put(bucket, "a")
    refuse("2 objects", meta.put, bucket, "a")
    for _ in range(3):
        meta.delete(bucket, "a")
    refuse("2 objects", meta.put, bucket, "a")
    meta.erase(bucket, "a", first.version_id)
    meta.put(bucket, "a")


def test_a_null_version_that_is_replaced_makes_room_for_the_next(meta):
    bucket = meta.bucket(versioning=Versioning.SUSPENDED)
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=1, bytes_max=4))
    meta.put(bucket, "a")
    meta.put(bucket, "a")
    meta.delete(bucket, "a")
    meta.put(bucket, "b")
    refuse("1 objects", meta.put, bucket, "a")


def test_a_quota_below_what_is_held_stops_what_adds_and_nothing_else(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    versions = [meta.put(bucket, key, b"12345") for key in "aab"]
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=1, bytes_max=1))
    refuse("objects", meta.put, bucket, "c", b"")
    meta.engine.set_tags(bucket.id, "b", None, {"t": "1"})
    meta.engine.rename_object(bucket, "b", "c", now_us=meta.tick())
    meta.delete(bucket, "a")
    outcomes = meta.engine.delete_objects(
        bucket, [("a", versions[0].version_id, WriteCondition()), ("x", None, WriteCondition())],
        owner_id=OWNER, now_us=meta.tick(),
    )  # fmt: skip
    assert [outcome.is_marker for outcome in outcomes] == [False, True]
    assert meta.engine.usage(bucket.id)[0] == 2
    meta.engine.set_bucket_quota(bucket.id, NO_QUOTA)
    meta.put(bucket, "c")


def test_a_rename_adds_nothing_and_one_over_another_object_gives_room(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=2, bytes_max=8))
    meta.put(bucket, "a")
    meta.put(bucket, "b")
    meta.engine.rename_object(bucket, "a", "c", now_us=meta.tick())
    meta.engine.rename_object(bucket, "b", "c", now_us=meta.tick())
    assert meta.engine.usage(bucket.id) == (1, 4)
    meta.put(bucket, "d")


def test_a_write_that_fails_another_check_says_so_and_one_that_is_refused_leaves_nothing(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=0))
    with pytest.raises(NoSuchKey):
        meta.put(bucket, "a", condition=WriteCondition(if_match="x"))
    refuse("0 objects", meta.put_data, bucket, "a", "ref-1")
    assert meta.engine.known_refs(["ref-1"]) == []
    assert meta.garbage() == []


# -- uploads -------------------------------------------------------------------------------------------------------------


def test_parts_in_progress_count_and_a_completion_adds_no_bytes(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=1, bytes_max=25))
    meta.begin(bucket, "big", "u1")
    first, second = new_part(1, 10), new_part(2, 10)
    meta.engine.put_part(bucket.id, "big", "u1", first)
    meta.engine.put_part(bucket.id, "big", "u1", second)
    refuse("25 bytes", meta.engine.put_part, bucket.id, "big", "u1", new_part(3, 6))
    refuse("25 bytes", meta.put, bucket, "a", b"123456")
    meta.engine.put_part(bucket.id, "big", "u1", new_part(3, 5))
    complete(meta, bucket, "big", "u1", first, second)
    assert meta.engine.get_bucket_quota(bucket.id) == QuotaUse(Quota(1, 25), 1, 20)
    refuse("1 objects", meta.put, bucket, "a", b"")


def test_a_part_that_is_replaced_counts_once_and_what_ends_gives_its_bytes_back(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(bytes_max=20))
    meta.begin(bucket, "big", "u1")
    meta.engine.put_part(bucket.id, "big", "u1", new_part(1, 15))
    meta.engine.put_part(bucket.id, "big", "u1", new_part(1, 20, content=new_part(2).content))
    refuse("20 bytes", meta.engine.put_part, bucket.id, "big", "u1", new_part(1, 21, content=new_part(3).content))
    meta.engine.abort_upload(bucket.id, "big", "u1")
    meta.put(bucket, "a", b"x" * 20)
    with pytest.raises(NoSuchUpload):
        meta.engine.put_part(bucket.id, "big", "u1", new_part(4, 1))


def test_a_completion_is_refused_for_its_object_and_may_be_tried_again(meta):
    bucket = meta.bucket()
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=1))
    meta.put(bucket, "a")
    meta.begin(bucket, "big", "u1")
    part = new_part(1, 10)
    meta.engine.put_part(bucket.id, "big", "u1", part)
    refuse("1 objects", complete, meta, bucket, "big", "u1", part)
    meta.delete(bucket, "a")
    complete(meta, bucket, "big", "u1", part)


def test_uploads_of_before_quotas_were_kept_are_counted_by_the_migration(tmp_path):
    import sqlite3

    with sqlite_metadata(tmp_path) as meta:
        bucket = meta.bucket()
        meta.begin(bucket, "big", "u1")
        meta.engine.put_part(bucket.id, "big", "u1", new_part(1, 10))
        meta.begin(bucket, "big", "u2")
        meta.engine.put_part(bucket.id, "big", "u2", new_part(2, 20))
    connection = sqlite3.connect(tmp_path / "metadata.sqlite", isolation_level=None)
    for table in ("part_usage", "bucket_quotas", "account_quotas"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE alembic_version SET version_num = '0006'")
    upgrade_sqlite(connection, "0007")
    assert connection.execute("SELECT * FROM part_usage").fetchall() == [(bucket.id, 30)]
    connection.close()


# -- an account's --------------------------------------------------------------------------------------------------------


def test_an_accounts_quota_is_over_all_its_buckets_and_begins_with_what_they_hold(owned):
    meta = owned
    one, two = meta.bucket("one"), meta.bucket("two")
    meta.put(one, "a", b"12345")
    meta.begin(two, "big", "u1")
    meta.engine.put_part(two.id, "big", "u1", new_part(1, 10))
    assert meta.engine.get_account_quota(OWNER) == QuotaUse(NO_QUOTA, 1, 15)
    meta.engine.set_account_quota(OWNER, Quota(objects_max=3, bytes_max=20))
    meta.put(two, "b", b"123")
    refuse("account's quota of 20 bytes", meta.put, one, "c", b"123")
    meta.put(one, "c", b"12")
    refuse("account's quota of 3 objects", meta.put, two, "d", b"")
    meta.engine.abort_upload(two.id, "big", "u1")
    meta.delete(one, "a")
    assert meta.engine.get_account_quota(OWNER) == QuotaUse(Quota(3, 20), 2, 5)
    meta.check_state()


def test_another_account_is_not_judged_by_it(owned):
    meta = owned
    meta.engine.set_account_quota(OWNER, Quota(objects_max=0))
    theirs = meta.engine.create_bucket("theirs", owner_id=OTHER, region="us-east-1", now_us=meta.tick())
    meta.put(theirs, "a")
    refuse("0 objects", meta.put, meta.bucket(), "a")


def test_the_narrower_of_two_quotas_refuses(owned):
    meta = owned
    one, two = meta.bucket("one"), meta.bucket("two")
    meta.engine.set_account_quota(OWNER, Quota(objects_max=2))
    meta.engine.set_bucket_quota(one.id, Quota(objects_max=1))
    meta.put(one, "a")
    refuse("bucket's quota of 1", meta.put, one, "b")
    meta.put(two, "a")
    refuse("account's quota of 2", meta.put, two, "b")


def test_a_bucket_that_goes_takes_its_quota_and_its_uploads_bytes_along(owned):
    meta = owned
    meta.engine.set_account_quota(OWNER, Quota(bytes_max=100))
    bucket = meta.bucket("gone")
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=5))
    meta.put(bucket, "a", b"12345")
    meta.begin(bucket, "big", "u1")
    meta.engine.put_part(bucket.id, "big", "u1", new_part(1, 90))
    meta.delete(bucket, "a")
    meta.engine.delete_bucket(bucket.id)
    assert meta.engine.get_account_quota(OWNER) == QuotaUse(Quota(bytes_max=100), 0, 0)
    assert meta.rows("bucket_quotas") == []
    again = meta.bucket("gone")
    assert meta.engine.get_bucket_quota(again.id) == QuotaUse(NO_QUOTA, 0, 0)


def test_an_account_that_goes_takes_its_quota_along(owned):
    meta = owned
    meta.engine.set_account_quota(OWNER, Quota(bytes_max=1))
    meta.engine.delete_account(OWNER)
    assert meta.rows("account_quotas") == []
    assert meta.engine.list_quotas() == []


# -- setting and listing -------------------------------------------------------------------------------------------------


def test_quotas_are_replaced_listed_and_removed(owned):
    meta = owned
    bucket = meta.bucket("photos")
    meta.put(bucket, "a")
    meta.engine.set_bucket_quota(bucket.id, Quota(objects_max=1, bytes_max=2))
    meta.engine.set_bucket_quota(bucket.id, Quota(bytes_max=3))
    meta.engine.set_account_quota(OWNER, Quota(objects_max=7))
    meta.engine.set_account_quota(OWNER, Quota(objects_max=8, bytes_max=9))
    assert meta.engine.list_quotas() == [
        KnownQuota(OWNER, None, QuotaUse(Quota(8, 9), 1, 4)),
        KnownQuota(OWNER, "photos", QuotaUse(Quota(None, 3), 1, 4)),
    ]
    meta.engine.set_bucket_quota(bucket.id, NO_QUOTA)
    meta.engine.set_account_quota(OWNER, NO_QUOTA)
    meta.engine.set_account_quota(OWNER, NO_QUOTA)
    assert meta.engine.list_quotas() == []


def test_who_is_not_there_has_no_quota(meta):
    for step in (meta.engine.get_bucket_quota, lambda number: meta.engine.set_bucket_quota(number, Quota(1))):
        with pytest.raises(NoSuchBucket):
            step(12345)
    for step in (meta.engine.get_account_quota, lambda number: meta.engine.set_account_quota(number, Quota(1))):
        with pytest.raises(NoSuchAccount):
            step(OTHER)


# -- races ---------------------------------------------------------------------------------------------------------------


def put_or_refused(meta: Metadata, bucket, key: str) -> bool:
    try:
        meta.engine.put_version(bucket, new_version(key, now_us=meta.now_us))
    except QuotaExceeded:
        return False
    return True


@pytest.mark.parametrize("whose", ["bucket", "account"])
def test_of_thirty_two_writers_as_many_succeed_as_the_quota_lets(owned, whose):
    meta = owned
    buckets = [meta.bucket("one"), meta.bucket("two")]
    if whose == "bucket":
        buckets[1] = buckets[0]
        meta.engine.set_bucket_quota(buckets[0].id, Quota(objects_max=11))
    else:
        meta.engine.set_account_quota(OWNER, Quota(objects_max=11))
    writers = [green.spawn(put_or_refused, meta, buckets[number % 2], f"k{number}") for number in range(32)]
    assert sum(writer.wait() for writer in writers) == 11
    meta.check_state()


def test_a_quota_that_is_set_between_writes_of_one_transaction_counts_them_all(owned):
    meta = owned
    bucket = meta.bucket()
    meta.put(bucket, "before")
    steps = [green.spawn(put_or_refused, meta, bucket, f"a{number}") for number in range(4)]
    setting = green.spawn(meta.engine.set_account_quota, OWNER, Quota(objects_max=7))
    steps += [green.spawn(put_or_refused, meta, bucket, f"b{number}") for number in range(4)]
    setting.wait()
    assert sum(step.wait() for step in steps) == 6
    assert meta.engine.get_account_quota(OWNER).objects == 7
    meta.check_state()
