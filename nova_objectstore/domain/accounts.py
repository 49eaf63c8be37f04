"""Accounts and their root key pairs: made, found, listed, removed.

An account is AWS's: a 12-digit id, a canonical id of 64 hex digits, a name, and key pairs that stand for its root.
Secrets are answered by the verbs that make them; whoever lists key pairs is told not to show theirs.
"""

from __future__ import annotations

import base64
import re
import secrets
import string
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from nova_objectstore.errors import AccountExists, InvalidArgument, InvalidRequest, NoSuchAccount
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import AccessKey, Account

ROOT_ACCOUNT_NAME = "root"  # the administrator's; made at the first start, never deleted

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_CANONICAL_ID = re.compile(r"[0-9a-f]{64}")
# IAM's characters for names and spaces inside, as AWS accounts have them; at most what IAM allows a name.
_NAME = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+=,.@-]+(?: [A-Za-z0-9_+=,.@-]+)*")
_EMAIL = re.compile(r"(?=.{3,254}\Z)[^\s@<>,;:\"]+@[^\s@<>,;:\"]+")  # RFC 5321 4.5.3.1.3: a path has 256 octets with <>
# No character that separates in a credential scope, a query or an Authorization header. AWS's have 16 to 128 of \w.
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_.-]{3,128}")
_SECRET_KEY = re.compile(r"[\x21-\x7e]{8,128}")

_SECRET_ALPHABET = string.ascii_letters + string.digits  # AWS's also has + and /, which break in URLs and sed
_SECRET_CHARS = 40  # 238 bits


class KeyPair(NamedTuple):
    """An access key and its secret."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"KeyPair({self.access_key!r})"


def new_key_pair() -> KeyPair:
    """A random pair that looks like AWS's: ``AKIA`` and 16 characters of base 32, and a secret of 40."""
    access_key = "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode("ascii")
    return KeyPair(access_key, "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(_SECRET_CHARS)))


def check_key_pair(pair: KeyPair) -> None:
    """Raise InvalidArgument for a pair that could not be signed with, or a secret too short to be one."""
    if not _ACCESS_KEY.fullmatch(pair.access_key):
        _refuse("access key", pair.access_key, "3 to 128 letters, digits and ._-")
    if not _SECRET_KEY.fullmatch(pair.secret_key):
        raise InvalidArgument("a secret key is 8 to 128 visible ASCII characters", argument_name="secret key")


class Accounts:
    """The rules of accounts. ``now_us``: microseconds since 1970."""

    def __init__(self, meta: MetadataEngine, *, now_us: Callable[[], int]) -> None:
        self._meta = meta
        self._now_us = now_us

    # -- accounts --------------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        *,
        email: str = "",
        account_id: str | None = None,
        canonical_id: str | None = None,
        pair: KeyPair | None = None,
    ) -> tuple[Account, AccessKey]:
        """Make an account with its root key pair; ids and pair are random unless given.

        Raises InvalidArgument (``argument_name``), AccountExists, AccessKeyExists.
        """
        pair = pair or new_key_pair()
        account = Account(
            id=account_id or str(10**11 + secrets.randbelow(9 * 10**11)),
            canonical_id=canonical_id or secrets.token_hex(32),
            name=name,
            email=email,
            created_us=self._now_us(),
        )
        _check_account(account)
        check_key_pair(pair)
        self._refuse_taken(name)
        key = AccessKey(*pair, account_id=account.id, user_name=None, active=True, created_us=account.created_us)
        self._meta.create_account(account, key)
        return account, key

    def _refuse_taken(self, name: str) -> None:
        """Say which of the three the engine would stumble over, when it is the name."""
        try:
            self._meta.find_account_by(name=name)
        except NoSuchAccount:
            return
        raise AccountExists(f"there is an account {name!r} already", name=name)

    def find(self, name_or_id: str) -> Account:
        """The account of that name or 12-digit id. Raises NoSuchAccount."""
        try:
            if _ACCOUNT_ID.fullmatch(name_or_id):
                return self._meta.find_account(name_or_id)
            return self._meta.find_account_by(name=name_or_id)
        except NoSuchAccount:
            raise NoSuchAccount(f"there is no account {name_or_id!r}", name=name_or_id) from None

    def list(self) -> Sequence[Account]:
        """All accounts by name."""
        return self._meta.list_accounts()

    def delete(self, name_or_id: str) -> Account:
        """Remove an account and its keys; answer what it was.

        Raises NoSuchAccount, AccountNotEmpty while it owns buckets, InvalidRequest for the administrator's.
        """
        account = self.find(name_or_id)
        if account.name == ROOT_ACCOUNT_NAME:
            raise InvalidRequest("the administrator's account cannot be deleted")
        self._meta.delete_account(account.id)
        return account

    # -- root key pairs --------------------------------------------------------------------------------------------

    def create_key(self, name_or_id: str, pair: KeyPair | None = None) -> AccessKey:
        """Add a root key pair, random unless given. Raises NoSuchAccount, InvalidArgument, AccessKeyExists."""
        pair = pair or new_key_pair()
        check_key_pair(pair)
        account = self.find(name_or_id)
        key = AccessKey(*pair, account_id=account.id, user_name=None, active=True, created_us=self._now_us())
        self._meta.create_access_key(key)
        return key

    def list_keys(self, name_or_id: str) -> Sequence[AccessKey]:
        """An account's key pairs, oldest first. Raises NoSuchAccount."""
        return self._meta.list_access_keys(self.find(name_or_id).id)

    def set_key_active(self, access_key: str, active: bool) -> None:
        """Switch a key pair on or off. Raises NoSuchAccessKey."""
        self._meta.set_access_key_active(access_key, active)

    def delete_key(self, access_key: str) -> None:
        """Remove a key pair. Raises NoSuchAccessKey."""
        self._meta.delete_access_key(access_key)


def _check_account(account: Account) -> None:
    if not _NAME.fullmatch(account.name):
        _refuse("name", account.name, "1 to 64 letters, digits and _+=,.@- with single spaces between")
    if _ACCOUNT_ID.fullmatch(account.name):
        _refuse("name", account.name, "no 12-digit number: that is an id")
    if account.email and not _EMAIL.fullmatch(account.email):
        _refuse("email", account.email, "an address like someone@example.com")
    if not _ACCOUNT_ID.fullmatch(account.id):
        _refuse("account id", account.id, "12 digits")
    if not _CANONICAL_ID.fullmatch(account.canonical_id):
        _refuse("canonical id", account.canonical_id, "64 lower-case hexadecimal digits")


def _refuse(name: str, value: str, rule: str) -> NoReturn:
    raise InvalidArgument(f"{value!r} is no {name}: it is {rule}", argument_name=name, argument_value=value)
