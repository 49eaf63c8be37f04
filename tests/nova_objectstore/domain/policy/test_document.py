"""What is a policy and what is none, with AWS's reasons."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.policies import BUCKET, document, statement

from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.domain.policy.vocabulary import ACTIONS, is_action, is_condition_key
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.limits import POLICY_BODY_MAX
from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED
from nova_objectstore.s3.policy_context import _KEYS, _TAGS

VECTORS = Path(__file__).parents[4] / "tests/vectors"
MALFORMED = json.loads((VECTORS / "policy/malformed.json").read_text())


def text_of(row: dict[str, Any]) -> str:
    if "text" in row:
        return str(row["text"])
    return json.dumps(row["policy"]) if "policy" in row else document(statement(**row["statement"]))


@pytest.mark.parametrize("row", MALFORMED, ids=[row["why"] for row in MALFORMED])
def test_what_is_no_policy_is_refused_with_aws_s_reason(row: dict[str, Any]) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse_policy(text_of(row), Kind.BUCKET, bucket=BUCKET)
    assert refused.value.message == row["message"]


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"Sid": "anything goes, of a bucket's"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:root", "arn:aws:iam::1:user/a/b"]}},
        {"Principal": {"AWS": "arn:aws:iam::111122223333:role/path/auditor"}},
        {"Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/auditor/night"}},
        {"Principal": {"CanonicalUser": "f" * 64}},
        {"Principal": {"Service": "logging.s3.amazonaws.com", "Federated": "cognito-identity.amazonaws.com"}},
        {"Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}},
        {"Action": "*"},
        {"Action": ["s3:getobject", "S3:Put*", "s3:ListBucket?ersions"]},
        {"NotAction": "s3:DeleteBucket"},
        {"Resource": "*"},
        {"Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:s3:::ph?tos/x*"]},
        {"Resource": "arn:aws:s3:::photos/${aws:username}/*"},
        {"Resource": "arn:aws:s3:::${aws:PrincipalTag/bucket, 'x'}/*"},
        {"NotResource": "arn:aws:s3:::videos/*"},
        {"Condition": {}},
        {"Condition": {"StringLike": {"s3:prefix": ["", "home/*"]}, "Null": {"s3:if-none-match": False}}},
    ],
)
def test_a_policy_of_a_bucket(elements: dict[str, Any]) -> None:
    parse_policy(document(statement(**elements), Id="any"), Kind.BUCKET, bucket=BUCKET)


def test_one_statement_needs_no_list() -> None:
    policy = parse_policy(json.dumps({"Statement": statement()}), Kind.BUCKET, bucket=BUCKET)
    assert (policy.version, len(policy.statements)) == ("2008-10-17", 1)


def test_a_policy_of_an_identity_names_no_principals_and_any_service() -> None:
    own = {
        "Effect": "Allow",
        "Action": ["iam:*", "s3:GetObject"],
        "Resource": ["*", "arn:aws:s3:::videos/*"],
        "Sid": "A1",
    }
    parse_policy(document(own), Kind.IDENTITY)
    for wrong in (statement(), {**own, "Sid": "a b"}, {**own, "Resource": "videos"}, {**own, "Action": "iam"}):
        with pytest.raises(MalformedPolicy):
            parse_policy(document(wrong), Kind.IDENTITY)
    with pytest.raises(MalformedPolicy, match="unique"):
        parse_policy(document(own, own), Kind.IDENTITY)


def test_a_trust_policy_names_principals_and_no_resources() -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}
    assert parse_policy(document(trust), Kind.TRUST).statements[0].resources is None
    with pytest.raises(MalformedPolicy):
        parse_policy(document({**trust, "Resource": "*"}), Kind.TRUST)


def test_a_policy_has_at_most_20_kib() -> None:
    text = document(statement(Sid="x"))
    fits = text.replace('"x"', '"' + "x" * (POLICY_BODY_MAX - len(text) + 1) + '"')
    assert len(fits) == POLICY_BODY_MAX
    parse_policy(fits, Kind.BUCKET, bucket=BUCKET)
    with pytest.raises(MalformedPolicy, match="size"):
        parse_policy(fits.replace('"xx', '"xxx'), Kind.BUCKET, bucket=BUCKET)


def test_a_document_nested_without_end_is_refused() -> None:
    with pytest.raises(MalformedPolicy):
        parse_policy('{"Statement":' + "[" * 9000 + "]" * 9000 + "}", Kind.BUCKET, bucket=BUCKET)


def test_every_action_that_is_asked_for_may_stand_in_a_policy() -> None:
    rows = [made for controller in CONTROLLERS for made, _ in controller.rows()] + list(NOT_OFFERED)
    asked = {action for made in rows for action in (made.action, made.version_action) if action.startswith("s3:")}
    lines = (VECTORS / "iam/s3_actions.txt").read_text().splitlines()
    asked |= {f"s3:{line}" for line in lines if not line.startswith("#")}
    assert asked <= ACTIONS
    assert is_action("S3:GETOBJECT")
    assert not is_action("s3:GetObjec")


def test_every_condition_key_that_is_answered_may_stand_in_a_policy() -> None:
    assert all(is_condition_key(key) for key in _KEYS)
    assert all(is_condition_key(f"{key}/x") for key in _TAGS)
