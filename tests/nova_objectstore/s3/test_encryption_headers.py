"""What headers ask for, and the documents of default encryption: every way, and every refusal with AWS's code."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, BucketEncryption, CustomerKey, Scheme
from nova_objectstore.errors import InvalidArgument, InvalidRequest, StoreError
from nova_objectstore.s3.encryption_headers import (
    BUCKET_KEY,
    CONTEXT,
    COPY_SOURCE_CUSTOMER,
    CUSTOMER,
    KMS_KEY_ID,
    SSE,
    encryption_headers,
    read_customer_key,
    read_encryption,
    read_reader_key,
    read_source_key,
    refuse_customer_keys_in_the_open,
    written_headers,
)
from nova_objectstore.s3.errors import find_row
from nova_objectstore.s3.operations.encryption import parse_bucket_encryption, render_bucket_encryption

SECRET = bytes(range(32))


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def md5(value: bytes) -> str:
    return b64(hashlib.md5(value).digest())


def customer(secret: bytes = SECRET, *, prefix: str = CUSTOMER, **other: str | None) -> dict[str, str]:
    """The three headers; ``other`` replaces some, None leaves one out."""
    headers = {"algorithm": "AES256", "key": b64(secret), "key-md5": md5(secret)}
    headers.update({name.replace("_", "-"): value for name, value in other.items()})
    return {f"{prefix}-{name}": value for name, value in headers.items() if value is not None}


def context(value: object) -> str:
    return b64(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({}, None),
        ({"x-amz-meta-a": "b"}, None),
        ({SSE: "AES256"}, Scheme(SSE_S3)),
        ({SSE: "AES256", BUCKET_KEY: "true"}, Scheme(SSE_S3, bucket_key=True)),
        ({SSE: "aws:kms"}, Scheme(SSE_KMS)),
        ({SSE: "aws:kms", KMS_KEY_ID: "one"}, Scheme(SSE_KMS, "one")),
        (
            {SSE: "aws:kms", KMS_KEY_ID: "one", CONTEXT: context({"b": "2", "a": "é"}), BUCKET_KEY: "False"},
            Scheme(SSE_KMS, "one", '{"a":"\\u00e9","b":"2"}', False),
        ),
        ({BUCKET_KEY: "true"}, Scheme("", bucket_key=True)),
        (customer(), Scheme(SSE_C, customer=CustomerKey(SECRET))),
    ],
)
def test_what_a_write_asks_for(headers, scheme):
    assert read_encryption(headers) == scheme


ARGUMENT, ALGORITHM, NOT_IMPLEMENTED = "InvalidArgument", "InvalidEncryptionAlgorithmError", "NotImplemented"
REFUSED = [
    ({SSE: "aes256"}, ARGUMENT),
    ({SSE: "AES192"}, ARGUMENT),
    ({SSE: ""}, ARGUMENT),
    ({SSE: "aes:kms"}, ARGUMENT),
    ({SSE: "aws:fsx"}, ARGUMENT),
    ({SSE: "aws:kms:dsse"}, NOT_IMPLEMENTED),
    ({SSE: "aws:kms:dsse", KMS_KEY_ID: "one"}, NOT_IMPLEMENTED),
    ({KMS_KEY_ID: "one"}, ARGUMENT),
    ({CONTEXT: context({"a": "b"})}, ARGUMENT),
    ({SSE: "AES256", KMS_KEY_ID: "one"}, ARGUMENT),
    ({SSE: "AES256", CONTEXT: context({"a": "b"})}, ARGUMENT),
    ({SSE: "aws:kms", BUCKET_KEY: "yes"}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: "no base64!"}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: b64(b"no JSON")}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: b64(b"\xff")}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: b64(b"[" * 100_000)}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: context(["a"])}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: context({"a": 1})}, ARGUMENT),
    ({SSE: "aws:kms", CONTEXT: context({"a": "b" * 9000})}, ARGUMENT),
    ({**customer(), SSE: "AES256"}, ARGUMENT),
    ({**customer(), SSE: "aws:kms"}, ARGUMENT),
    ({**customer(), KMS_KEY_ID: "one"}, ARGUMENT),
    (customer(algorithm=None), ARGUMENT),
    (customer(algorithm="AES128"), ALGORITHM),
    (customer(algorithm="aes256"), ALGORITHM),
    (customer(key=None), ARGUMENT),
    (customer(key_md5=None), ARGUMENT),
    (customer(key=None, key_md5=None), ARGUMENT),
    (customer(algorithm=None, key=None), ARGUMENT),
    (customer(key_md5=md5(b"another")), ARGUMENT),
    (customer(key_md5="AAAAAAAAAAAAAAAAAAAAAA=="), ARGUMENT),
    (customer(key_md5="no base64"), ARGUMENT),
    (customer(key="no base64!"), ARGUMENT),
    (customer(bytes(16)), ARGUMENT),
    (customer(bytes(33)), ARGUMENT),
    (customer(b""), ARGUMENT),
]


@pytest.mark.parametrize(("headers", "code"), REFUSED)
def test_what_a_write_may_not_ask_for(headers, code):
    with pytest.raises(StoreError) as refused:
        read_encryption(headers)
    assert find_row(refused.value).code == code


@pytest.mark.parametrize(("headers", "code"), [case for case in REFUSED if f"{CUSTOMER}-key" in case[0]])
def test_a_refusal_does_not_repeat_the_key(headers, code):
    with pytest.raises(StoreError) as refused:
        read_encryption(headers)
    key = headers[f"{CUSTOMER}-key"]
    assert not key or key not in f"{refused.value} {refused.value.facts}"


def outcome(read, headers) -> int:
    try:
        read(headers)
    except StoreError as error:
        return find_row(error).status
    return 200


@given(st.dictionaries(st.sampled_from([*customer(), SSE, KMS_KEY_ID, CONTEXT, BUCKET_KEY]), st.text(max_size=50)))
def test_whatever_comes_is_a_scheme_or_a_refusal(headers):
    for read in (read_encryption, read_reader_key, read_customer_key):
        assert outcome(read, headers) in (200, 400, 501)


def test_a_read_brings_a_customer_s_key_or_nothing():
    assert read_reader_key({}) is None
    assert read_reader_key(customer()) == CustomerKey(SECRET)
    for headers in ({SSE: "AES256"}, {SSE: "aws:kms", KMS_KEY_ID: "one"}, {**customer(), SSE: "AES256"}):
        with pytest.raises(InvalidArgument):
            read_reader_key(headers)


def test_parts_hear_of_customers_keys_alone():
    assert read_customer_key({SSE: "aws:kms", KMS_KEY_ID: "one"}) is None
    assert read_customer_key(customer()) == CustomerKey(SECRET)


def test_the_source_of_a_copy_has_headers_of_its_own():
    headers = customer(prefix=COPY_SOURCE_CUSTOMER)

    assert read_source_key(headers) == CustomerKey(SECRET)
    assert (read_source_key(customer()), read_encryption(headers)) == (None, None)
    with pytest.raises(InvalidArgument):
        read_source_key(customer(prefix=COPY_SOURCE_CUSTOMER, key=None))


def test_customers_keys_do_not_show():
    assert repr(read_customer_key(customer())) == "CustomerKey(...)"
    assert b64(SECRET) not in repr(read_encryption(customer()))


def test_customers_keys_over_plain_http():
    refuse_customer_keys_in_the_open({SSE: "AES256"})
    for headers in (customer(), customer(prefix=COPY_SOURCE_CUSTOMER), customer(algorithm=None, key_md5=None)):
        with pytest.raises(InvalidRequest):
            refuse_customer_keys_in_the_open(headers)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({}, []),
        ({"acl": "something"}, []),
        ({"sse": "AES256", "sse-under": "nova/sse-s3"}, [(SSE, "AES256")]),
        ({"sse": "aws:kms", "sse-under": "one"}, [(SSE, "aws:kms"), (KMS_KEY_ID, "one")]),
        (
            {"sse": "aws:kms", "sse-under": "one", "sse-key-name": "alias/one", "sse-bucket-key": "true"},
            [(SSE, "aws:kms"), (KMS_KEY_ID, "alias/one"), (BUCKET_KEY, "true")],
        ),
        ({"sse": "SSE-C"}, [(f"{CUSTOMER}-algorithm", "AES256"), (f"{CUSTOMER}-key-MD5", md5(SECRET))]),
    ],
)
def test_what_answers_tell(extra, told):
    assert encryption_headers(extra, customer()) == told
    given = context({"a": "b"})
    assert written_headers(extra, {**customer(), CONTEXT: given}) == (told and [*told, (CONTEXT, given)])


# -- documents -----------------------------------------------------------------------------------------------------------


def rule(*content: str) -> bytes:
    text = "".join(content)
    return (
        '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Rule>{text}</Rule></ServerSideEncryptionConfiguration>"
    ).encode()


def default(algorithm: str, key: str = "") -> str:
    key = f"<KMSMasterKeyID>{key}</KMSMasterKeyID>" if key else ""
    return (
        f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}"
        "</ApplyServerSideEncryptionByDefault>"
    )


def blocked(*types: str) -> str:
    inside = "".join(f"<EncryptionType>{one}</EncryptionType>" for one in types)
    return f"<BlockedEncryptionTypes>{inside}</BlockedEncryptionTypes>"


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (rule(default("AES256")), BucketEncryption(SSE_S3)),
        (rule(default("aws:kms")), BucketEncryption(SSE_KMS)),
        (
            rule(default("aws:kms", "a&amp;b"), "<BucketKeyEnabled>true</BucketKeyEnabled>"),
            BucketEncryption(SSE_KMS, "a&b", bucket_key=True),
        ),
        (rule(blocked("SSE-C")), BucketEncryption("", blocks_customer_keys=True)),
        (rule(default("AES256"), blocked("NONE")), BucketEncryption(SSE_S3)),
    ],
)
def test_documents_of_default_encryption(body, parsed):
    assert parse_bucket_encryption(body) == parsed
    assert parse_bucket_encryption(render_bucket_encryption(parsed).encode()) == parsed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<ServerSideEncryptionConfiguration/>", "MalformedXML"),
        (rule(default("AES256")).replace(b"<Rule>", b"<Rule/><Rule>"), "MalformedXML"),
        (rule(default("AES512")), "MalformedXML"),
        (rule("<ApplyServerSideEncryptionByDefault/>"), "MalformedXML"),
        (rule(default("aws:kms", "k" * 3000)), "MalformedXML"),
        (rule(default("AES256", "one")), "InvalidArgument"),
        (rule(default("aws:kms:dsse")), "NotImplemented"),
        (rule(blocked()), "MalformedXML"),
        (rule(blocked("SSE-S3")), "MalformedXML"),
        (rule(blocked("SSE-C", "NONE")), "MalformedXML"),
        (rule("<BucketKeyEnabled>yes</BucketKeyEnabled>"), "MalformedXML"),
    ],
)
def test_documents_that_are_none(body, code):
    with pytest.raises(StoreError) as refused:
        parse_bucket_encryption(body)
    assert find_row(refused.value).code == code
