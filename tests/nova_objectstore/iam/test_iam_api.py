"""The IAM API as boto3 speaks it: what every action does, and how it refuses. Every answer is held against botocore's model."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from support.iam import ALLOW_ALL, OTHER_KEY, ROOT_KEY, SECRET, TRUST, iam_house, refused, statement
from support.metadata import OTHER, OWNER, START_US

from nova_objectstore.iam import limits
from nova_objectstore.iam.managed import AWS_POLICIES
from nova_objectstore.iam.ports import KeyUse

READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
DENY = json.dumps({"Version": "2012-10-17", "Statement": [statement("Deny", "s3:*")]})


@pytest.fixture(scope="module")
def _house(tmp_path_factory):
    with iam_house(tmp_path_factory.mktemp("iam")) as house:
        yield house


@pytest.fixture
def house(_house):
    """One store for all tests, empty for each."""
    for account_id, key in ((OWNER, ROOT_KEY), (OTHER, OTHER_KEY)):
        account = _house.engine.find_account(account_id)
        root_key = _house.engine.find_access_key(key)
        _house.engine.delete_account(account_id)
        _house.engine.create_account(account, root_key)
    return _house


@pytest.fixture
def iam(house):
    return house.iam()


def names(rows, key: str) -> list[str]:
    return [row[key] for row in rows]


def pages(client, operation: str, result: str, size: int = 1, **parameters):
    """All of a list, read in pages of ``size``."""
    found = []
    for page in client.get_paginator(operation).paginate(**parameters, PaginationConfig={"PageSize": size}):
        found += page[result]
        assert len(page[result]) <= size
    return found


# -- users -------------------------------------------------------------------------------------------------------------


def test_a_user(iam):
    made = iam.create_user(UserName="Ann", Path="/eng/", Tags=[{"Key": "team", "Value": "ü x"}])["User"]

    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:user/eng/Ann"
    assert made["Tags"] == [{"Key": "team", "Value": "ü x"}]
    assert iam.get_user(UserName="ANN")["User"] == made
    without = {key: value for key, value in made.items() if key != "Tags"}
    assert iam.list_users()["Users"] == [without]

    iam.update_user(UserName="ann", NewUserName="Zoe", NewPath="/")
    assert iam.get_user(UserName="zoe")["User"]["UserId"] == made["UserId"]
    assert refused(iam.get_user, UserName="Ann") == "NoSuchEntity"
    iam.delete_user(UserName="Zoe")
    assert iam.list_users()["Users"] == []
    for call in (iam.get_user, iam.update_user, iam.delete_user):
        assert refused(call, UserName="Zoe") == "NoSuchEntity"


def test_the_root_is_no_user_and_knows_itself(iam):
    user = iam.get_user()["User"]

    assert user["Arn"] == f"arn:aws:iam::{OWNER}:root"
    assert user["UserId"] == OWNER
    assert user["CreateDate"] == datetime.fromtimestamp(START_US / 1_000_000, UTC)
    assert iam.list_users()["Users"] == []


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"UserName": "a b"}, "ValidationError"),
        ({"UserName": "ü"}, "ValidationError"),
        ({"UserName": "a" * 65}, "ValidationError"),
        ({"UserName": ""}, "ValidationError"),
        ({"UserName": "ok", "Path": "eng"}, "ValidationError"),
        ({"UserName": "ok", "Path": "/a b/"}, "ValidationError"),
        ({"UserName": "ok", "PermissionsBoundary": "arn:aws:iam::aws:policy/None"}, "NoSuchEntity"),
        ({"UserName": "ok", "PermissionsBoundary": "not an ARN, though long enough"}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "a", "Tags.member.2.Key": "A"}, "InvalidInput"),
        ({"UserName": "ok", "Tags.member.1.Key": "aws:mine"}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "k" * 129}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "k", "Tags.member.1.Value": "v" * 257}, "ValidationError"),
        ({"UserName": "ok", **{f"Tags.member.{n}.Key": str(n) for n in range(1, 52)}}, "LimitExceeded"),
        ({}, "ValidationError"),
    ],
)
def test_what_is_no_user(house, parameters, code):
    answer = house.ask({"Action": "CreateUser", **parameters})

    assert f"<Code>{code}</Code>" in answer.text
    assert house.iam().list_users()["Users"] == []


def test_lists_come_in_pages(iam):
    for name, path in (("d", "/x/"), ("B", "/x/y/"), ("a", "/"), ("C", "/x/")):
        iam.create_user(UserName=name, Path=path)

    for size in (1, 3, 4, 100):
        assert names(pages(iam, "list_users", "Users", size), "UserName") == ["a", "B", "C", "d"]
    assert names(pages(iam, "list_users", "Users", PathPrefix="/x/"), "UserName") == ["B", "C", "d"]
    assert refused(iam.list_users, Marker="$$$") == "ValidationError"
    assert refused(iam.list_users, PathPrefix="x") == "ValidationError"


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
def test_a_page_has_a_size(house, limit):
    assert "<Code>ValidationError</Code>" in house.ask({"Action": "ListUsers", "MaxItems": limit}).text


def test_names_are_taken_without_regard_to_case(iam):
    iam.create_user(UserName="Ann")
    iam.create_user(UserName="bea")

    assert refused(iam.create_user, UserName="ann") == "EntityAlreadyExists"
    assert refused(iam.update_user, UserName="Ann", NewUserName="Bea") == "EntityAlreadyExists"


def test_who_has_something_is_not_deleted(iam):
    iam.create_user(UserName="ann")
    iam.create_access_key(UserName="ann")

    assert refused(iam.delete_user, UserName="ann") == "DeleteConflict"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_of_a_user(house, iam):
    iam.create_user(UserName="Ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    assert made["UserName"] == "Ann"
    assert made["Status"] == "Active"
    assert len(made["SecretAccessKey"]) == 40
    other = iam.create_access_key(UserName="ann")["AccessKey"]
    assert refused(iam.create_access_key, UserName="ann") == "LimitExceeded"

    listed = pages(iam, "list_access_keys", "AccessKeyMetadata", UserName="ANN")
    assert names(listed, "AccessKeyId") == sorted([made["AccessKeyId"], other["AccessKeyId"]])
    assert all("SecretAccessKey" not in row for row in listed)
    iam.update_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert house.identities.find(made["AccessKeyId"]) is None
    iam.update_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Active")
    found = house.identities.find(made["AccessKeyId"]).principal
    assert (found.arn, found.user_id) == (
        f"arn:aws:iam::{OWNER}:user/Ann",
        iam.get_user(UserName="ann")["User"]["UserId"],
    )
    assert not found.is_admin
    iam.delete_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"])
    assert house.identities.find(made["AccessKeyId"]) is None
    assert refused(iam.delete_access_key, UserName="ann", AccessKeyId=made["AccessKeyId"]) == "NoSuchEntity"


def test_keys_of_the_root(iam):
    made = iam.create_access_key()["AccessKey"]

    assert "UserName" not in made
    assert refused(iam.create_access_key) == "LimitExceeded"
    assert set(names(iam.list_access_keys()["AccessKeyMetadata"], "AccessKeyId")) == {ROOT_KEY, made["AccessKeyId"]}
    iam.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    iam.delete_access_key(AccessKeyId=made["AccessKeyId"])
    assert names(iam.list_access_keys()["AccessKeyMetadata"], "AccessKeyId") == [ROOT_KEY]


def test_a_key_of_somebody_else_is_none(house, iam):
    key = house.new_user("ann")
    iam.create_user(UserName="bea")
    for parameters in ({"UserName": "bea"}, {"UserName": "nobody"}, {}):
        for call, more in ((iam.delete_access_key, {}), (iam.update_access_key, {"Status": "Inactive"})):
            assert refused(call, AccessKeyId=key.access_key, **parameters, **more) == "NoSuchEntity"
    foreign = house.iam(OTHER_KEY)
    assert refused(foreign.delete_access_key, AccessKeyId=ROOT_KEY) == "NoSuchEntity"
    assert refused(foreign.get_access_key_last_used, AccessKeyId=key.access_key) == "NoSuchEntity"
    assert refused(iam.update_access_key, AccessKeyId="short-and-bad-one", Status="Active") == "ValidationError"
    assert (
        "ValidationError"
        in house.ask({"Action": "UpdateAccessKey", "AccessKeyId": key.access_key, "Status": "Asleep"}).text
    )


def test_when_a_key_was_last_used(house, iam):
    key = house.new_user("ann")
    unused = iam.get_access_key_last_used(AccessKeyId=key.access_key)
    assert unused["UserName"] == "ann"
    assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}

    house.engine.note_key_uses([KeyUse(key.access_key, START_US, "s3", "eu-west-9")])

    used = iam.get_access_key_last_used(AccessKeyId=key.access_key)["AccessKeyLastUsed"]
    assert used == {
        "LastUsedDate": datetime.fromtimestamp(START_US / 1_000_000, UTC), "ServiceName": "s3", "Region": "eu-west-9"
    }  # fmt: skip
    assert refused(iam.get_access_key_last_used, AccessKeyId="AKIANOBODYNOBODYNOBO") == "NoSuchEntity"


# -- groups ------------------------------------------------------------------------------------------------------------


def test_a_group_and_its_users(iam):
    made = iam.create_group(GroupName="Staff", Path="/x/")["Group"]
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:group/x/Staff"
    assert made["GroupId"].startswith("AGPA")
    for name in ("b", "a"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="staff", UserName=name)

    assert iam.get_group(GroupName="staff")["Group"] == made
    assert names(pages(iam, "get_group", "Users", GroupName="Staff"), "UserName") == ["a", "b"]
    assert pages(iam, "list_groups_for_user", "Groups", UserName="a") == [made]
    assert pages(iam, "list_groups", "Groups", PathPrefix="/x") == [made]
    assert refused(iam.create_group, GroupName="STAFF") == "EntityAlreadyExists"
    assert refused(iam.delete_group, GroupName="staff") == "DeleteConflict"
    assert refused(iam.delete_user, UserName="a") == "DeleteConflict"
    assert refused(iam.add_user_to_group, GroupName="staff", UserName="nobody") == "NoSuchEntity"

    iam.update_group(GroupName="staff", NewGroupName="crew", NewPath="/")
    for name in ("a", "b"):
        iam.remove_user_from_group(GroupName="crew", UserName=name)
    assert refused(iam.remove_user_from_group, GroupName="crew", UserName="a") == "NoSuchEntity"
    iam.delete_group(GroupName="Crew")
    assert iam.list_groups()["Groups"] == []


# -- roles -------------------------------------------------------------------------------------------------------------


def test_a_role(iam):
    made = iam.create_role(
        RoleName="Job", Path="/x/", AssumeRolePolicyDocument=TRUST, Description="nightly", MaxSessionDuration=7200,
        PermissionsBoundary=READ, Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]  # fmt: skip
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:role/x/Job"
    assert made["RoleId"].startswith("AROA")
    assert made["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert iam.get_role(RoleName="job")["Role"] == made
    assert (made["Description"], made["MaxSessionDuration"]) == ("nightly", 7200)
    assert made["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": READ
    }  # fmt: skip
    assert names(pages(iam, "list_roles", "Roles"), "RoleName") == ["Job"]
    assert iam.list_roles(PathPrefix="/y/")["Roles"] == []

    iam.update_role(RoleName="job", Description="daily")
    iam.update_role(RoleName="job", MaxSessionDuration=43200)
    assert iam.update_role_description(RoleName="job", Description="weekly")["Role"]["MaxSessionDuration"] == 43200
    changed = json.dumps({**json.loads(TRUST), "Id": "other"})
    iam.update_assume_role_policy(RoleName="job", PolicyDocument=changed)
    assert iam.get_role(RoleName="job")["Role"]["AssumeRolePolicyDocument"]["Id"] == "other"
    assert refused(iam.create_role, RoleName="JOB", AssumeRolePolicyDocument=TRUST) == "EntityAlreadyExists"
    iam.delete_role(RoleName="job")
    assert refused(iam.get_role, RoleName="job") == "NoSuchEntity"


def trust(**statement_) -> str:
    basis = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**basis, **statement_}]})


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (trust(Principal={"AWS": OWNER}), ""),
        (trust(Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}), ""),
        (trust(Principal={"AWS": f"arn:aws:iam::{OWNER}:user/eng/ann"}), ""),
        (trust(Principal={"Service": "ec2.amazonaws.com"}), ""),
        (trust(Principal={"Federated": "arn:aws:iam::111122223333:oidc-provider/x.example"}), ""),
        (trust(Principal={"AWS": "999999999999"}), "MalformedPolicyDocument"),
        (trust(Principal={"AWS": f"arn:aws:iam::{OWNER}:user/ann"}), "MalformedPolicyDocument"),
        (trust(Principal={"AWS": f"arn:aws:iam::{OTHER}:user/eng/ann"}), "MalformedPolicyDocument"),
        (trust(Principal={"AWS": f"arn:aws:iam::{OWNER}:role/none"}), "MalformedPolicyDocument"),
        (trust(Principal="*", Resource="*"), "MalformedPolicyDocument"),
        (trust(), "MalformedPolicyDocument"),
        ("{}", "MalformedPolicyDocument"),
        ("no policy", "MalformedPolicyDocument"),
        (trust(Principal="*", Sid="x" * limits.TRUST_POLICY_CHARS_MAX), "LimitExceeded"),
    ],
)
def test_who_may_assume_a_role_is_there(iam, document, code):
    iam.create_user(UserName="ann", Path="/eng/")
    parameters = {"RoleName": "job", "AssumeRolePolicyDocument": document}
    if code:
        assert refused(iam.create_role, **parameters) == code
    else:
        assert iam.create_role(**parameters)["Role"]["AssumeRolePolicyDocument"] == json.loads(document)


@pytest.mark.parametrize(
    "more",
    [
        {"MaxSessionDuration": "3599"},
        {"MaxSessionDuration": "43201"},
        {"Description": "x" * 1001},
        {"Description": "\x07"},
    ],
)
def test_what_is_no_role(house, more):
    answer = house.ask({"Action": "CreateRole", "RoleName": "job", "AssumeRolePolicyDocument": TRUST, **more})

    assert "<Code>ValidationError</Code>" in answer.text


# -- tags --------------------------------------------------------------------------------------------------------------


def test_tags(iam):
    provider = iam.create_open_id_connect_provider(Url="https://id.example")["OpenIDConnectProviderArn"]
    iam.create_user(UserName="ann")
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)
    policy = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    for kind, named in (
        ("user", {"UserName": "ann"}),
        ("role", {"RoleName": "job"}),
        ("policy", {"PolicyArn": policy}),
        ("open_id_connect_provider", {"OpenIDConnectProviderArn": provider}),
    ):
        tag, untag, listed = (getattr(iam, name.format(kind)) for name in ("tag_{}", "untag_{}", "list_{}_tags"))
        tag(**named, Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}])
        tag(**named, Tags=[{"Key": "B", "Value": "2"}])
        untag(**named, TagKeys=["A", "none"])

        assert listed(**named)["Tags"] == [{"Key": "B", "Value": "2"}]
        tag(**named, Tags=[{"Key": "A", "Value": "0"}])
        assert names(listed(**named, MaxItems=1)["Tags"], "Key") == ["A"]
        assert listed(**named, MaxItems=1)["IsTruncated"]


# -- inline policies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_inline_policies(house, iam, kind):
    named = {f"{kind.capitalize()}Name": "One"}
    iam_call = {
        name: getattr(iam, name.format(kind)) for name in ("put_{}_policy", "get_{}_policy", "delete_{}_policy")
    }
    put, get, delete = iam_call.values()
    listed = getattr(iam, f"list_{kind}_policies")
    assert refused(put, **named, PolicyName="p", PolicyDocument=ALLOW_ALL) == "NoSuchEntity"
    more = {"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**named, **more)
    for name in ("b", "a", "c"):
        put(**named, PolicyName=name, PolicyDocument=ALLOW_ALL)
    put(**named, PolicyName="a", PolicyDocument=DENY)

    assert listed(**named)["PolicyNames"] == ["a", "b", "c"]
    assert pages(iam, f"list_{kind}_policies", "PolicyNames", **named) == ["a", "b", "c"]
    found = get(**named, PolicyName="a")
    assert found["PolicyDocument"] == json.loads(DENY)
    assert {key: found[key] for key in named} == named
    assert refused(get, **named, PolicyName="d") == "NoSuchEntity"
    assert refused(put, **named, PolicyName="d" * 129, PolicyDocument=ALLOW_ALL) == "ValidationError"
    delete(**named, PolicyName="a")
    assert refused(delete, **named, PolicyName="a") == "NoSuchEntity"


def document(*statements, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


MALFORMED = [
    "{}",
    "x",
    document(statement("Allow", "s3:*"), version="2010-10-17"),
    document(),
    document(statement("Allow", "s3:*", Principal="*")),
    document(statement("Allow", "s3:*", Sid="a"), statement("Deny", "s3:*", Sid="a")),
    document(statement("Allow", "s3 *")),
]
TOO_LONG = document(*(statement("Allow", f"s3:A{n}") for n in range(100)))


@pytest.mark.parametrize(
    ("document", "code"), [*((text, "MalformedPolicyDocument") for text in MALFORMED), (TOO_LONG, "LimitExceeded")]
)
def test_what_is_no_policy(iam, document, code):
    iam.create_user(UserName="ann")

    assert refused(iam.put_user_policy, UserName="ann", PolicyName="p", PolicyDocument=document) == code
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == []


def test_a_document_comes_back_as_it_was_given(iam):
    document = '{\n  "Version":"2012-10-17", "Statement": {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::ü%20+/*"}}'
    made = iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]

    assert iam.get_policy_version(PolicyArn=made, VersionId="v1")["PolicyVersion"]["Document"] == json.loads(document)


# -- managed policies --------------------------------------------------------------------------------------------------


def test_a_managed_policy(iam):
    made = iam.create_policy(PolicyName="Read", Path="/x/", PolicyDocument=ALLOW_ALL, Description="d")["Policy"]
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:policy/x/Read"
    assert made["PolicyId"].startswith("ANPA")
    assert (made["DefaultVersionId"], made["AttachmentCount"], made["IsAttachable"]) == ("v1", 0, True)
    assert iam.get_policy(PolicyArn=made["Arn"])["Policy"] == made
    assert refused(iam.create_policy, PolicyName="read", PolicyDocument=ALLOW_ALL) == "EntityAlreadyExists"
    long = json.dumps({"Version": "2012-10-17", "Statement": [statement("Allow", f"s3:A{n}") for n in range(200)]})
    assert refused(iam.create_policy, PolicyName="long", PolicyDocument=long) == "LimitExceeded"

    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn=made["Arn"])
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=made["Arn"])
    used = iam.get_policy(PolicyArn=made["Arn"])["Policy"]
    assert (used["AttachmentCount"], used["PermissionsBoundaryUsageCount"]) == (1, 1)
    assert refused(iam.delete_policy, PolicyArn=made["Arn"]) == "DeleteConflict"
    iam.delete_user_permissions_boundary(UserName="ann")
    iam.detach_user_policy(UserName="ann", PolicyArn=made["Arn"])
    iam.delete_policy(PolicyArn=made["Arn"])
    assert refused(iam.get_policy, PolicyArn=made["Arn"]) == "NoSuchEntity"
    assert refused(iam.get_policy, PolicyArn="arn:aws:iam::1:policy/short") == "ValidationError"


def test_versions_of_a_policy(iam):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY, SetAsDefault=True)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    third = iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_ALL)["PolicyVersion"]
    assert (third["VersionId"], third["IsDefaultVersion"]) == ("v3", False)

    listed = pages(iam, "list_policy_versions", "Versions", PolicyArn=arn)
    assert [(row["VersionId"], row["IsDefaultVersion"]) for row in listed] == [
        ("v3", False),
        ("v2", True),
        ("v1", False),
    ]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == json.loads(DENY)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v1") == "DeleteConflict"
    assert refused(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v9") == "NoSuchEntity"
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="9") == "ValidationError"
    for _ in range(2):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY)
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=DENY) == "LimitExceeded"
    for version in ("v2", "v3", "v4", "v5"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)


def test_lists_of_policies(iam):
    for name, path in (("b", "/x/"), ("A", "/")):
        iam.create_policy(PolicyName=name, Path=path, PolicyDocument=ALLOW_ALL)
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=READ)
    iam.create_user(UserName="ann", PermissionsBoundary=f"arn:aws:iam::{OWNER}:policy/A")

    aws = [policy.name for policy in AWS_POLICIES.values()]
    assert names(pages(iam, "list_policies", "Policies", 3), "PolicyName") == ["A", "b", *aws]
    assert names(pages(iam, "list_policies", "Policies", Scope="Local"), "PolicyName") == ["A", "b"]
    assert names(pages(iam, "list_policies", "Policies", Scope="AWS", size=5), "PolicyName") == aws
    assert names(iam.list_policies(Scope="Local", PathPrefix="/x/")["Policies"], "PolicyName") == ["b"]
    assert names(iam.list_policies(OnlyAttached=True)["Policies"], "Arn") == [f"arn:aws:iam::{OWNER}:policy/A", READ]
    assert names(iam.list_policies(PolicyUsageFilter="PermissionsPolicy")["Policies"], "Arn") == [READ]
    assert names(iam.list_policies(PolicyUsageFilter="PermissionsBoundary")["Policies"], "PolicyName") == ["A"]


def test_awss_policies_can_be_looked_at_and_not_changed(iam):
    for arn, policy in AWS_POLICIES.items():
        assert iam.get_policy(PolicyArn=arn)["Policy"]["PolicyName"] == policy.name
        document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
        iam.create_policy(PolicyName=policy.name, PolicyDocument=json.dumps(document))
    assert refused(iam.delete_policy, PolicyArn=READ) == "AccessDenied"
    assert refused(iam.create_policy_version, PolicyArn=READ, PolicyDocument=ALLOW_ALL) == "AccessDenied"
    assert refused(iam.tag_policy, PolicyArn=READ, Tags=[{"Key": "a", "Value": "b"}]) == "AccessDenied"
    assert refused(iam.get_policy, PolicyArn="arn:aws:iam::aws:policy/AmazonEC2FullAccess") == "NoSuchEntity"


# -- attachments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_attachments(iam, kind):
    named = {f"{kind.capitalize()}Name": "One"}
    attach, detach = getattr(iam, f"attach_{kind}_policy"), getattr(iam, f"detach_{kind}_policy")
    assert refused(attach, **named, PolicyArn=READ) == "NoSuchEntity"
    more = {"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**named, **more)
    own = iam.create_policy(PolicyName="p", Path="/x/", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    for arn in (READ, own, own):
        attach(**named, PolicyArn=arn)

    operation = f"list_attached_{kind}_policies"
    assert pages(iam, operation, "AttachedPolicies", **named) == [
        {"PolicyName": "p", "PolicyArn": own}, {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ}
    ]  # fmt: skip
    assert names(getattr(iam, operation)(**named, PathPrefix="/x")["AttachedPolicies"], "PolicyName") == ["p"]
    entities = iam.list_entities_for_policy(PolicyArn=own)
    assert names(entities[f"Policy{kind.capitalize()}s"], f"{kind.capitalize()}Name") == ["One"]
    assert sum(len(entities[f"Policy{word}s"]) for word in ("User", "Group", "Role")) == 1
    assert refused(attach, **named, PolicyArn=f"arn:aws:iam::{OTHER}:policy/x/p") == "NoSuchEntity"
    assert refused(attach, **named, PolicyArn="arn:aws:iam::aws:policy/NoneOfThatName") == "NoSuchEntity"
    detach(**named, PolicyArn=own)
    assert refused(detach, **named, PolicyArn=own) == "NoSuchEntity"


def test_entities_of_a_policy(iam):
    for number in range(2):
        iam.create_user(UserName=f"u{number}", Path=f"/{number}/")
        iam.create_group(GroupName=f"g{number}")
        iam.attach_user_policy(UserName=f"u{number}", PolicyArn=READ)
        iam.attach_group_policy(GroupName=f"g{number}", PolicyArn=READ)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=READ)

    def found(**parameters):
        rows = {"PolicyUsers": [], "PolicyGroups": [], "PolicyRoles": []}
        for page in iam.get_paginator("list_entities_for_policy").paginate(
            PolicyArn=READ, **parameters, PaginationConfig={"PageSize": 2}
        ):
            for name, kept in rows.items():
                kept += [next(value for key, value in row.items() if key.endswith("Name")) for row in page[name]]
        return tuple(rows.values())

    assert found() == (["u0", "u1"], ["g0", "g1"], ["r"])
    assert found(EntityFilter="User") == (["u0", "u1"], [], [])
    assert found(EntityFilter="User", PathPrefix="/1/") == (["u1"], [], [])
    assert found(PolicyUsageFilter="PermissionsBoundary") == ([], [], ["r"])
    assert found(PolicyUsageFilter="PermissionsPolicy") == (["u0", "u1"], ["g0", "g1"], [])
    assert refused(iam.list_entities_for_policy, PolicyArn=f"arn:aws:iam::{OWNER}:policy/none") == "NoSuchEntity"


def test_boundaries(iam):
    iam.create_user(UserName="ann")
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)
    for put, delete, get, named in (
        (iam.put_user_permissions_boundary, iam.delete_user_permissions_boundary, iam.get_user, {"UserName": "ann"}),
        (iam.put_role_permissions_boundary, iam.delete_role_permissions_boundary, iam.get_role, {"RoleName": "job"}),
    ):
        put(**named, PermissionsBoundary=READ)
        answer = get(**named)
        found = answer.get("User") or answer["Role"]
        assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ
        delete(**named)
        answer = get(**named)
        assert "PermissionsBoundary" not in (answer.get("User") or answer["Role"])
        assert refused(put, **named, PermissionsBoundary=f"arn:aws:iam::{OWNER}:policy/none") == "NoSuchEntity"


# -- providers ---------------------------------------------------------------------------------------------------------


def test_a_provider(iam):
    arn = iam.create_open_id_connect_provider(
        Url="https://id.example/realm",
        ClientIDList=["app"],
        ThumbprintList=["a" * 40],
        Tags=[{"Key": "a", "Value": "b"}],
    )["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{OWNER}:oidc-provider/id.example/realm"
    assert names(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"], "Arn") == [arn]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="web")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="web")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == ("id.example/realm", ["web"], ["b" * 40])
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refused(iam.create_open_id_connect_provider, Url="https://id.example/realm") == "EntityAlreadyExists"

    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)

    assert refused(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn) == "NoSuchEntity"
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_a_provider_inside_a_closed_network(iam):
    arn = iam.create_open_id_connect_provider(Url="http://id.internal:8080")["OpenIDConnectProviderArn"]

    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["Url"] == "http://id.internal:8080"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Url": "ftp://id.example"}, "ValidationError"),
        ({"Url": "https://"}, "ValidationError"),
        ({"Url": "https://id.example?x=1"}, "ValidationError"),
        ({"Url": "https://user@id.example"}, "ValidationError"),
        ({"Url": "https://id.example:port"}, "ValidationError"),
        ({"Url": "https://" + "x" * 250}, "ValidationError"),
        ({"Url": "https://id.example", "ThumbprintList.member.1": "short"}, "ValidationError"),
        (
            {"Url": "https://id.example", **{f"ThumbprintList.member.{n}": "a" * 40 for n in range(1, 7)}},
            "InvalidInput",
        ),
        ({"Url": "https://id.example", "ClientIDList.member.1": "x" * 256}, "ValidationError"),
    ],
)
def test_what_is_no_provider(house, parameters, code):
    assert f"<Code>{code}</Code>" in house.ask({"Action": "CreateOpenIDConnectProvider", **parameters}).text


# -- the account -------------------------------------------------------------------------------------------------------


def test_the_account_as_a_whole(iam):
    iam.create_user(UserName="ann")
    iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)

    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["Users"], summary["Groups"], summary["Policies"], summary["UsersQuota"]) == (
        1,
        0,
        1,
        limits.USERS_MAX,
    )
    assert iam.list_account_aliases()["AccountAliases"] == []


def test_everything_that_decides(iam):
    iam.create_user(UserName="ann", Path="/x/")
    iam.create_group(GroupName="staff")
    iam.add_user_to_group(GroupName="staff", UserName="ann")
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=DENY)
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="job", PolicyArn=READ)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY)

    whole = iam.get_account_authorization_details()
    assert whole["UserDetailList"][0]["GroupList"] == ["staff"]
    assert whole["GroupDetailList"][0]["GroupPolicyList"] == [
        {"PolicyName": "inline", "PolicyDocument": json.loads(DENY)}
    ]
    assert whole["RoleDetailList"][0]["AttachedManagedPolicies"][0]["PolicyArn"] == READ
    assert names(whole["Policies"], "PolicyName") == ["p", "AmazonS3ReadOnlyAccess"]
    assert names(whole["Policies"][0]["PolicyVersionList"], "VersionId") == ["v2", "v1"]

    found = []
    for page in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1}):
        found += [
            row["Arn"]
            for part in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
            for row in page[part]
        ]
    assert len(set(found)) == len(found) == 5
    only = iam.get_account_authorization_details(Filter=["Role"])
    assert [len(only[part]) for part in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")] == [
        0,
        0,
        1,
        0,
    ]


def test_accounts_see_only_their_own(house, iam):
    foreign = house.iam(OTHER_KEY)
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="staff")
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)
    policy = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    provider = iam.create_open_id_connect_provider(Url="https://id.example")["OpenIDConnectProviderArn"]

    assert foreign.list_users()["Users"] == []
    assert foreign.list_policies(Scope="Local")["Policies"] == []
    assert foreign.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    for call, parameters in (
        (foreign.get_user, {"UserName": "ann"}),
        (foreign.delete_user, {"UserName": "ann"}),
        (foreign.get_group, {"GroupName": "staff"}),
        (foreign.get_role, {"RoleName": "job"}),
        (foreign.put_role_policy, {"RoleName": "job", "PolicyName": "x", "PolicyDocument": ALLOW_ALL}),
        (foreign.get_policy, {"PolicyArn": policy}),
        (foreign.delete_policy, {"PolicyArn": policy}),
        (foreign.create_policy_version, {"PolicyArn": policy, "PolicyDocument": ALLOW_ALL}),
        (foreign.list_entities_for_policy, {"PolicyArn": policy}),
        (foreign.get_open_id_connect_provider, {"OpenIDConnectProviderArn": provider}),
        (foreign.delete_open_id_connect_provider, {"OpenIDConnectProviderArn": provider}),
    ):
        assert refused(call, **parameters) == "NoSuchEntity"


# -- the model ---------------------------------------------------------------------------------------------------------


def test_every_action_is_one_of_awss(house):
    model = boto3.session.Session()._session.get_service_model("iam")

    assert set(house.service.actions) <= set(model.operation_names)
    assert house.service.version == model.api_version
    assert len(house.service.actions) == 82
    assert SECRET not in repr(house.service)


def test_every_action_is_told_of(house):
    page = (Path(__file__).parents[3] / "docs" / "iam.md").read_text()
    told = page[page.index("## Actions") : page.index("Everything else")]

    assert sorted(set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", told)) - {"UserName", "OpenID"}) == sorted(
        house.service.actions
    )
