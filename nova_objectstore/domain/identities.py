"""From an access key to who asks: cached, and trusted only while the engine's epoch stands still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nova_objectstore.domain.accounts import ROOT_ACCOUNT_NAME
from nova_objectstore.domain.acl import ANONYMOUS_CANONICAL_ID
from nova_objectstore.domain.key_uses import KeyUses
from nova_objectstore.errors import InvalidToken, NoSuchAccessKey, NoSuchAccount
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.ports import USER, IamStore
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import AccessKey, Account, Principal

IDENTITIES_CACHED_MAX = 10_000  # a few MB; above it the cache starts anew

# Who owns what was uploaded without a signature.
NOBODY = Account(id="", canonical_id=ANONYMOUS_CANONICAL_ID, name="", email="", created_us=0)


class Identity:
    """A key pair with the principal that it stands for."""

    __slots__ = ("key", "principal")

    def __init__(self, key: AccessKey, principal: Principal) -> None:
        self.key = key
        self.principal = principal


class FindSession(Protocol):
    """Finds whom the credentials of a session stand for."""

    def __call__(self, access_key: str, token: str, *, epoch: int | None = None) -> Identity | None:
        """None when it is nobody any more. Raises InvalidToken, ExpiredToken."""
        ...


class Identities:
    """Looks key pairs and accounts up; sessions by ``find_session``, which the assembly sets."""

    def __init__(self, meta: MetadataEngine, iam: IamStore) -> None:
        self._meta = meta
        self._iam = iam
        self.find_session: FindSession | None = None
        self.uses = KeyUses(iam)
        self._epoch = -1
        self._by_key: dict[str, Identity | None] = {}
        self._accounts: dict[str, Account] = {}
        self._by_canonical_id: dict[str, Account | None] = {}

    def find(self, access_key: str, *, epoch: int | None = None) -> Identity | None:
        """The identity behind an access key; None when there is none or it is switched off.

        ``epoch`` is the engine's, for callers that have just read it.
        """
        if epoch is None or epoch != self._epoch:
            self._refresh(epoch)
        try:
            return self._by_key[access_key]
        except KeyError:
            identity = self._load(access_key)
        if len(self._by_key) >= IDENTITIES_CACHED_MAX:
            self._by_key.clear()
        self._by_key[access_key] = identity
        return identity

    def find_signer(self, access_key: str, token: str | None, *, epoch: int | None = None) -> Identity | None:
        """The identity of an access key that came with this session token, None for one that came without.

        Raises InvalidToken for a token that is none of this store's, ExpiredToken.
        """
        if not token:
            return self.find(access_key, epoch=epoch)
        if self.find_session is None:
            raise InvalidToken
        return self.find_session(access_key, token, epoch=epoch)

    def epoch(self) -> int:
        """The engine's epoch, to be read once a request."""
        return self._meta.epoch()

    def account(self, account_id: str) -> Account:
        """An account by its id. Raises NoSuchAccount."""
        self._refresh()
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = self._meta.find_account(account_id)
        return account

    def owner(self, account_id: str) -> Account:
        """An account as the owner of something, which may outlive it: then all that is left of it is its id."""
        if not account_id:
            return NOBODY
        try:
            return self.account(account_id)
        except NoSuchAccount:
            return NOBODY._replace(id=account_id)

    def by_canonical_id(self, canonical_id: str) -> Account | None:
        """The account of a canonical id; None when there is none."""
        self._refresh()
        try:
            return self._by_canonical_id[canonical_id]
        except KeyError:
            pass
        account: Account | None
        try:
            account = self._meta.find_account_by(canonical_id=canonical_id)
        except NoSuchAccount:
            account = None
        if len(self._by_canonical_id) >= IDENTITIES_CACHED_MAX:
            self._by_canonical_id.clear()
        self._by_canonical_id[canonical_id] = account
        return account

    def by_email(self, email: str) -> Sequence[Account]:
        """The accounts of an address; case does not matter."""
        return [account for account in self._meta.list_accounts() if account.email.lower() == email.lower() != ""]

    def _refresh(self, epoch: int | None = None) -> None:
        if epoch is None:
            epoch = self._meta.epoch()
        if epoch != self._epoch:
            self._by_key.clear()
            self._accounts.clear()
            self._by_canonical_id.clear()
            self._epoch = epoch

    def _load(self, access_key: str) -> Identity | None:
        try:
            key = self._meta.find_access_key(access_key)
        except NoSuchAccessKey:
            return None
        if not key.active:
            return None
        account = self._meta.find_account(key.account_id)
        principal = self._root(key, account) if key.user_name is None else self._user(key, account)
        return None if principal is None else Identity(key, principal)

    def _root(self, key: AccessKey, account: Account) -> Principal:
        return Principal(
            account_id=account.id,
            canonical_id=account.canonical_id,
            arn=f"arn:aws:iam::{account.id}:root",
            access_key=key.access_key,
            is_admin=account.name == ROOT_ACCOUNT_NAME,
        )

    def _user(self, key: AccessKey, account: Account) -> Principal | None:
        assert key.user_name is not None
        try:
            user = self._iam.find_entity(account.id, USER, key.user_name)
        except NoSuchEntity:  # it was deleted between the two reads
            return None
        return Principal(
            account_id=account.id,
            canonical_id=account.canonical_id,
            arn=user.arn,
            user_name=user.name,
            access_key=key.access_key,
            user_id=user.id,
            session={f"aws:principaltag/{name}": value for name, value in user.tags.items()},
        )
