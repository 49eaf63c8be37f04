"""What users may do: their policies, their groups', boundaries, denials; in their account and in another; in S3 and in IAM."""

from dataclasses import replace

import pytest
from support.iam import ALLOW_ALL, OTHER_KEY, READ, TRUST, House, iam_house, refused, statement
from support.metadata import OTHER, OWNER
from support.policies import document

from nova_objectstore.domain.access_context import NO_CONTEXT
from nova_objectstore.domain.bucket_rules import OWNERSHIP, POLICY, Ownership, StoredPolicy
from nova_objectstore.domain.identity_policies import DENY_ALL
from nova_objectstore.domain.key_uses import KEYS_NOTED_MAX, NOTED_AGAIN_S, KeyUses
from nova_objectstore.domain.policy.evaluate import NOTHING
from nova_objectstore.errors import AccessDenied, StorageFailed
from nova_objectstore.iam.ports import ROLE, USER, EntityChange
from nova_objectstore.types import SessionFacts, SessionKind

FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture
def house(tmp_path):
    with iam_house(tmp_path) as house:
        yield house


@pytest.fixture
def bucket(house):
    made = house.engine.create_bucket("photos", owner_id=OWNER, region="r", now_us=1)
    house.engine.put_document(made.id, OWNERSHIP, Ownership.ENFORCED.encode())
    return house.engine.find_bucket("photos")


def principal(house: House, key):
    return house.identities.find(key.access_key).principal


def may(house: House, key, action: str, bucket, path: str | None = None) -> bool:
    who = principal(house, key)
    found = house.engine.find_bucket(bucket.name)
    return house.access.may(who, action, found, path, context=NO_CONTEXT)


def may_account(house: House, key, action: str, arn: str = "*") -> bool:
    try:
        house.access.check_account(principal(house, key), action, arn, context=NO_CONTEXT)
    except AccessDenied:
        return False
    return True


# -- in its own account ------------------------------------------------------------------------------------------------


def test_a_user_without_policies_may_nothing(house, bucket):
    ann = house.new_user("ann")

    assert not may(house, ann, "s3:ListBucket", bucket)
    assert not may(house, ann, "s3:GetObject", bucket, "k")
    assert not may_account(house, ann, "s3:ListAllMyBuckets")
    assert not may_account(house, ann, "s3:CreateBucket", "arn:aws:s3:::new")


def test_what_its_own_policy_allows_and_no_more(house, bucket):
    ann = house.new_user("ann")
    mine = "arn:aws:s3:::photos/${aws:username}/*"
    house.policies.put_inline(OWNER, USER, "ann", "home", document(statement("Allow", "s3:GetObject", resource=mine)))

    assert may(house, ann, "s3:GetObject", bucket, "ann/1.jpg")
    assert not may(house, ann, "s3:GetObject", bucket, "bea/1.jpg")
    assert not may(house, ann, "s3:PutObject", bucket, "ann/1.jpg")


def test_a_policy_counts_from_the_moment_it_is_there_until_it_is_gone(house, bucket):
    ann = house.new_user("ann")
    house.policies.attach(OWNER, USER, "ann", READ)
    assert may(house, ann, "s3:GetObject", bucket, "k")
    assert may_account(house, ann, "s3:ListAllMyBuckets")
    assert not may(house, ann, "s3:PutObject", bucket, "k")
    house.policies.detach(OWNER, USER, "ann", READ)
    assert not may(house, ann, "s3:GetObject", bucket, "k")


def test_what_its_groups_may(house, bucket):
    ann = house.new_user("ann")
    house.directory.create_group(OWNER, "staff")
    house.policies.attach(OWNER, "group", "staff", FULL)
    assert not may(house, ann, "s3:PutObject", bucket, "k")
    house.engine.add_member(OWNER, "staff", "ann")
    assert may(house, ann, "s3:PutObject", bucket, "k")
    house.engine.remove_member(OWNER, "staff", "ann")
    assert not may(house, ann, "s3:PutObject", bucket, "k")


def test_a_new_default_version_counts_at_once(house, bucket):
    ann = house.new_user("ann")
    arn = house.policies.create(OWNER, "p", document(statement("Allow", "s3:GetObject"))).arn
    house.policies.attach(OWNER, USER, "ann", arn)
    house.policies.create_version(OWNER, arn, document(statement("Allow", "s3:PutObject")), is_default=False)
    assert may(house, ann, "s3:GetObject", bucket, "k")
    assert not may(house, ann, "s3:PutObject", bucket, "k")
    house.policies.set_default_version(OWNER, arn, 2)
    assert not may(house, ann, "s3:GetObject", bucket, "k")
    assert may(house, ann, "s3:PutObject", bucket, "k")


@pytest.mark.parametrize("where", ["own", "group", "boundary", "bucket"])
def test_a_denial_anywhere_wins(house, bucket, where):
    ann = house.new_user("ann")
    house.policies.attach(OWNER, USER, "ann", FULL)
    house.directory.create_group(OWNER, "staff")
    house.engine.add_member(OWNER, "staff", "ann")
    denial = document(statement("Allow", "*"), statement("Deny", "s3:GetObject"))
    assert may(house, ann, "s3:GetObject", bucket, "k")
    if where == "own":
        house.policies.put_inline(OWNER, USER, "ann", "p", denial)
    elif where == "group":
        house.policies.put_inline(OWNER, "group", "staff", "p", denial)
    elif where == "boundary":
        house.directory.set_boundary(OWNER, USER, "ann", house.policies.create(OWNER, "b", denial).arn)
    else:
        text = document({**statement("Deny", "s3:GetObject", resource="arn:aws:s3:::photos/*"), "Principal": "*"})
        house.engine.put_document(bucket.id, POLICY, StoredPolicy(text, False).encode())

    assert not may(house, ann, "s3:GetObject", bucket, "k")
    assert may(house, ann, "s3:PutObject", bucket, "k")


def test_a_boundary_bounds_and_gives_nothing(house, bucket):
    ann = house.new_user("ann")
    house.directory.set_boundary(OWNER, USER, "ann", READ)
    assert not may(house, ann, "s3:GetObject", bucket, "k")
    house.policies.attach(OWNER, USER, "ann", FULL)
    assert may(house, ann, "s3:GetObject", bucket, "k")
    assert not may(house, ann, "s3:PutObject", bucket, "k")
    house.directory.remove_boundary(OWNER, USER, "ann")
    assert may(house, ann, "s3:PutObject", bucket, "k")


def test_a_buckets_policy_may_name_a_user(house, bucket):
    ann, bea = house.new_user("ann"), house.new_user("bea")
    named = {"Principal": {"AWS": principal(house, ann).arn}}
    text = document({**statement("Allow", "s3:GetObject", resource="arn:aws:s3:::photos/*"), **named})
    house.engine.put_document(bucket.id, POLICY, StoredPolicy(text, False).encode())

    assert may(house, ann, "s3:GetObject", bucket, "k")
    assert not may(house, bea, "s3:GetObject", bucket, "k")
    house.directory.set_boundary(OWNER, USER, "ann", "arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    assert may(house, ann, "s3:GetObject", bucket, "k"), "what is given to the user itself, a boundary does not narrow"


def test_tags_of_a_user_are_condition_keys(house, bucket):
    ann = house.new_user("ann")
    team = "arn:aws:s3:::photos/${aws:PrincipalTag/team}/*"
    house.policies.put_inline(OWNER, USER, "ann", "p", document(statement("Allow", "s3:GetObject", resource=team)))
    assert not may(house, ann, "s3:GetObject", bucket, "blue/k")
    house.directory.tag(OWNER, USER, "ann", [("team", "blue")])
    assert may(house, ann, "s3:GetObject", bucket, "blue/k")
    assert not may(house, ann, "s3:GetObject", bucket, "red/k")


# -- across accounts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["user", "account"])
def test_from_another_account_both_must_allow(house, bucket, named):
    ann = house.new_user("ann", OTHER)
    house.policies.attach(OTHER, USER, "ann", FULL)
    assert not may(house, ann, "s3:GetObject", bucket, "k")
    who = principal(house, ann).arn if named == "user" else OTHER
    text = document({**statement("Allow", "s3:GetObject", resource="arn:aws:s3:::photos/*"), "Principal": {"AWS": who}})
    house.engine.put_document(bucket.id, POLICY, StoredPolicy(text, False).encode())
    assert may(house, ann, "s3:GetObject", bucket, "k")
    house.policies.detach(OTHER, USER, "ann", FULL)
    assert not may(house, ann, "s3:GetObject", bucket, "k")


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_who_was_deleted_is_nobody(house):
    ann = house.new_user("ann")
    who = principal(house, ann)
    house.policies.attach(OWNER, USER, "ann", FULL)
    assert house.stored.of(who).identity
    house.policies.detach(OWNER, USER, "ann", FULL)
    house.engine.delete_entity_key(OWNER, "ann", ann.access_key)
    house.engine.delete_entity(OWNER, USER, "ann")

    assert house.stored.of(who) == NOTHING
    assert house.identities.find(ann.access_key) is None


def test_a_user_that_was_renamed_is_known_by_its_new_name(house, bucket):
    ann = house.new_user("ann")
    house.policies.attach(OWNER, USER, "ann", FULL)
    house.directory.rename(OWNER, USER, "ann", new_name="Zoe", new_path="/x/")

    assert principal(house, ann).arn == f"arn:aws:iam::{OWNER}:user/x/Zoe"
    assert may(house, ann, "s3:GetObject", bucket, "k")


def test_a_document_that_cannot_be_read_denies_everything(house, bucket):
    ann = house.new_user("ann")
    house.policies.attach(OWNER, USER, "ann", FULL)
    house.engine.put_inline_policy(OWNER, USER, "ann", "broken", '{"Version": "2012-10-17"}')

    assert DENY_ALL in house.stored.of(principal(house, ann)).identity
    assert not may(house, ann, "s3:GetObject", bucket, "k")


def test_a_roles_session_has_what_the_role_has_and_its_session_policies(house):
    house.directory.create_role(OWNER, "job", trust=TRUST, path="/x/")
    house.policies.attach(OWNER, ROLE, "job", FULL)
    house.engine.update_entity(OWNER, ROLE, "job", EntityChange(boundary=READ))
    ann = principal(house, house.new_user("ann"))
    role_arn = f"arn:aws:iam::{OWNER}:role/x/job"
    session = replace(
        ann, user_name=None, role_arn=role_arn, begun=SessionFacts(SessionKind.ROLE, policies=(DENY_ALL,))
    )

    found = house.stored.of(session)

    full, read = house.stored.read(OWNER, FULL), house.stored.read(OWNER, READ)
    assert (found.identity, found.boundary, found.session) == ((full,), read, (DENY_ALL,))
    assert house.stored.of(replace(session, begun=SessionFacts(SessionKind.ROLE))).session is None


def test_managed_policies_are_read_by_their_arns(house):
    own = house.policies.create(OWNER, "p", ALLOW_ALL).arn

    assert house.stored.read(OWNER, own).statements[0].allows
    assert house.stored.read(OTHER, own) is None
    assert house.stored.read(OWNER, "arn:aws:iam::aws:policy/None") is None


# -- IAM itself --------------------------------------------------------------------------------------------------------


def test_a_user_manages_nothing_without_a_policy(house):
    ann = house.signed_by(house.new_user("ann"))

    for call, parameters in (
        (ann.list_users, {}),
        (ann.get_user, {}),
        (ann.get_user, {"UserName": "nobody"}),
        (ann.create_user, {"UserName": "bea"}),
        (ann.create_access_key, {}),
        (ann.put_user_policy, {"UserName": "ann", "PolicyName": "p", "PolicyDocument": ALLOW_ALL}),
        (ann.attach_user_policy, {"UserName": "ann", "PolicyArn": FULL}),
        (ann.list_policies, {}),
        (ann.get_policy, {"PolicyArn": FULL}),
        (ann.get_account_summary, {}),
        (ann.get_account_authorization_details, {}),
        (ann.list_account_aliases, {}),
        (ann.list_open_id_connect_providers, {}),
        (ann.create_role, {"RoleName": "r", "AssumeRolePolicyDocument": TRUST}),
        (ann.get_access_key_last_used, {"AccessKeyId": "AKIANOBODYNOBODYNOBO"}),
    ):
        assert refused(call, **parameters) == "AccessDenied", call


def test_actions_are_authorised_on_the_arn_of_what_they_name(house):
    key = house.new_user("ann")
    ann = house.signed_by(key)
    under = statement("Allow", "iam:*User*", "iam:*AccessKey*", resource=f"arn:aws:iam::{OWNER}:user/team/*")
    house.policies.put_inline(OWNER, USER, "ann", "p", document(under))

    ann.create_user(UserName="bea", Path="/team/")
    assert ann.get_user(UserName="bea")["User"]["Path"] == "/team/"
    ann.create_access_key(UserName="bea")
    assert refused(ann.create_user, UserName="carl") == "AccessDenied"
    assert refused(ann.get_user, UserName="ann") == "AccessDenied"
    assert refused(ann.update_user, UserName="bea", NewPath="/elsewhere/") == "AccessDenied"
    ann.update_user(UserName="bea", NewUserName="dora")


def test_a_user_may_be_let_to_mind_its_own_keys(house):
    key = house.new_user("ann")
    own = statement("Allow", "iam:*AccessKey*", "iam:GetUser", resource="arn:aws:iam::*:user/${aws:username}")
    house.policies.put_inline(OWNER, USER, "ann", "p", document(own))
    house.new_user("bea")
    ann = house.signed_by(key)

    made = ann.create_access_key()["AccessKey"]
    assert made["UserName"] == ann.get_user()["User"]["UserName"] == "ann"
    ann.update_access_key(AccessKeyId=key.access_key, Status="Inactive")
    assert refused(ann.get_user) == "InvalidClientTokenId"
    again = house.iam(made["AccessKeyId"], made["SecretAccessKey"])
    again.delete_access_key(AccessKeyId=key.access_key)
    assert refused(again.list_access_keys, UserName="bea") == "AccessDenied"


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"ArnEquals": {"iam:PolicyARN": READ}}, True),
        ({"ArnEquals": {"iam:PolicyARN": FULL}}, False),
        ({"StringEquals": {"iam:ResourceTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "red"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"StringEquals": {"aws:username": "ann"}}, True),
    ],
)
def test_conditions_of_iam(house, condition, allowed):
    key = house.new_user("ann")
    house.directory.create_user(OWNER, "bea", tags=[("team", "blue")])
    rule = statement("Allow", "iam:AttachUserPolicy", Condition=condition)
    house.policies.put_inline(OWNER, USER, "ann", "p", document(rule))
    call = house.signed_by(key).attach_user_policy

    if allowed:
        call(UserName="bea", PolicyArn=READ)
    else:
        assert refused(call, UserName="bea", PolicyArn=READ) == "AccessDenied"


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:RequestTag/team": "red"}}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["other"]}}, False),
        ({"StringEquals": {"iam:PermissionsBoundary": READ}}, True),
        ({"StringEquals": {"iam:PermissionsBoundary": FULL}}, False),
    ],
)
def test_conditions_on_what_is_to_be_made(house, condition, allowed):
    key = house.new_user("ann")
    house.policies.put_inline(
        OWNER, USER, "ann", "p", document(statement("Allow", "iam:CreateUser", Condition=condition))
    )
    call, asked = house.signed_by(key).create_user, {"Tags": [{"Key": "team", "Value": "blue"}]}
    asked = {"UserName": "bea", "PermissionsBoundary": READ, **asked}

    if allowed:
        call(**asked)
    else:
        assert refused(call, **asked) == "AccessDenied"


def test_a_policy_reaches_nothing_of_another_account(house):
    key = house.new_user("ann", OTHER)
    house.policies.attach(OTHER, USER, "ann", "arn:aws:iam::aws:policy/AdministratorAccess")
    house.new_user("bea", OWNER)
    ann = house.signed_by(key)

    assert [user["UserName"] for user in ann.list_users()["Users"]] == ["ann"]
    assert refused(ann.get_user, UserName="bea") == "NoSuchEntity"
    assert refused(ann.delete_access_key, UserName="bea", AccessKeyId=OTHER_KEY) == "NoSuchEntity"


# -- uses of keys ------------------------------------------------------------------------------------------------------


class Notebook:
    """An IamStore that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list = []
        self.fails = False

    def note_key_uses(self, uses):
        if self.fails:
            raise StorageFailed("no")
        self.told.append([(use.access_key, use.used_us // 1_000_000, use.service) for use in uses])


def test_uses_of_keys_are_written_now_and_then():
    notebook = Notebook()
    uses = KeyUses(notebook)
    uses.note("A", "s3", "r", 10_000.0)
    uses.note("A", "iam", "r", 10_000.0 + NOTED_AGAIN_S - 1)
    uses.note("B", "s3", "r", 10_001.0)
    uses.write()
    uses.write()
    uses.note("A", "iam", "r", 10_000.0 + NOTED_AGAIN_S)
    uses.write()

    assert notebook.told == [[("A", 10_000, "s3"), ("B", 10_001, "s3")], [("A", 10_900, "iam")]]


def test_uses_that_could_not_be_written_are_written_later():
    notebook = Notebook()
    uses = KeyUses(notebook)
    uses.note("A", "s3", "r", 10_000.0)
    notebook.fails = True
    with pytest.raises(StorageFailed):
        uses.write()
    notebook.fails = False
    uses.write()

    assert notebook.told == [[("A", 10_000, "s3")]]


def test_what_is_noted_is_bounded():
    uses = KeyUses(Notebook())
    for number in range(KEYS_NOTED_MAX + 5):
        uses.note(str(number), "s3", "r", 10_000.0)

    assert len(uses._noted) == 5
