"""Versions that get another storage class: all of them stays but the place of their bytes, whenever somebody dies."""

import contextlib
import itertools
import os

import pytest
from support.classes import Died, SteppingProcess, Steps
from support.encrypted import CUSTOMER, OWNER

from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_S3, Scheme
from nova_objectstore.domain.objects import Delete
from nova_objectstore.errors import DataCorrupt, InvalidStorageClass, StorageFull
from nova_objectstore.limits import PART_SIZE_MIN
from nova_objectstore.types import Lock, Versioning

CONTENT = os.urandom(3000)


@pytest.fixture
def place(classed_place):
    return classed_place


def without_place(version):
    return version._replace(storage_class="", content=None)


@pytest.mark.parametrize("size", [1, 100, 101, 3000])
@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3), Scheme(SSE_C, customer=CUSTOMER)], ids=["plain", "s3", "c"])
def test_a_version_stays_itself_wherever_it_goes(place, size, scheme):
    customer = None if scheme is None else scheme.customer
    version = place.put("cat", CONTENT[:size], tags={"a": "b"}, encryption=scheme)
    for storage_class, engine in [("COLD", "COLD"), ("COOL", ""), ("COLD", "COLD"), ("STANDARD", "")]:
        moved = place.move(place.get("cat"), storage_class)
        found = place.get("cat")
        assert moved._replace(content=found.content) == found
        assert found.storage_class == storage_class
        assert without_place(found) == without_place(version)
        assert place.read(found, customer=customer) == CONTENT[:size]
        assert place.engines_of(found) == {engine}
    place.check()
    assert sum(map(len, place.files().values())) == 1


def test_what_fits_into_a_row_stays_there(place):
    place.put("cat", b"meow")
    place.move(place.get("cat"), "COOL")
    assert place.engines_of(place.get("cat")) == {"inline"}
    assert place.get("cat").storage_class == "COOL"


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3)], ids=["plain", "s3"])
def test_parts_move_one_by_one(place, scheme):
    contents = [os.urandom(PART_SIZE_MIN), b"small"]
    version = place.multipart("cat", contents, encryption=scheme)
    place.move(place.get("cat"), "COLD")
    found = place.get("cat")

    assert (found.storage_class, place.engines_of(found)) == ("COLD", {"COLD"})
    assert without_place(found) == without_place(version)
    assert place.read(found) == b"".join(contents)
    assert place.read(found, first=PART_SIZE_MIN - 3, last=PART_SIZE_MIN + 2) == contents[0][-3:] + b"sma"
    place.check()
    assert {name: len(files) for name, files in place.files().items()} == {"": 0, "COLD": 2, "GLACIER": 0}


def test_hidden_versions_and_locked_ones_move_too(place):
    place.store.buckets.set_versioning(place.bucket, Versioning.ENABLED)
    lock = Lock("COMPLIANCE", place.now_us + 10**12, legal_hold=True)
    old = place.put("cat", CONTENT)
    bucket = place.find_bucket()
    place.store.meta.set_object_lock(bucket.id)
    locked = place.put("cat", CONTENT[::-1], lock=lock)
    place.put("cat", b"new")
    for version, content in ((old, CONTENT), (locked, CONTENT[::-1])):
        place.move(place.get("cat", version.version_id), "COLD")
        found = place.get("cat", version.version_id)
        assert (found.storage_class, found.lock) == ("COLD", version.lock)
        assert place.read(found) == content
    assert place.get("cat").storage_class == "STANDARD"


def test_what_changed_meanwhile_is_left_alone(place):
    read = place.put("cat", CONTENT)
    place.put("cat", CONTENT[::-1])
    assert place.move(read, "COLD") is None
    assert place.read(place.get("cat")) == CONTENT[::-1]

    read = place.get("cat")
    place.move(read, "COLD")
    assert place.move(read, "COOL") is None, "it is not where it was read any more"
    place.store.objects.delete(place.bucket, Delete("cat"), owner_id=OWNER)
    assert place.move(place.put("dog", b"bark")._replace(key="cat"), "COLD") is None
    place.check()
    assert place.files()["COLD"] == []


def test_damaged_bytes_are_not_carried(place):
    place.put("cat", CONTENT)
    (file,) = (place.path / "state" / "data").glob("??/*")
    file.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(DataCorrupt):
        place.move(place.get("cat"), "COLD")
    assert place.get("cat").storage_class == "STANDARD"
    assert place.files()["COLD"] == []


def test_the_same_class_and_an_unknown_one(place):
    version = place.put("cat", CONTENT)
    assert place.move(version, "STANDARD") == version
    with pytest.raises(InvalidStorageClass):
        place.move(version, "CHEAP")


# -- faults ------------------------------------------------------------------------------------------------------------


def put_inline(place, key):
    place.put(key, b"meow")
    return b"meow"


def put_data(place, key):
    place.put(key, CONTENT)
    return CONTENT


def put_parts(place, key):
    contents = [os.urandom(PART_SIZE_MIN), CONTENT]
    place.multipart(key, contents)
    return b"".join(contents)


KINDS = [put_inline, put_data, put_parts]


@pytest.mark.parametrize("put", KINDS)
def test_a_process_that_dies_at_any_step_leaves_a_whole_version(place, put):
    for at in itertools.count(1):
        key = f"cat-{at}"
        content = put(place, key)
        before = place.get(key)
        steps = Steps(at)
        process = SteppingProcess(place, steps)
        with contextlib.suppress(Died):
            process.mover.move(place.find_bucket(), before, "COLD")
        process.end()

        place.open().close()  # the next start recovers
        found = place.get(key)
        assert without_place(found) == without_place(before)
        assert place.read(found) == content
        assert place.engines_of(found) == ({"COLD"} if found.storage_class == "COLD" else place.engines_of(before))
        place.check()
        if not steps.struck:
            break
    assert found.storage_class == "COLD"
    assert at > 5


@pytest.mark.parametrize("put", KINDS)
def test_a_disk_that_fails_at_any_step_leaves_a_whole_version(place, put):
    for at in itertools.count(1):
        key = f"cat-{at}"
        content = put(place, key)
        before = place.get(key)
        steps = Steps(at, StorageFull())
        process = SteppingProcess(place, steps)
        moved = None
        try:
            moved = process.mover.move(place.find_bucket(), before, "COLD")
        except StorageFull:
            assert place.get(key)._replace(content=before.content) == before or "settle" in steps.names
        process.end()
        place.open().close()
        assert place.read(place.get(key)) == content
        place.check()
        if not steps.struck:
            break
    assert moved is not None
