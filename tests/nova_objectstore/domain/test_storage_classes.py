"""Storage classes of a store: what each write makes of them, and archived objects while they are restored."""

import os

import pytest
from support.classes import START_US
from support.encrypted import CUSTOMER, OWNER, SCHEMES, Body

from nova_objectstore.assembly import build_restore_job, open_keyring
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY_US
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.domain.storage_classes import AWS_CLASSES, StorageClassSettings, is_class_name
from nova_objectstore.errors import InvalidObjectState, InvalidStorageClass, RestoreAlreadyInProgress
from nova_objectstore.jobs.restore import RestoreJob
from nova_objectstore.limits import PART_SIZE_MIN
from nova_objectstore.types import UNCONDITIONAL

CONTENT = os.urandom(3000)


@pytest.fixture
def place(classed_place):
    return classed_place


def run_job(place) -> int:
    return job(place).run()


def job(place) -> RestoreJob:

    return build_restore_job(place.store, clock_us=place.clock)


# -- writes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage_class", "small", "large"),
    [
        ("STANDARD", "inline", ""),
        ("COLD", "COLD", "COLD"),
        ("COOL", "inline", ""),
        ("GLACIER", "inline", "GLACIER"),
        *((name, "inline", "") for name in AWS_CLASSES if name not in ("STANDARD", "GLACIER")),
    ],
)
def test_bytes_lie_where_their_class_has_them(place, storage_class, small, large):
    for content, where in ((b"meow", small), (CONTENT, large)):
        version = place.put("cat", content, storage_class)
        assert version.storage_class == storage_class
        assert place.engines_of(place.get("cat")) == {where}
    version = place.multipart("parts", [os.urandom(PART_SIZE_MIN), CONTENT], storage_class)
    assert version.storage_class == storage_class
    assert place.engines_of(version) == {large}


def test_an_unknown_class_is_refused_before_the_body_is_read(place):
    body = Body(CONTENT)
    with pytest.raises(InvalidStorageClass):
        place.store.objects.put(place.find_bucket(), ObjectSpec("cat", OWNER, storage_class="CHEAP"), body)
    assert body.read(1) == CONTENT[:1]
    with pytest.raises(InvalidStorageClass):
        place.store.uploads.begin(place.find_bucket(), ObjectSpec("cat", OWNER, storage_class="standard"), initiator="")
    version = place.put("cat", CONTENT)
    with pytest.raises(InvalidStorageClass):
        place.store.objects.copy(version, place.find_bucket(), ObjectSpec("dog", OWNER, storage_class=""))


@pytest.mark.parametrize("source", ["STANDARD", "COLD", "COOL"])
@pytest.mark.parametrize("target", ["STANDARD", "COLD", "COOL", "GLACIER"])
@pytest.mark.parametrize("scheme", [None, SCHEMES[0]], ids=["plain", "s3"])
def test_copies_between_classes(place, source, target, scheme):
    for content in (b"meow", CONTENT):
        place.put("cat", content, source, encryption=scheme)
        spec = ObjectSpec("dog", OWNER, storage_class=target, encryption=scheme)
        place.store.objects.copy(place.get("cat"), place.find_bucket(), spec)
        copied = place.get("dog")
        assert copied.storage_class == target
        wanted = {"COLD": "COLD", "GLACIER": "GLACIER"}.get(target, "")
        assert place.engines_of(copied) == ({"inline"} if len(content) < 100 and target != "COLD" else {wanted})
        assert copied.etag == place.get("cat").etag
        if target != "GLACIER":
            assert place.read(copied) == content


def test_the_list_of_classes(place):
    classes = place.store.classes
    assert classes.configured == ("STANDARD", "COLD", "COOL", "GLACIER")
    assert classes.archives == {"GLACIER"}
    assert {"COLD", "DEEP_ARCHIVE", "STANDARD_IA"} <= set(classes.names)
    assert "STANDARD" not in classes.transitions
    assert [is_class_name(name) for name in ("A", "STANDARD_IA", "X1", "", "a", "1A", "_A", "A-B", "A" * 64)] == [
        True, True, True, False, False, False, False, False, False,
    ]  # fmt: skip
    assert StorageClassSettings("X").inline_size_max is None


# -- archived objects --------------------------------------------------------------------------------------------------


def put_inline(place, **facts):
    return place.put("cat", b"meow", "GLACIER", **facts), b"meow"


def put_data(place, **facts):
    return place.put("cat", CONTENT, "GLACIER", **facts), CONTENT


def put_parts(place, **facts):
    contents = [os.urandom(PART_SIZE_MIN), b"small"]
    return place.multipart("cat", contents, "GLACIER", **facts), b"".join(contents)


KINDS = [put_inline, put_data, put_parts]


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("scheme", [None, SCHEMES[0], SCHEMES[1]], ids=["plain", "s3", "kms"])
def test_an_archived_object_is_read_while_it_is_restored(place, put, scheme):
    if scheme is not None and scheme.key_name:
        open_keyring(place.settings).create("one")
    version, content = put(place, encryption=scheme)
    before = {name: files[:] for name, files in place.files().items()}
    with pytest.raises(InvalidObjectState):
        place.read(version)
    with pytest.raises(InvalidObjectState):
        place.store.objects.copy(version, place.find_bucket(), ObjectSpec("dog", OWNER))
    assert place.store.restores.status(version) is None

    assert place.request_restore(version, days=2)
    assert place.store.restores.status(version).is_ongoing
    with pytest.raises(InvalidObjectState):
        place.read(version)
    with pytest.raises(RestoreAlreadyInProgress):
        place.request_restore(version)
    assert (run_job(place), run_job(place)) == (1, 0)

    status = place.store.restores.status(version)
    assert not status.is_ongoing
    assert status.expires_us % CALENDAR_DAY_US == 0
    assert 2 * CALENDAR_DAY_US <= status.expires_us - place.now_us < 3 * CALENDAR_DAY_US
    assert place.read(version) == content
    assert place.read(version, first=1, last=2) == content[1:3]
    assert place.engines_of(place.get("cat")) == ({"inline"} if put is put_inline else place.engines_of(version))
    place.store.objects.copy(place.get("cat"), place.find_bucket(), ObjectSpec("dog", OWNER))
    assert place.read(place.get("dog")) == content
    assert not place.request_restore(version, days=1)
    assert place.store.restores.status(version).expires_us == status.expires_us - CALENDAR_DAY_US
    assert place.files()["GLACIER"] == before["GLACIER"]

    place.now_us = status.expires_us - CALENDAR_DAY_US
    assert place.store.restores.status(version) is None, "it is over, whether it was cleared away or not"
    with pytest.raises(InvalidObjectState):
        place.read(version)
    assert job(place).expire() == 1
    place.store.meta.delete_object(place.bucket, "dog", owner_id=OWNER, now_us=place.now_us)
    place.check()
    assert place.files() == before


def test_a_copied_part_of_an_archived_object_wants_it_restored(place):
    version = place.put("cat", CONTENT, "GLACIER")
    upload = place.store.uploads.begin(place.find_bucket(), ObjectSpec("dog", OWNER), initiator="")
    with pytest.raises(InvalidObjectState):
        place.store.uploads.copy_part(upload, 1, version, 0, 10)
    place.request_restore(version)
    run_job(place)
    part = place.store.uploads.copy_part(upload, 1, version, 0, 10)
    assert part.size == 11


def test_only_what_is_archived_is_restored(place):
    for storage_class in ("STANDARD", "COLD", "DEEP_ARCHIVE"):
        version = place.put("cat", CONTENT, storage_class)
        assert place.read(version) == CONTENT
        with pytest.raises(InvalidObjectState):
            place.request_restore(version)
        assert place.store.restores.status(version) is None


def test_an_archived_object_under_a_customer_s_key_is_restored_without_it(place):
    version = place.put("cat", CONTENT, "GLACIER", encryption=SCHEMES[3])
    place.request_restore(version)
    run_job(place)
    assert place.read(version, customer=CUSTOMER) == CONTENT


def test_pages_tell_of_archived_objects(place):
    versions = [
        place.put("a", CONTENT, "GLACIER"), place.put("b", CONTENT, "GLACIER"), place.put("c", CONTENT),
    ]  # fmt: skip
    place.request_restore(versions[0])
    shown = place.store.restores.statuses(versions)
    assert {key: status.is_ongoing for (key, _), status in shown.items()} == {"a": True}
    assert place.store.restores.statuses(versions[2:]) == {}


def test_a_version_that_is_replaced_while_it_is_restored(place):
    version = place.put("cat", CONTENT, "GLACIER")
    place.request_restore(version)
    place.put("cat", b"new")
    assert run_job(place) == 0
    assert place.read(place.get("cat")) == b"new"


def test_a_renamed_object_keeps_its_copy(place):
    version = place.put("cat", CONTENT, "GLACIER")
    place.request_restore(version)
    run_job(place)
    renamed = place.store.objects.rename(
        place.find_bucket(), "cat", "dog", source_condition=UNCONDITIONAL, condition=UNCONDITIONAL
    )
    assert place.read(renamed) == CONTENT


def test_a_class_s_life_goes_on_from_archive_to_archive(place):
    version = place.put("cat", CONTENT, "GLACIER")
    place.request_restore(version)
    run_job(place)
    moved = place.move(version, "COLD")
    assert place.read(moved) == CONTENT
    assert place.now_us > START_US
