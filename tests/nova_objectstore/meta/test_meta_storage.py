"""Storage classes in the metadata: versions that move, copies that are restored, the places of classes."""

import pytest
from support.metadata import START_US, new_part, new_version

from nova_objectstore.errors import NoSuchVersion, RestoreAlreadyInProgress
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.storage_port import Move, MovedPart, RestoredPart
from nova_objectstore.types import NOTHING, UNCONDITIONAL, Content, ContentKind, Versioning

END_US = START_US + 10**12


def data(ref: str) -> Content:
    return Content(ContentKind.DATA, ref)


def put_parts(meta, bucket, key, parts, **facts):
    meta.begin(bucket, key, f"upload-{key}", **facts)
    for part in parts:
        meta.engine.put_part(bucket.id, key, f"upload-{key}", part)
    whole = new_version(key, now_us=meta.tick(), size=0, etag="whole-2", content=NOTHING, **facts)
    return meta.engine.complete_upload(bucket, Assembly(f"upload-{key}", parts, whole))


def restore(meta, version, *, content=None, parts=(), days=1):
    engine = meta.engine
    assert engine.request_restore(version, days=days, priority=1, now_us=meta.now_us, expires_us=END_US)
    claim = engine.claim_restore("lease", now_us=meta.now_us, until_us=meta.now_us + 10)
    assert claim.version == version._replace(content=claim.version.content)
    assert engine.finish_restore(claim.restore.id, "lease", content=content, parts=parts, expires_us=END_US)
    return claim.restore.id


# -- moving ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED])
def test_a_version_moves_and_is_the_same(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    version = meta.put_data(bucket, "cat", "old", tags={"a": "b"}, headers={"Content-Type": "image/png"})
    moved = meta.engine.move_version(Move(version, "COLD", data("COLD:new")), now_us=meta.tick())

    assert moved == version._replace(storage_class="COLD", content=data("COLD:new"))
    assert meta.engine.get_version(bucket.id, "cat") == moved
    assert meta.garbage() == ["old"]
    assert list(meta.engine.known_refs(["COLD:new", "old", "other"])) == ["COLD:new", "old"]
    back = meta.engine.move_version(Move(moved, "STANDARD", data("newer")), now_us=meta.tick())
    assert back == version._replace(content=data("newer"))


def test_small_bytes_move_out_of_the_row(meta):
    bucket = meta.bucket()
    version = meta.put(bucket, "cat", b"meow")
    labelled = meta.engine.move_version(Move(version, "COOL"), now_us=meta.tick())
    assert meta.engine.get_version(bucket.id, "cat") == version._replace(storage_class="COOL")
    meta.engine.move_version(Move(labelled, "COLD", data("COLD:new")), now_us=meta.tick())
    assert meta.engine.get_version(bucket.id, "cat").content == data("COLD:new")
    assert meta.rows("blobs") == []


def test_a_hidden_version_moves(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    old = meta.put_data(bucket, "cat", "old")
    meta.put_data(bucket, "cat", "current")
    meta.engine.move_version(Move(old, "COLD", data("COLD:new")), now_us=meta.tick())
    found = meta.engine.get_version(bucket.id, "cat", old.version_id)
    assert (found.storage_class, found.content) == ("COLD", data("COLD:new"))


def test_parts_move(meta):
    bucket = meta.bucket()
    small = new_part(2, 4, content=Content(ContentKind.INLINE, inline=b"meow"))
    version = put_parts(meta, bucket, "cat", [new_part(1), small, new_part(3)])
    parts = [
        MovedPart(1, data("part-1"), data("COLD:1")),
        MovedPart(2, Content(ContentKind.INLINE, inline=b"meow"), data("COLD:2")),
    ]
    moved = meta.engine.move_version(Move(version, "COLD", parts=parts), now_us=meta.tick())

    assert moved == version._replace(storage_class="COLD")
    assert [part.content.ref for part in meta.engine.list_content_parts(moved)] == ["COLD:1", "COLD:2", "part-3"]
    assert meta.garbage() == ["part-1"]
    assert meta.rows("blobs") == []


def test_what_is_not_as_it_was_read_stays(meta):
    bucket = meta.bucket()
    read = meta.put_data(bucket, "cat", "one")
    meta.put_data(bucket, "cat", "two")
    assert meta.engine.move_version(Move(read, "COLD", data("COLD:new")), now_us=meta.tick()) is None
    read = meta.engine.get_version(bucket.id, "cat")
    for other in (
        read._replace(content=data("three")),
        read._replace(storage_class="COLD"),
        read._replace(sequence=read.sequence + 1),
        read._replace(key="dog"),
        read._replace(version_id="other"),
    ):
        assert meta.engine.move_version(Move(other, "WARM", data("COLD:new")), now_us=meta.tick()) is None
    parts = put_parts(meta, bucket, "parts", [new_part(1)])
    move = Move(parts, "COLD", parts=[MovedPart(1, data("other"), data("COLD:1"))])
    assert meta.engine.move_version(move, now_us=meta.tick()) is None
    assert meta.engine.get_version(bucket.id, "cat") == read
    assert meta.garbage() == ["one"]


def test_locks_do_not_hold_a_version_in_its_class(meta):
    bucket = meta.bucket(object_lock=True)
    meta.put_data(bucket, "cat", "old")
    version = meta.engine.set_legal_hold(bucket.id, "cat", None, on=True)
    moved = meta.engine.move_version(Move(version, "COLD", data("COLD:new")), now_us=meta.tick())
    assert moved.lock.legal_hold


# -- restored copies ---------------------------------------------------------------------------------------------------


def test_a_copy_is_asked_for_made_and_removed(meta):
    bucket = meta.bucket()
    version = meta.put_data(bucket, "cat", "GLACIER:cat", storage_class="GLACIER")
    assert meta.engine.find_restore(version) is None
    restore(meta, version, content=data("copy"), days=3)
    found = meta.engine.find_restore(version)

    assert (found.content, found.expires_us, found.days, found.is_ongoing) == (data("copy"), END_US, 3, False)
    assert list(meta.engine.known_refs(["copy"])) == ["copy"]
    assert meta.engine.expire_restores(now_us=END_US - 1, limit=10) == 0
    assert meta.engine.expire_restores(now_us=END_US, limit=10) == 1
    assert meta.engine.find_restore(version) is None
    assert meta.garbage() == ["copy"]


def test_one_is_made_at_a_time_and_one_that_is_there_is_extended(meta):
    bucket = meta.bucket()
    version = meta.put_data(bucket, "cat", "GLACIER:cat", storage_class="GLACIER")
    ask = {"days": 2, "priority": 1, "now_us": meta.now_us}
    assert meta.engine.request_restore(version, **ask, expires_us=END_US)
    with pytest.raises(RestoreAlreadyInProgress):
        meta.engine.request_restore(version, **ask, expires_us=END_US)
    claim = meta.engine.claim_restore("a", now_us=meta.now_us, until_us=meta.now_us + 1)
    meta.engine.finish_restore(claim.restore.id, "a", content=data("copy"), parts=(), expires_us=END_US)
    assert not meta.engine.request_restore(version, **ask, expires_us=END_US + 5)
    assert meta.engine.find_restore(version).expires_us == END_US + 5
    # One whose time is over, and that was not cleared away yet, is made anew.
    assert meta.engine.request_restore(version, **{**ask, "now_us": END_US + 5}, expires_us=END_US + 9)
    assert meta.engine.find_restore(version).is_ongoing
    assert meta.garbage() == ["copy"]
    with pytest.raises(NoSuchVersion):
        meta.engine.request_restore(version._replace(key="dog"), **ask, expires_us=END_US)


def test_leases(meta):
    bucket = meta.bucket()
    versions = [meta.put_data(bucket, key, f"GLACIER:{key}", storage_class="GLACIER") for key in "abc"]
    for version, priority in zip(versions, (2, 1, 0), strict=True):
        meta.engine.request_restore(version, days=1, priority=priority, now_us=1, expires_us=END_US)
    engine = meta.engine

    claims = [engine.claim_restore(f"lease-{n}", now_us=0, until_us=10) for n in range(4)]
    assert [claim and claim.version.key for claim in claims] == ["c", "b", "a", None], "by priority"
    first = claims[0].restore.id
    assert engine.renew_restore(first, "lease-0", until_us=20)
    assert not engine.renew_restore(first, "lease-1", until_us=20)
    engine.release_restore(claims[1].restore.id, "lease-1", retry_at_us=5)
    again = engine.claim_restore("lease-5", now_us=10, until_us=30)
    assert (again.version.key, again.attempts) == ("b", 2)
    assert not engine.finish_restore(claims[1].restore.id, "lease-1", content=data("x"), parts=(), expires_us=END_US)
    engine.give_restore_up(claims[2].restore.id, "lease-2")
    assert engine.find_restore(versions[0]) is None
    engine.give_restore_up(first, "another")
    assert engine.find_restore(versions[2]).is_ongoing


def test_a_lease_from_before_the_clock_was_set_back_is_anothers(meta):
    version = meta.put_data(meta.bucket(), "key", "GLACIER:key", storage_class="GLACIER")
    meta.engine.request_restore(version, days=1, priority=0, now_us=1, expires_us=END_US)
    hour_us, lease_us = 3_600_000_000, 60_000_000
    claim = meta.engine.claim_restore("first", now_us=hour_us, until_us=hour_us + lease_us)

    assert meta.engine.claim_restore("second", now_us=hour_us - lease_us, until_us=hour_us) is None
    assert meta.engine.claim_restore("second", now_us=0, until_us=lease_us).attempts == 2
    assert not meta.engine.renew_restore(claim.restore.id, "first", until_us=2 * hour_us)


def test_the_copy_of_parts_has_all_their_facts(meta):
    bucket = meta.bucket()
    small = new_part(2, 4, content=Content(ContentKind.INLINE, inline=b"meow"), extra={"sse-part": "x"})
    version = put_parts(meta, bucket, "cat", [new_part(1), small], storage_class="GLACIER")
    copies = [RestoredPart(1, data("copy-1")), RestoredPart(2, Content(ContentKind.INLINE, inline=b"meow"))]
    restore(meta, version, parts=copies)

    found = meta.engine.find_restore(version)
    assert found.content.kind is ContentKind.PARTS
    originals = meta.engine.list_content_parts(version)
    copied = meta.engine.list_content_parts(version._replace(content=found.content))
    assert [part._replace(content=None) for part in copied] == [part._replace(content=None) for part in originals]
    assert [part.content for part in copied] == [data("copy-1"), Content(ContentKind.INLINE, inline=b"meow")]
    assert meta.engine.expire_restores(now_us=END_US, limit=10) == 1
    assert meta.garbage() == ["copy-1"]
    assert list(meta.engine.list_content_parts(version)) == list(originals)


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED])
def test_a_copy_goes_with_its_version(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    for number, (key, end) in enumerate(
        {
            "deleted": lambda version: meta.erase(bucket, version.key, version.version_id),
            "replaced": lambda version: (
                meta.put(bucket, version.key),
                meta.erase(bucket, version.key, version.version_id) if versioning else None,
            ),
            "moved": lambda version: meta.engine.move_version(
                Move(version, "STANDARD", data("here")), now_us=meta.tick()
            ),
        }.items()
    ):
        version = meta.put_data(bucket, key, f"GLACIER:{key}", storage_class="GLACIER")
        restore(meta, version, content=data(f"copy-{number}"))
        end(version)
        assert meta.engine.find_restore(version) is None
        assert f"copy-{number}" in meta.garbage()
    assert meta.rows("restores") == []


def test_a_copy_stays_with_a_version_that_is_hidden_or_renamed(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    version = meta.put_data(bucket, "cat", "GLACIER:cat", storage_class="GLACIER")
    restore(meta, version, content=data("copy"))
    meta.put(bucket, "cat", b"new")
    assert meta.engine.find_restore(version).content == data("copy")
    meta.erase(bucket, "cat", meta.engine.get_version(bucket.id, "cat").version_id)
    renamed = meta.engine.rename_object(
        bucket, "cat", "dog", now_us=meta.tick(), source_condition=UNCONDITIONAL, condition=UNCONDITIONAL
    )
    assert meta.engine.find_restore(renamed).content == data("copy")
    assert meta.engine.find_restores([renamed])["dog", renamed.sequence].version_id == renamed.version_id
    assert meta.garbage() == []


def test_the_copy_of_small_bytes_is_a_word(meta):
    bucket = meta.bucket()
    version = meta.put(bucket, "cat", b"meow", storage_class="GLACIER")
    restore(meta, version, content=Content(ContentKind.INLINE))
    assert meta.engine.find_restore(version).content.kind is ContentKind.INLINE
    meta.delete(bucket, "cat")
    assert meta.rows("restores") == []


# -- places ------------------------------------------------------------------------------------------------------------


def test_the_place_of_a_class_is_remembered_while_it_is_used(meta):
    engine = meta.engine
    engine.record_class_place("COLD", "mark")
    engine.record_class_place("COLD", "mark")
    assert engine.list_class_places() == {"COLD": "mark"}
    assert not engine.uses_class_place("COLD")

    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put_data(bucket, "cat", "COLD:cat", storage_class="COLD")
    assert engine.uses_class_place("COLD")
    assert not engine.forget_class_place("COLD")
    version = engine.get_version(bucket.id, "cat")
    meta.erase(bucket, "cat", version.version_id)
    assert engine.uses_class_place("COLD"), "its garbage lies there"
    engine.forget_garbage([item.id for item in engine.list_garbage(queued_before_us=1 << 62)])
    meta.begin(bucket, "dog", "upload", storage_class="COLD")
    assert engine.uses_class_place("COLD")
    engine.abort_upload(bucket.id, "dog", "upload")
    assert engine.forget_class_place("COLD")
    assert engine.list_class_places() == {}
