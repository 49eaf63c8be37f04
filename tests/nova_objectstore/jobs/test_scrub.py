"""The scrubber finds what is not what was written, keeps it, and sees that nobody gets it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from support.encrypted import CUSTOMER
from support.watched import Watched

from nova_objectstore.domain.verification import Pace
from nova_objectstore.errors import DataCorrupt
from nova_objectstore.meta.integrity_port import Scrub

DAY_US = 86_400_000_000


@pytest.fixture
def place(tmp_path):
    watched = Watched(tmp_path / "state")
    yield watched
    watched.close()


def test_a_sound_store_has_no_damage(place):
    place.fill()
    before = [(path, path.stat().st_ino) for path in place.files()]

    summed = place.scrubber().run_now()

    assert summed.items == 5 * 5
    assert summed.bytes == sum(len(body) for body in place.bodies.values())
    assert summed.damages == 0
    assert [(path, path.stat().st_ino) for path in place.files()] == before


@pytest.mark.parametrize("key", ["0-300000", "1-300000", "2-300000", "4-300000"])
def test_a_flipped_bit_is_found_and_the_object_is_an_error_from_then_on(place, key):
    place.fill()
    path = place.flip(key)

    assert place.scrubber().run_now().damages == 1
    assert place.damages() == [("digest", key)]
    assert not path.exists()
    assert (place.path / "data" / "quarantine" / path.name).exists(), "the bytes are kept"
    with pytest.raises(DataCorrupt):
        place.store.egress.open_body(place.get(key), customer=place_customer(key))
    assert place.scrubber().run_now().damages == 0, "it is known"


def place_customer(key):
    return CUSTOMER if key.startswith("4") else None


@pytest.mark.parametrize("index", [0, 1])
def test_a_part_is_found_by_its_number(place, index):
    place.fill()
    parts = place.store.meta.list_content_parts(place.get("0-parts"))
    content = parts[index].content
    if index:
        assert content.inline is not None
        damage_blobs(place, content.inline)
    else:
        path = place.path / "data" / content.ref[:2] / content.ref
        path.write_bytes(path.read_bytes()[:-1])

    assert place.scrubber().run_now().damages == 1
    damage = place.damage("0-parts")
    assert (damage.part, damage.reason) == (index + 1, "digest" if index else "size")


def damage_blobs(place, body: bytes) -> None:
    with closing(sqlite3.connect(place.database())) as connection, connection:
        changed = connection.execute(
            "UPDATE blobs SET body = ? WHERE body = ?", (bytes([body[0] ^ 1]) + body[1:], body)
        )
        assert changed.rowcount == 1


@pytest.mark.parametrize("scheme", range(3))
def test_a_small_body_is_compared_too(place, scheme):
    place.fill()
    with closing(sqlite3.connect(place.database())) as connection:
        (stored,) = connection.execute(
            "SELECT body FROM blobs JOIN objects ON content_id = blobs.id WHERE key = ?", (f"{scheme}-1000",)
        ).fetchone()
    damage_blobs(place, stored)

    assert place.scrubber().run_now().damages == 1
    assert place.damages() == [("digest", f"{scheme}-1000")]
    assert place.damage(f"{scheme}-1000").ref == ""


def test_missing_data_are_found(place):
    place.fill()
    place.data_file("0-300000").unlink()

    assert place.scrubber().run_now().damages == 1
    assert place.damages() == [("missing", "0-300000")]


def test_what_is_there_again_is_forgotten(place):
    place.fill()
    path = place.data_file("0-300000")
    path.rename(place.path / "elsewhere")
    assert place.scrubber().run_now().damages == 1
    (place.path / "elsewhere").rename(path)

    assert place.scrubber().run_now().damages == 0
    assert place.damages() == []


def test_data_without_a_digest_are_compared_with_what_s3_knows_of_them(place):
    place.add("old", b"x" * 100_000)
    path = place.data_file("old")
    short = path.with_name(path.name[:26])
    path.rename(short)
    with closing(sqlite3.connect(place.database())) as connection, connection:
        connection.execute("UPDATE objects SET ref = substr(ref, 1, 26)")

    assert place.scrubber().run_now().damages == 0
    place.flip("old")
    assert place.scrubber().run_now().damages == 1


def test_what_is_released_is_read_again(place):
    place.add("key", b"x" * 100_000)
    place.flip("key")
    scrubber = place.scrubber()
    scrubber.run_now()

    scrubber.release(place.damage("key"))

    assert place.damages() == []
    assert place.data_file("key").read_bytes() != b"x" * 100_000, "as it is"


def test_what_is_deleted_is_forgotten_and_collected(place):
    place.add("key", b"x" * 100_000)
    place.flip("key")
    scrubber = place.scrubber()
    scrubber.run_now()
    place.store.meta.delete_object(place.bucket, "key", owner_id="111122223333", now_us=1)

    scrubber.run_now()
    place.store.collector.run()

    assert place.damages() == []
    assert place.files() == []


def test_one_bucket_is_scrubbed_alone(place):
    place.add("key", b"x" * 100_000)
    place.flip("key")
    other = place.store.buckets.create("other", owner_id="111122223333")

    assert place.scrubber().run_now(bucket_id=other.id) == (0, 0, 0)
    assert place.scrubber().run_now(bucket_id=place.bucket.id).damages == 1


# -- in the background -------------------------------------------------------------------------------------------------


def test_a_new_store_waits_a_period_for_its_first_pass(place):
    place.fill()
    scrubber = place.scrubber(period_s=86_400)

    assert scrubber.run() is None
    assert place.watch.get_scrub().finished_us == place.now_us
    place.now_us += DAY_US - 1
    assert scrubber.run() is None
    place.now_us += 1
    done = scrubber.run()
    assert done is not None
    assert (done.items, done.found, done.position) == (25, 0, "")
    place.now_us += DAY_US - 1
    assert scrubber.run() is None
    place.now_us += 1
    again = scrubber.run()
    assert again is not None
    assert again.bytes_total == 2 * done.bytes


def test_without_a_period_there_are_no_passes(place):
    place.add("key", b"body")
    scrubber = place.scrubber(period_s=0)

    assert scrubber.run() is None
    assert place.watch.get_scrub() == Scrub()


def test_a_pass_that_was_stopped_goes_on_in_the_next_process(place):
    place.fill()
    place.flip("4-300000")
    place.watch.put_scrub(Scrub(finished_us=1))
    runs = 0
    while (done := place.scrubber(period_s=86_400).run(goes_on_for(9))) is None:
        runs += 1
        assert runs < 25

    assert runs > 3
    assert (done.items, done.found) == (25, 1)
    assert place.damages() == [("digest", "4-300000")]


def goes_on_for(calls: int):
    left = iter(range(calls))
    return lambda: next(left, None) is not None


def test_the_pace_is_kept():
    slept: list[float] = []
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(1000, clock_s=lambda: now[0], sleep=sleep)
    for _ in range(10):
        pace.spend(500)
    assert sum(slept) == pytest.approx(5.0)
    now[0] += 60
    pace.spend(500)
    assert sum(slept) == pytest.approx(5.5), "what was not used is not made up for"
