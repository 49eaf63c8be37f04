"""Encrypted objects on real engines: what lies on the disk, what opens it, and what does not."""

import hashlib
import os
import random

import pytest
from support.encrypted import CUSTOMER, IDS, OTHER, SCHEMES, SIZES

from nova_objectstore.crypto.frames import FRAME_SIZE, STORED_FRAME_SIZE, stored_size
from nova_objectstore.crypto.keyring import KEYRING_NAME, STORE_KEY
from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, Scheme
from nova_objectstore.domain.encryption import MANAGED_KEY, describe
from nova_objectstore.errors import (
    DataCorrupt,
    InvalidRequest,
    KmsKeyDisabled,
    NoSuchKey,
    NoSuchKmsKey,
)
from nova_objectstore.limits import MiB
from nova_objectstore.types import ContentKind
from nova_wsgi.response import FileSegment

# -- every way of encryption --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size_and_any_range_of_it_comes_out_again(place, scheme, size):
    content = os.urandom(size)
    version = place.put("cat", content, scheme, told=size % 2 == 0)

    assert version.size == size
    assert place.read("cat", customer=scheme.customer) == content
    rng = random.Random(size)
    edges = [0, 1, FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1, size // 2, size - 2, size - 1]
    for _ in range(20 if size else 0):
        first, last = sorted(max(0, min(edge, size - 1)) for edge in rng.choices(edges, k=2))
        assert place.read("cat", first, last, customer=scheme.customer) == content[first : last + 1]


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("size", [1000, MiB])
def test_what_lies_on_the_disk_is_not_what_was_sent(place, scheme, size):
    content = os.urandom(size)
    place.put("cat", content, scheme)
    place.store.meta.close()  # writes the log back into the database
    disk = place.disk()
    place.store.meta.open()

    assert all(content[at : at + 32] not in disk for at in range(0, size - 32, 997))
    assert CUSTOMER.secret not in disk
    assert CUSTOMER.secret.hex().encode() not in disk
    assert place.read("cat", customer=scheme.customer) == content


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_file_takes_up_a_tag_a_frame(place, scheme):
    version = place.put("cat", os.urandom(MiB + 17), scheme)

    assert version.content.kind is ContentKind.DATA
    assert place.data_file("cat").stat().st_size == stored_size(MiB + 17) == MiB + 17 + 17 * 16


def test_what_is_not_encrypted_stays_as_it_was(place):
    content = os.urandom(MiB)
    version = place.put("cat", content)

    assert version.extra == {}
    assert version.etag == hashlib.md5(content).hexdigest()
    assert place.data_file("cat").read_bytes() == content
    body = place.store.egress.open_body(place.get("cat"))
    assert all(isinstance(segment, FileSegment) for segment in body.segments)  # sendfile
    body.close()


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_the_etag_is_the_md5_with_sse_s3_alone(place, scheme):
    md5 = hashlib.md5(b"meow").hexdigest()
    first, second = place.put("cat", b"meow", scheme), place.put("dog", b"meow", scheme)

    assert (first.etag == md5) is (scheme.algorithm == SSE_S3)
    assert (first.etag == second.etag) is (scheme.algorithm == SSE_S3)
    assert len(bytes.fromhex(first.etag)) == 16
    assert place.get("cat").etag == first.etag


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_equal_objects_do_not_look_equal(place, scheme):
    place.put("cat", bytes(MiB), scheme)
    place.put("dog", bytes(MiB), scheme)

    cat, dog = place.data_file("cat").read_bytes(), place.data_file("dog").read_bytes()
    frames = {data[at : at + FRAME_SIZE] for data in (cat, dog) for at in range(0, len(data), STORED_FRAME_SIZE)}
    assert len(frames) == 32


# -- customers' keys -----------------------------------------------------------------------------------------------------


def test_a_customer_s_object_wants_that_customer_s_key(place):
    place.put("cat", b"meow", Scheme(SSE_C, customer=CUSTOMER))
    version = place.get("cat")
    for customer in (None, OTHER):
        with pytest.raises(InvalidRequest):
            place.store.egress.open_body(version, customer=customer)
        with pytest.raises(InvalidRequest):
            place.store.egress.open_body(version, 0, -1, customer=customer)
        with pytest.raises(InvalidRequest):
            next(place.store.egress.read(version, customer=customer))


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3), Scheme(SSE_KMS, "one")])
def test_a_customer_s_key_does_not_fit_what_has_none(place, scheme):
    place.put("cat", b"meow", scheme)

    with pytest.raises(InvalidRequest):
        place.read("cat", customer=CUSTOMER)


# -- the keyring ---------------------------------------------------------------------------------------------------------


def test_a_disabled_key_stops_writes_and_reads_at_once(place):
    place.put("cat", b"meow", Scheme(SSE_KMS, "one"))
    place.put("dog", b"bark", Scheme(SSE_KMS, "two"))
    place.keyring.set_enabled("one", False)

    with pytest.raises(KmsKeyDisabled):
        place.read("cat")
    with pytest.raises(KmsKeyDisabled):
        place.put("cow", b"moo", Scheme(SSE_KMS, "one"))
    with pytest.raises(NoSuchKey):
        place.get("cow")
    assert place.read("dog") == b"bark"

    place.keyring.set_enabled("one", True)
    assert place.read("cat") == b"meow"


@pytest.mark.parametrize(
    "name",
    ["three", STORE_KEY, "", "arn:aws:kms:eu-west-1:1:key/one", "arn:aws:kms:us-east-1:1:key/three", "arn:nonsense"],
)
def test_a_key_that_is_not_there_stores_nothing(place, name):
    with pytest.raises(NoSuchKmsKey):
        place.put("cat", b"meow", Scheme(SSE_KMS, name))
    with pytest.raises(NoSuchKey):
        place.get("cat")


@pytest.mark.parametrize(
    "name", ["one", "alias/one", "arn:aws:kms:us-east-1:111122223333:key/one", "arn:aws:kms:us-east-1::alias/one"]
)
def test_a_key_has_the_names_that_aws_s_have_and_is_told_by_the_client_s(place, name):
    version = place.put("cat", b"meow", Scheme(SSE_KMS, name))

    assert describe(version.extra) == (SSE_KMS, name, False)
    assert place.read("cat") == b"meow"


def test_the_managed_key_is_what_serves_when_none_is_named(place):
    place.keyring.create(MANAGED_KEY)
    version = place.put("cat", b"meow", Scheme(SSE_KMS, bucket_key=True))

    assert describe(version.extra) == (SSE_KMS, MANAGED_KEY, True)
    assert place.read("cat") == b"meow"


@pytest.mark.parametrize(("scheme", "key_id"), [(Scheme(SSE_S3), STORE_KEY), (Scheme(SSE_KMS, "one"), "one")])
def test_objects_of_before_and_after_a_rotation_are_readable(place, scheme, key_id):
    place.put("cat", b"meow", scheme)
    place.keyring.rotate(key_id)
    place.put("dog", b"bark", scheme)

    assert [place.get(key).extra["sse-under-version"] for key in ("cat", "dog")] == ["1", "2"]
    assert (place.read("cat"), place.read("dog")) == (b"meow", b"bark")


def test_a_store_s_key_that_was_lost_is_no_fault_of_the_client(place):
    place.put("cat", b"meow", Scheme(SSE_S3))
    (place.path / KEYRING_NAME).unlink()
    with pytest.raises(DataCorrupt):
        place.read("cat")

    place.put("dog", b"bark", Scheme(SSE_S3))  # under a new key, which is not the old one
    with pytest.raises(DataCorrupt):
        place.read("cat")
    assert place.read("dog") == b"bark"
