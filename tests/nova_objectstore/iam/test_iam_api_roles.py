"""Roles over the IAM API, and whom their trust policies may name."""

import json

import pytest
from support.iam import READ, TRUST, names, pages, refused
from support.metadata import OTHER, OWNER

from nova_objectstore.iam import limits


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
