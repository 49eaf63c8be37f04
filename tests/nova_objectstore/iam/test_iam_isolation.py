"""Every action of the IAM API on somebody's things: as a user without policies, as nobody, and as another account."""

import pytest
from support.iam import ALLOW_ALL, OTHER_KEY, READ, ROOT_KEY, SECRET, TRUST, House, action_names
from support.iam_state import TABLES
from support.metadata import OWNER

# What asks about the account as a whole answers another account about itself.
OF_THE_ASKER = {
    "ListUsers", "ListGroups", "ListRoles", "ListPolicies", "ListOpenIDConnectProviders", "ListAccountAliases",
    "GetAccountSummary", "GetAccountAuthorizationDetails", "CreateUser", "CreateGroup", "CreateRole", "CreatePolicy",
    "CreateOpenIDConnectProvider",
}  # fmt: skip


THEIRS = dict.fromkeys(("UserName", "GroupName", "RoleName", "PolicyName"), "theirs")


@pytest.fixture(scope="module")
def parameters(shared_house):
    """Something for every parameter there is; an action takes those that it knows."""
    key = shared_house.new_user("bea")
    shared_house.directory.create_group(OWNER, "staff")
    shared_house.engine.add_member(OWNER, "staff", "bea")
    shared_house.directory.create_role(OWNER, "job", trust=TRUST)
    policy = shared_house.policies.create(OWNER, "p", ALLOW_ALL).arn
    provider = shared_house.providers.create(OWNER, "https://id.example", client_ids=["app"]).arn
    for kind, name in (("user", "bea"), ("group", "staff"), ("role", "job")):
        shared_house.policies.put_inline(OWNER, kind, name, "p", ALLOW_ALL)
        shared_house.policies.attach(OWNER, kind, name, policy)
    return {
        "UserName": "bea", "GroupName": "staff", "RoleName": "job", "NewUserName": "eve", "NewGroupName": "eves",
        "PolicyName": "p", "PolicyArn": policy, "PolicyDocument": ALLOW_ALL, "VersionId": "v1",
        "AssumeRolePolicyDocument": TRUST, "Description": "x", "PermissionsBoundary": READ,
        "AccessKeyId": key.access_key, "Status": "Inactive", "OpenIDConnectProviderArn": provider,
        "Url": "https://id.example", "ClientID": "app", "ThumbprintList.member.1": "a" * 40,
        "Tags.member.1.Key": "k", "Tags.member.1.Value": "v", "TagKeys.member.1": "k",
    }  # fmt: skip


@pytest.fixture(scope="module")
def idle(shared_house):
    """The key pair of a user that nothing allows anything."""
    return shared_house.new_user("idle")


def state_of(house: House) -> dict[str, list]:
    """All rows of the account."""
    rows = {table: house.metadata.rows(table) for table in TABLES}
    own = {row["id"] for table in ("iam_entities", "iam_policies") for row in rows[table] if row["account_id"] == OWNER}
    whose = ("entity_id", "group_id", "policy_id")
    return {
        table: [row for row in found if row.get("account_id") == OWNER or own & {row.get(key) for key in whose}]
        for table, found in rows.items()
    }


@pytest.mark.parametrize("name", action_names())
def test_every_action_is_denied_to_a_user_without_policies_and_to_nobody(shared_house, parameters, idle, name):
    before = state_of(shared_house)

    told = shared_house.ask({"Action": name, **parameters}, idle.access_key, idle.secret_key)
    assert (told.status, "<Code>AccessDenied</Code>" in told.text) == (403, True), told.text
    unsigned = shared_house.ask({"Action": name, **parameters}, "", "")
    assert (unsigned.status, "<Code>MissingAuthenticationToken</Code>" in unsigned.text) == (403, True)

    assert state_of(shared_house) == before


@pytest.mark.parametrize("name", action_names())
def test_no_action_of_another_account_finds_or_changes_anything(shared_house, parameters, name):
    before = state_of(shared_house)

    asked = {**parameters, **THEIRS} if name in OF_THE_ASKER else parameters
    told = shared_house.ask({"Action": name, **asked}, OTHER_KEY, SECRET)

    if name in OF_THE_ASKER:
        assert told.status == 200, told.text
        assert OWNER not in told.text
    else:
        assert (told.status, "<Code>NoSuchEntity</Code>" in told.text) == (404, True), told.text
    assert state_of(shared_house) == before
    assert ROOT_KEY not in told.text
