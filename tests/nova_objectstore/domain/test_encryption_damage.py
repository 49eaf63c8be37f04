"""Encrypted objects whose bytes or facts were damaged."""

import os

import pytest
from support.encrypted import IDS, SCHEMES

from nova_objectstore.crypto.frames import FRAME_SIZE, STORED_FRAME_SIZE
from nova_objectstore.domain.bucket_encryption import SSE_KMS, SSE_S3, Scheme
from nova_objectstore.errors import (
    DataCorrupt,
)
from nova_objectstore.limits import MiB


def flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("at", [0, FRAME_SIZE + 3, STORED_FRAME_SIZE, -1])
def test_a_flipped_bit_is_an_error_before_the_answer_begins(place, scheme, at):
    place.put("cat", os.urandom(2 * FRAME_SIZE + 100), scheme)
    flip(place.data_file("cat"), at)

    with pytest.raises(DataCorrupt):
        place.store.egress.open_body(place.get("cat"), customer=scheme.customer)


def test_a_flipped_bit_far_behind_breaks_the_body_there(place):
    content = os.urandom(2 * MiB)
    place.put("cat", content, Scheme(SSE_S3))
    flip(place.data_file("cat"), -1)
    body = place.store.egress.open_body(place.get("cat"))
    sent = []

    with pytest.raises(DataCorrupt):
        sent.extend(body)
    body.close()
    assert content.startswith(b"".join(sent))
    assert place.read("cat", 0, 2 * MiB - FRAME_SIZE - 1) == content[:-FRAME_SIZE]  # other frames are as good as ever


@pytest.mark.parametrize("cut", [1, 16, STORED_FRAME_SIZE])
def test_a_file_that_was_cut_or_lengthened_is_corrupt(place, cut):
    place.put("cat", os.urandom(3 * FRAME_SIZE), Scheme(SSE_S3))
    path = place.data_file("cat")
    data = path.read_bytes()
    path.chmod(0o600)
    for changed in (data[:-cut], data + data[-cut:]):
        path.write_bytes(changed)
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(place.get("cat"), 0, 10)


def test_files_that_changed_places_are_corrupt(place):
    for key in ("cat", "dog"):
        place.put(key, os.urandom(100_000), Scheme(SSE_S3))
    cat, dog = place.data_file("cat"), place.data_file("dog")
    held = cat.read_bytes()
    for path in (cat, dog):
        path.chmod(0o600)
    cat.write_bytes(dog.read_bytes())
    dog.write_bytes(held)

    for key in ("cat", "dog"):
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(place.get(key))


def test_facts_that_were_damaged_are_corrupt(place):
    place.put("cat", b"meow", Scheme(SSE_KMS, "one", context='{"a":"b"}'))
    version = place.get("cat")
    for fact, value in {
        "sse-key": version.extra["sse-key"].swapcase(),
        "sse-context": '{"a":"c"}',
        "sse-under": "two",
    }.items():
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(version._replace(extra={**version.extra, fact: value}))
    for missing in ("sse-key", "sse-context"):
        rest = {name: value for name, value in version.extra.items() if name != missing}
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(version._replace(extra=rest))
