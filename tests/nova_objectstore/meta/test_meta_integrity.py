"""Walks, damage, counters and holds, on every engine."""

from __future__ import annotations

from support.metadata import Metadata, new_account, new_part, new_version

from nova_objectstore.domain.walk import walk
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.integrity_port import Damage, Position, Scrub, Stage, Usage
from nova_objectstore.meta.quota_port import Quota
from nova_objectstore.types import Content, ContentKind, Versioning

DAMAGE = Damage(0, Stage.CURRENT, 1, "", "key", "null", 0, "ref", 10, "digest", 5)


def fill(meta: Metadata) -> tuple[int, int]:
    """Two buckets with something of every kind; their ids."""
    first, second = meta.bucket("first", Versioning.ENABLED), meta.bucket("second")
    meta.put(first, "a", b"old")
    meta.put(first, "a", b"new")
    meta.put_data(first, "b", "ref-b", size=7)
    meta.delete(first, "b")
    meta.put(second, "a", b"other")
    meta.begin(second, "m", "upload-1")
    for number in range(1, 5):
        meta.engine.put_part(second.id, "m", "upload-1", part(number, f"ref-{number}", 5))
    parts = meta.engine.list_parts(second.id, "m", "upload-1")[:3]
    placed = [part._replace(offset=5 * at) for at, part in enumerate(parts)]
    version = meta_version("m", 15, meta)
    meta.engine.complete_upload(second, Assembly("upload-1", placed, version))
    meta.begin(first, "open", "upload-2")
    meta.engine.put_part(first.id, "open", "upload-2", part(1, "ref-open", 9))
    return first.id, second.id


def part(number: int, ref: str, size: int):
    return new_part(number, size, content=Content(ContentKind.DATA, ref))


def meta_version(key: str, size: int, meta: Metadata):
    return new_version(key, size=size, now_us=meta.tick(), content=Content(ContentKind.NOTHING))


def seen(meta: Metadata, **options) -> list[tuple[str, int, str, str]]:
    return [
        (found.stage.name, found.stored.bucket_id, found.stored.key, found.content.ref or str(found.content.inline))
        for found in walk(meta.engine, **options)
    ]


def everything(first: int, second: int) -> list[tuple[str, int, str, str]]:
    return [
        ("CURRENT", first, "a", "b'new'"),
        ("CURRENT", second, "a", "b'other'"),
        *(("CURRENT", second, "m", f"ref-{number}") for number in range(1, 4)),
        ("HIDDEN", first, "a", "b'old'"),
        ("HIDDEN", first, "b", "ref-b"),
        ("UPLOADS", first, "open", "ref-open"),
    ]


def test_a_walk_meets_everything_but_the_garbage(meta):
    ids = fill(meta)

    assert seen(meta) == everything(*ids)


def test_a_walk_of_one_bucket(meta):
    first, second = fill(meta)

    for bucket_id in (first, second):
        assert seen(meta, bucket_id=bucket_id) == [row for row in everything(first, second) if row[1] == bucket_id]


def test_a_walk_goes_on_behind_every_position_it_has_told(meta):
    ids = fill(meta)
    found = list(walk(meta.engine))

    for at, one in enumerate(found, start=1):
        start = Position.decode(one.position.encode())
        assert seen(meta, start=start) == everything(*ids)[at:], start


def test_a_walk_meets_more_than_a_page(meta):
    bucket = meta.bucket()
    for number in range(250):
        meta.put(bucket, f"{number:03}")

    assert [row[2] for row in seen(meta)] == [f"{number:03}" for number in range(250)]


def test_live_refs_are_those_that_can_be_read(meta):
    fill(meta)
    second = meta.engine.find_bucket("second")
    meta.put_data(second, "gone", "ref-gone")
    meta.delete(second, "gone")

    assert meta.engine.known_refs(["ref-gone"]) == ["ref-gone"]
    assert meta.engine.live_refs(["ref-b", "ref-1", "ref-open", "ref-gone", "nobody"]) == ["ref-b", "ref-1", "ref-open"]


def test_damage_is_recorded_once_and_forgotten(meta):
    bucket = meta.bucket()
    damage = DAMAGE._replace(bucket_id=bucket.id)
    part = damage._replace(part=2, ref="", reason="missing")

    assert meta.engine.record_damage(damage)
    assert not meta.engine.record_damage(damage._replace(found_us=6))
    assert meta.engine.record_damage(part)
    found = meta.engine.list_damages()
    assert [one._replace(id=0) for one in found] == [one._replace(bucket_name="photos") for one in (damage, part)]
    assert meta.engine.forget_damage(found[0].id)
    assert not meta.engine.forget_damage(found[0].id)
    assert meta.engine.list_damages() == found[1:]
    assert meta.engine.record_damage(DAMAGE._replace(bucket_id=0, stage=Stage.IMAGES)), "an image is in no bucket"
    assert meta.engine.list_damages()[-1].bucket_name == ""


def test_the_scrub_is_kept(meta):
    assert meta.engine.get_scrub() == Scrub()
    for scrub in (Scrub(1, 2, "here", 3, 4, 5, 6, 7), Scrub(9)):
        meta.engine.put_scrub(scrub)
        assert meta.engine.get_scrub() == scrub


def test_counters_are_compared_and_rewritten(meta):
    meta.engine.create_account(new_account(), None)
    first, second = fill(meta)
    meta.engine.set_account_quota("111122223333", Quota(objects_max=1000))
    for bucket_id, usage in ((first, Usage(3, 13, 9)), (second, Usage(2, 20, 0))):
        assert meta.engine.compare_usage(bucket_id) == (usage, usage)

    meta.insert("bucket_usage", [{"bucket_id": number, "objects": 99, "bytes": -5} for number in (first, second)])
    meta.insert("part_usage", [{"bucket_id": number, "bytes": 1} for number in (first, second)])
    assert meta.engine.compare_usage(first) == (Usage(99, -5, 1), Usage(3, 13, 9))
    for bucket_id in (first, second):
        meta.engine.rewrite_usage(bucket_id)
    assert meta.engine.compare_usage(first)[0] == Usage(3, 13, 9)


def test_a_hold_stands_until_it_ends(meta):
    engine = meta.engine
    assert not engine.is_held(now_us=0)
    engine.put_hold("one", until_us=100)
    assert engine.is_held(now_us=99)
    assert not engine.is_held(now_us=100)
    assert engine.renew_hold("one", now_us=99, until_us=200)
    assert engine.is_held(now_us=199)
    assert not engine.renew_hold("one", now_us=200, until_us=300), "it ended: something may have been collected"
    engine.put_hold("one", until_us=400)
    engine.put_hold("two", until_us=400)
    engine.drop_hold("one")
    engine.drop_hold("one")
    assert engine.is_held(now_us=399)
    engine.drop_hold("two")
    assert not engine.is_held(now_us=399)
