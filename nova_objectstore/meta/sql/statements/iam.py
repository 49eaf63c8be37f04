"""Statements of users, groups, roles, their keys, and OpenID Connect providers."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of

ENTITY = (
    "account_id", "kind", "name", "path", "id", "created_us", "boundary", "tags", "trust", "description", "max_session_s",
)  # fmt: skip
CHANGING = ("folded", "name", "path", "boundary", "tags", "trust", "description", "max_session_s")
PROVIDER = ("account_id", "url", "client_ids", "thumbprints", "created_us", "tags")


def _entity() -> list[Core]:
    return [t.iam_entities.c[name] for name in ENTITY]


def _under(column: Core, path: Param) -> Core:
    return sa.func.substr(column, 1, sa.func.length(path)) == path


# -- users, groups, roles ----------------------------------------------------------------------------------------------


@statement_of((*ENTITY, "folded"))
def insert_entity(values: dict[str, Param]) -> Core:
    return sa.insert(t.iam_entities).values(**values)


@statement
def find_entity(account_id: Param, kind: Param, folded: Param) -> Core:
    entities = t.iam_entities.c
    return sa.select(*_entity()).where(
        entities.account_id == account_id, entities.kind == kind, entities.folded == folded
    )


@statement
def list_entities(account_id: Param, kind: Param, path: Param, after: Param, limit: Param) -> Core:
    entities = t.iam_entities.c
    return (
        sa.select(*_entity())
        .where(
            entities.account_id == account_id,
            entities.kind == kind,
            entities.folded > after,
            _under(entities.path, path),
        )
        .order_by(entities.folded)
        .limit(limit)
    )


@statement
def count_entities(account_id: Param, kind: Param) -> Core:
    entities = t.iam_entities.c
    return sa.select(sa.func.count()).where(entities.account_id == account_id, entities.kind == kind)


@statement_of((*CHANGING, "id"))
def update_entity_row(values: dict[str, Param]) -> Core:
    changes = {name: values[name] for name in CHANGING}
    return sa.update(t.iam_entities).where(t.iam_entities.c.id == values["id"]).values(**changes)


@statement
def delete_entity(entity_id: Param) -> Core:
    return sa.delete(t.iam_entities).where(t.iam_entities.c.id == entity_id)


@statement
def list_entity_ids_of(account_id: Param) -> Core:
    return sa.select(t.iam_entities.c.id).where(t.iam_entities.c.account_id == account_id)


# -- membership --------------------------------------------------------------------------------------------------------


@statement
def insert_member(group_id: Param, user_id: Param) -> Core:
    return sa.insert(t.iam_members).values(group_id=group_id, user_id=user_id)


@statement
def find_member(group_id: Param, user_id: Param) -> Core:
    members = t.iam_members.c
    return sa.select(members.user_id).where(members.group_id == group_id, members.user_id == user_id)


@statement
def delete_member(group_id: Param, user_id: Param) -> Core:
    members = t.iam_members.c
    return sa.delete(t.iam_members).where(members.group_id == group_id, members.user_id == user_id)


@statement
def delete_members_with(entity_id: Param) -> Core:
    members = t.iam_members.c
    return sa.delete(t.iam_members).where(sa.or_(members.group_id == entity_id, members.user_id == entity_id))


@statement
def list_members(group_id: Param) -> Core:
    entities, members = t.iam_entities.c, t.iam_members.c
    return sa.select(*_entity()).where(members.group_id == group_id, members.user_id == entities.id)


@statement
def list_groups_of(user_id: Param) -> Core:
    entities, members = t.iam_entities.c, t.iam_members.c
    return sa.select(*_entity()).where(members.user_id == user_id, members.group_id == entities.id)


# -- keys --------------------------------------------------------------------------------------------------------------


@statement
def list_user_keys(account_id: Param, user_name: Param) -> Core:
    keys = t.access_keys
    return (
        sa.select(keys)
        .where(keys.c.account_id == account_id, keys.c.user_name == user_name)
        .order_by(keys.c.created_us, keys.c.access_key)
    )


@statement
def list_root_keys(account_id: Param) -> Core:
    keys = t.access_keys
    return (
        sa.select(keys)
        .where(keys.c.account_id == account_id, keys.c.user_name.is_(None))
        .order_by(keys.c.created_us, keys.c.access_key)
    )


@statement
def rename_keys_of(name: Param, account_id: Param, user_name: Param) -> Core:
    keys = t.access_keys
    return sa.update(keys).where(keys.c.account_id == account_id, keys.c.user_name == user_name).values(user_name=name)


@statement
def find_key_use(access_key: Param) -> Core:
    return sa.select(t.access_key_uses).where(t.access_key_uses.c.access_key == access_key)


@statement
def insert_key_use(access_key: Param, used_us: Param, service: Param, region: Param) -> Core:
    return sa.insert(t.access_key_uses).values(access_key=access_key, used_us=used_us, service=service, region=region)


@statement
def update_key_use(access_key: Param, used_us: Param, service: Param, region: Param) -> Core:
    uses = t.access_key_uses
    return (
        sa.update(uses).where(uses.c.access_key == access_key).values(used_us=used_us, service=service, region=region)
    )


@statement
def delete_key_use(access_key: Param) -> Core:
    return sa.delete(t.access_key_uses).where(t.access_key_uses.c.access_key == access_key)


@statement
def delete_key_uses_of(account_id: Param) -> Core:
    keys = t.access_keys.c
    owned = sa.select(keys.access_key).where(keys.account_id == account_id)
    return sa.delete(t.access_key_uses).where(t.access_key_uses.c.access_key.in_(owned))


# -- OpenID Connect providers ------------------------------------------------------------------------------------------


def _provider() -> list[Core]:
    return [t.iam_providers.c[name] for name in PROVIDER]


@statement_of((*PROVIDER, "host"))
def insert_provider(values: dict[str, Param]) -> Core:
    return sa.insert(t.iam_providers).values(**values)


@statement
def find_provider(account_id: Param, host: Param) -> Core:
    providers = t.iam_providers.c
    return sa.select(*_provider()).where(providers.account_id == account_id, providers.host == host)


@statement
def list_providers(account_id: Param) -> Core:
    providers = t.iam_providers.c
    return sa.select(*_provider()).where(providers.account_id == account_id).order_by(providers.host)


@statement
def update_provider_row(client_ids: Param, thumbprints: Param, tags: Param, account_id: Param, host: Param) -> Core:
    providers = t.iam_providers
    return (
        sa.update(providers)
        .where(providers.c.account_id == account_id, providers.c.host == host)
        .values(client_ids=client_ids, thumbprints=thumbprints, tags=tags)
    )


@statement
def delete_provider(account_id: Param, host: Param) -> Core:
    providers = t.iam_providers.c
    return sa.delete(t.iam_providers).where(providers.account_id == account_id, providers.host == host)


@statement
def delete_providers_of(account_id: Param) -> Core:
    return sa.delete(t.iam_providers).where(t.iam_providers.c.account_id == account_id)


@statement
def delete_entities_of(account_id: Param) -> Core:
    return sa.delete(t.iam_entities).where(t.iam_entities.c.account_id == account_id)
