"""Where access logs may go: what the target's policy must say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.metadata import OTHER, OWNER, Metadata, new_account, sqlite_metadata

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_logging import KeyFormat, LogTarget, Source, check_delivery
from nova_objectstore.domain.acl import Grant, Permission
from nova_objectstore.domain.bucket_rules import OWNERSHIP, POLICY, StoredPolicy
from nova_objectstore.errors import AccessDenied

SERVICE = {"Service": "logging.s3.amazonaws.com"}


@pytest.fixture
def meta(tmp_path):
    with sqlite_metadata(tmp_path, sync="never") as made:
        yield made


def allows(meta: Metadata, *statements: dict[str, Any], source_owner: str = OWNER) -> bool:
    """Whether a target with such a policy takes the logs of ``photos``."""
    owner = new_account(source_owner).canonical_id
    name = f"logs-{len(meta.rows('buckets'))}"
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}).replace("TARGET", f"arn:aws:s3:::{name}")
    documents = {OWNERSHIP: b"BucketOwnerEnforced"}
    if statements:
        documents[POLICY] = StoredPolicy(text).encode()
    target = meta.bucket(name, documents=documents)
    source = Source("photos", source_owner, (source_owner, owner))
    try:
        check_delivery(Access(meta.engine), target, source, prefix="logs/", key="logs/2026-N")
    except AccessDenied:
        return False
    return True


def statement(**facts: Any) -> dict[str, Any]:
    values = {"Effect": "Allow", "Principal": SERVICE, "Action": "s3:PutObject", "Resource": "TARGET/*"}
    return {**values, **facts}


@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        ({}, True),
        ({"Resource": "TARGET/logs/*"}, True),
        ({"Resource": "TARGET/logs/"}, True),
        ({"Resource": "TARGET/other/*"}, False),
        ({"Action": "s3:*"}, True),
        ({"Action": "s3:GetObject"}, False),
        ({"Principal": "*"}, False),
        ({"Principal": {"AWS": "*"}}, False),
        ({"Principal": {"AWS": OWNER}}, False),
        ({"Principal": {"Service": "logging.s3.amazonaws.com.cn"}}, False),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos"}}}, True),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::phot?s"}}}, True),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": OWNER}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": new_account().canonical_id}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": OTHER}}}, False),
        ({"Condition": {"StringNotEquals": {"aws:SourceAccount": OWNER}}}, False),
    ],
)
def test_the_policy_must_name_the_service(meta: Metadata, facts: dict[str, Any], allowed: bool) -> None:
    assert allows(meta, statement(**facts)) is allowed


def test_without_a_policy_nothing_is_taken(meta: Metadata) -> None:
    assert not allows(meta)


@pytest.mark.parametrize("principal", [SERVICE, "*"])
def test_a_denial_counts_however_it_is_worded(meta: Metadata, principal: Any) -> None:
    everything = statement(Resource="TARGET/*")
    assert not allows(meta, everything, statement(Effect="Deny", Principal=principal, Resource="TARGET/logs/2026*"))
    assert not allows(meta, everything, statement(Effect="Deny", Principal=principal, Action="s3:*"))
    assert allows(meta, everything, statement(Effect="Deny", Principal=principal, Resource="TARGET/other*"))


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        (None, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos"}}, True),
        ({"StringEquals": {"aws:SourceAccount": OTHER}}, True),
        ({"StringLike": {"aws:SourceAccount": "*"}}, True),
        ({"StringNotEquals": {"aws:SourceAccount": OWNER}}, False),
        ({"StringEqualsIfExists": {"aws:SourceAccount": OTHER}}, False),
    ],
)
def test_a_bucket_of_another_account_must_speak_of_the_source(meta: Metadata, condition: Any, allowed: bool) -> None:
    """What holds without a source does not speak of it."""
    facts = {"Condition": condition} if condition else {}
    assert allows(meta, statement(**facts), source_owner=OTHER) is allowed


def test_the_target_comes_back_as_it_was_stored() -> None:
    made = LogTarget("logs", "p/", KeyFormat.BY_EVENT_TIME, (Grant("c" * 64, Permission.READ),))
    assert LogTarget.decode(made.encode()) == made
    assert LogTarget.decode(LogTarget("logs", "").encode()).acl("o") is None
