"""Users, groups, roles and their keys, and all of an account: verbs of ``iam.ports.IamStore``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nova_objectstore.errors import AccessKeyExists, NoSuchAccount
from nova_objectstore.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from nova_objectstore.iam.limits import (
    GROUPS_MAX,
    GROUPS_PER_USER_MAX,
    ROLES_MAX,
    TAGS_MAX,
    USERS_MAX,
)
from nova_objectstore.iam.ports import (
    AWS_POLICY_PREFIX,
    AccountSummary,
    Entity,
    EntityChange,
    EntityKind,
    TagChange,
)
from nova_objectstore.meta.sql.rows import Row, decode_access_key, decode_mapping, encode_mapping
from nova_objectstore.meta.sql.statements import accounts, iam_policies
from nova_objectstore.meta.sql.statements import iam as q
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import AccessKey

_QUOTAS = {
    EntityKind.USER: ("UsersPerAccount", USERS_MAX),
    EntityKind.GROUP: ("GroupsPerAccount", GROUPS_MAX),
    EntityKind.ROLE: ("RolesPerAccount", ROLES_MAX),
}

# -- rows ------------------------------------------------------------------------------------------------------------


def fold(name: str) -> str:
    """A name as names are compared."""
    return name.lower()


def decode_entity(row: Row) -> Entity:
    """A row of ``iam_entities`` as every statement selects it."""
    values: dict[str, Any] = dict(zip(q.ENTITY, row, strict=True))
    values["kind"] = EntityKind(values["kind"])
    values["tags"] = decode_mapping(values["tags"])
    return Entity(**values)


def encode_entity(entity: Entity) -> dict[str, Any]:
    """The columns of a user, group or role."""
    values = entity._asdict()
    values["kind"] = str(entity.kind)
    values["tags"] = encode_mapping(entity.tags)
    values["folded"] = fold(entity.name)
    return values


def change_tags(old: Mapping[str, str], change: TagChange | None) -> Mapping[str, str]:
    """Tags after a change; a key that differs in case alone is the same. Raises LimitExceeded."""
    if change is None:
        return old
    gone = {key.lower() for key in (*change.added, *change.removed)}
    made = {**{key: value for key, value in old.items() if key.lower() not in gone}, **change.added}
    if len(made) > TAGS_MAX:
        raise LimitExceeded("The number of tags has reached the maximum limit.", quota="Tags", limit=TAGS_MAX)
    return made


def check_account(tx: Transaction, account_id: str) -> None:
    """Raise NoSuchAccount."""
    if tx.one(accounts.find_account, account_id) is None:
        raise NoSuchAccount(account_id=account_id)


def find(tx: Transaction, account_id: str, kind: EntityKind, name: str) -> Entity:
    """The one of that name. Raises NoSuchEntity."""
    row = tx.one(q.find_entity, account_id, str(kind), fold(name))
    if row is None:
        raise NoSuchEntity(kind=str(kind), name=name)
    return decode_entity(row)


def check_policy(tx: Transaction, account_id: str, arn: str) -> None:
    """Raise NoSuchEntity for a policy that is neither the account's nor AWS's."""
    if arn.startswith(AWS_POLICY_PREFIX):
        return
    row = tx.one(iam_policies.find_policy, account_id, fold(arn.rpartition("/")[2]))
    if row is None or arn != f"arn:aws:iam::{account_id}:policy{row[2]}{row[1]}":
        raise NoSuchEntity(kind="policy", name=arn)


def _count(tx: Transaction, account_id: str, kind: EntityKind) -> int:
    row = tx.one(q.count_entities, account_id, str(kind))
    assert row is not None, "a count has a row"
    return int(row[0])


# -- users, groups, roles ----------------------------------------------------------------------------------------------


def create_entity(tx: Transaction, entity: Entity) -> None:
    """Add a user, a group or a role."""
    check_account(tx, entity.account_id)
    if tx.one(q.find_entity, entity.account_id, str(entity.kind), fold(entity.name)) is not None:
        raise EntityAlreadyExists(kind=str(entity.kind), name=entity.name)
    quota, limit = _QUOTAS[entity.kind]
    if _count(tx, entity.account_id, entity.kind) >= limit:
        raise LimitExceeded(quota=quota, limit=limit)
    if entity.boundary:
        check_policy(tx, entity.account_id, entity.boundary)
    values = encode_entity(entity)
    tx.run(q.insert_entity, *(values[name] for name in (*q.ENTITY, "folded")))
    tx.run(accounts.grow_epoch)


def find_entity(tx: Transaction, account_id: str, kind: EntityKind, name: str) -> Entity:
    """The one of that name."""
    return find(tx, account_id, kind, name)


def list_entities(
    tx: Transaction,
    account_id: str,
    kind: EntityKind,
    *,
    path_prefix: str = "/",
    after: str = "",
    limit: int = 1000,
) -> Sequence[Entity]:
    """Those under a path, by name."""
    rows = tx.all(q.list_entities, account_id, str(kind), path_prefix, fold(after), limit)
    return [decode_entity(row) for row in rows]


def update_entity(tx: Transaction, account_id: str, kind: EntityKind, name: str, change: EntityChange) -> Entity:
    """Change a user, a group or a role."""
    entity = find(tx, account_id, kind, name)
    given = {field: value for field, value in change._asdict().items() if value is not None}
    changed = entity._replace(**{**given, "tags": change_tags(entity.tags, change.tags)})
    if fold(changed.name) != fold(entity.name):
        taken = tx.one(q.find_entity, account_id, str(kind), fold(changed.name))
        if taken is not None:
            raise EntityAlreadyExists(kind=str(kind), name=changed.name)
    if change.boundary:
        check_policy(tx, account_id, change.boundary)
    values = encode_entity(changed)
    tx.run(q.update_entity_row, *(values[field] for field in q.CHANGING), entity.id)
    if kind is EntityKind.USER and changed.name != entity.name:
        tx.run(q.rename_keys_of, changed.name, account_id, entity.name)
    tx.run(accounts.grow_epoch)
    return changed


def delete_entity(tx: Transaction, account_id: str, kind: EntityKind, name: str) -> None:
    """Remove a user, a group or a role that nothing belongs to."""
    entity = find(tx, account_id, kind, name)
    reason = _hindrance(tx, entity)
    if reason:
        raise DeleteConflict(reason=reason)
    tx.run(q.delete_entity, entity.id)
    tx.run(accounts.grow_epoch)


def _hindrance(tx: Transaction, entity: Entity) -> str:
    """What must be removed before, in AWS's words."""
    if tx.all(iam_policies.list_attachments, entity.id, "", 1):
        return "must detach all policies first."
    if tx.all(iam_policies.list_inline_policies, entity.id, "", 1):
        return "must delete policies first."
    if entity.kind is EntityKind.GROUP and tx.all(q.list_members, entity.id):
        return "must remove users from group first."
    if entity.kind is EntityKind.USER:
        if tx.all(q.list_user_keys, entity.account_id, entity.name):
            return "must delete access keys first."
        if tx.all(q.list_groups_of, entity.id):
            return "must remove users from group first."
    return ""


# -- membership --------------------------------------------------------------------------------------------------------


def add_member(tx: Transaction, account_id: str, group: str, user: str) -> None:
    """Put a user into a group."""
    group_id = find(tx, account_id, EntityKind.GROUP, group).id
    user_id = find(tx, account_id, EntityKind.USER, user).id
    if tx.one(q.find_member, group_id, user_id) is not None:
        return
    if len(tx.all(q.list_groups_of, user_id)) >= GROUPS_PER_USER_MAX:
        raise LimitExceeded(quota="GroupsPerUser", limit=GROUPS_PER_USER_MAX)
    tx.run(q.insert_member, group_id, user_id)
    tx.run(accounts.grow_epoch)


def remove_member(tx: Transaction, account_id: str, group: str, user: str) -> None:
    """Take a user out of a group."""
    group_id = find(tx, account_id, EntityKind.GROUP, group).id
    user_id = find(tx, account_id, EntityKind.USER, user).id
    if tx.one(q.find_member, group_id, user_id) is None:
        raise NoSuchEntity(kind="user", name=user)
    tx.run(q.delete_member, group_id, user_id)
    tx.run(accounts.grow_epoch)


def list_members(
    tx: Transaction, account_id: str, group: str, *, after: str = "", limit: int = 1000
) -> Sequence[Entity]:
    """A group's users, by name."""
    group_id = find(tx, account_id, EntityKind.GROUP, group).id
    return _page(tx.all(q.list_members, group_id), after, limit)


def list_groups_of(
    tx: Transaction, account_id: str, user: str, *, after: str = "", limit: int = 1000
) -> Sequence[Entity]:
    """A user's groups, by name."""
    user_id = find(tx, account_id, EntityKind.USER, user).id
    return _page(tx.all(q.list_groups_of, user_id), after, limit)


def _page(rows: Sequence[Row], after: str, limit: int) -> Sequence[Entity]:
    """Sorted here: quotas bound them, and the rows of a join come in the order of ids."""
    entities = sorted((decode_entity(row) for row in rows), key=lambda entity: fold(entity.name))
    return [entity for entity in entities if fold(entity.name) > fold(after)][:limit]


# -- keys --------------------------------------------------------------------------------------------------------------


def create_entity_key(tx: Transaction, key: AccessKey, *, keys_max: int) -> None:
    """Add a key pair to a user, or to the root."""
    check_account(tx, key.account_id)
    user = _user_name(tx, key.account_id, key.user_name)
    if len(_keys(tx, key.account_id, user)) >= keys_max:
        raise LimitExceeded(quota="AccessKeysPerUser", limit=keys_max)
    if tx.one(accounts.find_access_key, key.access_key) is not None:
        raise AccessKeyExists(access_key=key.access_key)
    tx.run(
        accounts.insert_access_key,
        key.access_key,
        key.secret_key,
        key.account_id,
        user,
        int(key.active),
        key.created_us,
    )
    tx.run(accounts.grow_epoch)


def list_entity_keys(tx: Transaction, account_id: str, user: str | None) -> Sequence[AccessKey]:
    """The key pairs of a user, or of the root, oldest first."""
    return _keys(tx, account_id, _user_name(tx, account_id, user))


def set_entity_key_active(tx: Transaction, account_id: str, user: str | None, access_key: str, active: bool) -> None:
    """Switch a key pair on or off."""
    _check_key(tx, account_id, user, access_key)
    tx.run(accounts.set_access_key_active, access_key, int(active))
    tx.run(accounts.grow_epoch)


def delete_entity_key(tx: Transaction, account_id: str, user: str | None, access_key: str) -> None:
    """Remove a key pair."""
    _check_key(tx, account_id, user, access_key)
    tx.run(q.delete_key_use, access_key)
    tx.run(accounts.delete_access_key, access_key)
    tx.run(accounts.grow_epoch)


def _user_name(tx: Transaction, account_id: str, user: str | None) -> str | None:
    """As the user's keys have it. Raises NoSuchEntity."""
    return None if user is None else find(tx, account_id, EntityKind.USER, user).name


def _keys(tx: Transaction, account_id: str, user: str | None) -> list[AccessKey]:
    rows = tx.all(q.list_root_keys, account_id) if user is None else tx.all(q.list_user_keys, account_id, user)
    return [decode_access_key(row) for row in rows]


def _check_key(tx: Transaction, account_id: str, user: str | None, access_key: str) -> None:
    keys = _keys(tx, account_id, _user_name(tx, account_id, user))
    if access_key not in [key.access_key for key in keys]:
        raise NoSuchEntity(kind="Access Key", name=access_key)


# -- a whole account ---------------------------------------------------------------------------------------------------


def count_account(tx: Transaction, account_id: str) -> AccountSummary:
    """How much of everything an account has."""
    policies = tx.one(iam_policies.count_policies, account_id)
    versions = tx.one(iam_policies.count_policy_versions_of, account_id)
    assert policies is not None
    assert versions is not None
    return AccountSummary(
        users=_count(tx, account_id, EntityKind.USER),
        groups=_count(tx, account_id, EntityKind.GROUP),
        roles=_count(tx, account_id, EntityKind.ROLE),
        policies=policies[0],
        providers=len(tx.all(q.list_providers, account_id)),
        versions=versions[0],
        root_keys=len(tx.all(q.list_root_keys, account_id)),
    )


def forget_account(tx: Transaction, account_id: str) -> None:
    """Remove all that an account has here: its last transaction does."""
    for (entity_id,) in tx.all(q.list_entity_ids_of, account_id):
        tx.run(q.delete_members_with, entity_id)
        tx.run(iam_policies.delete_inline_policies_of, entity_id)
        tx.run(iam_policies.delete_attachments_of, entity_id)
    tx.run(q.delete_entities_of, account_id)
    tx.run(iam_policies.delete_policy_versions_of, account_id)
    tx.run(iam_policies.delete_policies_of, account_id)
    tx.run(q.delete_providers_of, account_id)
    tx.run(q.delete_key_uses_of, account_id)
