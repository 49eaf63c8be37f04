"""What is attached to users and roles, compiled: read through the port, and trusted only while the engine's epoch stands still.

Law: a document that cannot be compiled denies everything to whoever has it. It was checked when it was put; left out, a
statement that denies would be lost with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.domain.policy.evaluate import NOTHING, PrincipalPolicies
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.limits import DOCUMENT_CHARS_MAX
from nova_objectstore.iam.ports import AWS_POLICY_PREFIX, EntityPolicies, IamStore, PolicyText
from nova_objectstore.types import Principal, SessionKind

LOG = logging.getLogger(__name__)

PRINCIPALS_CACHED_MAX = 10_000  # 200 bytes each beside the policies; above it the cache starts anew
POLICIES_CACHED_MAX = 2000  # 10 KB each at most; above it they are compiled anew

DENY_ALL = parse_policy(
    '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}', Kind.IDENTITY
)

# Of somebody whom a root vouches for (GetFederationToken), before the session's policies narrow it.
OF_ROOT = PrincipalPolicies(
    (
        parse_policy(
            '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}', Kind.IDENTITY
        ),
    )
)


class Epoch(Protocol):
    """An engine's epoch."""

    def epoch(self) -> int:
        """A number that grows with every change of what is cached here."""
        ...


class StoredPolicies:
    """``domain.access.IdentityPolicies`` over the store. ``document_of``: AWS's managed policies by their ARNs."""

    def __init__(self, iam: IamStore, meta: Epoch, *, document_of: Callable[[str], str | None]) -> None:
        self._iam = iam
        self._meta = meta
        self._document_of = document_of
        self._epoch = -1
        self._principals: dict[tuple[str, str, str], PrincipalPolicies] = {}
        self._compiled: dict[str, Policy] = {}  # by text: the same policy is many users'

    def of(self, principal: Principal) -> PrincipalPolicies:
        """The compiled policies of a principal that is no root: its own and its groups', boundary, session."""
        epoch = self._meta.epoch()
        if epoch != self._epoch:
            self._principals.clear()
            self._epoch = epoch
        found = self._of_role(principal) if _is_of_role(principal) else self._of_user(principal)
        if principal.begun is not None and principal.begun.policies is not None:
            return found._replace(session=principal.begun.policies)
        return found

    def read(self, account_id: str, arn: str) -> Policy | None:
        """The managed policy of that ARN as an account has it; None when there is none."""
        if arn.startswith(AWS_POLICY_PREFIX):
            return self._compile_managed(arn)
        try:
            policy = self._iam.find_policy(account_id, arn)
            versions = self._iam.list_policy_versions(account_id, arn)
        except NoSuchEntity:
            return None
        return next((self._compile(row.document) for row in versions if row.number == policy.default_number), None)

    # -- who -----------------------------------------------------------------------------------------------------------

    def _of_user(self, principal: Principal) -> PrincipalPolicies:
        if principal.user_name is None:
            return OF_ROOT if principal.begun is not None else NOTHING
        return self._find("user", principal.account_id, principal.user_name, self._iam.policies_of)

    def _of_role(self, principal: Principal) -> PrincipalPolicies:
        """Of a role's session: what the role has."""
        name = principal.role_arn.rpartition("/")[2]
        return self._find("role", principal.account_id, name, self._iam.policies_of_role)

    def _find(
        self, kind: str, account_id: str, name: str, read: Callable[[str, str], EntityPolicies]
    ) -> PrincipalPolicies:
        # PERF: all that most requests of users ask
        found = self._principals.get((kind, account_id, name))
        if found is not None:
            return found
        try:
            found = self._compile_all(read(account_id, name))
        except NoSuchEntity:  # deleted while its request was on the way
            found = NOTHING
        if len(self._principals) >= PRINCIPALS_CACHED_MAX:
            self._principals.clear()
        self._principals[(kind, account_id, name)] = found
        return found

    # -- what ----------------------------------------------------------------------------------------------------------

    def _compile_all(self, policies: EntityPolicies) -> PrincipalPolicies:
        return PrincipalPolicies(
            identity=tuple(self._compile_text(text) for text in policies.attached),
            boundary=self._compile_text(policies.boundary) if policies.boundary is not None else None,
        )

    def _compile_text(self, text: PolicyText) -> Policy:
        if text.document:
            return self._compile(text.document)
        return self._compile_managed(text.arn) or self._refuse(text.arn)

    def _compile_managed(self, arn: str) -> Policy | None:
        document = self._document_of(arn)
        return self._compile(document) if document is not None else None

    def _compile(self, document: str) -> Policy:
        policy = self._compiled.get(document)
        if policy is not None:
            return policy
        try:
            policy = parse_policy(document, Kind.IDENTITY, size_max=4 * DOCUMENT_CHARS_MAX)
        except MalformedPolicy as error:
            policy = self._refuse(str(error))
        if len(self._compiled) >= POLICIES_CACHED_MAX:
            self._compiled.clear()
        self._compiled[document] = policy
        return policy

    def _refuse(self, what: str) -> Policy:
        LOG.error("a stored policy cannot be read, and denies everything to whoever has it: %s", what)
        return DENY_ALL


def _is_of_role(principal: Principal) -> bool:
    return principal.begun is not None and principal.begun.kind is SessionKind.ROLE
