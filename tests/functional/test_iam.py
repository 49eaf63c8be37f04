"""IAM end to end: boto3's iam client and users' S3 clients against a real process with two workers, and against nova-api."""

import http.client
import json
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.accounts import Person, administrator, ask, make_account
from support.house import address
from support.programs import program
from support.store import REGION, Store, running_store

from nova_wsgi.testing import LiveServer

NAMES = count()
FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture(scope="module")
def owner(store: Store) -> Person:
    return administrator(store)


@pytest.fixture
def bucket(store: Store) -> str:
    name = f"iam-{next(NAMES)}"
    store.client().create_bucket(Bucket=name)
    store.client().put_object(Bucket=name, Key="k", Body=b"x")
    return name


def iam_client(url: str, person: Person) -> Any:
    """A boto3 client of the IAM API at ``url``."""
    return boto3.session.Session().client(
        "iam",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=person.access_key,
        aws_secret_access_key=person.secret_key,
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.fixture
def iam(store: Store, owner: Person) -> Any:
    return iam_client(store.url, owner)


def new_user(iam: Any, owner: Person) -> tuple[str, Person]:
    """A user without policies, and what it signs with."""
    name = f"user-{next(NAMES)}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, owner._replace(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])


def document(effect: str, *actions: str, resource: str = "*") -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code_of(call: Any, **parameters: Any) -> str:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


# -- every worker, at once ---------------------------------------------------------------------------------------------


def test_every_worker_obeys_a_change_at_once(store: Store, owner: Person, iam: Any, bucket: str) -> None:
    """Each change, and 8 connections anew, that the two workers share: none may still follow what was before."""
    name, user = new_user(iam, owner)
    key = user.access_key

    def statuses() -> set[int]:
        return {ask(store, user, "GET", f"/{bucket}/k").status for _ in range(8)}

    assert statuses() == {403}
    iam.create_group(GroupName=f"g-{name}")
    changes = [
        (lambda: iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document("Allow", "s3:*")), 200),
        (lambda: iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive"), 403),
        (lambda: iam.update_access_key(UserName=name, AccessKeyId=key, Status="Active"), 200),
        (lambda: iam.put_user_permissions_boundary(
            UserName=name, PermissionsBoundary="arn:aws:iam::aws:policy/IAMFullAccess"), 403),
        (lambda: iam.delete_user_permissions_boundary(UserName=name), 200),
        (lambda: iam.delete_user_policy(UserName=name, PolicyName="p"), 403),
        (lambda: iam.add_user_to_group(UserName=name, GroupName=f"g-{name}"), 403),
        (lambda: iam.attach_group_policy(GroupName=f"g-{name}", PolicyArn=FULL), 200),
        (lambda: iam.put_group_policy(
            GroupName=f"g-{name}", PolicyName="p", PolicyDocument=document("Deny", "s3:GetObject")), 403),
        (lambda: iam.delete_group_policy(GroupName=f"g-{name}", PolicyName="p"), 200),
        (lambda: iam.remove_user_from_group(UserName=name, GroupName=f"g-{name}"), 403),
    ]  # fmt: skip
    for change, status in changes:
        change()
        assert statuses() == {status}


def test_a_new_version_of_a_policy_holds_for_every_worker_at_once(
    store: Store, owner: Person, iam: Any, bucket: str
) -> None:
    name, user = new_user(iam, owner)
    arn = iam.create_policy(PolicyName=f"p-{name}", PolicyDocument=document("Allow", "s3:*"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("Deny", "s3:*"))
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    for version, status in (("v1", 200), ("v2", 403)) * 6:
        iam.set_default_policy_version(PolicyArn=arn, VersionId=version)
        assert {ask(store, user, "GET", f"/{bucket}/k").status for _ in range(8)} == {status}


# -- users and S3 ------------------------------------------------------------------------------------------------------


def test_a_user_without_policies_is_denied_everything(store: Store, owner: Person, iam: Any, bucket: str) -> None:
    _, user = new_user(iam, owner)
    s3 = user.client(store)

    for call, parameters in (
        (s3.list_buckets, {}),
        (s3.create_bucket, {"Bucket": f"new-{bucket}"}),
        (s3.list_objects_v2, {"Bucket": bucket}),
        (s3.get_object, {"Bucket": bucket, "Key": "k"}),
        (s3.get_object, {"Bucket": bucket, "Key": "missing"}),
        (s3.put_object, {"Bucket": bucket, "Key": "new", "Body": b""}),
        (s3.delete_object, {"Bucket": bucket, "Key": "k"}),
        (s3.get_bucket_policy, {"Bucket": bucket}),
        (s3.put_bucket_policy, {"Bucket": bucket, "Policy": "{}"}),
        (s3.delete_bucket, {"Bucket": bucket}),
        (s3.create_multipart_upload, {"Bucket": bucket, "Key": "m"}),
    ):
        assert code_of(call, **parameters) == "AccessDenied", call


def test_what_users_own_is_their_accounts(store: Store, owner: Person, iam: Any) -> None:
    name, user = new_user(iam, owner)
    iam.attach_user_policy(UserName=name, PolicyArn=FULL)
    s3 = user.client(store)
    s3.create_bucket(Bucket=f"bucket-of-{name}")
    s3.put_object(Bucket=f"bucket-of-{name}", Key="k", Body=b"x")

    assert f"bucket-of-{name}" in [found["Name"] for found in store.client().list_buckets()["Buckets"]]
    assert s3.list_buckets()["Owner"]["ID"] == owner.canonical_id
    upload = s3.create_multipart_upload(Bucket=f"bucket-of-{name}", Key="m")
    listed = store.client().list_parts(Bucket=f"bucket-of-{name}", Key="m", UploadId=upload["UploadId"])
    assert listed["Initiator"]["ID"] == f"arn:aws:iam::{owner.account_id}:user/{name}"


def test_a_user_keeps_to_its_prefix(store: Store, owner: Person, iam: Any, bucket: str) -> None:
    name, user = new_user(iam, owner)
    home = {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::{bucket}/${{aws:username}}/*"}
    lists = {
        "Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}},
    }  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": [home, lists]})
    iam.put_user_policy(UserName=name, PolicyName="home", PolicyDocument=text)
    s3 = user.client(store)

    s3.put_object(Bucket=bucket, Key=f"{name}/1", Body=b"x")
    assert s3.list_objects_v2(Bucket=bucket, Prefix=f"{name}/")["KeyCount"] == 1
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert code_of(s3.get_object, Bucket=bucket, Key=f"{name}/missing") == "NoSuchKey"
    assert code_of(s3.get_object, Bucket=bucket, Key="missing") == "AccessDenied"


def test_across_accounts_both_must_allow(store: Store, iam: Any, bucket: str) -> None:
    theirs = make_account(store, f"account-{bucket}")
    their_iam = iam_client(store.url, theirs)
    name, user = new_user(their_iam, theirs)
    s3 = user.client(store)
    their_iam.attach_user_policy(UserName=name, PolicyArn=FULL)
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    policy = {
        "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Principal": {"AWS": f"arn:aws:iam::{theirs.account_id}:user/{name}"},
    }  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    store.client().put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    their_iam.detach_user_policy(UserName=name, PolicyArn=FULL)
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"


# -- the API -----------------------------------------------------------------------------------------------------------


def test_what_signs_for_iam_does_not_sign_for_s3_and_the_other_way_round(store: Store, owner: Person) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"Action=ListUsers&Version=2010-05-08"
    signed_for_s3 = ask(store, owner, "POST", "/", form, body)

    assert (signed_for_s3.status, signed_for_s3.code) == (403, "SignatureDoesNotMatch")
    assert ask(store, owner._replace(access_key=""), "POST", "/", form, body).code == "MissingAuthenticationToken"
    assert ask(store, owner._replace(access_key=""), "GET", "/?Action=ListUsers&Version=2010-05-08").status == 403


def test_listing_buckets_is_no_call_of_the_query_protocol(store: Store, owner: Person) -> None:
    assert b"ListAllMyBucketsResult" in ask(store, owner, "GET", "/").body


def test_a_form_to_a_buckets_own_host_name_is_not_a_call(tmp_path: Any) -> None:
    """POST / of a bucket's host is a browser's upload."""
    with running_store(tmp_path / "state", "--s3-domain=s3.example.org", workers=1) as store:
        store.client().create_bucket(Bucket="photos")
        connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
        connection.request(
            "POST", "/", body=b"Action=ListUsers&Version=2010-05-08",
            headers={"Host": "photos.s3.example.org", "Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        answer = connection.getresponse().read()
        connection.close()

    assert b"MissingAuthenticationToken" not in answer
    assert b"<Error>" in answer


def test_the_same_api_on_nova_api(store: Store, owner: Person, iam: Any, bucket: str) -> None:
    ports = [f"--{api}-listen-port=0" for api in ("osapi", "ec2", "iam")]
    with LiveServer(program("nova-api", "--state-path", store.state_path, *ports)) as server:
        beside = iam_client(address(server, "iam"), owner)
        name, user = new_user(beside, owner)
        assert iam.get_user(UserName=name)["User"]["UserName"] == name
        assert ask(store, user, "GET", f"/{bucket}/k").status == 403
        beside.attach_user_policy(UserName=name, PolicyArn=FULL)
        assert ask(store, user, "GET", f"/{bucket}/k").status == 200


def test_when_a_key_was_used_is_known_after_a_restart(tmp_path: Any) -> None:
    with running_store(tmp_path / "state") as store:
        owner = administrator(store)
        _, user = new_user(iam_client(store.url, owner), owner)
        assert ask(store, user, "GET", "/").status == 403
    with running_store(tmp_path / "state", workers=1) as store:
        iam = iam_client(store.url, administrator(store))
        used = iam.get_access_key_last_used(AccessKeyId=user.access_key)["AccessKeyLastUsed"]

    assert (used["ServiceName"], used["Region"]) == ("s3", REGION)
    assert used["LastUsedDate"] is not None
