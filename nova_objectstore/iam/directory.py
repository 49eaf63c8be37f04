"""The rules of users, groups and roles, and of the keys of users: made, changed, removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nova_objectstore.domain.accounts import KeyPair, check_key_pair, new_key_pair
from nova_objectstore.iam.documents import TrustPolicies
from nova_objectstore.iam.limits import KEYS_PER_USER_MAX, SESSION_DEFAULT_S
from nova_objectstore.iam.managed import AWS_POLICIES
from nova_objectstore.iam.names import (
    check_description,
    check_max_session,
    check_name,
    check_path,
    check_tags,
    new_entity_id,
)
from nova_objectstore.iam.policies import check_policy_arn
from nova_objectstore.iam.ports import GROUP, ROLE, USER, Entity, EntityChange, EntityKind, IamStore, TagChange
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import AccessKey

Pairs = Sequence[tuple[str, str]]


class Directory:
    """Who there is in an account. ``now_us``: microseconds since 1970. What names nobody raises NoSuchEntity."""

    def __init__(self, iam: IamStore, meta: MetadataEngine, *, now_us: Callable[[], int]) -> None:
        self.iam = iam
        self._meta = meta
        self._trust = TrustPolicies(iam, meta)
        self._now_us = now_us

    # -- made ----------------------------------------------------------------------------------------------------------

    def create_user(
        self, account_id: str, name: str, *, path: str = "/", boundary: str = "", tags: Pairs = ()
    ) -> Entity:
        """Add a user.

        Raises ValidationFailed, InvalidInput, NoSuchAccount, EntityAlreadyExists, LimitExceeded, NoSuchEntity (boundary).
        """
        return self._create(self._new(account_id, USER, name, path, tags)._replace(boundary=_check_boundary(boundary)))

    def create_group(self, account_id: str, name: str, *, path: str = "/") -> Entity:
        """Add a group. Raises as :meth:`create_user` does."""
        return self._create(self._new(account_id, GROUP, name, path))

    def create_role(
        self,
        account_id: str,
        name: str,
        *,
        trust: str,
        path: str = "/",
        description: str = "",
        max_session_s: int = SESSION_DEFAULT_S,
        boundary: str = "",
        tags: Pairs = (),
    ) -> Entity:
        """Add a role that those may assume whom its trust policy names.

        Raises as :meth:`create_user` does, and MalformedPolicyDocument.
        """
        role = self._new(account_id, ROLE, name, path, tags)
        return self._create(
            role._replace(
                trust=self._trust.check(trust),
                description=check_description(description),
                max_session_s=check_max_session(max_session_s),
                boundary=_check_boundary(boundary),
            )
        )

    def _new(self, account_id: str, kind: EntityKind, name: str, path: str, tags: Pairs = ()) -> Entity:
        check_name(kind, name)
        check_path(path)
        return Entity(account_id, kind, name, path, new_entity_id(kind), self._now_us(), tags=check_tags(tags))

    def _create(self, entity: Entity) -> Entity:
        self.iam.create_entity(entity)
        return entity

    # -- changed -------------------------------------------------------------------------------------------------------

    def rename(
        self, account_id: str, kind: EntityKind, name: str, *, new_name: str | None, new_path: str | None
    ) -> Entity:
        """Change name or path, None leaves it: the id stays, and all that belongs to it.

        Raises ValidationFailed, EntityAlreadyExists.
        """
        if new_name is not None:
            check_name(kind, new_name)
        if new_path is not None:
            check_path(new_path, parameter="newPath")
        return self.iam.update_entity(account_id, kind, name, EntityChange(name=new_name, path=new_path))

    def update_role(
        self, account_id: str, name: str, *, description: str | None = None, max_session_s: int | None = None
    ) -> Entity:
        """Change a role's description, or its longest session. Raises ValidationFailed."""
        if description is not None:
            check_description(description)
        if max_session_s is not None:
            check_max_session(max_session_s)
        change = EntityChange(description=description, max_session_s=max_session_s)
        return self.iam.update_entity(account_id, ROLE, name, change)

    def set_trust(self, account_id: str, name: str, document: str) -> Entity:
        """Replace who may assume a role. Raises MalformedPolicyDocument, LimitExceeded."""
        self.iam.find_entity(account_id, ROLE, name)
        return self.iam.update_entity(account_id, ROLE, name, EntityChange(trust=self._trust.check(document)))

    def set_boundary(self, account_id: str, kind: EntityKind, name: str, arn: str) -> Entity:
        """Set a permissions boundary. Raises ValidationFailed, NoSuchEntity (the policy)."""
        return self.iam.update_entity(account_id, kind, name, EntityChange(boundary=_check_boundary(arn)))

    def remove_boundary(self, account_id: str, kind: EntityKind, name: str) -> Entity:
        """Take a permissions boundary away."""
        return self.iam.update_entity(account_id, kind, name, EntityChange(boundary=""))

    def tag(self, account_id: str, kind: EntityKind, name: str, pairs: Pairs) -> Entity:
        """Add or replace tags. Raises ValidationFailed, InvalidInput, LimitExceeded."""
        change = EntityChange(tags=TagChange(added=check_tags(pairs)))
        return self.iam.update_entity(account_id, kind, name, change)

    def untag(self, account_id: str, kind: EntityKind, name: str, keys: Sequence[str]) -> Entity:
        """Remove tags; those that are not there are no error."""
        return self.iam.update_entity(account_id, kind, name, EntityChange(tags=TagChange(removed=keys)))

    # -- keys ----------------------------------------------------------------------------------------------------------

    def create_key(self, account_id: str, user: str | None, pair: KeyPair | None = None) -> AccessKey:
        """Add a key pair to a user, or to the root (None); a random one unless given.

        Raises InvalidArgument, LimitExceeded, AccessKeyExists.
        """
        if user is not None:
            user = self.iam.find_entity(account_id, USER, user).name
        pair = pair or new_key_pair()
        check_key_pair(pair)
        key = AccessKey(*pair, account_id=account_id, user_name=user, active=True, created_us=self._now_us())
        self.iam.create_entity_key(key, keys_max=KEYS_PER_USER_MAX)
        return key

    def find_key(self, access_key: str) -> AccessKey:
        """A key pair of any account. Raises NoSuchAccessKey."""
        return self._meta.find_access_key(access_key)


def _check_boundary(arn: str) -> str:
    if arn:
        check_policy_arn(arn, AWS_POLICIES)
    return arn
