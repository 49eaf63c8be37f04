"""AssumeRole: whom a role trusts, what the caller's own policies say, and what a session is given."""

import json
from urllib.parse import urlencode

import pytest
from support.sts import ALICE, BOB, House, Who, policy, statement, trust, user_arn

from nova_objectstore.iam.ports import ROLE, EntityChange

ASSUME = statement("sts:AssumeRole")


def root_arn(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:root"


@pytest.fixture
def joe(house: House) -> Who:
    return house.user("joe")


# -- trust, within an account --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "own", "allowed"),
    [
        ({"AWS": user_arn("joe")}, [], True),  # named itself: its own policies are not asked
        ({"AWS": user_arn("joe")}, [statement("sts:AssumeRole", effect="Deny")], False),
        ({"AWS": user_arn("ann")}, [ASSUME], False),
        ({"AWS": ALICE}, [], False),  # the account decides
        ({"AWS": ALICE}, [ASSUME], True),
        ({"AWS": root_arn(ALICE)}, [ASSUME], True),
        ({"AWS": root_arn(ALICE)}, [statement("sts:AssumeRole", resource=f"arn:aws:iam::{ALICE}:role/r")], True),
        ({"AWS": root_arn(ALICE)}, [statement("sts:AssumeRole", resource=f"arn:aws:iam::{ALICE}:role/other")], False),
        ({"AWS": root_arn(BOB)}, [ASSUME], False),
        ("*", [], True),
        ({"AWS": "*"}, [], True),
        ({"Service": "ec2.amazonaws.com"}, [ASSUME], False),
        ({"Federated": f"arn:aws:iam::{ALICE}:oidc-provider/idp"}, [ASSUME], False),
    ],
)
def test_whom_a_role_of_its_account_trusts(house, principal, own, allowed):
    user = house.user("joe", *own)
    role = house.role("r", [trust(principal)])
    told = house.assume(user, role)
    assert (told.status, told.code) == ((200, "") if allowed else (403, "AccessDenied"))


def test_a_policy_of_the_caller_s_alone_opens_no_role(house):
    admin = house.user("admin", statement("*"))
    role = house.role("r", [trust({"AWS": root_arn(BOB)})])
    assert house.assume(admin, role).code == "AccessDenied"


def test_a_trust_policy_denies(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")}), trust("*", effect="Deny")])
    assert house.assume(joe, role).code == "AccessDenied"


def test_another_action_is_not_assume_role(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")}, "sts:AssumeRoleWithWebIdentity", "sts:TagSession")])
    assert house.assume(joe, role).code == "AccessDenied"


def test_trust_is_that_of_the_moment(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("ann")})])
    assert house.assume(joe, role).code == "AccessDenied"
    house.iam.update_entity(ALICE, ROLE, "r", EntityChange(trust=policy(trust({"AWS": user_arn("joe")}))))
    assert house.assume(joe, role).status == 200


def test_a_boundary_holds_where_the_account_decides(house):
    arn = house.managed("edge", statement("s3:*"))
    bounded = house.user("bounded", ASSUME, boundary=arn)
    assert house.assume(bounded, house.role("r", [trust({"AWS": ALICE})])).code == "AccessDenied"
    assert house.assume(bounded, house.role("r2", [trust({"AWS": user_arn("bounded")})])).status == 200


def test_a_user_s_session_assumes_roles_as_the_user(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")})])
    session = house.ask("GetSessionToken", joe).who
    assert house.assume(session, role).status == 200


def test_roots_and_federated_users_assume_no_role(house):
    role = house.role("r", [trust("*")])
    root = house.roots[ALICE]
    for who in (root, house.ask("GetSessionToken", root).who):
        told = house.assume(who, role)
        assert (told.code, told.message) == ("AccessDenied", "Roles may not be assumed by root accounts.")
    guest = house.ask("GetFederationToken", root, Name="guest", Policy=policy(statement("*"))).who
    assert house.assume(guest, role).code == "AccessDenied"


# -- across accounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "own", "allowed"),
    [
        ({"AWS": user_arn("bert", BOB)}, [], False),
        ({"AWS": user_arn("bert", BOB)}, [ASSUME], True),
        ({"AWS": BOB}, [], False),
        ({"AWS": BOB}, [ASSUME], True),
        ({"AWS": BOB}, [ASSUME, statement("sts:*", effect="Deny")], False),
        ("*", [], False),
        ("*", [ASSUME], True),
        ({"AWS": ALICE}, [ASSUME], False),
    ],
)
def test_whom_another_account_s_role_trusts(house, principal, own, allowed):
    bert = house.user("bert", *own, account_id=BOB)
    role = house.role("r", [trust(principal)], statement("s3:*"))
    told = house.assume(bert, role)
    assert (told.status, told.code) == ((200, "") if allowed else (403, "AccessDenied"))
    if allowed:
        assert house.s3(house.roots[ALICE], "PUT", "/alices") == (200, "")
        assert house.s3(told.who, "GET", "/alices") == (200, "")
        assert house.s3(bert, "GET", "/alices") == (403, "AccessDenied")
        assert house.ask("GetCallerIdentity", told.who).text("Account") == ALICE


def test_an_external_id_keeps_deputies_from_being_confused(house):
    deputy = house.user("deputy", ASSUME, account_id=BOB)
    rule = trust({"AWS": BOB}, Condition={"StringEquals": {"sts:ExternalId": "alices-secret"}})
    role = house.role("r", [rule])
    assert house.assume(deputy, role).code == "AccessDenied"
    assert house.assume(deputy, role, ExternalId="bobs-secret").code == "AccessDenied"
    assert house.assume(deputy, role, ExternalId="alices-secret").status == 200


# -- what trust policies may ask -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "sts:RoleSessionName", "session"),
        ("StringLike", "sts:RoleSessionName", "${aws:username}*"),
        ("StringEquals", "sts:SourceIdentity", "joe-himself"),
        ("NumericLessThanEquals", "sts:DurationSeconds", "900"),
        ("ArnEquals", "aws:PrincipalArn", user_arn("ses")),
        ("StringEquals", "aws:RequestTag/team", "red"),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "x"]),
        ("ForAnyValue:StringEquals", "sts:TransitiveTagKeys", ["team"]),
        ("StringEquals", "aws:ResourceTag/level", "low"),
        ("StringEquals", "iam:ResourceTag/level", "low"),
        ("StringEquals", "aws:PrincipalTag/level", "high"),
        ("StringEquals", "aws:PrincipalTag/level", "${aws:PrincipalTag/level}"),
        ("Null", "sts:ExternalId", "true"),
        ("Bool", "aws:SecureTransport", "false"),
    ],
)
def test_a_trust_policy_asks_for(house, operator, key, value):
    ses = house.user("ses", tags={"level": "high"})
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    given = {
        "Tags__member__1__Key": "team",
        "Tags__member__1__Value": "red",
        "TransitiveTagKeys__member__1": "team",
        "SourceIdentity": "joe-himself",
        "DurationSeconds": 900,
    }
    for effect, status in (("Allow", 200), ("Deny", 403)):
        rules = [trust({"AWS": user_arn("ses")}, *actions, effect=effect, Condition={operator: {key: value}})]
        if effect == "Deny":
            rules.append(trust({"AWS": user_arn("ses")}, *actions))
        role = house.role(f"r{effect}", rules, tags={"level": "low"})
        assert house.assume(ses, role, **given).status == status


# -- what a session is given ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"Tags__member__1__Key": "team", "Tags__member__1__Value": "red"},
        {"SourceIdentity": "me"},
    ],
)
def test_tags_and_a_source_identity_are_asked_for_by_themselves(house, joe, given):
    bare = house.role("bare", [trust({"AWS": user_arn("joe")})])
    told = house.assume(joe, bare, **given)
    assert told.code == "AccessDenied"
    full = house.role(
        "full", [trust({"AWS": user_arn("joe")}, "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")]
    )
    assert house.assume(joe, full, **given).status == 200
    ann = house.user("ann", ASSUME, account_id=BOB)
    across = house.role("across", [trust({"AWS": BOB}, "sts:*")])
    assert house.assume(ann, across).status == 200
    assert house.assume(ann, across, **given).code == "AccessDenied"


def chain(house: House, **first_given):
    """Two roles, each trusting the one before, and a user; a session of the first."""
    joe = house.user("joe")
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    first = house.role("first", [trust({"AWS": user_arn("joe")}, *actions)], ASSUME, max_session_s=43_200)
    tagged = statement("s3:ListAllMyBuckets", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})
    second = house.role("second", [trust({"AWS": first.arn}, *actions)], tagged, max_session_s=43_200)
    return house.assume(joe, first, **first_given).who, second


RED = {"Tags__member__1__Key": "team", "Tags__member__1__Value": "red"}
TRANSITIVE = {**RED, "TransitiveTagKeys__member__1": "Team"}


def test_a_session_begins_a_session_of_another_role(house):
    session, second = chain(house)
    chained = house.assume(session, second, "next").who
    assert house.arn_of(chained) == f"arn:aws:sts::{ALICE}:assumed-role/second/next"
    assert house.assume(session, second, DurationSeconds=3600).status == 200
    assert house.assume(session, second, DurationSeconds=3601).code == "ValidationError"


def test_transitive_tags_go_on_and_others_do_not(house):
    session, second = chain(house, **TRANSITIVE)
    chained = house.assume(session, second).who
    assert house.s3(chained, "GET", "/") == (200, "")
    assert house.assume(session, second, **RED).code == "ValidationError"  # nothing changes it any more
    house.iam.delete_inline_policy(ALICE, ROLE, "first", "inline")


def test_a_tag_that_is_not_transitive_ends_with_its_session(house):
    session, second = chain(house, **RED)
    assert house.s3(house.assume(session, second).who, "GET", "/") == (403, "AccessDenied")
    assert house.s3(house.assume(session, second, **RED).who, "GET", "/") == (200, "")


def test_what_goes_on_is_asked_for_with_every_role(house):
    session, _ = chain(house, **TRANSITIVE)
    bare = house.role("bare", [trust({"AWS": f"arn:aws:iam::{ALICE}:role/first"})])
    assert house.assume(session, bare).code == "AccessDenied"


def test_a_source_identity_stays(house):
    session, second = chain(house, SourceIdentity="joe-himself")
    told = house.assume(session, second)
    assert told.text("SourceIdentity") == "joe-himself"
    assert house.assume(session, second, SourceIdentity="joe-himself").status == 200
    assert house.assume(session, second, SourceIdentity="somebody").code == "AccessDenied"


def test_a_session_policy_holds_for_what_a_session_begins(house):
    joe = house.user("joe")
    first = house.role("first", [trust({"AWS": user_arn("joe")})], ASSUME)
    second = house.role("second", [trust({"AWS": ALICE})])
    limited = house.assume(joe, first, Policy=policy(statement("s3:*"))).who
    assert house.assume(limited, second).code == "AccessDenied"
    assert house.assume(house.assume(joe, first).who, second).status == 200


# -- parameters ----------------------------------------------------------------------------------------------------------


def test_a_role_says_how_long_its_sessions_last(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")})], max_session_s=7200)
    assert house.assume(joe, role, DurationSeconds=7200).status == 200
    told = house.assume(joe, role, DurationSeconds=7201)
    assert (told.code, told.message) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RoleSessionName", "x"),
        ("RoleSessionName", "x" * 65),
        ("RoleSessionName", "a b"),
        ("RoleSessionName", "a/b"),
        ("RoleSessionName", "a:root"),
        ("RoleSessionName", "größe"),
        ("RoleSessionName", "ab\n"),
        ("RoleArn", "r"),
        ("RoleArn", f"arn:aws:iam::{ALICE}:user/r"),
        ("RoleArn", "arn:aws:iam:::role/r"),
        ("RoleArn", f"arn:aws:iam::{ALICE}:role/"),
        ("RoleArn", f"arn:aws:iam::{ALICE}:role/r\n"),
        ("DurationSeconds", "899"),
        ("DurationSeconds", "43201"),
        ("DurationSeconds", "٩٠٠"),
        ("ExternalId", "x"),
        ("ExternalId", "a b"),
        ("SourceIdentity", "x"),
        ("SourceIdentity", ""),
        ("TransitiveTagKeys.member.1", "team"),
        ("Tags.member.1.Key", ""),
        ("Tags.member.1.Key", "aws:x"),
        ("Tags.member.1.Key", "x" * 129),
        ("Tags.member.1.Key", "<x>"),
        ("ProvidedContexts.member.1.ProviderArn", "arn:aws:iam::aws:contextProvider/IdentityCenter"),
    ],
)
def test_parameters_that_break_a_constraint(house, joe, name, value):
    role = house.role("r", [trust({"AWS": user_arn("joe")}, "sts:*")])
    given = {"RoleArn": role.arn, "RoleSessionName": "session", name: value}
    if name == "Tags.member.1.Key":
        given["Tags.member.1.Value"] = "x"
    assert house.ask("AssumeRole", joe, **given).code in ("ValidationError", "MissingParameter"), urlencode(given)


@pytest.mark.parametrize("missing", ["RoleArn", "RoleSessionName"])
def test_parameters_that_must_be_there(house, joe, missing):
    given = {"RoleArn": f"arn:aws:iam::{ALICE}:role/r", "RoleSessionName": "session"}
    del given[missing]
    assert house.ask("AssumeRole", joe, **given).status == 400


def test_tag_keys_have_no_case(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")}, "sts:*")])
    twice = {"Tags__member__2__Key": "TEAM", "Tags__member__2__Value": "blue"}
    assert house.assume(joe, role, **RED, **twice).code == "ValidationError"


def test_a_role_that_is_not_there_looks_like_one_that_does_not_trust(house, joe):
    hidden = house.role("hidden", [trust({"AWS": BOB})], path="/deep/")
    gone = f"arn:aws:iam::{ALICE}:role/none"
    nowhere = "arn:aws:iam::999999999999:role/r"
    for arn in (hidden.arn, hidden.arn.replace("/deep/", "/"), gone, nowhere):
        told = house.assume(joe, arn)
        assert (told.status, told.code) == (403, "AccessDenied")
        expected = f"User: {user_arn('joe')} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        assert told.message == expected


def test_a_role_with_a_path(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")})], path="/deep/down/")
    told = house.assume(joe, role, "me")
    assert told.text("AssumedRoleUser/Arn") == f"arn:aws:sts::{ALICE}:assumed-role/r/me"
    assert told.text("AssumedRoleUser/AssumedRoleId") == f"{role.id}:me"
    assert house.assume(joe, role.arn.replace("/deep/down/", "/")).code == "AccessDenied"


def test_a_bucket_s_policy_names_a_session_and_its_role(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")})])
    session = house.assume(joe, role, "me").who
    root = house.roots[ALICE]
    assert house.s3(root, "PUT", "/named") == (200, "")
    limited = house.assume(joe, role, "me", Policy=policy(statement("s3:ListAllMyBuckets"))).who
    for arn, narrowed in ((f"arn:aws:sts::{ALICE}:assumed-role/r/me", (200, "")), (role.arn, (403, "AccessDenied"))):
        rule = {
            "Effect": "Allow",
            "Principal": {"AWS": arn},
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::named",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": rule}).encode()
        assert house.s3(root, "PUT", "/named?policy", document) == (204, "")
        assert house.s3(session, "GET", "/named") == (200, "")
        assert house.s3(limited, "GET", "/named") == narrowed
