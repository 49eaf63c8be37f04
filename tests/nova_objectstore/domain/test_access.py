"""The one question, over a real metadata engine: buckets with rules, objects with owners, principals of every kind."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.metadata import Metadata, new_version, sqlite_metadata
from support.policies import (
    ACCOUNT,
    BUCKET,
    OTHER_ACCOUNT,
    Known,
    canonical,
    document,
    identity_policy,
    root_of,
    session_of,
    statement,
    user_of,
)

from nova_objectstore.domain.access import READ_ACTIONS, Access
from nova_objectstore.domain.acl import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, Acl, Grant, Permission, encode_acl
from nova_objectstore.domain.bucket_rules import (
    ACL,
    OWNERSHIP,
    POLICY,
    PUBLIC_ACCESS_BLOCK,
    REQUEST_PAYMENT,
    Ownership,
    PublicAccessBlock,
    StoredPolicy,
)
from nova_objectstore.domain.policy.evaluate import NOTHING, PrincipalPolicies
from nova_objectstore.domain.policy.vocabulary import ACTIONS
from nova_objectstore.errors import AccessDenied, NoSuchKey
from nova_objectstore.types import ANONYMOUS, Principal, Version

READ, WRITE, FULL = Permission.READ, Permission.WRITE, Permission.FULL_CONTROL
OWNER, OTHER, USER, THEIR_USER = root_of(ACCOUNT), root_of(OTHER_ACCOUNT), user_of(ACCOUNT), user_of(OTHER_ACCOUNT)
EVERYBODY = (OWNER, OTHER, USER, THEIR_USER, ANONYMOUS)
LOGGING = Principal(service="logging.s3.amazonaws.com")
EVERYTHING = identity_policy(statement(Action="*", Resource="*"))


class Attached:
    """Identity policies as a test states them, by ARN."""

    def __init__(self) -> None:
        self.by_arn: dict[str, PrincipalPolicies] = {}

    def of(self, principal: Principal) -> PrincipalPolicies:
        return self.by_arn.get(principal.arn, NOTHING)


class House:
    """A bucket of ACCOUNT, what is configured on it, and the question."""

    def __init__(self, meta: Metadata) -> None:
        self.meta = meta
        self.attached = Attached()
        self.access = Access(meta.engine, self.attached)
        self.bucket = meta.engine.create_bucket(BUCKET, owner_id=ACCOUNT, region="us-east-1", now_us=meta.tick())
        self.put(OWNERSHIP, Ownership.ENFORCED.encode())

    def put(self, name: str, body: bytes) -> None:
        self.meta.engine.put_document(self.bucket.id, name, body)
        self.bucket = self.meta.engine.find_bucket(BUCKET)

    def policy(self, *statements: Mapping[str, Any], binds_root: bool = False) -> None:
        self.put(POLICY, StoredPolicy(document(*statements), binds_root).encode())

    def acls(self, *grants: tuple[str, Permission], ownership: Ownership = Ownership.WRITER) -> None:
        """Turn ACLs on, with these grants on the bucket."""
        self.put(OWNERSHIP, ownership.encode())
        if grants:
            self.put(ACL, encode_acl(Acl(tuple(Grant(*grant) for grant in grants))).encode())

    def object(self, owner_id: str, *grants: tuple[str, Permission]) -> Version:
        """An object of that account in the bucket, with these grants."""
        extra = {"acl": encode_acl(Acl(tuple(Grant(*grant) for grant in grants)))} if grants else {}
        return self.meta.engine.put_version(self.bucket, new_version("k", owner_id=owner_id, extra=extra))

    def may(self, principal: Principal, action: str, key: str | None = "k", **facts: Any) -> bool:
        context = Known(facts.pop("values", None), **facts)
        return self.access.may(principal, action, self.bucket, key, context=context)

    def who_may(self, action: str, key: str | None = "k", **facts: Any) -> tuple[Principal, ...]:
        return tuple(principal for principal in EVERYBODY if self.may(principal, action, key, **facts))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with sqlite_metadata(tmp_path, sync="never") as meta:
        yield House(meta)


# -- a bucket without rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_an_account_s_root_alone_may_do_anything_to_its_bucket(house: House, action: str) -> None:
    assert house.who_may(action) == (OWNER,)
    assert house.who_may(action, None) == (OWNER,)


def test_a_user_may_what_its_policies_allow(house: House) -> None:
    house.attached.by_arn[USER.arn] = PrincipalPolicies((identity_policy(statement(Action="s3:Get*")),))
    assert house.may(USER, "s3:GetObject")
    assert not house.may(USER, "s3:PutObject")
    assert not house.may(USER, "s3:ListBucket", None)


def test_what_a_user_may_in_its_own_account_says_nothing_of_others(house: House) -> None:
    house.attached.by_arn[THEIR_USER.arn] = PrincipalPolicies((EVERYTHING,))
    assert not house.may(THEIR_USER, "s3:GetObject")


def test_rules_are_compiled_once_and_again_when_the_bucket_changed(house: House) -> None:
    rules = house.access.rules(house.bucket)
    assert house.access.rules(house.bucket) is rules
    assert house.access.rules(house.meta.engine.find_bucket(BUCKET)) is rules
    house.policy(statement())
    assert house.access.rules(house.bucket) is not rules
    assert house.access.is_unrestricted(OWNER, house.bucket) is False


def test_a_bucket_that_took_another_s_place_has_none_of_its_rules(house: House) -> None:
    house.policy(statement())
    assert house.may(ANONYMOUS, "s3:GetObject")
    house.meta.engine.delete_bucket(house.bucket.id)
    house.bucket = house.meta.engine.create_bucket(
        BUCKET, owner_id=OTHER_ACCOUNT, region="us-east-1", now_us=house.meta.tick()
    )  # fmt: skip
    assert house.who_may("s3:GetObject", version=None) == (OTHER,)


# -- policies ------------------------------------------------------------------------------------------------------------


def test_a_policy_lets_others_in(house: House) -> None:
    house.policy(statement(Principal={"AWS": OTHER_ACCOUNT}, Action="s3:GetObject"))
    house.attached.by_arn[THEIR_USER.arn] = PrincipalPolicies((EVERYTHING,))
    assert house.who_may("s3:GetObject") == (OWNER, OTHER, THEIR_USER)
    assert house.who_may("s3:PutObject") == (OWNER,)
    house.attached.by_arn[THEIR_USER.arn] = NOTHING
    assert house.who_may("s3:GetObject") == (OWNER, OTHER)


def test_a_policy_denies_the_root_too(house: House) -> None:
    house.policy(statement(Effect="Deny", Action="s3:GetObject"))
    assert house.who_may("s3:GetObject") == ()
    assert house.who_may("s3:PutObject") == (OWNER,)


def test_the_root_may_repair_a_policy_that_denies_everything(house: House) -> None:
    everything = statement(Effect="Deny", Resource=["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"])
    house.policy(everything)
    for action in ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"):
        assert house.who_may(action, None) == (OWNER,)
    assert house.who_may("s3:GetBucketAcl", None) == ()
    house.policy(everything, binds_root=True)
    assert house.who_may("s3:DeleteBucketPolicy", None) == ()


def test_a_policy_that_cannot_be_read_denies_all_but_its_repair(house: House, caplog: Any) -> None:
    house.put(POLICY, StoredPolicy("{}").encode())
    assert house.who_may("s3:GetObject") == ()
    assert house.who_may("s3:PutBucketPolicy", None) == (OWNER,)
    assert "cannot be read" in caplog.text


def test_conditions_know_the_principal_and_the_bucket_s_owner(house: House) -> None:
    told = {
        "aws:PrincipalArn": OTHER.arn,
        "aws:PrincipalAccount": OTHER_ACCOUNT,
        "aws:PrincipalType": "Account",
        "aws:userid": OTHER_ACCOUNT,
        "aws:ResourceAccount": ACCOUNT,
        "s3:ResourceAccount": ACCOUNT,
        "aws:PrincipalIsAWSService": "false",
    }
    house.policy(statement(Condition={"StringEquals": told}))
    assert house.who_may("s3:GetObject") == (OWNER, OTHER)
    # a request cannot say who it is
    assert not house.may(ANONYMOUS, "s3:GetObject", values=told)


def test_what_a_session_was_begun_with_are_facts_too(house: House) -> None:
    session = session_of(ACCOUNT)
    tagged = Principal(
        account_id=ACCOUNT, arn=session.arn, role_arn=session.role_arn, session={"aws:principaltag/Team": "red"}
    )
    house.policy(
        statement(Condition={"StringEquals": {"aws:PrincipalTag/Team": "red", "aws:PrincipalArn": session.role_arn}})
    )
    house.attached.by_arn[session.arn] = PrincipalPolicies(())
    assert house.may(tagged, "s3:GetObject")
    assert not house.may(session, "s3:GetObject")


# -- ACLs ------------------------------------------------------------------------------------------------------------------


def test_grants_on_a_bucket(house: House) -> None:
    house.acls((canonical(ACCOUNT), FULL), (canonical(OTHER_ACCOUNT), READ))
    house.attached.by_arn[THEIR_USER.arn] = PrincipalPolicies((EVERYTHING,))
    assert house.who_may("s3:ListBucket", None) == (OWNER, OTHER, THEIR_USER)
    assert house.who_may("s3:ListBucketVersions", None) == (OWNER, OTHER, THEIR_USER)
    assert house.who_may("s3:GetBucketAcl", None) == (OWNER,)
    assert house.who_may("s3:PutObject") == (OWNER,)
    assert house.who_may("s3:GetBucketPolicy", None) == (OWNER,)


def test_grants_to_groups(house: House) -> None:
    house.acls((canonical(ACCOUNT), FULL), (AUTHENTICATED_USERS, READ), (ALL_USERS, WRITE), (LOG_DELIVERY, WRITE))
    assert house.who_may("s3:ListBucket", None) == (OWNER, OTHER, USER)
    assert house.who_may("s3:PutObject") == (OWNER, OTHER, USER, ANONYMOUS)
    assert house.may(LOGGING, "s3:PutObject")
    assert not house.may(LOGGING, "s3:ListBucket", None)


def test_public_grants_may_be_ignored(house: House) -> None:
    house.acls((ALL_USERS, READ), (canonical(OTHER_ACCOUNT), READ))
    house.put(PUBLIC_ACCESS_BLOCK, json.dumps(PublicAccessBlock(ignore_public_acls=True)).encode())
    assert house.who_may("s3:ListBucket", None) == (OWNER, OTHER)


def test_where_acls_are_off_they_give_nothing(house: House) -> None:
    house.acls((ALL_USERS, FULL), ownership=Ownership.ENFORCED)
    version = house.object(OTHER_ACCOUNT, (ALL_USERS, FULL))
    assert house.who_may("s3:ListBucket", None) == (OWNER,)
    assert house.who_may("s3:GetObject", version=version) == (OWNER,)


def test_an_object_is_its_owner_s(house: House) -> None:
    house.acls()
    house.policy(statement(Action="s3:Get*"))
    theirs = house.object(OTHER_ACCOUNT)
    # the bucket's policy cannot give what is not the bucket owner's ...
    assert house.who_may("s3:GetObject", version=theirs) == (OTHER,)
    assert house.who_may("s3:PutObjectAcl", version=theirs) == (OTHER,)
    # ... but its owner may do away with it, and what is not the ACL's to say is the policy's
    assert house.who_may("s3:DeleteObject", version=theirs) == (OWNER,)
    assert house.may(ANONYMOUS, "s3:GetObjectTagging", version=theirs)
    house.policy(statement(Effect="Deny", Action="s3:GetObject"))
    assert house.who_may("s3:GetObject", version=theirs) == ()


def test_grants_on_an_object(house: House) -> None:
    house.acls()
    own = house.object(ACCOUNT, (ALL_USERS, READ), (canonical(OTHER_ACCOUNT), Permission.WRITE_ACP))
    assert house.who_may("s3:GetObject", version=own) == (OWNER, OTHER, USER, ANONYMOUS)
    assert house.who_may("s3:GetObjectAcl", version=own) == (OWNER,)
    assert house.who_may("s3:PutObjectAcl", version=own) == (OWNER, OTHER)
    # an owner who took every grant back may still repair the list
    theirs = house.object(OTHER_ACCOUNT, (canonical(ACCOUNT), READ))
    assert house.who_may("s3:GetObject", version=theirs) == (OWNER,)
    assert house.who_may("s3:PutObjectAcl", version=theirs) == (OTHER,)


def test_what_nobody_owns_is_only_what_was_granted_to_all(house: House) -> None:
    house.acls((ALL_USERS, WRITE))
    assert house.who_may("s3:GetObject", version=house.object("")) == ()
    assert house.who_may("s3:GetObject", version=house.object("", (ALL_USERS, READ))) == (OWNER, OTHER, ANONYMOUS)
    assert house.who_may("s3:DeleteObject", version=house.object("")) == (OWNER,)


def test_a_grant_to_write_deletes_what_is_the_grantee_s(house: House) -> None:
    house.acls((canonical(OTHER_ACCOUNT), WRITE))
    assert house.who_may("s3:DeleteObject", version=house.object(ACCOUNT)) == (OWNER,)
    assert house.who_may("s3:DeleteObject", version=house.object(OTHER_ACCOUNT)) == (OWNER, OTHER)
    assert house.who_may("s3:DeleteObject", missing=NoSuchKey()) == (OWNER, OTHER)
    assert house.who_may("s3:DeleteObjectVersion", version=house.object(OTHER_ACCOUNT)) == (OWNER,)


# -- public access, and who pays -------------------------------------------------------------------------------------------


def test_a_public_policy_may_be_restricted_to_the_account(house: House) -> None:
    house.policy(statement(), statement(Principal={"AWS": OTHER_ACCOUNT}))
    house.put(PUBLIC_ACCESS_BLOCK, json.dumps(PublicAccessBlock(restrict_public_buckets=True)).encode())
    assert house.who_may("s3:GetObject") == (OWNER, USER)
    assert house.access.rules(house.bucket).is_public
    house.policy(statement(Principal={"AWS": OTHER_ACCOUNT}))
    assert house.who_may("s3:GetObject") == (OWNER, OTHER)


def test_requesters_from_outside_pay_or_are_denied(house: House) -> None:
    house.policy(statement())
    house.put(REQUEST_PAYMENT, b"Requester")
    assert house.who_may("s3:GetObject") == (OWNER, USER)
    assert house.who_may("s3:GetObject", pays=True) == (OWNER, OTHER, USER)


# -- what is missing ---------------------------------------------------------------------------------------------------------


def test_who_may_not_list_does_not_learn_what_is_missing(house: House) -> None:
    house.policy(
        statement(Principal={"AWS": OTHER_ACCOUNT}, Action="s3:ListBucket", Resource="arn:aws:s3:::photos",
                  Condition={"StringLike": {"s3:prefix": "public/*"}})
    )  # fmt: skip
    for action in READ_ACTIONS:
        for key, expected in (("public/k", NoSuchKey), ("k", AccessDenied)):
            with pytest.raises(expected):
                house.access.check(OTHER, action, house.bucket, key, context=Known(missing=NoSuchKey(key=key)))
    # what is there, is denied
    with pytest.raises(AccessDenied):
        house.access.check(
            OTHER, "s3:GetObject", house.bucket, "public/k", context=Known(version=house.object(ACCOUNT))
        )
    # writes learn nothing either way
    with pytest.raises(AccessDenied):
        house.access.check(OTHER, "s3:PutObject", house.bucket, "public/k", context=Known(missing=NoSuchKey()))


def test_what_is_denied_expressly_is_not_missing(house: House) -> None:
    house.policy(
        statement(Action="s3:ListBucket", Resource="arn:aws:s3:::photos"),
        statement(Effect="Deny", Action="s3:GetObject"),
    )
    with pytest.raises(AccessDenied):
        house.access.check(OTHER, "s3:GetObject", house.bucket, "k", context=Known(missing=NoSuchKey()))


# -- what is about to be written, uploads, accounts ----------------------------------------------------------------------------


def test_a_writer_grants_on_what_will_be_its_own(house: House) -> None:
    house.policy(statement(Action="s3:PutObject"))
    ask = {"bucket": house.bucket, "key": "k", "context": Known()}
    for principal in (OWNER, OTHER, ANONYMOUS):
        house.access.check_own_object(principal, "s3:PutObjectAcl", **ask)
    for principal in (USER, THEIR_USER):  # their own policies say nothing of it
        with pytest.raises(AccessDenied):
            house.access.check_own_object(principal, "s3:PutObjectAcl", **ask)
    house.policy(statement(Action="s3:PutObject"), statement(Effect="Deny", Action="s3:PutObjectAcl"))
    with pytest.raises(AccessDenied):
        house.access.check_own_object(OTHER, "s3:PutObjectAcl", house.bucket, "k", context=Known())


def test_tags_of_what_is_written_must_be_allowed_by_the_bucket(house: House) -> None:
    house.policy(statement(Action="s3:PutObject"))
    with pytest.raises(AccessDenied):
        house.access.check_own_object(
            OTHER, "s3:PutObjectTagging", house.bucket, "k", context=Known(), must_be_given=True
        )
    house.acls((canonical(OTHER_ACCOUNT), WRITE))
    house.access.check_own_object(OTHER, "s3:PutObjectTagging", house.bucket, "k", context=Known(), must_be_given=True)


def test_who_began_an_upload_may_give_it_up(house: House) -> None:
    assert not house.may(OTHER, "s3:AbortMultipartUpload", initiator=USER.arn)
    assert house.may(OTHER, "s3:AbortMultipartUpload", initiator=OTHER.arn)
    assert house.may(OTHER, "s3:ListMultipartUploadParts", initiator=OTHER.arn)
    assert not house.may(OTHER, "s3:PutObject", initiator=OTHER.arn)
    assert not house.may(ANONYMOUS, "s3:AbortMultipartUpload", initiator="")


def test_what_an_account_does_with_itself_is_its_identities_policies_to_allow(house: House) -> None:
    create = identity_policy(statement(Action="s3:CreateBucket", Resource="arn:aws:s3:::new-*"))
    house.attached.by_arn[USER.arn] = PrincipalPolicies((create,))
    check = house.access.check_account
    check(OWNER, "s3:CreateBucket", "arn:aws:s3:::any", context=Known())
    check(USER, "s3:CreateBucket", "arn:aws:s3:::new-1", context=Known())
    for principal, arn in (
        (USER, "arn:aws:s3:::old"),
        (THEIR_USER, "arn:aws:s3:::new-1"),
        (ANONYMOUS, "arn:aws:s3:::new-1"),
    ):
        with pytest.raises(AccessDenied):
            check(principal, "s3:CreateBucket", arn, context=Known())
