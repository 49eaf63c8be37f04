"""Accounts and access keys: the verbs."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.errors import (
    AccessKeyExists,
    AccountExists,
    AccountNotEmpty,
    NoSuchAccessKey,
    NoSuchAccount,
)
from nova_objectstore.meta.sql.delivery import forget_owner
from nova_objectstore.meta.sql.iam import forget_account
from nova_objectstore.meta.sql.rows import Row, decode_access_key, decode_account
from nova_objectstore.meta.sql.statements import accounts as q
from nova_objectstore.meta.sql.statements.buckets import find_any_bucket_of
from nova_objectstore.meta.sql.statements.images import find_any_image_of
from nova_objectstore.meta.sql.statements.quotas import delete_account_quota
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import AccessKey, Account


def epoch(tx: Transaction) -> int:
    """The number that grows with every change of accounts, keys, buckets and documents."""
    row = tx.one(q.read_epoch)
    assert row is not None, "the schema begins with an epoch"
    return int(row[0])


def create_account(tx: Transaction, account: Account, root_key: AccessKey | None) -> None:
    """Add an account and its root key."""
    taken = (
        tx.one(q.find_account, account.id)
        or tx.one(q.find_account_by_name, account.name)
        or tx.one(q.find_account_by_canonical_id, account.canonical_id)
    )
    if taken is not None:
        raise AccountExists(account_id=taken[0], name=taken[2])
    if root_key is not None and tx.one(q.find_access_key, root_key.access_key) is not None:
        raise AccessKeyExists(access_key=root_key.access_key)
    tx.run(q.insert_account, *account)
    if root_key is not None:
        _insert_access_key(tx, root_key)
    tx.run(q.grow_epoch)


def find_account(tx: Transaction, account_id: str) -> Account:
    """The account of that id."""
    row = tx.one(q.find_account, account_id)
    if row is None:
        raise NoSuchAccount(account_id=account_id)
    return decode_account(row)


def find_account_by(tx: Transaction, *, name: str | None = None, canonical_id: str | None = None) -> Account:
    """The account of that name, or of that canonical id; exactly one of them is given."""
    assert (name is None) != (canonical_id is None)
    row: Row | None
    if name is not None:
        row = tx.one(q.find_account_by_name, name)
    else:
        row = tx.one(q.find_account_by_canonical_id, canonical_id)
    if row is None:
        raise NoSuchAccount(name=name) if name is not None else NoSuchAccount(canonical_id=canonical_id)
    return decode_account(row)


def list_accounts(tx: Transaction) -> Sequence[Account]:
    """All accounts by name."""
    return [decode_account(row) for row in tx.all(q.list_accounts)]


def delete_account(tx: Transaction, account_id: str) -> None:
    """Remove the account, its keys, and all that it has in IAM."""
    find_account(tx, account_id)
    if tx.one(find_any_bucket_of, account_id) is not None or tx.one(find_any_image_of, account_id) is not None:
        raise AccountNotEmpty(account_id=account_id)
    forget_account(tx, account_id)
    forget_owner(tx, account_id)
    tx.run(delete_account_quota, account_id)
    tx.run(q.delete_access_keys_of, account_id)
    tx.run(q.delete_account, account_id)
    tx.run(q.grow_epoch)


def create_access_key(tx: Transaction, key: AccessKey) -> None:
    """Add a key pair."""
    find_account(tx, key.account_id)
    if tx.one(q.find_access_key, key.access_key) is not None:
        raise AccessKeyExists(access_key=key.access_key)
    _insert_access_key(tx, key)
    tx.run(q.grow_epoch)


def find_access_key(tx: Transaction, access_key: str) -> AccessKey:
    """The key pair of that id."""
    row = tx.one(q.find_access_key, access_key)
    if row is None:
        raise NoSuchAccessKey(access_key=access_key)
    return decode_access_key(row)


def list_access_keys(tx: Transaction, account_id: str) -> Sequence[AccessKey]:
    """An account's key pairs, oldest first."""
    return [decode_access_key(row) for row in tx.all(q.list_access_keys, account_id)]


def set_access_key_active(tx: Transaction, access_key: str, active: bool) -> None:
    """Switch a key pair on or off."""
    find_access_key(tx, access_key)
    tx.run(q.set_access_key_active, access_key, int(active))
    tx.run(q.grow_epoch)


def delete_access_key(tx: Transaction, access_key: str) -> None:
    """Remove a key pair."""
    find_access_key(tx, access_key)
    tx.run(q.delete_access_key, access_key)
    tx.run(q.grow_epoch)


def _insert_access_key(tx: Transaction, key: AccessKey) -> None:
    tx.run(
        q.insert_access_key,
        key.access_key,
        key.secret_key,
        key.account_id,
        key.user_name,
        int(key.active),
        key.created_us,
    )
