"""ACLs, object ownership, the public access block and request payment through the protocol."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.accounts import NOBODY, Person, administrator, ask, delete_account, make_account
from support.store import Store, running_store

NAMES = count()
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"


@pytest.fixture(scope="module")
def owner(store: Store) -> Person:
    return administrator(store)


@pytest.fixture(scope="module")
def other(store: Store) -> Person:
    return make_account(store, "other")


@pytest.fixture(scope="module")
def third(store: Store) -> Person:
    return make_account(store, "third")


def make_bucket(store: Store, ownership: str | None = WRITER, **options: Any) -> str:
    name = f"acls-{next(NAMES)}"
    chosen = {"ObjectOwnership": ownership} if ownership else {}
    store.client().create_bucket(Bucket=name, **chosen, **options)
    return name


@pytest.fixture
def bucket(store: Store) -> str:
    """A bucket with ACLs."""
    return make_bucket(store)


def grants(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Grantees and permissions, as they were told."""
    return [(one["Grantee"].get("ID") or one["Grantee"]["URI"], one["Permission"]) for one in told["Grants"]]


def error(call: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


# -- canned ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        ("private", []),
        ("public-read", [(ALL_USERS, "READ")]),
        ("public-read-write", [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
        ("authenticated-read", [(AUTHENTICATED_USERS, "READ")]),
        ("log-delivery-write", [(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")]),
        ("bucket-owner-full-control", []),  # left out of account for buckets
    ],
)
def test_a_bucket_s_canned_lists(store: Store, owner: Person, canned: str, expected: list[tuple[str, str]]) -> None:
    made = make_bucket(store)
    assert ask(store, owner, "PUT", f"/{made}?acl", {"x-amz-acl": canned}).status == 200
    told = store.client().get_bucket_acl(Bucket=made)
    assert grants(told) == [*expected, (owner.canonical_id, "FULL_CONTROL")]
    assert told["Owner"] == {"ID": owner.canonical_id, "DisplayName": "root"}


@pytest.mark.parametrize(
    ("canned", "read_by_other", "read_by_nobody", "read_by_owner"),
    [
        ("private", False, False, False),
        ("public-read", True, True, True),
        ("authenticated-read", True, False, True),
        ("bucket-owner-read", True, False, True),
        ("bucket-owner-full-control", True, False, True),
    ],
)
def test_an_object_s_canned_lists_for_another_s_object(
    store: Store, owner: Person, other: Person, third: Person, bucket: str,
    canned: str, read_by_other: bool, read_by_nobody: bool, read_by_owner: bool,
) -> None:  # fmt: skip
    store.client().put_bucket_acl(Bucket=bucket, GrantWrite=f"id={other.canonical_id}")
    other.client(store).put_object(Bucket=bucket, Key="k", Body=b"x", ACL=canned)
    assert ask(store, other, "GET", f"/{bucket}/k").status == 200
    assert ask(store, owner, "GET", f"/{bucket}/k").status == (200 if read_by_owner else 403)
    assert ask(store, NOBODY, "GET", f"/{bucket}/k").status == (200 if read_by_nobody else 403)
    read_by_third = read_by_other and not canned.startswith("bucket-owner")
    assert ask(store, third, "GET", f"/{bucket}/k").status == (200 if read_by_third else 403)


def test_a_canned_list_that_is_none_is_refused(store: Store, owner: Person, bucket: str) -> None:
    for target, canned in (("?acl", "public"), ("/k", "log-delivery-write"), ("/k", "Private"), ("/k", "")):
        told = ask(store, owner, "PUT", f"/{bucket}{target}", {"x-amz-acl": canned}, b"")
        assert (told.status, told.code) == (400, "InvalidArgument"), canned
    assert ask(store, owner, "GET", f"/{bucket}/k").status == 404


# -- grants ------------------------------------------------------------------------------------------------------------


def test_grants_by_headers(store: Store, owner: Person, other: Person, bucket: str) -> None:
    headers = {
        "x-amz-grant-read": f'id="{other.canonical_id}", uri="{AUTHENTICATED_USERS}"',
        "x-amz-grant-write-acp": f"emailAddress={other.email.upper()}",
        "x-amz-grant-full-control": f"ID={owner.canonical_id}",
    }
    assert ask(store, owner, "PUT", f"/{bucket}/k", headers, b"x").status == 200
    assert grants(store.client().get_object_acl(Bucket=bucket, Key="k")) == [
        (AUTHENTICATED_USERS, "READ"),
        (other.canonical_id, "READ"),
        (other.canonical_id, "WRITE_ACP"),
        (owner.canonical_id, "FULL_CONTROL"),
    ]
    # only what is granted: WRITE_ACP is not READ_ACP
    assert ask(store, other, "GET", f"/{bucket}/k?acl").code == "AccessDenied"
    assert ask(store, other, "PUT", f"/{bucket}/k?acl", {"x-amz-acl": "private"}).status == 200
    assert ask(store, other, "GET", f"/{bucket}/k").code == "AccessDenied"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("id=abc", "InvalidArgument"),
        ("uri=http://example.com/", "InvalidArgument"),
        ("emailAddress=nobody@example.org", "UnresolvableGrantByEmailAddress"),
        ("everybody", "InvalidArgument"),
        ("name=other", "InvalidArgument"),
        ('id="abc', "InvalidArgument"),
    ],
)
def test_grantees_that_are_nobody_are_refused(store: Store, owner: Person, bucket: str, value: str, code: str) -> None:
    assert ask(store, owner, "PUT", f"/{bucket}?acl", {"x-amz-grant-read": value}).code == code


def test_a_list_and_grants_at_once_are_refused(store: Store, owner: Person, bucket: str) -> None:
    headers = {"x-amz-acl": "private", "x-amz-grant-read": f"id={owner.canonical_id}"}
    assert ask(store, owner, "PUT", f"/{bucket}?acl", headers).code == "InvalidRequest"
    assert ask(store, owner, "PUT", f"/{bucket}?acl").code == "MissingSecurityHeader"
    body = b"<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"
    assert ask(store, owner, "PUT", f"/{bucket}?acl", {"x-amz-acl": "private"}, body).code == "InvalidRequest"


def test_an_address_of_two_accounts_is_refused(store: Store, owner: Person, bucket: str) -> None:
    for name in ("twin-1", "twin-2"):
        make_account(store, name, "twins@example.org")
    headers = {"x-amz-grant-read": "emailAddress=twins@example.org"}
    assert ask(store, owner, "PUT", f"/{bucket}?acl", headers).code == "AmbiguousGrantByEmailAddress"


GRANT = "<Grant><Grantee><{kind}>{name}</{kind}></Grantee><Permission>{permission}</Permission></Grant>"


def policy_document(*made: tuple[str, str, str], owner: str = "") -> bytes:
    listed = "".join(GRANT.format(kind=kind, name=name, permission=permission) for kind, name, permission in made)
    named = f"<Owner><ID>{owner}</ID></Owner>" if owner else ""
    return f"<AccessControlPolicy>{named}<AccessControlList>{listed}</AccessControlList></AccessControlPolicy>".encode()


def test_a_list_as_a_document(store: Store, owner: Person, other: Person, bucket: str) -> None:
    body = policy_document(
        ("ID", other.canonical_id, "READ"), ("EmailAddress", other.email, "WRITE"), ("URI", ALL_USERS, "READ_ACP"),
        owner=owner.canonical_id,
    )  # fmt: skip
    assert ask(store, owner, "PUT", f"/{bucket}?acl", body=body).status == 200
    told = ask(store, NOBODY, "GET", f"/{bucket}?acl")
    assert told.status == 200
    assert b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">' in told.body
    assert grants(store.client().get_bucket_acl(Bucket=bucket)) == [
        (ALL_USERS, "READ_ACP"), (other.canonical_id, "READ"), (other.canonical_id, "WRITE"),
    ]  # fmt: skip
    other.client(store).put_object(Bucket=bucket, Key="k", Body=b"x")
    # the owner took its own grant away, and may still set the list
    assert ask(store, owner, "PUT", f"/{bucket}?acl", {"x-amz-acl": "private"}).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<AccessControlPolicy/>", "MalformedACLError"),
        (b"<AccessControlPolicy><AccessControlList>", "MalformedACLError"),
        (b"<Acl/>", "MalformedACLError"),
        (policy_document(("ID", "x" * 64, "READ")), "InvalidArgument"),
        (policy_document(("URI", ALL_USERS, "EXECUTE")), "MalformedACLError"),
        (policy_document(("Name", "x", "READ")), "MalformedACLError"),
        (policy_document(*[("URI", ALL_USERS, "READ")] * 101), "MalformedACLError"),
        (policy_document(owner="f" * 64), "AccessDenied"),
    ],
)
def test_documents_that_are_no_lists_are_refused(
    store: Store, owner: Person, bucket: str, body: bytes, code: str
) -> None:
    before = store.client().get_bucket_acl(Bucket=bucket)["Grants"]
    assert ask(store, owner, "PUT", f"/{bucket}?acl", body=body).code == code
    assert store.client().get_bucket_acl(Bucket=bucket)["Grants"] == before


@pytest.mark.parametrize(
    ("permission", "may"),
    [
        ("READ", {"GET"}),
        ("WRITE", {"PUT /k"}),
        ("READ_ACP", {"GET ?acl"}),
        ("WRITE_ACP", {"PUT ?acl"}),
        ("FULL_CONTROL", {"GET", "PUT /k", "GET ?acl", "PUT ?acl"}),
    ],
)
def test_what_a_grant_on_a_bucket_gives(
    store: Store, owner: Person, other: Person, bucket: str, permission: str, may: set[str]
) -> None:
    header = f"x-amz-grant-{permission.lower().replace('_', '-')}"
    assert ask(store, owner, "PUT", f"/{bucket}?acl", {header: f"id={other.canonical_id}"}).status == 200
    tried = {
        "GET": ask(store, other, "GET", f"/{bucket}"),
        "PUT /k": ask(store, other, "PUT", f"/{bucket}/k", body=b"x"),
        "GET ?acl": ask(store, other, "GET", f"/{bucket}?acl"),
        "PUT ?acl": ask(store, other, "PUT", f"/{bucket}?acl", {"x-amz-acl": "private"}),
    }
    assert {name for name, told in tried.items() if told.status == 200} == may
    assert ask(store, other, "DELETE", f"/{bucket}").code == "AccessDenied"


# -- objects -----------------------------------------------------------------------------------------------------------


def test_an_object_s_list_is_its_version_s_own(store: Store, bucket: str) -> None:
    client = store.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = client.put_object(Bucket=bucket, Key="k", Body=b"1", ACL="public-read", Tagging="a=b")
    new = client.put_object(Bucket=bucket, Key="k", Body=b"2")
    for version, expected in ((old, 200), (new, 403)):
        assert ask(store, NOBODY, "GET", f"/{bucket}/k?versionId={version['VersionId']}").status == expected
    client.put_object_acl(Bucket=bucket, Key="k", VersionId=old["VersionId"], ACL="private")
    assert ask(store, NOBODY, "GET", f"/{bucket}/k?versionId={old['VersionId']}").status == 403
    told = client.get_object(Bucket=bucket, Key="k", VersionId=old["VersionId"])
    assert (told["ETag"], told["TagCount"], told["Body"].read()) == (old["ETag"], 1, b"1")


def test_copies_and_uploads_in_parts_have_lists_too(store: Store, bucket: str) -> None:
    client = store.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    client.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert ask(store, NOBODY, "GET", f"/{bucket}/copy").code == "AccessDenied"  # a list is never copied
    client.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", ACL="public-read")
    assert ask(store, NOBODY, "GET", f"/{bucket}/copy").body == b"x"
    upload_id = client.create_multipart_upload(Bucket=bucket, Key="m", ACL="public-read")["UploadId"]
    part = client.upload_part(Bucket=bucket, Key="m", UploadId=upload_id, PartNumber=1, Body=b"parts")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload_id, MultipartUpload=parts)
    assert ask(store, NOBODY, "GET", f"/{bucket}/m").body == b"parts"


def test_a_renamed_object_keeps_its_list(store: Store, owner: Person, bucket: str) -> None:
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    told = ask(store, owner, "PUT", f"/{bucket}/new?renameObject", {"x-amz-rename-source": f"{bucket}/k"})
    assert told.status == 200
    assert ask(store, NOBODY, "GET", f"/{bucket}/new").body == b"x"


def test_what_nobody_uploaded_nobody_reads(store: Store, owner: Person, bucket: str) -> None:
    client = store.client()
    client.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert ask(store, NOBODY, "PUT", f"/{bucket}/k", {"x-amz-meta-a": "b"}, b"x").status == 200
    for who in (NOBODY, owner):
        assert ask(store, who, "GET", f"/{bucket}/k").code == "AccessDenied"
    listed = client.list_objects(Bucket=bucket)["Contents"]
    assert [one["Owner"]["ID"] for one in listed] == ["65a011a29cdf8ec533ec3d1ccaae921c"]
    client.delete_object(Bucket=bucket, Key="k")


def test_an_object_outlives_its_owner_s_account(store: Store, owner: Person, bucket: str) -> None:
    passing = make_account(store, "passing")
    store.client().put_bucket_acl(Bucket=bucket, GrantWrite=f"id={passing.canonical_id}")
    passing.client(store).put_object(Bucket=bucket, Key="k", Body=b"x", GrantRead=f"id={owner.canonical_id}")
    delete_account(store, "passing")
    assert ask(store, owner, "GET", f"/{bucket}/k").body == b"x"
    assert ask(store, owner, "GET", f"/{bucket}").status == 200
    assert ask(store, owner, "GET", f"/{bucket}?versions").status == 200
    assert ask(store, owner, "GET", f"/{bucket}?acl").status == 200


# -- ownership -----------------------------------------------------------------------------------------------------------


def let_in(store: Store, bucket: str, who: Person) -> None:
    """Let an account write to the bucket by policy."""
    given = {"Effect": "Allow", "Principal": {"AWS": who.arn}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    store.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": given}))


@pytest.mark.parametrize(
    ("ownership", "canned", "is_owners"),
    [
        (ENFORCED, None, True),
        (ENFORCED, "bucket-owner-full-control", True),
        (PREFERRED, None, False),
        (PREFERRED, "bucket-owner-full-control", True),
        (PREFERRED, "public-read", False),
        (WRITER, None, False),
        (WRITER, "bucket-owner-full-control", False),
    ],
)
def test_who_owns_what_another_account_writes(
    store: Store, owner: Person, other: Person, ownership: str, canned: str | None, is_owners: bool
) -> None:
    bucket = make_bucket(store, ownership)
    let_in(store, bucket, other)
    acl = {"ACL": canned} if canned else {}
    theirs = other.client(store)
    theirs.put_object(Bucket=bucket, Key="k", Body=b"x", **acl)
    upload_id = theirs.create_multipart_upload(Bucket=bucket, Key="m", **acl)["UploadId"]
    expected = owner.canonical_id if is_owners else other.canonical_id
    assert store.client().list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"] == expected
    assert theirs.list_parts(Bucket=bucket, Key="m", UploadId=upload_id)["Owner"]["ID"] == expected
    readable = is_owners or canned is not None
    assert ask(store, owner, "GET", f"/{bucket}/k").status == (200 if readable else 403)


def test_who_began_an_upload_is_told(store: Store, owner: Person, other: Person, bucket: str) -> None:
    store.client().put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    upload_id = other.client(store).create_multipart_upload(Bucket=bucket, Key="theirs")["UploadId"]
    assert ask(store, NOBODY, "POST", f"/{bucket}/nobodys?uploads").status == 200
    for who in (owner, other):
        uploads = who.client(store).list_multipart_uploads(Bucket=bucket)["Uploads"]
        told = {one["Key"]: (one["Initiator"]["ID"], one["Owner"]["ID"]) for one in uploads}
        anonymous = "65a011a29cdf8ec533ec3d1ccaae921c"
        assert told == {"nobodys": (anonymous, anonymous), "theirs": (other.canonical_id, other.canonical_id)}
    # who began an upload and the bucket's owner may look at it and give it up, and nobody else
    target = f"/{bucket}/theirs?uploadId={upload_id}"
    for method in ("GET", "DELETE"):
        assert ask(store, NOBODY, method, target).code == "AccessDenied"
    for who in (owner, other):
        assert ask(store, who, "GET", target).status == 200
    assert ask(store, other, "DELETE", target).status == 204


def test_where_acls_are_off_they_are_refused(store: Store, owner: Person, other: Person) -> None:
    bucket = make_bucket(store, ENFORCED)
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    for headers in (
        {"x-amz-acl": "private"},
        {"x-amz-acl": "public-read"},
        {"x-amz-acl": "bucket-owner-read"},
        {"x-amz-grant-read": f"id={other.canonical_id}"},
    ):
        for method, target in (("PUT", "/new"), ("POST", "/new?uploads"), ("PUT", "/k?acl"), ("PUT", "?acl")):
            told = ask(store, owner, method, f"/{bucket}{target}", headers)
            assert (told.status, told.code) == (400, "AccessControlListNotSupported"), (method, target, headers)
    # what says that the bucket's owner has full control is taken: it is so
    full = {"x-amz-grant-full-control": f"id={owner.canonical_id}"}
    body = policy_document(("ID", owner.canonical_id, "FULL_CONTROL"), owner=owner.canonical_id)
    assert ask(store, owner, "PUT", f"/{bucket}/new", full, b"x").status == 200
    assert ask(store, owner, "PUT", f"/{bucket}/new?acl", body=body).status == 200
    assert grants(store.client().get_object_acl(Bucket=bucket, Key="new")) == [(owner.canonical_id, "FULL_CONTROL")]


def test_turning_acls_off_and_on_again(store: Store, owner: Person, other: Person) -> None:
    bucket = make_bucket(store, WRITER)
    client = store.client()
    let_in(store, bucket, other)
    other.client(store).put_object(Bucket=bucket, Key="theirs", Body=b"x")
    client.put_object(Bucket=bucket, Key="public", Body=b"x", ACL="public-read")
    controls = {"Rules": [{"ObjectOwnership": ENFORCED}]}
    client.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert error(client.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=controls) == (
        400, "InvalidBucketAclWithObjectOwnership",
    )  # fmt: skip
    client.put_bucket_acl(Bucket=bucket, ACL="private")
    client.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    assert ask(store, owner, "GET", f"/{bucket}/theirs").status == 200  # the bucket's owner owns all of it now
    assert ask(store, NOBODY, "GET", f"/{bucket}/public").code == "AccessDenied"
    owners = {one["Owner"]["ID"] for one in client.list_objects(Bucket=bucket)["Contents"]}
    assert owners == {owner.canonical_id}
    client.delete_bucket_ownership_controls(Bucket=bucket)
    assert error(client.get_bucket_ownership_controls, Bucket=bucket) == (404, "OwnershipControlsNotFoundError")
    assert ask(store, owner, "GET", f"/{bucket}/theirs").code == "AccessDenied"
    assert ask(store, NOBODY, "GET", f"/{bucket}/public").status == 200


def test_a_new_bucket_has_its_acls_off(store: Store, owner: Person) -> None:
    bucket = make_bucket(store, None)
    client = store.client()
    told = client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert told == {"Rules": [{"ObjectOwnership": ENFORCED}]}
    assert error(client.put_bucket_acl, Bucket=bucket, ACL="public-read") == (400, "AccessControlListNotSupported")
    assert (
        error(client.put_object, Bucket=bucket, Key="k", Body=b"x", ACL="public-read")[1]
        == "AccessControlListNotSupported"
    )
    # nobody asked for it, so what older clients say with every write is taken for what is so
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    client.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    client.put_bucket_acl(Bucket=bucket, ACL="private")


def test_creating_a_bucket_with_a_list(store: Store, owner: Person) -> None:
    client = store.client()
    for options in ({}, {"ObjectOwnership": ENFORCED}):
        told = error(client.create_bucket, Bucket="acls-refused", ACL="public-read", **options)
        assert told == (400, "InvalidBucketAclWithObjectOwnership")
        assert error(client.head_bucket, Bucket="acls-refused")[0] == 404
    client.create_bucket(Bucket="acls-private", ACL="private")
    bucket = make_bucket(store, WRITER, ACL="public-read")
    assert ask(store, NOBODY, "GET", f"/{bucket}").status == 200
    told = ask(store, owner, "PUT", "/acls-wrong", {"x-amz-object-ownership": "Everybody"})
    assert (told.status, told.code) == (400, "InvalidArgument")


def test_creating_a_bucket_again_resets_its_list(store: Store, bucket: str) -> None:
    client = store.client()
    client.put_bucket_acl(Bucket=bucket, ACL="public-read")
    client.create_bucket(Bucket=bucket)
    assert ask(store, NOBODY, "GET", f"/{bucket}").code == "AccessDenied"
    assert client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": WRITER}
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"<OwnershipControls/>",
        b"<OwnershipControls><Rule><ObjectOwnership>X</ObjectOwnership></Rule></OwnershipControls>",
    ],
)
def test_ownership_controls_that_are_none(store: Store, owner: Person, bucket: str, body: bytes) -> None:
    assert ask(store, owner, "PUT", f"/{bucket}?ownershipControls", body=body).code == "MalformedXML"


def test_the_default_ownership_is_an_option(tmp_path: Any) -> None:
    with running_store(tmp_path, "--s3-object-ownership", WRITER, workers=1) as store:
        client = store.client()
        client.create_bucket(Bucket="open", ACL="public-read")
        assert error(client.get_bucket_ownership_controls, Bucket="open") == (404, "OwnershipControlsNotFoundError")
        client.put_object(Bucket="open", Key="k", Body=b"x", ACL="public-read")
        assert ask(store, NOBODY, "GET", "/open/k").body == b"x"


# -- public access -------------------------------------------------------------------------------------------------------

OFF = {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
PUBLIC = (
    '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/*"}}'
)


def block(store: Store, bucket: str, *settings: str) -> None:
    store.client().put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={**OFF, **dict.fromkeys(settings, True)}
    )


def test_the_block_is_kept(store: Store, bucket: str) -> None:
    client = store.client()
    assert error(client.get_public_access_block, Bucket=bucket) == (404, "NoSuchPublicAccessBlockConfiguration")
    block(store, bucket, "BlockPublicAcls", "RestrictPublicBuckets")
    told = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert told == {**OFF, "BlockPublicAcls": True, "RestrictPublicBuckets": True}
    client.delete_public_access_block(Bucket=bucket)
    assert error(client.get_public_access_block, Bucket=bucket)[0] == 404


def test_public_lists_are_blocked(store: Store, owner: Person, bucket: str) -> None:
    block(store, bucket, "BlockPublicAcls")
    store.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    public = policy_document(("URI", AUTHENTICATED_USERS, "READ"))
    for target in ("?acl", "/k?acl"):
        assert ask(store, owner, "PUT", f"/{bucket}{target}", {"x-amz-acl": "public-read"}).code == "AccessDenied"
        assert ask(store, owner, "PUT", f"/{bucket}{target}", body=public).code == "AccessDenied"
        assert ask(store, owner, "PUT", f"/{bucket}{target}", {"x-amz-acl": "private"}).status == 200
    for headers in ({"x-amz-acl": "public-read"}, {"x-amz-grant-read": f"uri={ALL_USERS}"}):
        for method, target in (("PUT", "/new"), ("POST", "/new?uploads")):
            assert ask(store, owner, method, f"/{bucket}{target}", headers).code == "AccessDenied"
        copied = {**headers, "x-amz-copy-source": f"{bucket}/k"}
        assert ask(store, owner, "PUT", f"/{bucket}/copy", copied).code == "AccessDenied"
    assert [one["Key"] for one in store.client().list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_public_lists_are_ignored(store: Store, owner: Person, bucket: str) -> None:
    client = store.client()
    client.put_bucket_acl(Bucket=bucket, ACL="public-read")
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert ask(store, NOBODY, "GET", f"/{bucket}/k").status == 200
    assert client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    block(store, bucket, "IgnorePublicAcls")
    for target in ("", "/k"):
        assert ask(store, NOBODY, "GET", f"/{bucket}{target}").code == "AccessDenied"
        assert ask(store, owner, "GET", f"/{bucket}{target}").status == 200
    assert not client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]


def test_public_policies_are_blocked_and_restricted(store: Store, owner: Person, other: Person, bucket: str) -> None:
    client = store.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    block(store, bucket, "BlockPublicPolicy")
    assert error(client.put_bucket_policy, Bucket=bucket, Policy=PUBLIC % bucket) == (403, "AccessDenied")
    assert error(client.get_bucket_policy, Bucket=bucket)[1] == "NoSuchBucketPolicy"
    client.delete_public_access_block(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=PUBLIC % bucket)
    assert ask(store, NOBODY, "GET", f"/{bucket}/k").status == 200
    block(store, bucket, "RestrictPublicBuckets")
    for who in (NOBODY, other):
        assert ask(store, who, "GET", f"/{bucket}/k").code == "AccessDenied"
    assert ask(store, owner, "GET", f"/{bucket}/k").status == 200


# -- who pays ------------------------------------------------------------------------------------------------------------


def test_requesters_pay(store: Store, owner: Person, other: Person, bucket: str) -> None:
    client = store.client()
    assert client.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    client.put_bucket_policy(Bucket=bucket, Policy=PUBLIC % bucket)
    client.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert client.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    agreed = {"x-amz-request-payer": "requester"}
    assert ask(store, other, "GET", f"/{bucket}/k").code == "AccessDenied"
    told = ask(store, other, "GET", f"/{bucket}/k", agreed)
    assert (told.status, told.headers["x-amz-request-charged"]) == (200, "requester")
    assert ask(store, NOBODY, "GET", f"/{bucket}/k", agreed).code == "AccessDenied"
    told = ask(store, owner, "GET", f"/{bucket}/k")
    assert (told.status, "x-amz-request-charged" in told.headers) == (200, False)
    url = other.client(store).generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k", "RequestPayer": "requester"}
    )
    assert ask(store, NOBODY, "GET", url.removeprefix(store.url), agreed).status == 200
    own = other.client(store)
    own.create_bucket(Bucket=f"{bucket}-own")
    copied = {"x-amz-copy-source": f"{bucket}/k"}
    assert ask(store, other, "PUT", f"/{bucket}-own/copy", copied).code == "AccessDenied"
    assert ask(store, other, "PUT", f"/{bucket}-own/copy", {**copied, **agreed}).status == 200
    client.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    assert ask(store, NOBODY, "GET", f"/{bucket}/k").status == 200


def test_a_payer_that_is_none(store: Store, owner: Person, bucket: str) -> None:
    body = b"<RequestPaymentConfiguration><Payer>Nobody</Payer></RequestPaymentConfiguration>"
    assert ask(store, owner, "PUT", f"/{bucket}?requestPayment", body=body).code == "MalformedXML"
