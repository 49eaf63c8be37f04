"""Statements of accounts, access keys and the epoch."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement


@statement
def read_epoch() -> Core:
    return sa.select(t.epoch.c.value)


@statement
def grow_epoch() -> Core:
    return sa.update(t.epoch).values(value=t.epoch.c.value + 1)


@statement
def insert_account(id: Param, canonical_id: Param, name: Param, email: Param, created_us: Param) -> Core:
    return sa.insert(t.accounts).values(id=id, canonical_id=canonical_id, name=name, email=email, created_us=created_us)


@statement
def find_account(account_id: Param) -> Core:
    return sa.select(t.accounts).where(t.accounts.c.id == account_id)


@statement
def find_account_by_name(name: Param) -> Core:
    return sa.select(t.accounts).where(t.accounts.c.name == name)


@statement
def find_account_by_canonical_id(canonical_id: Param) -> Core:
    return sa.select(t.accounts).where(t.accounts.c.canonical_id == canonical_id)


@statement
def list_accounts() -> Core:
    return sa.select(t.accounts).order_by(t.accounts.c.name)


@statement
def delete_account(account_id: Param) -> Core:
    return sa.delete(t.accounts).where(t.accounts.c.id == account_id)


@statement
def insert_access_key(
    access_key: Param, secret_key: Param, account_id: Param, user_name: Param, active: Param, created_us: Param
) -> Core:
    return sa.insert(t.access_keys).values(
        access_key=access_key,
        secret_key=secret_key,
        account_id=account_id,
        user_name=user_name,
        active=active,
        created_us=created_us,
    )


@statement
def find_access_key(access_key: Param) -> Core:
    return sa.select(t.access_keys).where(t.access_keys.c.access_key == access_key)


@statement
def list_access_keys(account_id: Param) -> Core:
    keys = t.access_keys
    return sa.select(keys).where(keys.c.account_id == account_id).order_by(keys.c.created_us, keys.c.access_key)


@statement
def set_access_key_active(access_key: Param, active: Param) -> Core:
    return sa.update(t.access_keys).where(t.access_keys.c.access_key == access_key).values(active=active)


@statement
def delete_access_key(access_key: Param) -> Core:
    return sa.delete(t.access_keys).where(t.access_keys.c.access_key == access_key)


@statement
def delete_access_keys_of(account_id: Param) -> Core:
    return sa.delete(t.access_keys).where(t.access_keys.c.account_id == account_id)
