"""What policies are attached to over the IAM API, and the boundaries of users and roles."""

import pytest
from support.iam import ALLOW_ALL, READ, TRUST, names, pages, refused
from support.metadata import OTHER, OWNER


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
