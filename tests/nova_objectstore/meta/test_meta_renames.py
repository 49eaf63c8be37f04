"""RenameObject: one key's current object becomes another's, in every versioning state."""

import pytest
from support.metadata import new_part, new_version

from nova_objectstore.errors import NoSuchBucket, NoSuchKey, ObjectLocked, PreconditionFailed
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.types import Checksum, Lock, Versioning, VersionsQuery, WriteCondition


def rename(meta, bucket, source, target, **conditions):
    return meta.engine.rename_object(bucket, source, target, now_us=meta.tick(), **conditions)


def history(meta, bucket):
    """(key, version id, ETag or None) of everything in the bucket."""
    page = meta.engine.list_versions(bucket.id, VersionsQuery())
    return [(v.key, v.version_id, None if v.is_marker else v.etag) for v in page.versions]


@pytest.mark.parametrize("versioning", list(Versioning))
def test_everything_but_the_key_comes_along(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    facts = {
        "headers": {"Content-Type": "image/png"},
        "tags": {"a": "b"},
        "extra": {"c": "d"},
        "storage_class": "GLACIER",
        "checksum": Checksum("SHA1", "FULL_OBJECT", "x"),
    }
    put = meta.put(bucket, "old", b"bytes", **facts)

    renamed = rename(meta, bucket, "old", "new")

    got = meta.engine.get_version(bucket.id, "new")
    expected = put._replace(key="new", version_id=renamed.version_id, sequence=renamed.sequence)
    assert got == expected
    assert renamed == expected._replace(content=renamed.content)
    assert got.modified_us == put.modified_us
    with pytest.raises(NoSuchKey):
        meta.engine.get_version(bucket.id, "old")
    assert meta.engine.usage(bucket.id) == (1, 5)


def test_unversioned_rename_replaces_the_target(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "old", "moved")
    meta.put_data(bucket, "new", "replaced")

    renamed = rename(meta, bucket, "old", "new")

    assert renamed.content.ref == "moved"
    assert history(meta, bucket) == [("new", "null", renamed.etag)]
    assert meta.garbage() == ["replaced"]


def test_enabled_rename_leaves_a_marker_and_the_older_versions_behind(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    older = meta.put(bucket, "old", b"one")
    moved = meta.put(bucket, "old", b"two")
    target = meta.put(bucket, "new", b"target")

    renamed = rename(meta, bucket, "old", "new")

    assert renamed.version_id not in (moved.version_id, target.version_id)
    entries = history(meta, bucket)
    assert entries[0] == ("new", renamed.version_id, moved.etag)
    assert entries[1] == ("new", target.version_id, target.etag)
    assert entries[2][0] == "old"
    assert entries[2][2] is None
    assert entries[3:] == [("old", older.version_id, older.etag)]
    assert meta.engine.usage(bucket.id) == (3, 12)


def test_suspended_rename_replaces_null_versions_at_both_ends(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "old", "old-null")
    meta.put_data(bucket, "new", "new-null")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    moved = meta.put_data(bucket, "old", "moved", etag="moved")
    kept = meta.put_data(bucket, "new", "kept", etag="kept")
    meta.engine.set_versioning(bucket.id, Versioning.SUSPENDED)

    rename(meta, bucket, "old", "new")

    assert history(meta, bucket) == [
        ("new", "null", moved.etag),
        ("new", kept.version_id, "kept"),
        ("old", "null", None),
    ]
    assert sorted(meta.garbage()) == ["new-null", "old-null"]
    assert meta.engine.get_version(bucket.id, "new").content.ref == "moved"


def test_suspended_rename_of_a_null_version(meta):
    bucket = meta.bucket(versioning=Versioning.SUSPENDED)
    meta.put_data(bucket, "old", "moved")

    rename(meta, bucket, "old", "new")

    assert [(key, version_id) for key, version_id, _ in history(meta, bucket)] == [("new", "null"), ("old", "null")]
    assert meta.garbage() == []


def test_a_multipart_object_keeps_its_parts(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "old", "upload")
    for number in (1, 2):
        meta.engine.put_part(bucket.id, "old", "upload", new_part(number))
    parts = meta.engine.list_parts(bucket.id, "old", "upload")
    meta.engine.complete_upload(bucket, Assembly("upload", parts, new_version("old", etag="whole-2")))

    renamed = rename(meta, bucket, "old", "new")

    assert (renamed.parts_count, renamed.size, renamed.etag) == (2, 20, "whole-2")
    assert [part.content.ref for part in meta.engine.list_content_parts(renamed)] == ["part-1", "part-2"]
    assert meta.engine.get_version(bucket.id, "new") == renamed


def test_conditions_hold_at_both_ends(meta):
    bucket = meta.bucket()
    put = meta.put(bucket, "old", b"one")
    target = meta.put(bucket, "new", b"two")

    for options in (
        {"source_condition": WriteCondition(if_match="other")},
        {"condition": WriteCondition(if_none_match=True)},
        {"condition": WriteCondition(if_match="other")},
    ):
        with pytest.raises(PreconditionFailed):
            rename(meta, bucket, "old", "new", **options)
    with pytest.raises(NoSuchKey):
        rename(meta, bucket, "old", "newer", condition=WriteCondition(if_match="*"))
    assert history(meta, bucket) == [("new", "null", target.etag), ("old", "null", put.etag)]

    rename(
        meta,
        bucket,
        "old",
        "new",
        source_condition=WriteCondition(if_match=put.etag),
        condition=WriteCondition(if_match=target.etag),
    )

    assert history(meta, bucket) == [("new", "null", put.etag)]


def test_what_is_not_there_cannot_be_renamed(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    with pytest.raises(NoSuchKey):
        rename(meta, bucket, "old", "new")
    meta.put(bucket, "old")
    meta.delete(bucket, "old")
    with pytest.raises(NoSuchKey) as hidden:
        rename(meta, bucket, "old", "new")
    assert hidden.value.facts["delete_marker"] is True
    with pytest.raises(NoSuchBucket):
        rename(meta, bucket._replace(id=bucket.id + 1), "old", "new")

    assert len(history(meta, bucket)) == 2


def test_what_is_locked_stays_where_it_is(meta):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "old", lock=Lock("COMPLIANCE", 1 << 60))

    with pytest.raises(ObjectLocked):
        rename(meta, bucket, "old", "new")

    assert history(meta, bucket) == [("old", put.version_id, put.etag)]


@pytest.mark.parametrize("versioning", list(Versioning))
def test_a_rename_to_itself_changes_nothing(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    put = meta.put(bucket, "k")

    assert rename(meta, bucket, "k", "k").version_id == put.version_id
    with pytest.raises(PreconditionFailed):
        rename(meta, bucket, "k", "k", condition=WriteCondition(if_none_match=True))

    assert meta.engine.get_version(bucket.id, "k") == put
