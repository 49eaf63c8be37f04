"""Encrypted multipart uploads."""

import hashlib
import os

import pytest
from support.encrypted import CUSTOMER, IDS, OTHER, OWNER, SCHEMES, Body

from nova_objectstore.checksums import CRC64NVME
from nova_objectstore.crypto.keyring import STORE_KEY
from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, Scheme
from nova_objectstore.domain.encryption import describe
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.domain.uploads import ChosenPart
from nova_objectstore.errors import (
    InvalidRequest,
)
from nova_objectstore.limits import PART_SIZE_MIN


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_multipart_object_and_any_range_of_it_comes_out_again(place, scheme):
    contents = [os.urandom(PART_SIZE_MIN + 1), os.urandom(PART_SIZE_MIN), os.urandom(100)]
    version = place.multipart("cat", contents, scheme, customer=scheme.customer)
    whole = b"".join(contents)

    assert (version.size, version.parts_count) == (len(whole), 3)
    assert describe(version.extra) == describe(place.get("cat").extra)
    assert place.read("cat", customer=scheme.customer) == whole
    for first, last in [
        (0, 0),
        (PART_SIZE_MIN, PART_SIZE_MIN + 1),
        (PART_SIZE_MIN - 5, 2 * PART_SIZE_MIN + 50),
        (len(whole) - 150, len(whole) - 1),
        (len(whole) - 1, len(whole) - 1),
    ]:
        assert place.read("cat", first, last, customer=scheme.customer) == whole[first : last + 1]


def test_a_part_sent_again_has_its_etag_and_other_bytes_at_rest(place):
    uploads = place.store.uploads
    begun = uploads.begin(place.bucket, ObjectSpec("cat", OWNER, encryption=Scheme(SSE_KMS, "one")), initiator="")
    sent = [uploads.put_part(begun, 1, Body(bytes(100))) for _ in range(2)]

    assert sent[0].etag == sent[1].etag != hashlib.md5(bytes(100)).hexdigest()
    assert sent[0].content.inline != sent[1].content.inline
    assert sent[0].extra != sent[1].extra


def test_every_part_under_a_customer_s_key_wants_it(place):
    uploads = place.store.uploads
    spec = ObjectSpec("cat", OWNER, encryption=Scheme(SSE_C, customer=CUSTOMER))
    upload = uploads.begin(place.bucket, spec, initiator="")
    for customer in (None, OTHER):
        with pytest.raises(InvalidRequest):
            uploads.put_part(upload, 1, Body(b"meow"), customer=customer)
    part = uploads.put_part(upload, 1, Body(b"meow"), customer=CUSTOMER)
    with pytest.raises(InvalidRequest):
        uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)], customer=OTHER)
    plain = uploads.begin(place.bucket, ObjectSpec("dog", OWNER), initiator="")
    with pytest.raises(InvalidRequest):
        uploads.put_part(plain, 1, Body(b"bark"), customer=CUSTOMER)

    # An older client has no checksums, and completes without the key.
    uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)])
    assert place.read("cat", customer=CUSTOMER) == b"meow"


def test_a_completion_with_checksums_under_a_customer_s_key_wants_it(place):
    uploads = place.store.uploads
    spec = ObjectSpec("cat", OWNER, encryption=Scheme(SSE_C, customer=CUSTOMER))
    upload = uploads.begin(place.bucket, spec, initiator="", checksum_algorithm=CRC64NVME, checksum_type="FULL_OBJECT")
    part = uploads.put_part(upload, 1, Body(b"meow"), customer=CUSTOMER)

    with pytest.raises(InvalidRequest):
        uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)])


def test_an_upload_goes_on_over_a_rotation(place):
    uploads = place.store.uploads
    upload = uploads.begin(place.bucket, ObjectSpec("cat", OWNER, encryption=Scheme(SSE_S3)), initiator="")
    parts = [uploads.put_part(upload, 1, Body(bytes(PART_SIZE_MIN)))]
    place.keyring.rotate(STORE_KEY)
    parts.append(uploads.put_part(upload, 2, Body(b"meow")))
    uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(part.number, part.etag) for part in parts])

    assert place.read("cat") == bytes(PART_SIZE_MIN) + b"meow"
