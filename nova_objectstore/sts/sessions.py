"""Sessions: begun with credentials of their own, and found again by them.

Strategy: a token is opened once a process and kept, opened, in memory; whom it stands for is looked up again when the engine's
epoch has moved: a role, user, key or account that is gone ends its sessions at once, wherever they were begun.

Laws:

- A session lasts as long as its time, and the role (by its id: another one of the same name is another) or the access key and
  user it was begun with. An account's end is theirs.
- A session policy that cannot be read any more, since its managed policy is gone, allows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from nova_objectstore.crypto.session_tokens import OpenedToken, SessionTokens, TemporaryKey
from nova_objectstore.domain.identities import Identities, Identity
from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.errors import ExpiredToken, InvalidToken, MalformedPolicy, NoSuchAccount
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.ports import ROLE, Entity, IamStore
from nova_objectstore.sts.session import Session, decode_session, encode_session
from nova_objectstore.types import AccessKey, Principal, SessionFacts, SessionKind

TOKENS_CACHED_MAX = 4000  # opened tokens, 5 KB each at most with what was found of them; above it the cache starts anew
KEY_TRUSTED_S = 0.002  # PERF: a busy process looks at the keyring's file now and then, not for every request


class ManagedPolicies(Protocol):
    """Knows the managed policies."""

    def read(self, account_id: str, arn: str) -> Policy | None:
        """The policy of that ARN as an account has it, compiled; None when there is none."""
        ...


class _Opened:
    """A token that was opened, and whom it stood for at an epoch."""

    __slots__ = ("access_key", "epoch", "found", "inline", "key_number", "secret_key", "session")

    def __init__(self, access_key: str, session: Session, opened: OpenedToken) -> None:
        self.access_key = access_key
        self.session = session
        self.secret_key = opened.secret_key
        self.key_number = opened.key_number
        self.inline = tuple(_compile(text) for text in session.policies)
        self.epoch = -1
        self.found: Identity | None = None


class Sessions:
    """Begins and finds sessions. ``clock_s``: seconds since 1970."""

    def __init__(
        self,
        tokens: SessionTokens,
        identities: Identities,
        iam: IamStore,
        managed: ManagedPolicies,
        *,
        clock_s: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._identities = identities
        self._iam = iam
        self._managed = managed
        self._clock_s = clock_s
        self._opened: dict[str, _Opened] = {}
        self._checked_s = 0.0

    def begin(self, session: Session) -> TemporaryKey:
        """The credentials of a session that was decided about. Raises KmsKeyDisabled. It may block."""
        return self._tokens.make(encode_session(session))

    def find(self, access_key: str, token: str, *, epoch: int | None = None) -> Identity | None:
        """Whom a session's credentials stand for; None when it is nobody any more. ``epoch``: the engine's, just read.

        Raises InvalidToken, ExpiredToken.
        """
        opened = self._opened.get(token) or self._open(access_key, token)
        if opened.access_key != access_key:
            raise InvalidToken
        now_s = self._clock_s()
        if not 0 <= now_s - self._checked_s < KEY_TRUSTED_S:
            self._tokens.check(opened.key_number)
            self._checked_s = now_s
        if now_s >= opened.session.expires_s:
            raise ExpiredToken
        if epoch is None:
            epoch = self._identities.epoch()
        if opened.epoch != epoch:
            principal = self._find_principal(opened)
            opened.found = None if principal is None else Identity(_key(opened), principal)
            opened.epoch = epoch
        return opened.found

    def _open(self, access_key: str, token: str) -> _Opened:
        found = self._tokens.open(access_key, token)
        opened = _Opened(access_key, decode_session(found.payload), found)
        # Only what this store has sealed comes here: strangers cannot fill it.
        if len(self._opened) >= TOKENS_CACHED_MAX:
            self._opened.clear()
        self._opened[token] = opened
        return opened

    # -- who it is -----------------------------------------------------------------------------------------------------

    def _find_principal(self, opened: _Opened) -> Principal | None:
        find = self._find_role if opened.session.kind is SessionKind.ROLE else self._find_beginner
        return find(opened)

    def _find_role(self, opened: _Opened) -> Principal | None:
        session = opened.session
        try:
            account = self._identities.account(session.account_id)
            role = self._iam.find_entity(session.account_id, ROLE, session.owner)
        except (NoSuchAccount, NoSuchEntity):
            return None
        if role.id != session.owner_id:
            return None
        return Principal(
            account_id=account.id,
            canonical_id=account.canonical_id,
            arn=role_session_arn(role, session.name),
            access_key=opened.access_key,
            session=_condition_keys(session, role.tags),
            user_id=f"{role.id}:{session.name}",
            role_arn=role.arn,
            begun=self._facts(opened),
        )

    def _find_beginner(self, opened: _Opened) -> Principal | None:
        """The user or root who began the session; of a federated one, with another name."""
        session = opened.session
        identity = self._identities.find(session.owner)
        if identity is None or identity.principal.user_id != session.owner_id:
            return None
        beginner = identity.principal
        keys = _condition_keys(session, _tags_of(beginner))  # a user has no others than its tags
        told = replace(beginner, access_key=opened.access_key, session=keys, begun=self._facts(opened))
        if session.kind is SessionKind.USER:
            return told
        return replace(
            told,
            arn=federated_arn(session.account_id, session.name),
            user_id=f"{session.account_id}:{session.name}",
            role_arn=beginner.arn,
            is_admin=False,
        )

    def _facts(self, opened: _Opened) -> SessionFacts:
        session = opened.session
        policies: Sequence[Policy] | None = None
        # A federated user to whom nothing was given has nothing (AWS: GetFederationToken).
        if session.is_limited or session.kind is SessionKind.FEDERATED:
            managed = (self._managed.read(session.account_id, arn) for arn in session.policy_arns)
            policies = (*opened.inline, *(policy for policy in managed if policy is not None))
        return SessionFacts(session.kind, policies, session.transitive_tags, session.source_identity)


def role_session_arn(role: Entity, name: str) -> str:
    """The ARN of a role's session: the role's path is not in it."""
    return f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{name}"


def federated_arn(account_id: str, name: str) -> str:
    """The ARN of a federated user."""
    return f"arn:aws:sts::{account_id}:federated-user/{name}"


def _key(opened: _Opened) -> AccessKey:
    session = opened.session
    return AccessKey(
        opened.access_key, opened.secret_key, session.account_id, None, True, created_us=session.issued_s * 1_000_000
    )


def _compile(text: str) -> Policy:
    try:
        return parse_policy(text, Kind.IDENTITY)
    except MalformedPolicy:  # it was one when the session began: another release took it
        raise InvalidToken from None


_TAG = "aws:principaltag/"


def _tags_of(principal: Principal) -> Mapping[str, str]:
    return {key[len(_TAG) :]: value for key, value in principal.session.items() if key.startswith(_TAG)}


def _condition_keys(session: Session, tags: Mapping[str, str]) -> Mapping[str, str]:
    """What policies may ask of the session. Its own tags come before those of its role or user, whose ``tags`` are."""
    own = {name.lower() for name in session.tags}
    kept = {name: value for name, value in tags.items() if name.lower() not in own}
    issued = datetime.fromtimestamp(session.issued_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = {"aws:tokenissuetime": issued, **session.keys}
    if session.source_identity:
        keys["aws:sourceidentity"] = session.source_identity
    keys.update((_TAG + name, value) for name, value in (kept | dict(session.tags)).items())
    return keys
