"""Buckets' default encryption."""

import pytest
from support.encrypted import CUSTOMER, Place

from nova_objectstore.assembly import build_store
from nova_objectstore.crypto.keyring import STORE_KEY
from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, BucketEncryption, Scheme
from nova_objectstore.domain.encryption import describe
from nova_objectstore.errors import (
    AccessDenied,
)


def test_a_bucket_s_default_holds_for_what_asks_for_nothing(place):
    encryptions = place.store.encryption.buckets
    assert encryptions.get(place.bucket) is None
    place.put("before", b"meow")
    encryptions.put(place.bucket, BucketEncryption(SSE_KMS, "one", bucket_key=True))
    place.put("default", b"meow")
    place.put("asked", b"meow", Scheme(SSE_S3))
    place.put("own", b"meow", Scheme("", bucket_key=False))
    place.multipart("parts", [b"meow"])
    encryptions.delete(place.bucket)
    place.put("after", b"meow")

    assert {key: describe(place.get(key).extra) for key in ("before", "default", "asked", "own", "parts", "after")} == {
        "before": None,
        "default": (SSE_KMS, "one", True),
        "asked": (SSE_S3, STORE_KEY, False),
        "own": (SSE_KMS, "one", False),
        "parts": (SSE_KMS, "one", True),
        "after": None,
    }
    assert {place.read(key) for key in ("before", "default", "asked", "own", "parts", "after")} == {b"meow"}


def test_another_process_s_default_holds_at_once(place):
    other = build_store(place.settings)
    other.open()
    for algorithm in (SSE_S3, ""):
        other.encryption.buckets.put(place.bucket, BucketEncryption(algorithm))
        version = place.put("cat", b"meow")
        assert (describe(version.extra) is not None) is bool(algorithm)
    other.close()


def test_a_bucket_may_refuse_customers_keys(place):
    place.put("cat", b"meow", Scheme(SSE_C, customer=CUSTOMER))
    place.store.encryption.buckets.put(place.bucket, BucketEncryption("", blocks_customer_keys=True))

    for write in (place.put, place.multipart):
        with pytest.raises(AccessDenied):
            write("dog", b"bark", Scheme(SSE_C, customer=CUSTOMER))
    with pytest.raises(AccessDenied):
        place.copy("cat", "dog", Scheme(SSE_C, customer=CUSTOMER), customer=CUSTOMER)
    assert place.read("cat", customer=CUSTOMER) == b"meow"
    assert place.put("dog", b"bark").extra == {}


def test_a_store_may_encrypt_always(tmp_path):
    place = Place(tmp_path / "state", encrypts_always=True)
    encryptions = place.store.encryption.buckets

    assert encryptions.get(place.bucket) == BucketEncryption(SSE_S3)
    assert describe(place.put("cat", b"meow").extra).algorithm == SSE_S3
    encryptions.put(place.bucket, BucketEncryption("", blocks_customer_keys=True))
    assert encryptions.get(place.find_bucket()) == BucketEncryption(SSE_S3, blocks_customer_keys=True)
    assert describe(place.put("cat", b"meow").extra).algorithm == SSE_S3
    place.store.close()
