"""Inline and managed policies, and what is attached to whom: verbs of ``iam.ports.IamStore``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nova_objectstore.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from nova_objectstore.iam.limits import ATTACHED_MAX, INLINE_CHARS_MAX, POLICIES_MAX, VERSIONS_MAX
from nova_objectstore.iam.ports import (
    AWS_POLICY_PREFIX,
    Entity,
    EntityKind,
    EntityPolicies,
    ManagedPolicy,
    PolicyText,
    PolicyUse,
    PolicyVersion,
    TagChange,
)
from nova_objectstore.meta.sql.iam import change_tags, check_account, check_policy, decode_entity, find, fold
from nova_objectstore.meta.sql.rows import Row, decode_mapping, encode_mapping
from nova_objectstore.meta.sql.statements import iam_policies as q
from nova_objectstore.meta.sql.statements.accounts import grow_epoch
from nova_objectstore.meta.sql.statements.iam import list_groups_of
from nova_objectstore.meta.sql.transaction import Transaction

ALL = 1_000_000  # of what quotas bound far below

# -- rows --------------------------------------------------------------------------------------------------------------


def decode_policy(row: Row) -> ManagedPolicy:
    """A row of ``iam_policies`` as every statement selects it."""
    values: dict[str, Any] = dict(zip(q.POLICY, row, strict=True))
    del values["last_number"]
    values["tags"] = decode_mapping(values["tags"])
    return ManagedPolicy(**values)


def _find_row(tx: Transaction, account_id: str, arn: str) -> tuple[ManagedPolicy, int]:
    """A policy, and the number of the newest version that it ever had. Raises NoSuchEntity."""
    row = tx.one(q.find_policy, account_id, fold(arn.rpartition("/")[2]))
    policy = decode_policy(row) if row is not None else None
    if row is None or policy is None or policy.arn != arn:
        raise NoSuchEntity(kind="policy", name=arn)
    return policy, row[-1]


# -- inline ------------------------------------------------------------------------------------------------------------


def put_inline_policy(
    tx: Transaction, account_id: str, kind: EntityKind, name: str, policy: str, document: str
) -> None:
    """Add or replace an inline policy."""
    entity = find(tx, account_id, kind, name)
    others = [text for other, text in tx.all(q.list_inline_policies, entity.id, "", ALL) if other != policy]
    limit = INLINE_CHARS_MAX[kind]
    if sum(_counted(text) for text in (*others, document)) > limit:
        raise LimitExceeded(
            f"Maximum policy size of {limit} bytes exceeded for {kind} {entity.name}",
            quota="InlinePolicySize",
            limit=limit,
        )
    tx.run(q.delete_inline_policy, entity.id, policy)
    tx.run(q.insert_inline_policy, entity.id, policy, document)
    tx.run(grow_epoch)


def _counted(document: str) -> int:
    """Its length as quotas have it: without white space."""
    return len("".join(document.split()))


def find_inline_policy(tx: Transaction, account_id: str, kind: EntityKind, name: str, policy: str) -> str:
    """An inline policy's document."""
    entity = find(tx, account_id, kind, name)
    row = tx.one(q.find_inline_policy, entity.id, policy)
    if row is None:
        raise NoSuchEntity(kind=f"{kind} policy", name=policy)
    return str(row[0])


def list_inline_policies(
    tx: Transaction, account_id: str, kind: EntityKind, name: str, *, after: str = "", limit: int = 1000
) -> Sequence[str]:
    """The names of inline policies."""
    entity = find(tx, account_id, kind, name)
    return [row[0] for row in tx.all(q.list_inline_policies, entity.id, after, limit)]


def delete_inline_policy(tx: Transaction, account_id: str, kind: EntityKind, name: str, policy: str) -> None:
    """Remove an inline policy."""
    find_inline_policy(tx, account_id, kind, name, policy)
    tx.run(q.delete_inline_policy, find(tx, account_id, kind, name).id, policy)
    tx.run(grow_epoch)


# -- managed -----------------------------------------------------------------------------------------------------------


def create_policy(tx: Transaction, policy: ManagedPolicy, document: str) -> None:
    """Add a managed policy with its first version."""
    check_account(tx, policy.account_id)
    if tx.one(q.find_policy, policy.account_id, fold(policy.name)) is not None:
        raise EntityAlreadyExists(kind="policy", name=policy.name)
    count = tx.one(q.count_policies, policy.account_id)
    if count is not None and count[0] >= POLICIES_MAX:
        raise LimitExceeded(quota="PoliciesPerAccount", limit=POLICIES_MAX)
    values = policy._asdict()
    values["tags"] = encode_mapping(policy.tags)
    values["last_number"] = policy.default_number
    tx.run(q.insert_policy, *(values[name] for name in q.POLICY), fold(policy.name))
    tx.run(q.insert_policy_version, policy.id, policy.default_number, document, policy.created_us)
    tx.run(grow_epoch)


def find_policy(tx: Transaction, account_id: str, arn: str) -> ManagedPolicy:
    """The account's policy of that ARN."""
    return _find_row(tx, account_id, arn)[0]


def list_policies(
    tx: Transaction, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int = 1000
) -> Sequence[ManagedPolicy]:
    """An account's own managed policies by name."""
    return [decode_policy(row) for row in tx.all(q.list_policies, account_id, path_prefix, fold(after), limit)]


def tag_policy(tx: Transaction, account_id: str, arn: str, tags: TagChange) -> None:
    """Change a policy's tags."""
    policy = find_policy(tx, account_id, arn)
    tx.run(q.set_policy_tags, encode_mapping(change_tags(policy.tags, tags)), account_id, fold(policy.name))
    tx.run(grow_epoch)


def delete_policy(tx: Transaction, account_id: str, arn: str) -> None:
    """Remove a policy that nobody has."""
    policy = find_policy(tx, account_id, arn)
    if tx.all(q.list_attached_entities, account_id, arn) or tx.all(q.list_bounded_entities, account_id, arn):
        raise DeleteConflict(reason="a policy attached to entities.")
    if len(tx.all(q.list_policy_versions, policy.id)) > 1:
        raise DeleteConflict(reason="a policy with more than one version.")
    tx.run(q.delete_policy_versions, policy.id)
    tx.run(q.delete_policy, account_id, fold(policy.name))
    tx.run(grow_epoch)


# -- versions ----------------------------------------------------------------------------------------------------------


def create_policy_version(
    tx: Transaction, account_id: str, arn: str, document: str, *, is_default: bool, now_us: int
) -> PolicyVersion:
    """Add a version to a policy."""
    policy, last = _find_row(tx, account_id, arn)
    if len(tx.all(q.list_policy_versions, policy.id)) >= VERSIONS_MAX:
        raise LimitExceeded(
            f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you must delete an "
            "existing version.",
            quota="VersionsPerPolicy",
            limit=VERSIONS_MAX,
        )
    number = last + 1
    tx.run(q.insert_policy_version, policy.id, number, document, now_us)
    default = number if is_default else policy.default_number
    tx.run(q.update_policy_row, default, number, now_us, account_id, fold(policy.name))
    tx.run(grow_epoch)
    return PolicyVersion(number, document, now_us)


def list_policy_versions(tx: Transaction, account_id: str, arn: str) -> Sequence[PolicyVersion]:
    """All versions, newest first."""
    policy = find_policy(tx, account_id, arn)
    return [PolicyVersion(*row) for row in tx.all(q.list_policy_versions, policy.id)]


def _check_version(tx: Transaction, policy: ManagedPolicy, number: int) -> None:
    if tx.one(q.find_policy_version, policy.id, number) is None:
        raise NoSuchEntity(kind="policy version", name=f"{policy.arn} v{number}")


def set_default_version(tx: Transaction, account_id: str, arn: str, number: int, *, now_us: int) -> None:
    """Make another version the one that counts."""
    policy, last = _find_row(tx, account_id, arn)
    _check_version(tx, policy, number)
    tx.run(q.update_policy_row, number, last, now_us, account_id, fold(policy.name))
    tx.run(grow_epoch)


def delete_policy_version(tx: Transaction, account_id: str, arn: str, number: int) -> None:
    """Remove a version."""
    policy = find_policy(tx, account_id, arn)
    _check_version(tx, policy, number)
    if number == policy.default_number:
        raise DeleteConflict(reason="the default version of a policy.")
    tx.run(q.delete_policy_version, policy.id, number)
    tx.run(grow_epoch)


# -- attachments -------------------------------------------------------------------------------------------------------


def attach_policy(tx: Transaction, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
    """Attach a managed policy."""
    entity = find(tx, account_id, kind, name)
    check_policy(tx, account_id, arn)
    if tx.one(q.find_attachment, entity.id, arn) is not None:
        return
    if len(tx.all(q.list_attachments, entity.id, "", ATTACHED_MAX)) >= ATTACHED_MAX:
        raise LimitExceeded(quota=f"AttachedPoliciesPer{kind.capitalize()}", limit=ATTACHED_MAX)
    tx.run(q.insert_attachment, entity.id, arn)
    tx.run(grow_epoch)


def detach_policy(tx: Transaction, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
    """Detach a managed policy."""
    entity = find(tx, account_id, kind, name)
    if tx.one(q.find_attachment, entity.id, arn) is None:
        raise NoSuchEntity(f"Policy {arn} was not found.", kind="policy", name=arn)
    tx.run(q.delete_attachment, entity.id, arn)
    tx.run(grow_epoch)


def list_attached_policies(
    tx: Transaction, account_id: str, kind: EntityKind, name: str, *, after: str = "", limit: int = 1000
) -> Sequence[str]:
    """The ARNs of what is attached."""
    entity = find(tx, account_id, kind, name)
    return [arn for (arn,) in tx.all(q.list_attachments, entity.id, after, limit)]


def list_policy_entities(tx: Transaction, account_id: str, arn: str, *, boundary: bool = False) -> Sequence[Entity]:
    """Who has the policy attached, or as a boundary."""
    statement = q.list_bounded_entities if boundary else q.list_attached_entities
    entities = (decode_entity(row) for row in tx.all(statement, account_id, arn))
    return sorted(entities, key=lambda entity: (entity.kind, fold(entity.name)))


def count_policy_uses(tx: Transaction, account_id: str) -> Mapping[str, PolicyUse]:
    """By the ARN of each managed policy that an account uses: by how many."""
    attached = Counter(arn for (arn,) in tx.all(q.list_attachments_in, account_id))
    bounding = Counter(arn for (arn,) in tx.all(q.list_boundaries_in, account_id))
    return {arn: PolicyUse(attached[arn], bounding[arn]) for arn in sorted({*attached, *bounding})}


# -- deciding ----------------------------------------------------------------------------------------------------------


def policies_of(tx: Transaction, account_id: str, user: str) -> EntityPolicies:
    """All policies of a user, its groups' too."""
    entity = find(tx, account_id, EntityKind.USER, user)
    groups = [decode_entity(row) for row in tx.all(list_groups_of, entity.id)]
    return _policies(tx, entity, [entity, *groups])


def policies_of_role(tx: Transaction, account_id: str, role: str) -> EntityPolicies:
    """All policies of a role."""
    entity = find(tx, account_id, EntityKind.ROLE, role)
    return _policies(tx, entity, [entity])


def _policies(tx: Transaction, entity: Entity, holders: Sequence[Entity]) -> EntityPolicies:
    texts: list[PolicyText] = []
    for holder in holders:
        texts += [PolicyText(document) for _, document in tx.all(q.list_inline_policies, holder.id, "", ALL)]
        texts += [_managed(tx, entity.account_id, arn) for (arn,) in tx.all(q.list_attachments, holder.id, "", ALL)]
    boundary = _managed(tx, entity.account_id, entity.boundary) if entity.boundary else None
    return EntityPolicies(texts, boundary)


def _managed(tx: Transaction, account_id: str, arn: str) -> PolicyText:
    """What a managed policy says now."""
    if arn.startswith(AWS_POLICY_PREFIX):
        return PolicyText(arn=arn)
    policy = find_policy(tx, account_id, arn)
    row = tx.one(q.find_policy_version, policy.id, policy.default_number)
    assert row is not None, "the default version is there as long as its policy"
    return PolicyText(row[0], arn)
