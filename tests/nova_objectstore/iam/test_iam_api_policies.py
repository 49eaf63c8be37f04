"""Policies over the IAM API: inline, managed and AWS's own; what is none."""

import json

import pytest
from support.iam import ALLOW_ALL, DENY_S3, READ, TRUST, names, pages, refused, statement
from support.metadata import OWNER
from support.policies import document

from nova_objectstore.iam.managed import AWS_POLICIES

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
    put(**named, PolicyName="a", PolicyDocument=DENY_S3)

    assert listed(**named)["PolicyNames"] == ["a", "b", "c"]
    assert pages(iam, f"list_{kind}_policies", "PolicyNames", **named) == ["a", "b", "c"]
    found = get(**named, PolicyName="a")
    assert found["PolicyDocument"] == json.loads(DENY_S3)
    assert {key: found[key] for key in named} == named
    assert refused(get, **named, PolicyName="d") == "NoSuchEntity"
    assert refused(put, **named, PolicyName="d" * 129, PolicyDocument=ALLOW_ALL) == "ValidationError"
    delete(**named, PolicyName="a")
    assert refused(delete, **named, PolicyName="a") == "NoSuchEntity"


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
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY_S3, SetAsDefault=True)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    third = iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_ALL)["PolicyVersion"]
    assert (third["VersionId"], third["IsDefaultVersion"]) == ("v3", False)

    listed = pages(iam, "list_policy_versions", "Versions", PolicyArn=arn)
    assert [(row["VersionId"], row["IsDefaultVersion"]) for row in listed] == [
        ("v3", False),
        ("v2", True),
        ("v1", False),
    ]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == json.loads(DENY_S3)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v1") == "DeleteConflict"
    assert refused(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v9") == "NoSuchEntity"
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="9") == "ValidationError"
    for _ in range(2):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY_S3)
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=DENY_S3) == "LimitExceeded"
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
