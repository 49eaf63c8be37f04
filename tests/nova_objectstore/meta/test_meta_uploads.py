"""Multipart uploads, and the parts of the objects they become."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.metadata import OWNER, START_US, new_part, new_upload, new_version

from nova_objectstore.errors import InvalidPart, NoSuchBucket, NoSuchKey, NoSuchUpload, PreconditionFailed
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.types import (
    Checksum,
    Content,
    ContentKind,
    Lock,
    UploadsQuery,
    Versioning,
    WriteCondition,
)
from nova_wsgi import green

DAY_US = 24 * 3600 * 1_000_000


def put_parts(meta, bucket, key, upload_id, *parts):
    for part in parts:
        meta.engine.put_part(bucket.id, key, upload_id, part)


def complete(meta, bucket, key, upload_id, parts, etag="whole", **options):
    new = new_version(key, now_us=meta.tick(), etag=etag, size=0, content=Content(ContentKind.NOTHING))
    return meta.engine.complete_upload(bucket, Assembly(upload_id, parts, new), **options)


# -- in progress -------------------------------------------------------------------------------------------------------


def test_an_upload_is_what_was_begun(meta):
    bucket = meta.bucket()
    upload = meta.begin(
        bucket,
        "a/b",
        "upload-1",
        headers={"Content-Type": "x"},
        storage_class="GLACIER",
        checksum_algorithm="CRC32C",
        checksum_type="COMPOSITE",
        tags={"a": "b"},
        lock=Lock("GOVERNANCE", 5, True),
        extra={"c": "d"},
    )

    assert meta.engine.get_upload(bucket.id, "a/b", "upload-1") == upload
    assert meta.engine.list_parts(bucket.id, "a/b", "upload-1") == []


def test_an_upload_belongs_to_its_key_and_bucket(meta):
    bucket, other = meta.bucket(), meta.bucket("other")
    meta.begin(bucket, "k", "upload-1")

    for bucket_id, key, upload_id in (
        (bucket.id, "k", "upload-2"),
        (bucket.id, "K", "upload-1"),
        (other.id, "k", "upload-1"),
    ):
        for step in (
            lambda *upload: meta.engine.get_upload(*upload),
            lambda *upload: meta.engine.list_parts(*upload),
            lambda *upload: meta.engine.abort_upload(*upload),
            lambda *upload: meta.engine.put_part(*upload, new_part(1)),
        ):
            with pytest.raises(NoSuchUpload):
                step(bucket_id, key, upload_id)
    with pytest.raises(NoSuchUpload):
        complete(meta, bucket, "K", "upload-1", [])
    gone = bucket._replace(id=other.id + 1)
    with pytest.raises(NoSuchBucket):
        meta.engine.begin_upload(gone, new_upload(gone, "k", "upload-3"))


def test_parts_are_listed_by_number_in_pages_and_replaced(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    checksum = Checksum("CRC32", "FULL_OBJECT", "AAAA")
    small = Content(ContentKind.INLINE, inline=b"small")
    put_parts(meta, bucket, "k", "upload", new_part(7), new_part(10_000, 5, content=small), new_part(2, 5 << 30))
    put_parts(
        meta, bucket, "k", "upload", new_part(7, 9, checksum=checksum, content=Content(ContentKind.DATA, "again"))
    )
    put_parts(meta, bucket, "k", "upload", new_part(2, 5, content=small))
    named = Content(ContentKind.DATA, "named")
    put_parts(meta, bucket, "k", "upload", new_part(2, 3, content=named, extra={"e": "f"}))

    parts = meta.engine.list_parts(bucket.id, "k", "upload")

    assert parts == [
        new_part(2, 3, content=named, extra={"e": "f"}),
        new_part(7, 9, checksum=checksum, content=Content(ContentKind.DATA, "again")),
        new_part(10_000, 5, content=Content(ContentKind.INLINE)),
    ]
    assert meta.engine.list_parts(bucket.id, "k", "upload", after=2, limit=1) == parts[1:2]
    assert meta.engine.list_parts(bucket.id, "k", "upload", after=10_000) == []
    assert meta.garbage() == ["part-7", "part-2"]


def test_an_aborted_upload_is_gone_and_its_parts_are_garbage(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload-1")
    meta.begin(bucket, "k", "upload-2")
    put_parts(
        meta, bucket, "k", "upload-1", new_part(1), new_part(2, 1, content=Content(ContentKind.INLINE, inline=b"x"))
    )
    put_parts(meta, bucket, "k", "upload-2", new_part(1, content=Content(ContentKind.DATA, "kept")))

    meta.engine.abort_upload(bucket.id, "k", "upload-1", now_us=77)

    assert [(item.ref, item.queued_us) for item in meta.engine.list_garbage(queued_before_us=78)] == [("part-1", 77)]
    with pytest.raises(NoSuchUpload):
        meta.engine.abort_upload(bucket.id, "k", "upload-1")
    assert [part.content.ref for part in meta.engine.list_parts(bucket.id, "k", "upload-2")] == ["kept"]


# -- completion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioning", list(Versioning))
def test_chosen_parts_become_the_object_and_the_others_garbage(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    old = meta.put_data(bucket, "k", "old")
    meta.begin(bucket, "k", "upload")
    tail = Content(ContentKind.INLINE, inline=b"tail")
    put_parts(
        meta, bucket, "k", "upload", new_part(1, 100), new_part(3, 200), new_part(4), new_part(9, 4, content=tail)
    )
    parts = [part for part in meta.engine.list_parts(bucket.id, "k", "upload") if part.number != 4]

    version = complete(meta, bucket, "k", "upload", parts, etag="whole-3")

    assert version == meta.engine.get_version(bucket.id, "k")
    assert (version.size, version.parts_count, version.etag, version.is_latest) == (304, 3, "whole-3", True)
    assert version.content.kind is ContentKind.PARTS
    placed = meta.engine.list_content_parts(version)
    assert [(part.number, part.offset, part.size) for part in placed] == [(1, 0, 100), (3, 100, 200), (9, 300, 4)]
    assert placed[2].content.inline == b"tail"
    assert sorted(meta.garbage()) == (["part-4"] if versioning is Versioning.ENABLED else ["old", "part-4"])
    if versioning is Versioning.ENABLED:
        assert meta.engine.get_version(bucket.id, "k", old.version_id).content.ref == "old"
    with pytest.raises(NoSuchUpload):
        meta.engine.get_upload(bucket.id, "k", "upload")


def test_a_part_is_found_by_its_number(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    put_parts(meta, bucket, "k", "upload", new_part(2, 5), new_part(5, 7))
    version = complete(meta, bucket, "k", "upload", meta.engine.list_parts(bucket.id, "k", "upload"))
    single = meta.put(bucket, "single")

    assert meta.engine.get_content_part(version, 5) == new_part(5, 7)._replace(offset=5)
    assert meta.engine.get_content_part(version, 1) is None
    assert meta.engine.get_content_part(single, 1) is None


def test_a_multipart_object_goes_with_its_parts(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    small = Content(ContentKind.INLINE, inline=b"xyz")
    put_parts(meta, bucket, "k", "upload", new_part(1), new_part(2, 3, content=small))
    version = complete(meta, bucket, "k", "upload", meta.engine.list_parts(bucket.id, "k", "upload"))
    assert meta.engine.usage(bucket.id) == (1, 13)

    meta.put(bucket, "k", b"replaced")

    assert meta.garbage() == ["part-1"]
    assert meta.engine.list_content_parts(version) == []
    assert meta.rows("parts") == []


def test_a_part_that_changed_or_went_fails_the_completion(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    put_parts(meta, bucket, "k", "upload", new_part(1), new_part(2))
    parts = meta.engine.list_parts(bucket.id, "k", "upload")
    put_parts(meta, bucket, "k", "upload", new_part(2, etag="changed", content=Content(ContentKind.DATA, "other")))

    with pytest.raises(InvalidPart) as invalid:
        complete(meta, bucket, "k", "upload", parts)
    assert invalid.value.facts["part_number"] == 2
    with pytest.raises(InvalidPart):
        complete(meta, bucket, "k", "upload", [parts[0], new_part(3)])

    with pytest.raises(NoSuchKey):
        meta.engine.get_version(bucket.id, "k")
    assert len(meta.engine.list_parts(bucket.id, "k", "upload")) == 2
    complete(meta, bucket, "k", "upload", meta.engine.list_parts(bucket.id, "k", "upload"))


def test_conditions_are_checked_when_the_upload_completes(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    put_parts(meta, bucket, "k", "upload", new_part(1))
    parts = meta.engine.list_parts(bucket.id, "k", "upload")
    with pytest.raises(NoSuchKey):
        complete(meta, bucket, "k", "upload", parts, condition=WriteCondition(if_match="*"))
    put = meta.put(bucket, "k")
    with pytest.raises(PreconditionFailed):
        complete(meta, bucket, "k", "upload", parts, condition=WriteCondition(if_none_match=True))

    done = complete(meta, bucket, "k", "upload", parts, condition=WriteCondition(if_match=put.etag))

    assert meta.engine.get_version(bucket.id, "k") == done


@pytest.mark.parametrize("versioning", list(Versioning))
def test_completing_again_answers_the_same_version(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    meta.begin(bucket, "k", "upload")
    put_parts(meta, bucket, "k", "upload", new_part(1))
    done = complete(
        meta,
        bucket,
        "k",
        "upload",
        meta.engine.list_parts(bucket.id, "k", "upload"),
        etag="one-1",
        condition=WriteCondition(if_none_match=True),
    )

    again = complete(meta, bucket, "k", "upload", [], etag="one-1", condition=WriteCondition(if_none_match=True))
    assert again == done
    with pytest.raises(NoSuchUpload):
        complete(meta, bucket, "k", "upload", [], etag="other-1")
    meta.put(bucket, "k", b"newer")
    if versioning is Versioning.ENABLED:
        assert complete(meta, bucket, "k", "upload", [], etag="one-1") == done._replace(is_latest=False)
        meta.erase(bucket, "k", done.version_id)

    with pytest.raises(NoSuchUpload):  # its version is gone: another null version is not the one it made
        complete(meta, bucket, "k", "upload", [], etag="one-1")


def test_completed_uploads_are_forgotten_after_a_day(meta):
    bucket = meta.bucket()
    for number in range(3):
        meta.begin(bucket, f"k{number}", f"upload-{number}")
        put_parts(
            meta, bucket, f"k{number}", f"upload-{number}", new_part(1, content=Content(ContentKind.DATA, f"r{number}"))
        )
        parts = meta.engine.list_parts(bucket.id, f"k{number}", f"upload-{number}")
        complete(meta, bucket, f"k{number}", f"upload-{number}", parts)
        meta.tick(DAY_US * 2 // 3)

    assert [row["upload_id"] for row in meta.rows("completed_uploads")] == ["upload-1", "upload-2"]


def test_ten_thousand_parts(meta):
    bucket = meta.bucket()
    meta.begin(bucket, "k", "upload")
    parts = [new_part(number, number, content=Content(ContentKind.DATA, f"r{number}")) for number in range(1, 10_001)]
    pool = green.GreenPool(500)
    for part in parts:
        pool.spawn_n(meta.engine.put_part, bucket.id, "k", "upload", part)
    pool.waitall()

    version = complete(meta, bucket, "k", "upload", parts)

    assert version.size == sum(range(10_001))
    found = meta.engine.list_content_parts(version, first_byte=version.size - 1)
    assert [(part.number, part.offset) for part in found] == [(10_000, version.size - 10_000)]
    assert len(meta.engine.list_content_parts(version)) == 10_000
    meta.delete(bucket, "k")
    assert len(meta.rows("garbage")) == 10_000


# -- byte ranges -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def range_bucket(shared_meta):
    return shared_meta.bucket("ranges")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_a_byte_range_finds_the_parts_it_touches(shared_meta, range_bucket, data, sizes):
    meta, bucket = shared_meta, range_bucket
    upload_id = f"upload-{meta.tick()}"
    meta.begin(bucket, "k", upload_id)
    for number, size in enumerate(sizes, 1):
        put_parts(
            meta,
            bucket,
            "k",
            upload_id,
            new_part(number, size, content=Content(ContentKind.DATA, f"{upload_id}-{number}")),
        )
    version = complete(meta, bucket, "k", upload_id, meta.engine.list_parts(bucket.id, "k", upload_id))
    owners = [number for number, size in enumerate(sizes, 1) for _ in range(size)]
    assert version.size == len(owners)
    if not owners:
        assert meta.engine.list_content_parts(version) == []
        return
    first = data.draw(st.integers(0, len(owners) - 1))
    last = data.draw(st.integers(first, len(owners) - 1))

    found = meta.engine.list_content_parts(version, first_byte=first, last_byte=last)

    touched = dict.fromkeys(owners[first : last + 1])
    assert [part.number for part in found if part.size] == list(touched)
    assert all(part.offset == owners.index(part.number) for part in found if part.size)


# -- listing -----------------------------------------------------------------------------------------------------------


def test_uploads_are_listed_by_key_and_then_by_time(meta):
    bucket = meta.bucket()
    begun = [
        new_upload(bucket, key, upload_id, now_us=START_US + when)
        for key, upload_id, when in [("b", "z", 1), ("b", "a", 2), ("a", "m", 3), ("c/1", "x", 0), ("c/2", "y", 0)]
    ]
    for upload in begun:
        meta.engine.begin_upload(bucket, upload)

    def page(**query):
        found = meta.engine.list_uploads(bucket.id, UploadsQuery(**query))
        return [u.upload_id for u in found.uploads], list(found.common_prefixes), found.next_key, found.next_upload_id

    assert page() == (["m", "z", "a", "x", "y"], [], None, None)
    assert list(meta.engine.list_uploads(bucket.id, UploadsQuery()).uploads)[1] == begun[0]
    assert page(limit=2) == (["m", "z"], [], "b", "z")
    assert page(limit=2, key_after="b", upload_id_after="z") == (["a", "x"], [], "c/1", "x")
    assert page(key_after="b") == (["x", "y"], [], None, None)
    assert page(prefix="b") == (["z", "a"], [], None, None)
    assert page(delimiter="/") == (["m", "z", "a"], ["c/"], None, None)
    assert page(delimiter="/", limit=3) == (["m", "z", "a"], [], "b", "a")
    assert page(delimiter="/", limit=4) == (["m", "z", "a"], ["c/"], None, None)
    assert page(delimiter="/", key_after="c/") == ([], [], None, None)
    assert page(limit=0) == ([], [], None, None)
    meta.engine.abort_upload(bucket.id, "b", "z")
    assert page(key_after="b", upload_id_after="z") == (["a", "x", "y"], [], None, None)
    assert [row["owner_id"] for row in meta.rows("uploads")] == [OWNER] * 4
