"""Objects and their versions: what PUT, GET and DELETE mean in each versioning state."""

import pytest
from support.metadata import OTHER, OWNER, START_US, new_version

from nova_objectstore.errors import NoSuchBucket, NoSuchKey, NoSuchVersion, PreconditionFailed
from nova_objectstore.meta.sql.version_ids import make_version_id
from nova_objectstore.types import (
    NULL_VERSION,
    Checksum,
    Content,
    ContentKind,
    Deleted,
    Lock,
    Version,
    Versioning,
    VersionsQuery,
    WriteCondition,
)

FACTS = {
    "headers": {"Content-Type": "text/plain", "x-amz-meta-name": "Zoë \U0001f600"},
    "storage_class": "GLACIER",
    "checksum": Checksum("CRC64NVME", "FULL_OBJECT", "AAAAAAAAAAA="),
    "tags": {"color": "blue", "": ""},
    "lock": Lock("GOVERNANCE", START_US * 2, True),
    "extra": {"sse": "AES256"},
    "owner_id": OTHER,
}


def history(meta, bucket, key="k"):
    """(version id, ETag or None for a marker, is_latest) of a key, newest first."""
    page = meta.engine.list_versions(bucket.id, VersionsQuery())
    return [
        (version.version_id, None if version.is_marker else version.etag, version.is_latest)
        for version in page.versions
        if version.key == key
    ]


# -- one version -------------------------------------------------------------------------------------------------------


def test_what_was_put_is_what_is_got(meta):
    bucket = meta.bucket()
    put = meta.put(bucket, "a/b", b"\x00bytes\xff", **FACTS)

    got = meta.engine.get_version(bucket.id, "a/b")

    assert got == put
    assert got == Version(
        bucket_id=bucket.id,
        key="a/b",
        version_id=NULL_VERSION,
        sequence=put.sequence,
        is_latest=True,
        size=7,
        etag=b"\x00bytes\xff".hex(),
        modified_us=meta.now_us,
        owner_id=OTHER,
        storage_class="GLACIER",
        headers=FACTS["headers"],
        checksum=FACTS["checksum"],
        parts_count=0,
        content=Content(ContentKind.INLINE, inline=b"\x00bytes\xff"),
        tags=FACTS["tags"],
        lock=FACTS["lock"],
        extra=FACTS["extra"],
    )
    bare = meta.engine.get_version(bucket.id, "a/b", inline=False)
    assert bare == got._replace(content=Content(ContentKind.INLINE))


def test_facts_survive_being_hidden(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = meta.put(bucket, "k", b"old", **FACTS)
    meta.put(bucket, "k", b"new")

    assert meta.engine.get_version(bucket.id, "k", put.version_id) == put._replace(is_latest=False)


def test_an_empty_body_is_a_body(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k", b"")

    assert meta.engine.get_version(bucket.id, "k").content == Content(ContentKind.INLINE, inline=b"")


def test_data_is_named_not_read(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "k", "ref-1", size=5 << 40)

    got = meta.engine.get_version(bucket.id, "k")

    assert (got.content, got.size) == (Content(ContentKind.DATA, "ref-1"), 5 << 40)


@pytest.mark.parametrize(
    "key", ["k", "/", "//x", "a\nb\r\t", "…/\U0010ffff\uffff\ue000", " ", "x" * 1024, "%00", "é", "e\u0301"]
)
def test_every_key_is_itself(meta, key):
    bucket = meta.bucket()
    meta.put(bucket, key, b"mine")
    meta.put(bucket, key + "0" if len(key) < 1024 else "k", b"another's")

    assert meta.engine.get_version(bucket.id, key).content.inline == b"mine"
    assert meta.engine.get_version(bucket.id, key).key == key


def test_what_is_not_there_is_missing(meta):
    bucket, other = meta.bucket(), meta.bucket("other", Versioning.ENABLED)
    meta.put(bucket, "k")

    with pytest.raises(NoSuchKey) as missing:
        meta.engine.get_version(bucket.id, "K")
    assert missing.value.facts == {"key": "K"}
    with pytest.raises(NoSuchKey):
        meta.engine.get_version(other.id, "k")
    for version_id in ("null", "bogus", "a" * 32, "ä" * 32, make_version_id(meta.now_us, b"x" * 16), ""):
        with pytest.raises(NoSuchVersion):
            meta.engine.get_version(other.id, "k", version_id)
    with pytest.raises(NoSuchBucket):
        meta.engine.put_version(bucket._replace(id=bucket.id + 100), new_version("k"))


# -- unversioned -------------------------------------------------------------------------------------------------------


def test_unversioned_put_replaces_and_delete_removes(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "k", "ref-1")
    meta.put(bucket, "k", b"small")
    meta.put_data(bucket, "k", "ref-2")
    assert meta.engine.get_version(bucket.id, "k", "null").content.ref == "ref-2"
    assert meta.rows("blobs") == []

    assert meta.delete(bucket, "k") == Deleted(None, is_marker=False)
    assert meta.delete(bucket, "k") == Deleted(None, is_marker=False)

    with pytest.raises(NoSuchKey) as missing:
        meta.engine.get_version(bucket.id, "k")
    assert "delete_marker" not in missing.value.facts
    assert meta.garbage() == ["ref-1", "ref-2"]
    assert meta.rows("objects") == []


# -- enabled -----------------------------------------------------------------------------------------------------------


def test_enabled_puts_pile_up_and_each_can_be_got(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = [meta.put(bucket, "k", body) for body in (b"one", b"two", b"three")]

    assert len({version.version_id for version in put}) == 3
    assert all(len(version.version_id) == 32 for version in put)
    assert meta.engine.get_version(bucket.id, "k") == put[-1]
    for version in put[:-1]:
        assert meta.engine.get_version(bucket.id, "k", version.version_id) == version._replace(is_latest=False)
    assert [etag for _, etag, _ in history(meta, bucket)] == [b"three".hex(), b"two".hex(), b"one".hex()]


def test_what_was_put_before_versioning_is_the_null_version(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k", b"old")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    new = meta.put(bucket, "k", b"new")

    assert history(meta, bucket) == [(new.version_id, b"new".hex(), True), ("null", b"old".hex(), False)]
    assert meta.engine.get_version(bucket.id, "k", "null").content.inline == b"old"


def test_a_marker_hides_the_key_and_taking_it_away_brings_it_back(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = meta.put(bucket, "k", b"body")

    deleted = meta.delete(bucket, "k")

    assert deleted.is_marker
    with pytest.raises(NoSuchKey) as hidden:
        meta.engine.get_version(bucket.id, "k")
    assert hidden.value.facts == {"key": "k", "delete_marker": True, "version_id": deleted.version_id}
    marker = meta.engine.get_version(bucket.id, "k", deleted.version_id)
    assert (marker.is_marker, marker.is_latest, marker.owner_id, marker.modified_us) == (True, True, OWNER, meta.now_us)
    assert meta.engine.get_version(bucket.id, "k", put.version_id).content.inline == b"body"

    assert meta.erase(bucket, "k", deleted.version_id) == Deleted(deleted.version_id, is_marker=True)
    assert meta.engine.get_version(bucket.id, "k") == put


def test_markers_pile_up_even_over_nothing(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    markers = [meta.delete(bucket, "k").version_id for _ in range(3)]
    assert history(meta, bucket) == [(markers[2], None, True), (markers[1], None, False), (markers[0], None, False)]

    meta.erase(bucket, "k", markers[2])

    assert history(meta, bucket) == [(markers[1], None, True), (markers[0], None, False)]
    assert not meta.engine.get_version(bucket.id, "k", markers[0]).is_latest


def test_removing_the_current_version_promotes_the_next(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    first = meta.put_data(bucket, "k", "ref-1")
    second = meta.put_data(bucket, "k", "ref-2")
    third = meta.put_data(bucket, "k", "ref-3")

    assert meta.erase(bucket, "k", third.version_id) == Deleted(third.version_id, is_marker=False)
    assert meta.engine.get_version(bucket.id, "k") == second
    meta.erase(bucket, "k", first.version_id)
    assert meta.engine.get_version(bucket.id, "k") == second
    meta.erase(bucket, "k", second.version_id)

    assert history(meta, bucket) == []
    assert meta.garbage() == ["ref-3", "ref-1", "ref-2"]
    assert meta.rows("objects") == meta.rows("hidden_versions") == []


def test_removing_the_current_version_over_a_marker_hides_the_key(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put(bucket, "k")
    marker = meta.delete(bucket, "k")
    current = meta.put(bucket, "k")

    meta.erase(bucket, "k", current.version_id)

    with pytest.raises(NoSuchKey) as hidden:
        meta.engine.get_version(bucket.id, "k")
    assert hidden.value.facts["version_id"] == marker.version_id


def test_removing_a_version_that_is_not_there_is_no_error(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = meta.put(bucket, "k")

    for version_id in ("null", "bogus", "a" * 32):
        assert meta.erase(bucket, "k", version_id) == Deleted(version_id, is_marker=False)
    assert meta.erase(bucket, "other", put.version_id) == Deleted(put.version_id, is_marker=False)

    assert meta.engine.get_version(bucket.id, "k") == put


# -- suspended ---------------------------------------------------------------------------------------------------------


def test_suspended_put_replaces_the_null_version_wherever_it_stands(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "k", "null-1")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    kept = meta.put_data(bucket, "k", "kept-1")
    meta.engine.set_versioning(bucket.id, Versioning.SUSPENDED)

    meta.put_data(bucket, "k", "null-2")
    assert [version_id for version_id, _, _ in history(meta, bucket)] == ["null", kept.version_id]
    assert meta.garbage() == ["null-1"]
    meta.put_data(bucket, "k", "null-3")

    assert [version_id for version_id, _, _ in history(meta, bucket)] == ["null", kept.version_id]
    assert meta.engine.get_version(bucket.id, "k").content.ref == "null-3"
    assert meta.garbage() == ["null-1", "null-2"]


def test_suspended_delete_replaces_the_null_version_by_a_null_marker(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "k", "null-1")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    kept = meta.put_data(bucket, "k", "kept-1")
    meta.engine.set_versioning(bucket.id, Versioning.SUSPENDED)

    assert meta.delete(bucket, "k") == Deleted("null", is_marker=True)
    assert history(meta, bucket) == [("null", None, True), (kept.version_id, kept.etag, False)]
    assert meta.delete(bucket, "k") == Deleted("null", is_marker=True)
    assert history(meta, bucket) == [("null", None, True), (kept.version_id, kept.etag, False)]
    meta.put(bucket, "k", b"again")
    assert history(meta, bucket) == [("null", b"again".hex(), True), (kept.version_id, kept.etag, False)]

    assert meta.garbage() == ["null-1"]


def test_a_null_marker_under_later_versions_is_replaced_too(meta):
    bucket = meta.bucket(versioning=Versioning.SUSPENDED)
    meta.delete(bucket, "k")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    kept = meta.put(bucket, "k", b"kept")
    assert history(meta, bucket) == [(kept.version_id, b"kept".hex(), True), ("null", None, False)]
    meta.engine.set_versioning(bucket.id, Versioning.SUSPENDED)

    meta.put(bucket, "k", b"null")

    assert history(meta, bucket) == [("null", b"null".hex(), True), (kept.version_id, b"kept".hex(), False)]


def test_the_null_version_can_be_removed_by_name(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k", b"null")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    kept = meta.put(bucket, "k", b"kept")

    assert meta.erase(bucket, "k", "null") == Deleted("null", is_marker=False)

    assert history(meta, bucket) == [(kept.version_id, b"kept".hex(), True)]


# -- the bucket's state is the database's ------------------------------------------------------------------------------


def test_a_write_goes_by_the_state_in_the_database_not_by_the_callers_copy(meta):
    stale = meta.bucket()
    meta.engine.set_versioning(stale.id, Versioning.ENABLED)
    first, second = meta.put(stale, "k", b"one"), meta.put(stale, "k", b"two")

    assert [version_id for version_id, _, _ in history(meta, stale)] == [second.version_id, first.version_id]


# -- order -------------------------------------------------------------------------------------------------------------


def test_versions_stay_in_order_when_the_clock_jumps_back(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    first = meta.put(bucket, "k", b"one")
    meta.now_us -= 3600 * 1_000_000
    second = meta.put(bucket, "k", b"two")
    marker = meta.delete(bucket, "k")
    third = meta.put(bucket, "k", b"three")

    assert first.sequence < second.sequence < third.sequence
    assert first.modified_us <= second.modified_us <= third.modified_us, "or a client is told that nothing was modified"
    ids = [version_id for version_id, _, _ in history(meta, bucket)]
    assert ids == [third.version_id, marker.version_id, second.version_id, first.version_id]


def test_a_clock_that_was_far_ahead_is_believed_when_it_is_right_again(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    first = meta.put(bucket, "k", b"one")
    meta.now_us -= 25 * 3600 * 1_000_000
    second = meta.put(bucket, "k", b"two")

    assert first.sequence < second.sequence
    assert second.modified_us == meta.now_us


# -- conditions --------------------------------------------------------------------------------------------------------

ABSENT = WriteCondition(if_none_match=True)


@pytest.mark.parametrize("versioning", list(Versioning))
def test_if_none_match_writes_only_where_nothing_is(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    meta.put(bucket, "k", b"one", condition=ABSENT)
    with pytest.raises(PreconditionFailed) as failed:
        meta.put(bucket, "k", b"two", condition=ABSENT)
    assert failed.value.facts == {"condition": "If-None-Match"}
    assert meta.engine.get_version(bucket.id, "k").content.inline == b"one"

    meta.delete(bucket, "k")
    meta.put(bucket, "k", b"three", condition=ABSENT)

    assert meta.engine.get_version(bucket.id, "k").content.inline == b"three"


@pytest.mark.parametrize("versioning", list(Versioning))
def test_if_match_writes_only_over_that_object(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    with pytest.raises(NoSuchKey):
        meta.put(bucket, "k", condition=WriteCondition(if_match="*"))
    one = meta.put(bucket, "k", b"one")
    with pytest.raises(PreconditionFailed) as failed:
        meta.put(bucket, "k", condition=WriteCondition(if_match="other"))
    assert failed.value.facts == {"condition": "If-Match"}

    meta.put(bucket, "k", b"two", condition=WriteCondition(if_match=one.etag))
    meta.put(bucket, "k", b"three", condition=WriteCondition(if_match="*"))
    assert meta.engine.get_version(bucket.id, "k").content.inline == b"three"
    meta.delete(bucket, "k")

    with pytest.raises(NoSuchKey):
        meta.put(bucket, "k", condition=WriteCondition(if_match=b"three".hex()))


@pytest.mark.parametrize(
    ("condition", "header"),
    [
        (WriteCondition(if_match="other"), "If-Match"),
        (WriteCondition(size=5), "x-amz-if-match-size"),
        (WriteCondition(modified_us=START_US), "x-amz-if-match-last-modified-time"),
    ],
)
def test_a_delete_whose_condition_fails_deletes_nothing(meta, condition, header):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = meta.put(bucket, "k", b"four")

    for step in (
        lambda: meta.delete(bucket, "k", condition=condition),
        lambda: meta.erase(bucket, "k", put.version_id, condition=condition),
    ):
        with pytest.raises(PreconditionFailed) as failed:
            step()
        assert failed.value.facts == {"condition": header}

    assert meta.engine.get_version(bucket.id, "k") == put


def test_a_delete_whose_conditions_hold(meta):
    bucket = meta.bucket()
    put = meta.put(bucket, "k", b"four")
    second = put.modified_us // 1_000_000 * 1_000_000

    meta.delete(bucket, "k", condition=WriteCondition(if_match=put.etag, size=4, modified_us=second))

    # AWS, DeleteObject: "If the ETag matches or if the object doesn't exist, the operation will return a 204"
    for condition in (
        WriteCondition(if_match="*"),
        WriteCondition(if_match="x"),
        WriteCondition(size=9, modified_us=1),
    ):
        assert meta.delete(bucket, "k", condition=condition) == Deleted(None, is_marker=False)
        assert meta.erase(bucket, "k", "null", condition=condition) == Deleted("null", is_marker=False)


def test_a_delete_under_a_condition_hides_nothing_where_nothing_ever_was(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)

    assert meta.delete(bucket, "k", condition=WriteCondition(if_match="*")) == Deleted(None, is_marker=False)
    assert meta.rows("hidden_versions") == []


def test_a_delete_of_what_is_hidden_is_judged_by_its_marker(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    put = meta.put(bucket, "k", b"four")
    meta.delete(bucket, "k")

    for condition in (WriteCondition(if_match=put.etag), WriteCondition(size=4), WriteCondition(modified_us=1)):
        with pytest.raises(PreconditionFailed):
            meta.delete(bucket, "k", condition=condition)
    assert meta.delete(bucket, "k", condition=WriteCondition(if_match="*")).is_marker


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED])
def test_a_write_unless_the_key_holds_an_etag(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    put = meta.put(bucket, "k", b"one", condition=WriteCondition(if_none_match_etag="other"))

    with pytest.raises(PreconditionFailed) as failed:
        meta.put(bucket, "k", b"two", condition=WriteCondition(if_none_match_etag=put.etag))
    assert failed.value.facts == {"condition": "If-None-Match"}
    meta.put(bucket, "k", b"two", condition=WriteCondition(if_none_match_etag="other"))
    meta.put(bucket, "k", b"one", condition=WriteCondition(if_none_match_etag=put.etag))
    assert meta.engine.get_version(bucket.id, "k").etag == put.etag


# -- changing facts ----------------------------------------------------------------------------------------------------


def test_tags_and_extra_change_on_the_current_version_and_on_a_hidden_one(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    old = meta.put(bucket, "k", b"old", tags={"a": "1"})
    new = meta.put(bucket, "k", b"new", tags={"b": "2"})

    def bare(version, **changes):
        return version._replace(content=Content(ContentKind.INLINE), **changes)

    assert meta.engine.set_tags(bucket.id, "k", None, {"c": "3"}) == bare(new, tags={"c": "3"})
    assert meta.engine.set_tags(bucket.id, "k", old.version_id, {}) == bare(old, tags={}, is_latest=False)
    assert meta.engine.set_extra(bucket.id, "k", new.version_id, {"acl": "x"}).extra == {"acl": "x"}
    assert meta.engine.set_extra(bucket.id, "k", old.version_id, {"acl": "y"}).extra == {"acl": "y"}

    assert meta.engine.get_version(bucket.id, "k") == new._replace(tags={"c": "3"}, extra={"acl": "x"})
    changed = meta.engine.get_version(bucket.id, "k", old.version_id)
    assert changed == old._replace(tags={}, extra={"acl": "y"}, is_latest=False)


def test_facts_that_are_not_named_stay_and_an_empty_value_removes_one(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k", extra={"acl": "x", "seal": "1"})
    assert meta.engine.set_extra(bucket.id, "k", None, {"acl": "y"}).extra == {"acl": "y", "seal": "1"}
    assert meta.engine.set_extra(bucket.id, "k", None, {"acl": ""}).extra == {"seal": "1"}
    assert meta.engine.set_extra(bucket.id, "k", None, {"seal": "", "more": ""}).extra == {}
    assert meta.engine.get_version(bucket.id, "k").extra == {}


def test_facts_of_what_is_not_there_or_of_a_marker_cannot_change(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    with pytest.raises(NoSuchKey):
        meta.engine.set_tags(bucket.id, "k", None, {})
    meta.put(bucket, "k")
    marker = meta.delete(bucket, "k")

    with pytest.raises(NoSuchKey) as hidden:
        meta.engine.set_extra(bucket.id, "k", None, {})
    assert hidden.value.facts["delete_marker"] is True
    with pytest.raises(NoSuchVersion) as refused:
        meta.engine.set_tags(bucket.id, "k", marker.version_id, {})
    assert refused.value.facts["delete_marker"] is True
    with pytest.raises(NoSuchVersion):
        meta.engine.set_tags(bucket.id, "k", "null", {})


# -- many at once ------------------------------------------------------------------------------------------------------


def test_delete_objects_does_each_on_its_own(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    locked = meta.put(bucket, "locked", lock=Lock(legal_hold=True))
    first, second = meta.put(bucket, "k", b"one"), meta.put(bucket, "k", b"two")
    meta.put(bucket, "m")

    outcomes = meta.engine.delete_objects(
        bucket,
        [
            ("k", second.version_id, WriteCondition()),
            ("k", None, WriteCondition(if_match=second.etag)),
            ("k", None, WriteCondition(if_match=first.etag)),
            ("locked", locked.version_id, WriteCondition()),
            ("m", None, WriteCondition()),
            ("nothing", "null", WriteCondition()),
        ],
        owner_id=OWNER,
        now_us=meta.tick(),
    )

    assert outcomes[0] == Deleted(second.version_id, is_marker=False)
    assert [type(outcome).__name__ for outcome in outcomes[1:]] == [
        "PreconditionFailed",
        "Deleted",
        "ObjectLocked",
        "Deleted",
        "Deleted",
    ]
    assert [etag for _, etag, _ in history(meta, bucket)] == [None, b"one".hex()]
    assert [etag for _, etag, _ in history(meta, bucket, "locked")] == [locked.etag]
    assert history(meta, bucket, "m")[0][1] is None


def test_delete_objects_in_a_bucket_that_is_gone(meta):
    bucket = meta.bucket()
    meta.engine.delete_bucket(bucket.id)

    with pytest.raises(NoSuchBucket):
        meta.engine.delete_objects(bucket, [("k", None, WriteCondition())], owner_id=OWNER, now_us=meta.tick())
