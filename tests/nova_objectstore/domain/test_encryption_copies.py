"""Copies and renames of encrypted objects."""

import hashlib
import os

import pytest
from support.encrypted import CUSTOMER, IDS, OTHER, OWNER, SCHEMES, WAY_IDS, WAYS

from nova_objectstore.crypto.keyring import STORE_KEY
from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, Scheme
from nova_objectstore.domain.encryption import describe
from nova_objectstore.domain.objects import Delete, ObjectSpec
from nova_objectstore.domain.uploads import ChosenPart
from nova_objectstore.limits import MiB
from nova_objectstore.types import UNCONDITIONAL, Versioning


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("target", WAYS, ids=WAY_IDS)
@pytest.mark.parametrize("source", WAYS, ids=WAY_IDS)
def test_copies_between_all_of_them(place, source, target, size):
    content = os.urandom(size)
    place.put("cat", content, source)
    if target is not None and target.customer is not None:
        target = target._replace(customer=OTHER)
    copied = place.copy("cat", "dog", target, customer=source and source.customer)
    target_key = target and target.customer

    assert place.read("dog", customer=target_key) == content
    told = describe(copied.extra)
    assert (told and told.algorithm) == (target and target.algorithm)
    assert (copied.etag == hashlib.md5(content).hexdigest()) is (target is None or target.algorithm == SSE_S3)
    place.store.objects.delete(place.bucket, Delete("cat"), owner_id=OWNER)
    place.store.collector.run()
    assert place.read("dog", customer=target_key) == content


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3), Scheme(SSE_KMS, "one")])
def test_a_copy_under_the_same_key_moves_no_bytes(place, scheme):
    place.put("cat", os.urandom(MiB), scheme)
    place.copy("cat", "dog", scheme)

    assert os.path.samefile(place.data_file("cat"), place.data_file("dog"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Scheme(SSE_KMS, "one"), Scheme(SSE_KMS, "two")),
        (Scheme(SSE_KMS, "one"), Scheme(SSE_KMS, "one", context='{"a":"b"}')),
        (Scheme(SSE_S3), Scheme(SSE_KMS, "one")),
        (Scheme(SSE_C, customer=CUSTOMER), Scheme(SSE_C, customer=CUSTOMER)),
    ],
)
def test_a_copy_under_another_key_has_bytes_of_its_own(place, before, after):
    place.put("cat", os.urandom(MiB), before)
    place.copy("cat", "dog", after, customer=before.customer)

    assert place.data_file("cat").read_bytes()[:100] != place.data_file("dog").read_bytes()[:100]


def test_a_copy_onto_itself_after_a_rotation_is_sealed_anew(place):
    content = os.urandom(MiB)
    place.put("cat", content, Scheme(SSE_S3))
    old = place.data_file("cat")
    place.keyring.rotate(STORE_KEY)
    place.copy("cat", "cat", Scheme(SSE_S3))

    assert place.data_file("cat") != old
    assert place.get("cat").extra["sse-under-version"] == "2"
    assert place.read("cat") == content


@pytest.mark.parametrize("target", SCHEMES, ids=IDS)
@pytest.mark.parametrize("source", SCHEMES, ids=IDS)
def test_parts_copied_between_all_of_them(place, source, target):
    content = os.urandom(300_000)
    place.put("cat", content, source)
    uploads = place.store.uploads
    begun = uploads.begin(place.bucket, ObjectSpec("dog", OWNER, encryption=target), initiator="")
    part = uploads.copy_part(
        begun, 1, place.get("cat"), 5, 250_000, customer=target.customer, source_customer=source.customer
    )
    uploads.complete(place.bucket, "dog", begun.upload_id, [ChosenPart(1, part.etag)], customer=target.customer)

    assert place.read("dog", customer=target.customer) == content[5:250_001]


def test_a_rename_and_other_versions_keep_their_keys(place):
    place.store.buckets.set_versioning(place.bucket, Versioning.ENABLED)
    first = place.put("cat", b"first", Scheme(SSE_S3))
    place.put("cat", b"second", Scheme(SSE_KMS, "one"))
    place.store.objects.rename(
        place.find_bucket(), "cat", "dog", source_condition=UNCONDITIONAL, condition=UNCONDITIONAL
    )

    assert place.read("dog") == b"second"
    old = place.store.objects.get(place.bucket, "cat", first.version_id, inline=True)
    assert place.store.egress.open_body(old) == (b"first",)
