"""Browser forms: policies as boto3 and as SigV2 clients make them, and what they do not allow."""

import base64
import contextlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signing import ACCESS_KEY, REGION, SECRET_KEY, SECRETS

from nova_objectstore.errors import (
    AccessDenied,
    EntityTooLarge,
    EntityTooSmall,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidPolicyDocument,
    SignatureDoesNotMatch,
    StoreError,
)
from nova_objectstore.s3.auth import AuthType, SignatureVersion
from nova_objectstore.s3.auth.post_policy import parse_policy, verify_form

NOW_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
LATER = "2026-01-02T00:00:00Z"


def encode(document):
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def make_policy(*conditions, expiration=LATER):
    return parse_policy(
        encode({"expiration": expiration, "conditions": [{"bucket": "b"}, ["eq", "$key", "k"], *conditions]})
    )


def check(policy, fields=None, *, bucket="b", key="k", now_s=NOW_S):
    policy.check(fields or {}, bucket=bucket, key=key, now_s=now_s)


def verify(fields):
    return verify_form(fields, lookup=SECRETS.get, region=REGION)


@pytest.fixture
def v4_fields():
    client = boto3.client(
        "s3",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
        endpoint_url="http://127.0.0.1:1",
        config=Config(signature_version="s3v4"),
    )
    form = client.generate_presigned_post("b", "k", Fields={"acl": "private"}, Conditions=[{"acl": "private"}])
    return {name.lower(): value for name, value in form["fields"].items()}


@pytest.fixture
def v2_fields():
    policy = encode({"expiration": LATER, "conditions": [{"bucket": "b"}, ["starts-with", "$key", ""]]})
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), policy.encode(), "sha1")).decode()
    return {"key": "k", "awsaccesskeyid": ACCESS_KEY, "policy": policy, "signature": signature}


# -- signatures ------------------------------------------------------------------------------------------------------


def test_what_boto3_makes_is_verified_and_allowed(v4_fields):
    made = verify(v4_fields)
    assert (made.access_key, made.auth_type, made.version) == (ACCESS_KEY, AuthType.FORM, SignatureVersion.V4)
    check(parse_policy(v4_fields["policy"]), v4_fields, now_s=datetime.now(UTC).timestamp())


def test_a_sigv2_form_is_verified_and_allowed(v2_fields):
    made = verify(v2_fields)
    assert (made.access_key, made.auth_type, made.version) == (ACCESS_KEY, AuthType.FORM, SignatureVersion.V2)
    check(parse_policy(v2_fields["policy"]), v2_fields)


def test_a_form_without_a_policy_is_anonymous():
    assert verify({"key": "k", "file": ""}) is None


TAMPERING = {
    "signature": ({"x-amz-signature": "0" * 64}, SignatureDoesNotMatch),
    "signature not ascii": ({"x-amz-signature": "é"}, SignatureDoesNotMatch),
    "policy": ({"policy": encode({"expiration": LATER, "conditions": []})}, SignatureDoesNotMatch),
    "algorithm": ({"x-amz-algorithm": "AWS4-SHA256"}, InvalidArgument),
    "date": ({"x-amz-date": "yesterday"}, InvalidArgument),
    "another day": ({"x-amz-date": "20130524T000000Z"}, InvalidArgument),
    "credential": ({"x-amz-credential": "a/b/c"}, InvalidArgument),
    "region": ({"x-amz-credential": f"{ACCESS_KEY}/20130524/eu-west-1/s3/aws4_request"}, InvalidArgument),
    "service": ({"x-amz-credential": f"{ACCESS_KEY}/20130524/{REGION}/sns/aws4_request"}, InvalidArgument),
    "no signature": ({"x-amz-signature": None}, InvalidArgument),
    "no policy": ({"policy": None}, InvalidArgument),
    "no algorithm": ({"x-amz-algorithm": None}, InvalidArgument),
    "no date": ({"x-amz-date": ""}, InvalidArgument),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_a_form_is_refused(v4_fields, name):
    changes, error = TAMPERING[name]
    fields = {field: value for field, value in {**v4_fields, **changes}.items() if value is not None}
    with pytest.raises(error):
        verify(fields)


def test_the_clients_key_must_be_known(v4_fields, v2_fields):
    with pytest.raises(InvalidAccessKeyId):
        verify({**v4_fields, "x-amz-credential": v4_fields["x-amz-credential"].replace(ACCESS_KEY, "nobody")})
    with pytest.raises(InvalidAccessKeyId):
        verify({**v2_fields, "awsaccesskeyid": "nobody"})


@pytest.mark.parametrize("missing", ["awsaccesskeyid", "policy", "signature"])
def test_a_sigv2_form_is_whole_or_refused(v2_fields, missing):
    del v2_fields[missing]
    with pytest.raises(InvalidArgument, match="Bucket POST must contain a field named"):
        verify(v2_fields)


def test_a_sigv2_signature_covers_the_policy(v2_fields):
    with pytest.raises(SignatureDoesNotMatch):
        verify({**v2_fields, "policy": v2_fields["policy"][:-4] + "AAAA"})


# -- conditions ------------------------------------------------------------------------------------------------------

META = ["starts-with", "$x-amz-meta-foo", "bar"]


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ({"acl": "private"}, {"acl": "private"}),
        ({"AcL": "private"}, {"acl": "private"}),
        (["EQ", "$ACL", "private"], {"acl": "private"}),
        (["StArTs-WiTh", "$CoNtEnT-TyPe", "text/"], {"content-type": "text/plain"}),
        (["starts-with", "$Content-Type", "image/"], {"content-type": "image/png, image/gif"}),
        (["starts-with", "$x-amz-meta-any", ""], {"x-amz-meta-any": "thing"}),
        (["starts-with", "$x-amz-meta-any", ""], {}),
        (["eq", "$x-amz-meta-any", ""], {}),
        (META, {"x-amz-meta-foo": "barclamp"}),
        ({"x-ignore": "x"}, {"x-ignore": "x", "x-ignore-me": "please"}),
    ],
)
def test_fields_that_are_allowed(condition, fields):
    check(make_policy(condition), fields)


@pytest.mark.parametrize(
    ("condition", "fields", "message"),
    [
        ({"acl": "private"}, {"acl": "public-read"}, "Policy Condition failed"),
        ({"acl": "private"}, {}, "Policy Condition failed"),
        (META, {}, "Policy Condition failed"),
        (META, {"x-amz-meta-foo": "clampbar"}, "Policy Condition failed"),
        (["eq", "$x-amz-meta-foo", ""], {"x-amz-meta-foo": "barclamp"}, "Policy Condition failed"),
        (
            ["starts-with", "$Content-Type", "image/"],
            {"content-type": "image/png,text/html"},
            "Policy Condition failed",
        ),
        ({"acl": "private"}, {"acl": "private", "tagging": "x"}, "Extra input fields: tagging"),
    ],
)
def test_fields_that_are_not_allowed(condition, fields, message):
    with pytest.raises(AccessDenied, match=message):
        check(make_policy(condition), fields)


def test_bucket_and_key_are_the_requests_own():
    with pytest.raises(AccessDenied):
        check(make_policy(), bucket="other")
    with pytest.raises(AccessDenied):
        check(make_policy(), {"bucket": "b"}, bucket="other")
    with pytest.raises(AccessDenied):
        check(make_policy(), {"key": "k"}, key="other")


def test_a_policy_must_name_its_bucket():
    policy = parse_policy(encode({"expiration": LATER, "conditions": [["starts-with", "$key", ""]]}))
    with pytest.raises(AccessDenied, match="bucket"):
        check(policy)


def test_a_policy_ends():
    end = datetime.fromisoformat(LATER).timestamp()
    check(make_policy(), now_s=end - 1)
    with pytest.raises(AccessDenied, match="expired"):
        check(make_policy(), now_s=end)
    fractional = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    check(make_policy(expiration=fractional))


def test_sizes():
    policy = make_policy(["content-length-range", 3, "10"])
    for size in (3, 10):
        policy.check_size(size)
    with pytest.raises(EntityTooSmall) as small:
        policy.check_size(2)
    assert small.value.facts == {"proposed_size": 2, "min_size_allowed": 3}
    with pytest.raises(EntityTooLarge) as large:
        policy.check_size(11)
    assert large.value.facts == {"proposed_size": 11, "max_size_allowed": 10}
    make_policy().check_size(1 << 40)


# -- documents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "",
        "not json",
        "[]",
        "[" * 100_000,
        {},
        {"expiration": LATER},
        {"conditions": []},
        {"EXPIRATION": LATER, "conditions": []},
        {"expiration": LATER, "CONDITIONS": []},
        {"expiration": LATER, "conditions": [], "extra": 1},
        {"expiration": LATER, "conditions": {}},
        {"expiration": True, "conditions": []},
        {"expiration": "2026-01-02 00:00:00+00:00", "conditions": []},
        {"expiration": "2026-13-02T00:00:00Z", "conditions": []},
        *(
            {"expiration": LATER, "conditions": [condition]}
            for condition in (
                True,
                [],
                {},
                {"a": "b", "c": "d"},
                {"a": 1},
                ["like", "$key", "x"],
                ["eq", "$key"],
                ["eq", "$key", "x", "y"],
                ["eq", "key", "x"],
                ["eq", "$", "x"],
                ["eq", 1, "x"],
                ["eq", "$key", 1],
                ["content-length-range", 0],
                ["content-length-range", -1, 0],
                ["content-length-range", 0, False],
                ["content-length-range", 0, 1.5],
                ["content-length-range", "a", "b"],
                ["content-length-range", 0, 10**30],
            )
        ),
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_documents_that_are_no_policies(document):
    with pytest.raises(InvalidPolicyDocument):
        parse_policy(encode(document))


@pytest.mark.parametrize("text", ["*", "ab", "é", "A" * 30_000])
def test_texts_that_are_no_documents(text):
    with pytest.raises(InvalidPolicyDocument):
        parse_policy(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
@settings(max_examples=200, deadline=None, database=None)
def test_any_document_is_a_policy_or_an_error_of_the_store(expiration, conditions):
    with contextlib.suppress(StoreError):
        parse_policy(encode({"expiration": expiration, "conditions": conditions}))
