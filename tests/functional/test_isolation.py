"""Two accounts cannot see or touch each other's: every operation of the table, as the other account, as a user, as nobody."""

import base64
import hashlib
from typing import Any, NamedTuple

import pytest
from support.accounts import NOBODY, Person, Told, administrator, ask, make_account, make_user
from support.store import Store
from support.web import encode_form, post, sign_v4

from nova_objectstore.s3.operation import BodyForm, Operation, Scope
from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED

OFFERED = [made for controller in CONTROLLERS for made, _ in controller.rows()]
# Both are the same request; the second is of another service.
ROWS = [made for made in (*OFFERED, *NOT_OFFERED) if made.name != "ListDirectoryBuckets"]

# What asks for no permission on somebody's bucket, or for more than one; each has a test of its own.
APART = {"ListBuckets", "CreateBucket", "DeleteObjects"}
OWNERSHIPS = ("BucketOwnerEnforced", "ObjectWriter")


class House(NamedTuple):
    """The victim's bucket of each ownership, with one of everything in it; and the other account's own."""

    store: Store
    owner: Person
    other: Person
    user: Person  # of the owner's account, without policies
    uploads: dict[str, str]  # upload id by bucket
    versions: dict[str, str]  # version id of "k" by bucket
    before: list[Any]  # the state of the victim's buckets, as its owner saw it before anybody else came


@pytest.fixture(scope="module")
def house(store: Store) -> House:
    owner, other = administrator(store), make_account(store, "other")
    client, uploads, versions = store.client(), {}, {}
    for ownership in OWNERSHIPS:
        bucket = f"victim-{ownership.lower()}"
        client.create_bucket(Bucket=bucket, ObjectOwnership=ownership, ObjectLockEnabledForBucket=True)
        versions[bucket] = client.put_object(Bucket=bucket, Key="k", Body=b"secret", Tagging="colour=red")["VersionId"]
        client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]})
        uploads[bucket] = client.create_multipart_upload(Bucket=bucket, Key="u")["UploadId"]
        client.upload_part(Bucket=bucket, Key="u", UploadId=uploads[bucket], PartNumber=1, Body=b"part")
    other.client(store).create_bucket(Bucket="others-own")
    made = House(store, owner, other, make_user(store, "root", "idle"), uploads, versions, [])
    made.before.append(state_of(made))
    return made


def state_of(house: House) -> Any:
    """All that the owner sees of its buckets."""
    client = house.store.client()
    seen = []
    for bucket, upload_id in house.uploads.items():
        listed = client.list_object_versions(Bucket=bucket)
        seen.append(
            (
                [
                    (one["Key"], one["VersionId"], one["ETag"], one["LastModified"])
                    for one in listed.get("Versions", ())
                ],
                listed.get("DeleteMarkers"),
                client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"],
                client.get_bucket_tagging(Bucket=bucket)["TagSet"],
                client.get_object_acl(Bucket=bucket, Key="k")["Grants"],
                client.get_bucket_acl(Bucket=bucket)["Grants"],
                client.get_bucket_versioning(Bucket=bucket).get("Status"),
                client.list_parts(Bucket=bucket, Key="u", UploadId=upload_id)["Parts"],
                client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"],
            )
        )
    return seen, [one["Name"] for one in client.list_buckets()["Buckets"]]


def request(house: House, row: Operation, who: Person, bucket: str, key: str, version_id: str = "") -> Told:
    """The operation's request line, filled in, with something for a body."""
    values = {"uploadId": house.uploads[bucket], "partNumber": "2", "id": "x", "annotationName": "x"}
    query = {name: row.marker_values.get(name, values.get(name, "")) for name in sorted(row.markers | row.guards)}
    if version_id:
        query["versionId"] = version_id
    path = {Scope.SERVICE: "/", Scope.BUCKET: f"/{bucket}", Scope.OBJECT: f"/{bucket}/{key}"}[row.scope]
    if row.body is BodyForm.FORM:  # it is signed by its fields
        return post(
            house.store, path, encode_form([("key", key), *(sign_v4(bucket, who=who) if who.access_key else ())])
        )
    asked = "&".join(f"{name}={value}" if value else name for name, value in query.items())
    headers = {row.header: f"{bucket}/k"} if row.header else {}
    body = b"<x/>" if row.method in ("PUT", "POST") else b""
    return ask(house.store, who, row.method, f"{path}?{asked}" if asked else path, headers, body)


WALKED = [made for made in ROWS if made.name not in APART]


@pytest.mark.parametrize("row", WALKED, ids=[made.name for made in WALKED])
def test_every_operation_is_denied_to_the_other_account_to_a_user_without_policies_and_to_nobody(
    house: House, row: Operation
) -> None:
    for bucket, version_id in house.versions.items():
        for who in (house.other, house.user, NOBODY):
            for key in ("k", "u", "missing"):
                for version in ("", version_id) if row.scope is Scope.OBJECT else ("",):
                    told = request(house, row, who, bucket, key, version)
                    assert told.status == 403, (bucket, key, version, told)
                    assert told.code == "AccessDenied" or row.method == "HEAD"
                    assert b"secret" not in told.body
                if row.scope is not Scope.OBJECT:
                    break
    assert state_of(house) == house.before[0]


def test_the_walk_leaves_no_operation_out() -> None:
    assert {made.name for made in WALKED} | APART == {made.name for made in ROWS}
    assert len(WALKED) > 90


def test_what_is_not_offered_is_so_to_who_might(house: House) -> None:
    bucket = next(iter(house.uploads))
    for row in NOT_OFFERED:
        if row.name != "ListDirectoryBuckets":
            assert request(house, row, house.owner, bucket, "k").status == 501


def test_a_list_of_buckets_is_one_s_own(house: House) -> None:
    told = ask(house.store, house.other, "GET", "/")
    assert told.status == 200
    assert b"others-own" in told.body
    assert b"victim" not in told.body
    for who in (NOBODY, house.user):
        assert ask(house.store, who, "GET", "/").code == "AccessDenied"


def test_a_bucket_s_name_is_its_owner_s(house: House) -> None:
    for bucket in house.uploads:
        assert ask(house.store, house.other, "PUT", f"/{bucket}").code == "BucketAlreadyExists"
        assert ask(house.store, NOBODY, "PUT", f"/{bucket}").code == "AccessDenied"
    for who in (NOBODY, house.user):
        assert ask(house.store, who, "PUT", "/nobodys-bucket").code == "AccessDenied"
    assert state_of(house) == house.before[0]


def test_each_key_of_a_multi_delete_is_denied(house: House) -> None:
    body = b"<Delete><Object><Key>k</Key></Object><Object><Key>missing</Key></Object></Delete>"
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    for bucket in house.uploads:
        for who in (house.other, NOBODY):
            told = ask(house.store, who, "POST", f"/{bucket}?delete", headers, body)
            assert told.body.count(b"<Code>AccessDenied</Code>") == 2, told
            assert b"<Deleted>" not in told.body
    assert state_of(house) == house.before[0]


@pytest.mark.parametrize("ownership", OWNERSHIPS)
def test_what_is_another_s_cannot_be_copied(house: House, ownership: str) -> None:
    bucket = f"victim-{ownership.lower()}"
    theirs = house.other.client(house.store)
    upload_id = theirs.create_multipart_upload(Bucket="others-own", Key="u")["UploadId"]
    for source in (f"{bucket}/k", f"{bucket}/missing", f"{bucket}/k?versionId={house.versions[bucket]}"):
        headers = {"x-amz-copy-source": source}
        for target in ("/others-own/copy", f"/others-own/u?partNumber=1&uploadId={upload_id}"):
            assert ask(house.store, house.other, "PUT", target, headers).code == "AccessDenied"
    assert "Contents" not in theirs.list_objects_v2(Bucket="others-own")
    theirs.abort_multipart_upload(Bucket="others-own", Key="u", UploadId=upload_id)


def test_what_is_denied_is_denied_before_the_body_is_looked_at(house: House) -> None:
    bucket = next(iter(house.uploads))
    told = ask(house.store, house.other, "PUT", f"/{bucket}?policy", {}, b"not a policy")
    assert (told.status, told.code) == (403, "AccessDenied")
    told = ask(house.store, house.other, "PUT", f"/{bucket}/new", {"x-amz-acl": "no-such-acl"}, b"x")
    assert (told.status, told.code) == (403, "AccessDenied")
