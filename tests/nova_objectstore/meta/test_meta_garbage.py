"""Garbage: refs in the queue, and which refs are known."""

import pytest
from support.metadata import new_part

from nova_objectstore.types import Content, ContentKind, Versioning


def test_garbage_is_listed_oldest_first_up_to_a_time_and_forgotten(meta):
    bucket = meta.bucket()
    times = []
    for number in range(4):
        meta.put_data(bucket, "k", f"ref-{number}")
        times.append(meta.now_us)

    def refs(**query):
        return [item.ref for item in meta.engine.list_garbage(**query)]

    assert refs(queued_before_us=1 << 62) == ["ref-0", "ref-1", "ref-2"]
    assert refs(queued_before_us=times[2]) == ["ref-0"]
    assert refs(queued_before_us=times[2] + 1, limit=1) == ["ref-0"]
    queue = meta.engine.list_garbage(queued_before_us=1 << 62)
    assert [item.queued_us for item in queue] == times[1:]

    meta.engine.forget_garbage([queue[0].id, queue[2].id])
    meta.engine.forget_garbage([queue[0].id])
    meta.engine.forget_garbage([])

    assert refs(queued_before_us=1 << 62) == ["ref-1"]


def test_only_what_nothing_names_is_queued(meta):
    bucket = meta.bucket()
    for ref in ("named", "garbage"):
        meta.put_data(bucket, ref, ref)
    meta.delete(bucket, "garbage")
    meta.begin(bucket, "m", "upload")
    meta.engine.put_part(bucket.id, "m", "upload", new_part(1))

    for _ in range(2):
        meta.engine.queue_unnamed(["nobody's", "named", "garbage", "part-1", "another"], now_us=meta.tick())

    assert sorted(meta.garbage()) == ["another", "garbage", "nobody's"]


def test_a_forgotten_id_never_comes_back(meta):
    bucket = meta.bucket()
    meta.put_data(bucket, "k", "ref-1")
    meta.delete(bucket, "k")
    (first,) = meta.engine.list_garbage(queued_before_us=1 << 62)
    meta.engine.forget_garbage([first.id])
    meta.put_data(bucket, "k", "ref-2")
    meta.delete(bucket, "k")

    meta.engine.forget_garbage([first.id])

    assert meta.garbage() == ["ref-2"]


def test_refs_are_known_wherever_they_are_named(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put_data(bucket, "k", "hidden")
    meta.put_data(bucket, "k", "current")
    erased = meta.put_data(bucket, "l", "queued")
    meta.erase(bucket, "l", erased.version_id)
    meta.begin(bucket, "m", "upload")
    meta.engine.put_part(bucket.id, "m", "upload", new_part(1, content=Content(ContentKind.DATA, "part")))

    assert meta.engine.known_refs(["orphan", "current", "hidden", "queued", "part", "", "Current"]) == [
        "current",
        "hidden",
        "queued",
        "part",
    ]
    assert meta.engine.known_refs([]) == []


@pytest.mark.parametrize("gone", ["aborted", "bucket deleted"])
def test_parts_of_uploads_that_end_without_a_time_can_be_collected_at_once(meta, gone):
    bucket = meta.bucket()
    meta.begin(bucket, "m", "upload")
    meta.engine.put_part(bucket.id, "m", "upload", new_part(1))

    if gone == "aborted":
        meta.engine.abort_upload(bucket.id, "m", "upload")
    else:
        meta.engine.delete_bucket(bucket.id)

    assert [item.queued_us for item in meta.engine.list_garbage(queued_before_us=1)] == [0]
