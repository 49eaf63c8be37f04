"""Bucket policies through the protocol: put, kept, obeyed; by every worker at once."""

import base64
import hashlib
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.accounts import NOBODY, Person, administrator, ask, make_account
from support.certificates import Authority
from support.raw_store import connect, sign
from support.store import Store, running_store

NAMES = count()


@pytest.fixture(scope="module")
def owner(store: Store) -> Person:
    return administrator(store)


@pytest.fixture(scope="module")
def other(store: Store) -> Person:
    return make_account(store, "other")


@pytest.fixture
def bucket(store: Store) -> str:
    name = f"policies-{next(NAMES)}"
    store.client().create_bucket(Bucket=name)
    return name


def allow(bucket: str, *actions: str, effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    """A statement for everybody on the bucket and all its keys."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {"Effect": effect, "Principal": "*", "Action": list(actions), "Resource": resources, **elements}


def put_policy(store: Store, bucket: str, *statements: dict[str, Any], **options: Any) -> str:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    store.client().put_bucket_policy(Bucket=bucket, Policy=text, **options)
    return text


def codes(client_error: Any) -> tuple[int, str]:
    response = client_error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


# -- the document ------------------------------------------------------------------------------------------------------


def test_a_policy_is_answered_as_it_was_put(store: Store, owner: Person, bucket: str) -> None:
    text = json.dumps({"Statement": [allow(bucket, "s3:GetObject")], "Id": "Größe"}, indent=3, ensure_ascii=False)
    put = ask(store, owner, "PUT", f"/{bucket}?policy", body=text.encode())
    assert (put.status, put.body) == (204, b"")
    told = ask(store, owner, "GET", f"/{bucket}?policy")
    assert (told.status, told.body.decode(), told.headers["content-type"]) == (200, text, "application/json")
    assert ask(store, owner, "DELETE", f"/{bucket}?policy").status == 204
    assert ask(store, owner, "DELETE", f"/{bucket}?policy").status == 204
    told = ask(store, owner, "GET", f"/{bucket}?policy")
    assert (told.status, told.code) == (404, "NoSuchBucketPolicy")


def test_what_is_no_policy_is_refused_and_changes_nothing(store: Store, owner: Person, bucket: str) -> None:
    text = put_policy(store, bucket, allow(bucket, "s3:GetObject"))
    for body in (
        b"",
        b"\xff",
        b"{}",
        b"{" + b" " * 21_000 + b"}",
        json.dumps({"Statement": allow("other-bucket")}).encode(),
    ):
        told = ask(store, owner, "PUT", f"/{bucket}?policy", body=body)
        assert (told.status, told.code) == (400, "MalformedPolicy"), body[:20]
    assert ask(store, owner, "GET", f"/{bucket}?policy").body.decode() == text


def test_a_malformed_policy_s_reason_is_told(store: Store, owner: Person, bucket: str) -> None:
    body = json.dumps({"Statement": allow(bucket, "s3:GetObjekt")}).encode()
    told = ask(store, owner, "PUT", f"/{bucket}?policy", body=body)
    assert b"<Message>Policy has invalid action</Message><Detail>s3:GetObjekt</Detail>" in told.body


def test_the_status_of_a_policy(store: Store, bucket: str) -> None:
    client = store.client()

    def is_public() -> bool:
        return bool(client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])

    assert not is_public()
    put_policy(store, bucket, allow(bucket, "s3:GetObject"))
    assert is_public()
    put_policy(store, bucket, allow(bucket, "s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
    assert not is_public()


# -- obeyed ------------------------------------------------------------------------------------------------------------


def test_a_policy_lets_the_public_read(store: Store, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="a b", Body=b"hello", Metadata={"x": "1"})
    assert ask(store, NOBODY, "GET", f"/{bucket}/a%20b").code == "AccessDenied"
    put_policy(store, bucket, allow(bucket, "s3:GetObject"))
    told = ask(store, NOBODY, "GET", f"/{bucket}/a%20b", {"Range": "bytes=1-2"})
    assert (told.status, told.body) == (206, b"el")
    assert ask(store, NOBODY, "HEAD", f"/{bucket}/a%20b").status == 200
    assert ask(store, NOBODY, "GET", f"/{bucket}").code == "AccessDenied"
    assert ask(store, NOBODY, "PUT", f"/{bucket}/new", body=b"x").code == "AccessDenied"
    store.client().delete_bucket_policy(Bucket=bucket)
    assert ask(store, NOBODY, "GET", f"/{bucket}/a%20b").code == "AccessDenied"


def test_a_policy_lets_another_account_in_and_nobody_else(store: Store, other: Person, bucket: str) -> None:
    put_policy(store, bucket, allow(bucket, "s3:PutObject", "s3:GetObject", Principal={"AWS": other.arn}))
    theirs = other.client(store)
    theirs.put_object(Bucket=bucket, Key="k", Body=b"from outside")
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"from outside"
    # the bucket's owner owns it, as ACLs are off
    assert store.client().get_object(Bucket=bucket, Key="k")["Body"].read() == b"from outside"
    with pytest.raises(ClientError) as refused:
        theirs.delete_object(Bucket=bucket, Key="k")
    assert codes(refused) == (403, "AccessDenied")
    assert ask(store, NOBODY, "GET", f"/{bucket}/k").code == "AccessDenied"


def test_a_deny_holds_for_the_owner_and_can_be_taken_back(store: Store, owner: Person, bucket: str) -> None:
    put_policy(store, bucket, allow(bucket, "s3:*", effect="Deny"))
    assert ask(store, owner, "GET", f"/{bucket}").code == "AccessDenied"
    assert ask(store, owner, "GET", f"/{bucket}?versioning").code == "AccessDenied"
    assert ask(store, owner, "GET", f"/{bucket}?policy").status == 200
    assert ask(store, owner, "DELETE", f"/{bucket}?policy").status == 204
    assert ask(store, owner, "GET", f"/{bucket}").status == 200


def test_an_owner_may_give_up_to_take_it_back(store: Store, owner: Person, bucket: str) -> None:
    put_policy(store, bucket, allow(bucket, "s3:*", effect="Deny"), ConfirmRemoveSelfBucketAccess=True)
    for method in ("GET", "DELETE"):
        assert ask(store, owner, method, f"/{bucket}?policy").code == "AccessDenied"


@pytest.mark.parametrize("versioned", [False, True])
def test_a_version_asks_for_an_action_of_its_own(store: Store, other: Person, bucket: str, versioned: bool) -> None:
    client = store.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version_id = client.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    action = "s3:GetObjectVersion" if versioned else "s3:GetObject"
    put_policy(store, bucket, allow(bucket, action))
    assert ask(store, other, "GET", f"/{bucket}/k?versionId={version_id}").status == (200 if versioned else 403)
    assert ask(store, other, "GET", f"/{bucket}/k").status == (403 if versioned else 200)


def test_every_worker_obeys_a_changed_policy_at_once(store: Store, bucket: str) -> None:
    """Each change, and 8 connections anew, that the two workers share: none may still follow the policy before."""
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    for effect, status in [("Allow", 200), ("Deny", 403)] * 12:
        put_policy(store, bucket, allow(bucket, "s3:GetObject", effect=effect))
        assert {ask(store, NOBODY, "GET", f"/{bucket}/k").status for _ in range(8)} == {status}


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_what_is_missing_is_denied_to_who_may_not_list(store: Store, other: Person, bucket: str) -> None:
    put_policy(store, bucket, allow(bucket, "s3:GetObject"))
    for who in (other, NOBODY):
        told = ask(store, who, "GET", f"/{bucket}/missing")
        assert (told.status, told.code) == (403, "AccessDenied")
        assert ask(store, who, "HEAD", f"/{bucket}/missing").status == 403
    put_policy(store, bucket, allow(bucket, "s3:GetObject", "s3:ListBucket"))
    for who in (other, NOBODY):
        assert ask(store, who, "GET", f"/{bucket}/missing").code == "NoSuchKey"
        assert ask(store, who, "HEAD", f"/{bucket}/missing").status == 404


def test_a_marker_is_hidden_like_what_is_missing(store: Store, other: Person, bucket: str) -> None:
    client = store.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    client.delete_object(Bucket=bucket, Key="k")
    put_policy(store, bucket, allow(bucket, "s3:GetObject"))
    told = ask(store, other, "GET", f"/{bucket}/k")
    assert (told.status, "x-amz-delete-marker" in told.headers) == (403, False)
    put_policy(store, bucket, allow(bucket, "s3:GetObject", "s3:ListBucket"))
    assert ask(store, other, "GET", f"/{bucket}/k").headers["x-amz-delete-marker"] == "true"


# -- conditions that only the protocol knows ------------------------------------------------------------------------------

PUT_HEADERS = {
    "s3:x-amz-acl": ("x-amz-acl", "bucket-owner-full-control"),
    "s3:x-amz-storage-class": ("x-amz-storage-class", "STANDARD_IA"),
    "s3:x-amz-server-side-encryption": ("x-amz-server-side-encryption", "AES256"),
    "s3:x-amz-website-redirect-location": ("x-amz-website-redirect-location", "/x"),
    "s3:if-none-match": ("If-None-Match", "*"),
    "s3:RequestObjectTag/team": ("x-amz-tagging", "team=red"),
    "s3:x-amz-content-sha256": ("x-amz-content-sha256", hashlib.sha256(b"x").hexdigest()),
    "aws:Referer": ("Referer", "http://example.com/"),
    "aws:UserAgent": ("User-Agent", "probe/1"),
}


@pytest.mark.parametrize("key", sorted(PUT_HEADERS))
def test_a_write_s_headers_are_condition_keys(store: Store, other: Person, bucket: str, key: str) -> None:
    name, value = PUT_HEADERS[key]
    wanted = "red" if key.startswith("s3:RequestObjectTag") else value
    condition = {"StringEquals": {key: wanted}}
    put_policy(store, bucket, allow(bucket, "s3:PutObject", "s3:PutObjectTagging", Condition=condition))
    assert ask(store, other, "PUT", f"/{bucket}/a", body=b"y").code == "AccessDenied"
    assert ask(store, other, "PUT", f"/{bucket}/b", {name: value}, b"x").status == 200


def test_a_listing_s_parameters_are_condition_keys(store: Store, other: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="home/bob/x", Body=b"secret")
    condition = {
        "StringLike": {"s3:prefix": "home/bob/*"},
        "StringEquals": {"s3:delimiter": "/"},
        "NumericLessThanEquals": {"s3:max-keys": 10},
    }
    put_policy(store, bucket, allow(bucket, "s3:*", Condition=condition))
    good = "prefix=home%2Fbob%2F&delimiter=%2F&max-keys=10"
    for query in (f"?{good}", f"?list-type=2&{good}", f"?versions&{good}"):
        assert ask(store, other, "GET", f"/{bucket}{query}").status == 200, query
    for wrong in (good.replace("bob", "eve"), good.replace("=10", "=11"), good.partition("&max")[0], ""):
        assert ask(store, other, "GET", f"/{bucket}?{wrong}").code == "AccessDenied", wrong
    # they are a listing's: said of anything else they are noise, and give nothing
    assert ask(store, other, "GET", f"/{bucket}/home/bob/x?{good}").code == "AccessDenied"
    assert ask(store, other, "DELETE", f"/{bucket}?policy&{good}").code == "AccessDenied"


def test_an_object_s_tags_are_condition_keys(store: Store, other: Person, bucket: str) -> None:
    client = store.client()
    client.put_object(Bucket=bucket, Key="red", Body=b"x", Tagging="team=red")
    client.put_object(Bucket=bucket, Key="blue", Body=b"x", Tagging="team=blue")
    condition = {"StringEquals": {"s3:ExistingObjectTag/team": "red"}}
    put_policy(store, bucket, allow(bucket, "s3:*", Condition=condition))
    for method, suffix in (("GET", ""), ("HEAD", ""), ("GET", "?tagging"), ("GET", "?acl"), ("DELETE", "?tagging")):
        assert ask(store, other, method, f"/{bucket}/blue{suffix}").status == 403
        assert ask(store, other, method, f"/{bucket}/red{suffix}").status < 300
    assert ask(store, other, "PUT", f"/{bucket}/red", body=b"x").code == "AccessDenied"


def test_the_tags_of_a_document_are_condition_keys(store: Store, other: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    condition = {
        "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team", "colour"]},
        "Null": {"s3:RequestObjectTagKeys": "false"},
    }
    put_policy(store, bucket, allow(bucket, "s3:PutObjectTagging", Condition=condition))
    theirs = other.client(store)
    theirs.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "price", "Value": "x"}]})
    tags = store.client().get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "team", "Value": "x"}]


def test_a_copy_s_source_is_a_condition_key(store: Store, other: Person, bucket: str) -> None:
    client = store.client()
    for key in ("public/a b", "private/a"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    copies = allow(bucket, "s3:PutObject", Condition={"StringLike": {"s3:x-amz-copy-source": f"{bucket}/public/*"}})
    put_policy(store, bucket, allow(bucket, "s3:GetObject"), copies)
    for source, status in (
        (f"{bucket}/public/a%20b", 200),
        (f"/{bucket}/public/a%20b", 200),
        (f"{bucket}/private/a", 403),
        (f"{bucket}/public/../private/a", 403),
    ):
        told = ask(store, other, "PUT", f"/{bucket}/copy", {"x-amz-copy-source": source})
        assert told.status == status, (source, told)
    assert ask(store, other, "PUT", f"/{bucket}/copy", body=b"x").code == "AccessDenied"


def test_a_copy_takes_tags_along_only_with_the_permissions_for_tags(store: Store, other: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="team=red")
    source = {"x-amz-copy-source": f"{bucket}/k"}
    put_policy(store, bucket, allow(bucket, "s3:GetObject", "s3:PutObject"))
    assert ask(store, other, "PUT", f"/{bucket}/copy", source).code == "AccessDenied"
    replaced = {**source, "x-amz-tagging-directive": "REPLACE"}
    assert ask(store, other, "PUT", f"/{bucket}/copy", replaced).status == 200
    put_policy(
        store, bucket, allow(bucket, "s3:GetObject", "s3:PutObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
    )
    assert ask(store, other, "PUT", f"/{bucket}/copy", source).status == 200


@pytest.mark.parametrize(
    ("headers", "action"),
    [
        ({"x-amz-tagging": "a=b"}, "s3:PutObjectTagging"),
        ({"If-Match": '"0"'}, "s3:GetObject"),
    ],
)
def test_a_write_that_does_more_needs_more(
    store: Store, other: Person, bucket: str, headers: dict[str, str], action: str
) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    put_policy(store, bucket, allow(bucket, "s3:PutObject"))
    assert ask(store, other, "PUT", f"/{bucket}/k", headers, b"x").code == "AccessDenied"
    put_policy(store, bucket, allow(bucket, "s3:PutObject", action))
    assert ask(store, other, "PUT", f"/{bucket}/k", headers, b"x").code in ("", "PreconditionFailed")


def test_locks_need_permissions_of_their_own(store: Store, other: Person) -> None:
    bucket = f"policies-{next(NAMES)}"
    store.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    day = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}
    body = b"locked\n"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    lock = {**day, "x-amz-object-lock-legal-hold": "ON", "Content-MD5": digest}
    put_policy(store, bucket, allow(bucket, "s3:PutObject", "s3:PutObjectRetention"))
    assert ask(store, other, "PUT", f"/{bucket}/k", lock, body).code == "AccessDenied"
    put_policy(store, bucket, allow(bucket, "s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"))
    assert ask(store, other, "PUT", f"/{bucket}/k", lock, body).status == 200
    # days that remain are counted from the request's own date
    condition = {"NumericLessThan": {"s3:object-lock-remaining-retention-days": "30"}}
    put_policy(
        store, bucket, allow(bucket, "s3:PutObject"), allow(bucket, "s3:PutObjectRetention", Condition=condition)
    )
    short = {name: value for name, value in lock.items() if "hold" not in name}
    assert ask(store, other, "PUT", f"/{bucket}/k2", short, body).code == "AccessDenied"


def test_a_reader_is_told_of_tags_and_locks_what_it_may_read(store: Store, other: Person) -> None:
    bucket = f"policies-{next(NAMES)}"
    client = store.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=b", ObjectLockLegalHoldStatus="ON")
    told = {"x-amz-tagging-count": "1", "x-amz-object-lock-legal-hold": "ON"}
    rows = [((), {}), (("s3:GetObjectTagging",), {"x-amz-tagging-count": "1"}), (("s3:GetObject*",), told)]
    for actions, expected in rows:
        put_policy(store, bucket, allow(bucket, "s3:GetObject", *actions))
        headers = ask(store, other, "GET", f"/{bucket}/k").headers
        assert {name: headers[name] for name in told if name in headers} == expected
    client.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "OFF"})


def test_a_key_of_a_multi_delete_is_judged_by_its_own_facts(store: Store, other: Person, bucket: str) -> None:
    client = store.client()
    for key in ("keep/a", "drop/a", "tagged"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="" if key != "tagged" else "keep=yes")
    only_drops = {"Resource": f"arn:aws:s3:::{bucket}/*"}
    put_policy(
        store,
        bucket,
        allow(bucket, "s3:DeleteObject", **only_drops),
        allow(bucket, "s3:DeleteObject", effect="Deny", Resource=f"arn:aws:s3:::{bucket}/keep/*"),
        allow(
            bucket, "s3:DeleteObject", effect="Deny", Condition={"StringEquals": {"s3:ExistingObjectTag/keep": "yes"}}
        ),
    )
    objects = [{"Key": key} for key in ("keep/a", "drop/a", "tagged", "missing")]
    told = other.client(store).delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert [one["Key"] for one in told["Deleted"]] == ["drop/a", "missing"]
    assert [(one["Key"], one["Code"]) for one in told["Errors"]] == [
        ("keep/a", "AccessDenied"),
        ("tagged", "AccessDenied"),
    ]


def test_where_a_request_comes_from_and_how(store: Store, other: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    rows = [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, 200),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, 403),
        ({"Bool": {"aws:SecureTransport": "true"}}, 403),
        ({"Bool": {"aws:SecureTransport": "false"}}, 200),
        ({"DateGreaterThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"}}, 200),
        ({"DateGreaterThan": {"aws:CurrentTime": "2199-01-01T00:00:00Z"}}, 403),
        ({"NumericGreaterThan": {"aws:EpochTime": "1700000000"}}, 200),
        ({"StringEquals": {"aws:PrincipalAccount": other.account_id}}, 200),
        ({"ArnEquals": {"aws:PrincipalArn": other.arn}}, 200),
        ({"StringEquals": {"aws:PrincipalType": "Account"}}, 200),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, 200),
        ({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, 403),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, 200),
        ({"NumericLessThan": {"s3:signatureAge": 600_000}}, 200),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, 200),
        ({"Null": {"s3:TlsVersion": "true"}}, 200),
        ({"Null": {"aws:SourceVpc": "false"}}, 403),
    ]
    for condition, status in rows:
        put_policy(store, bucket, allow(bucket, "s3:GetObject", Condition=condition))
        assert ask(store, other, "GET", f"/{bucket}/k").status == status, condition


def test_tls_is_a_fact(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with running_store(
        tmp_path / "state", f"--s3-cert-file={authority.issue(COMMON_NAME='localhost')}", workers=1
    ) as store:
        client = store.client(url=f"https://localhost:{store.port}", verify=str(authority.path))
        client.create_bucket(Bucket="tls")
        client.put_object(Bucket="tls", Key="k", Body=b"x")
        rows = [
            ({"Bool": {"aws:SecureTransport": "false"}}, True),
            ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, True),
            ({"NumericGreaterThanEquals": {"s3:TlsVersion": "1.2"}}, False),
            ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ]
        for condition, readable in rows:
            denied = allow("tls", "s3:GetObject", effect="Deny", Condition=condition)
            client.put_bucket_policy(Bucket="tls", Policy=json.dumps({"Statement": denied}))
            try:
                client.get_object(Bucket="tls", Key="k")
            except ClientError:
                assert not readable, condition
            else:
                assert readable, condition


def test_the_address_is_the_client_s_behind_a_trusted_proxy(tmp_path: Path) -> None:
    with running_store(tmp_path, "--proxy-protocol-networks=127.0.0.0/8", workers=1) as store:
        policy = {
            "Statement": allow("proxied", "s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})
        }
        for target, body in (("/proxied", b""), ("/proxied/k", b"x"), ("/proxied?policy", json.dumps(policy).encode())):
            head = sign("PUT", target, unsigned={"Content-Length": str(len(body))}).head
            assert through_proxy(store, "192.0.2.7", head + body) in (200, 204)
        for address, status in (("203.0.113.9", 200), ("203.0.114.9", 403)):
            asked = b"GET /proxied/k HTTP/1.1\r\nHost: store.test\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n"
            assert through_proxy(store, address, asked) == status


def through_proxy(store: Store, address: str, asked: bytes) -> int:
    with connect(store) as wire:
        header = f"PROXY TCP4 {address} 192.0.2.1 40000 443\r\n".encode()
        return int(wire.send(header + asked).response().status)


def test_a_presigned_url_is_judged_as_one(store: Store, other: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    put_policy(
        store, bucket, allow(bucket, "s3:GetObject", Condition={"StringEquals": {"s3:authType": "REST-QUERY-STRING"}})
    )
    url = other.client(store).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert ask(store, NOBODY, "GET", url.removeprefix(store.url)).status == 200
    assert ask(store, other, "GET", f"/{bucket}/k").status == 403


def test_conditional_writes_can_be_enforced(store: Store, other: Person, bucket: str) -> None:
    """AWS: "Enforce conditional writes": uploads in parts are spared until they are completed."""
    demand = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    put_policy(
        store, bucket, allow(bucket, "s3:PutObject"), allow(bucket, "s3:PutObject", effect="Deny", Condition=demand)
    )
    theirs = other.client(store)
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.put_object(Bucket=bucket, Key="k", Body=b"x")
    theirs.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*")
    upload_id = theirs.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = theirs.upload_part(Bucket=bucket, Key="m", UploadId=upload_id, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    named = {"Bucket": bucket, "Key": "m", "UploadId": upload_id, "MultipartUpload": parts}
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.complete_multipart_upload(**named)
    theirs.complete_multipart_upload(**named, IfNoneMatch="*")
