"""What headers claim of a body, and the verdict at its end."""

import contextlib
import hashlib
from base64 import b64encode

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.checksums import ALGORITHMS, CRC64NVME, new_digest
from nova_objectstore.errors import (
    BadDigest,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailerError,
    StoreError,
    XAmzContentSHA256Mismatch,
)
from nova_objectstore.s3.checksums import (
    VALUE_HEADERS,
    BodyCheck,
    ChecksumClaim,
    announced_trailers,
    check_type,
    parse_algorithm,
    read_claim,
    read_content_md5,
    read_upload_checksum,
    wants_checksum,
)
from nova_objectstore.types import Checksum

BODY = b"some random data"
MD5 = b64encode(hashlib.md5(BODY).digest()).decode()
SHA256 = hashlib.sha256(BODY).hexdigest()


def value_of(algorithm, body=BODY):
    digest = new_digest(algorithm)
    digest.update(body)
    return digest.base64()


def judge(headers, body=BODY, *, trailers=None, payload_hash=None, algorithm=CRC64NVME):
    check = BodyCheck(
        content_md5=read_content_md5(headers), claim=read_claim(headers), payload_hash=payload_hash, algorithm=algorithm
    )
    for start in range(0, len(body), 5):
        check.update(memoryview(body)[start : start + 5])
    check.verify(trailers)
    return check


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_claim_is_verified_and_kept(algorithm):
    header = f"x-amz-checksum-{algorithm.lower()}"
    value = value_of(algorithm)
    reference = _CHECKSUM_CLS[algorithm.lower()]()
    reference.update(BODY)
    assert value == reference.b64digest()
    for headers, trailers in (({header: value}, None), ({"x-amz-trailer": header}, {header: value})):
        check = judge({**headers, "x-amz-sdk-checksum-algorithm": algorithm}, trailers=trailers)
        assert check.digests().checksum == Checksum(algorithm, "FULL_OBJECT", value)
        assert check.digests().etag == hashlib.md5(BODY).hexdigest()
        with pytest.raises(BadDigest, match=algorithm):
            judge(headers, b"another body", trailers=trailers)


def test_nothing_claimed_keeps_crc64nvme_or_nothing():
    assert judge({}).digests().checksum == Checksum("CRC64NVME", "FULL_OBJECT", value_of("CRC64NVME"))
    assert judge({}, algorithm="SHA1").digests().checksum == Checksum("SHA1", "FULL_OBJECT", value_of("SHA1"))
    assert judge({}, algorithm="").digests().checksum is None
    assert judge({}, b"").digests().etag == "d41d8cd98f00b204e9800998ecf8427e"


def test_content_md5():
    assert judge({"content-md5": MD5})
    with pytest.raises(BadDigest) as caught:
        judge({"content-md5": MD5}, b"other")
    assert caught.value.facts["expected_digest"] == MD5
    assert read_content_md5({}) is None


@pytest.mark.parametrize(
    "value", ["", "abc", "AWS HAHAHA", "rL0Y20zC+Fzt72VPzMSk2A", "YWJyYWNhZGFicmE=", "é" * 24, "=" * 24, "a" * 5000]
)
def test_content_md5_that_is_none(value):
    with pytest.raises(InvalidDigest) as caught:
        read_content_md5({"content-md5": value})
    assert caught.value.facts == {"content_md5": value}


def test_the_signed_hash_of_the_body():
    assert judge({}, payload_hash=SHA256)
    assert judge({}, payload_hash=SHA256.upper())
    with pytest.raises(XAmzContentSHA256Mismatch) as caught:
        judge({}, b"other", payload_hash=SHA256)
    assert caught.value.facts == {
        "client_computed_content_sha256": SHA256,
        "s3_computed_content_sha256": hashlib.sha256(b"other").hexdigest(),
    }


def test_a_digest_is_computed_once():
    check = judge({"x-amz-checksum-sha256": value_of("SHA256")}, payload_hash=SHA256)
    assert len(check.hashers) == 2
    assert len(judge({}, payload_hash=SHA256).hashers) == 3


@pytest.mark.parametrize(
    "headers", [{"x-amz-checksum-crc32": "abc"}, {"x-amz-checksum-crc32": ""}, {"x-amz-checksum-sha256": "NhCmhg=="}]
)
def test_a_value_that_no_body_can_have(headers):
    with pytest.raises(BadDigest, match="header is invalid"):
        read_claim(headers)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-amz-checksum-sha9": "NhCmhg=="}, "algorithm type you specified"),
        ({"x-amz-checksum-crc32": "NhCmhg==", "x-amz-checksum-sha1": "x"}, "Multiple checksum Types"),
        ({"x-amz-checksum-crc32": "NhCmhg==", "x-amz-trailer": "x-amz-checksum-crc32"}, "Multiple checksum Types"),
        ({"x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"}, "Multiple checksum Types"),
        ({"x-amz-trailer": "x-amz-meta-late"}, "x-amz-trailer header is not supported"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "no corresponding"),
        ({"x-amz-sdk-checksum-algorithm": "CRC9", "x-amz-checksum-crc32": "NhCmhg=="}, "unsupported"),
        ({"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "NhCmhg=="}, "x-amz-sdk-checksum-algorithm"),
    ],
)
def test_claims_that_are_none(headers, message):
    with pytest.raises(InvalidRequest, match=message):
        read_claim(headers)


def test_headers_beside_the_claim_are_none():
    assert read_claim({"x-amz-checksum-mode": "ENABLED", "x-amz-checksum-algorithm": "SHA1"}) is None
    claim = read_claim({"x-amz-sdk-checksum-algorithm": "crc32", "x-amz-checksum-crc32": " NhCmhg== "})
    assert claim == ChecksumClaim("CRC32", "NhCmhg==")
    assert claim.header == "x-amz-checksum-crc32"


def test_an_announced_trailer_must_come():
    headers = {"x-amz-trailer": " X-Amz-Checksum-CRC32 "}
    assert announced_trailers(headers) == ("x-amz-checksum-crc32",)
    with pytest.raises(MalformedTrailerError):
        judge(headers, trailers={})
    with pytest.raises(InvalidRequest, match="trailing header"):
        judge(headers, trailers={"x-amz-checksum-crc32": "invalid"})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ("", "")),
        ({"x-amz-checksum-algorithm": "CRC32"}, ("CRC32", "COMPOSITE")),
        ({"x-amz-checksum-algorithm": "crc32c", "x-amz-checksum-type": "full_object"}, ("CRC32C", "FULL_OBJECT")),
        ({"x-amz-checksum-algorithm": "CRC64NVME"}, ("CRC64NVME", "FULL_OBJECT")),
        ({"x-amz-checksum-algorithm": "SHA256"}, ("SHA256", "COMPOSITE")),
    ],
)
def test_checksums_of_uploads(headers, expected):
    assert read_upload_checksum(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": ""},
        {"x-amz-checksum-algorithm": "MD4"},
        {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF_OBJECT"},
    ],
)
def test_checksums_that_uploads_cannot_have(headers):
    with pytest.raises(InvalidRequest):
        read_upload_checksum(headers)


def test_small_readers():
    assert parse_algorithm(" sha1 ") == "SHA1"
    assert check_type("CRC32", "") == "COMPOSITE"
    assert wants_checksum({"x-amz-checksum-mode": "enabled"})
    assert not wants_checksum({})


@given(
    st.dictionaries(
        st.sampled_from([*VALUE_HEADERS, "x-amz-trailer", "x-amz-sdk-checksum-algorithm"]), st.text(max_size=30)
    )
)
@settings(max_examples=200, deadline=None, database=None)
def test_any_headers_are_a_claim_or_an_error_of_the_store(headers):
    with contextlib.suppress(StoreError):
        read_claim(headers)
