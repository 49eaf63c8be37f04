"""Buckets, their versioning state, their documents."""

import pytest
from support.metadata import OTHER, OWNER, new_part

from nova_objectstore import limits
from nova_objectstore.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidBucketState,
    NoSuchBucket,
    NoSuchDocument,
    NoSuchUpload,
    TooManyBuckets,
)
from nova_objectstore.types import Bucket, Versioning


def test_a_new_bucket_is_found_by_its_name(meta):
    made = meta.engine.create_bucket("photos", owner_id=OWNER, region="eu-west-1", now_us=77)

    assert made == meta.engine.find_bucket("photos")
    assert made == Bucket(made.id, "photos", OWNER, "eu-west-1", 77, Versioning.OFF, False, made.revision)
    assert meta.engine.usage(made.id) == (0, 0)
    with pytest.raises(NoSuchBucket):
        meta.engine.find_bucket("photo")


def test_a_bucket_name_is_taken_once(meta):
    meta.bucket("photos")

    with pytest.raises(BucketAlreadyOwnedByYou):
        meta.engine.create_bucket("photos", owner_id=OWNER, region="us-east-1", now_us=0)
    with pytest.raises(BucketAlreadyExists):
        meta.engine.create_bucket("photos", owner_id=OTHER, region="us-east-1", now_us=0)


def test_a_bucket_with_object_lock_begins_versioned_and_with_its_documents(meta):
    bucket = meta.bucket(object_lock=True, documents={"ownership": b"<O/>", "tags": b""})

    assert (bucket.versioning, bucket.object_lock) == (Versioning.ENABLED, True)
    assert meta.engine.get_documents(bucket.id) == {"ownership": b"<O/>", "tags": b""}


def test_buckets_are_listed_by_name_and_owner_in_pages(meta):
    for name in ["delta", "alpha", "bravo", "alpine", "charlie"]:
        meta.bucket(name)
    meta.engine.create_bucket("alps", owner_id=OTHER, region="us-east-1", now_us=0)

    def listed(**query):
        return [bucket.name for bucket in meta.engine.list_buckets(OWNER, **query)]

    assert listed() == ["alpha", "alpine", "bravo", "charlie", "delta"]
    assert listed(limit=2) == ["alpha", "alpine"]
    assert listed(limit=2, after="alpine") == ["bravo", "charlie"]
    assert listed(prefix="alp") == ["alpha", "alpine"]
    assert listed(prefix="alp", after="alpha") == ["alpine"]
    assert listed(prefix="alpha") == ["alpha"]
    assert listed(prefix="b", after="alpha") == ["bravo"]
    assert listed(prefix="a", after="bravo") == []
    assert listed(prefix="zulu") == listed(limit=0) == []


def test_an_empty_bucket_goes_with_its_documents_and_uploads(meta):
    bucket = meta.bucket()
    meta.engine.put_document(bucket.id, "policy", b"{}")
    meta.begin(bucket, "k", "upload-1")
    meta.engine.put_part(bucket.id, "k", "upload-1", new_part(1))

    meta.engine.delete_bucket(bucket.id, now_us=123)

    with pytest.raises(NoSuchBucket):
        meta.engine.find_bucket("photos")
    with pytest.raises(NoSuchUpload):
        meta.engine.get_upload(bucket.id, "k", "upload-1")
    for table in ("buckets", "documents", "uploads", "parts", "bucket_usage"):
        assert meta.rows(table) == []
    assert meta.garbage() == ["part-1"]
    with pytest.raises(NoSuchBucket):
        meta.engine.delete_bucket(bucket.id)


def test_a_bucket_with_an_object_or_a_hidden_version_or_a_marker_stays(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    version = meta.put(bucket, "k")
    with pytest.raises(BucketNotEmpty):
        meta.engine.delete_bucket(bucket.id)
    marker = meta.delete(bucket, "k")
    with pytest.raises(BucketNotEmpty):
        meta.engine.delete_bucket(bucket.id)
    meta.erase(bucket, "k", version.version_id)
    with pytest.raises(BucketNotEmpty):
        meta.engine.delete_bucket(bucket.id)

    meta.erase(bucket, "k", marker.version_id)
    meta.engine.delete_bucket(bucket.id)

    assert meta.rows("buckets") == []


def test_a_bucket_made_again_is_another_bucket(meta):
    first = meta.bucket()
    meta.engine.delete_bucket(first.id)
    second = meta.bucket()

    assert second.id != first.id
    with pytest.raises(NoSuchBucket):
        meta.put(first, "k")


def test_versioning_goes_on_and_is_suspended_but_never_off(meta):
    bucket = meta.bucket()
    for state in (Versioning.ENABLED, Versioning.SUSPENDED, Versioning.ENABLED):
        before = meta.engine.find_bucket("photos")
        meta.engine.set_versioning(bucket.id, state)
        after = meta.engine.find_bucket("photos")
        assert after.versioning is state
        assert after.revision > before.revision

    with pytest.raises(InvalidBucketState):
        meta.engine.set_versioning(bucket.id, Versioning.OFF)
    with pytest.raises(NoSuchBucket):
        meta.engine.set_versioning(bucket.id + 1, Versioning.ENABLED)


def test_object_lock_needs_versioning_and_keeps_it(meta):
    bucket = meta.bucket()
    with pytest.raises(InvalidBucketState):
        meta.engine.set_object_lock(bucket.id)
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)

    meta.engine.set_object_lock(bucket.id)

    assert meta.engine.find_bucket("photos").object_lock
    with pytest.raises(InvalidBucketState):
        meta.engine.set_versioning(bucket.id, Versioning.SUSPENDED)
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    with pytest.raises(NoSuchBucket):
        meta.engine.set_object_lock(bucket.id + 1)


def test_documents_are_stored_replaced_and_removed(meta):
    bucket = meta.bucket()
    with pytest.raises(NoSuchDocument):
        meta.engine.get_document(bucket.id, "cors")
    revisions = [bucket.revision]

    for body in (b"<one/>", b"\x00\xff", b""):
        meta.engine.put_document(bucket.id, "cors", body)
        assert meta.engine.get_document(bucket.id, "cors") == body
        revisions.append(meta.engine.find_bucket("photos").revision)
    meta.engine.put_document(bucket.id, "policy", b"{}")
    assert meta.engine.get_documents(bucket.id) == {"cors": b"", "policy": b"{}"}
    meta.engine.delete_document(bucket.id, "cors")
    meta.engine.delete_document(bucket.id, "cors")

    assert meta.engine.get_documents(bucket.id) == {"policy": b"{}"}
    assert revisions == sorted(set(revisions))
    for verb in (
        lambda: meta.engine.put_document(bucket.id + 1, "cors", b""),
        lambda: meta.engine.delete_document(bucket.id + 1, "cors"),
    ):
        with pytest.raises(NoSuchBucket):
            verb()


def test_usage_counts_every_version_that_is_not_a_marker(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    first = meta.put(bucket, "k", b"12345")
    meta.put(bucket, "k", b"123")
    meta.put(bucket, "l", b"")
    meta.delete(bucket, "k")
    assert meta.engine.usage(bucket.id) == (3, 8)

    meta.erase(bucket, "k", first.version_id)

    assert meta.engine.usage(bucket.id) == (2, 3)
    assert meta.engine.usage(bucket.id + 1) == (0, 0)


def test_the_number_of_an_accounts_buckets_is_bounded(meta):
    bucket = meta.bucket()
    (row,) = meta.rows("buckets")
    names = (f"bucket-{number}" for number in range(1, limits.BUCKETS_PER_ACCOUNT_MAX))
    ids = range(bucket.id + 1, bucket.id + limits.BUCKETS_PER_ACCOUNT_MAX)
    meta.insert("buckets", [{**row, "id": bucket_id, "name": name} for bucket_id, name in zip(ids, names, strict=True)])
    meta.insert("bucket_usage", [{"bucket_id": bucket_id, "objects": 0, "bytes": 0} for bucket_id in ids])

    with pytest.raises(TooManyBuckets):
        meta.bucket("one-more")

    assert len(meta.engine.list_buckets(OWNER)) == limits.BUCKETS_PER_ACCOUNT_MAX
    meta.engine.create_bucket("anothers", owner_id=OTHER, region="us-east-1", now_us=0)
