"""The IAM API as a whole: tags of every kind, the account, and its actions against AWS's model and the docs."""

import json
import re
from pathlib import Path

import boto3
from support.iam import ALLOW_ALL, DENY_S3, OTHER_KEY, READ, SECRET, TRUST, names, refused

from nova_objectstore.iam import limits

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
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=DENY_S3)
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="job", PolicyArn=READ)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_ALL)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=DENY_S3)

    whole = iam.get_account_authorization_details()
    assert whole["UserDetailList"][0]["GroupList"] == ["staff"]
    assert whole["GroupDetailList"][0]["GroupPolicyList"] == [
        {"PolicyName": "inline", "PolicyDocument": json.loads(DENY_S3)}
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
