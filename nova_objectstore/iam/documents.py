"""Policy documents as IAM takes them: parsed before they are kept, so that what is kept can be read."""

from __future__ import annotations

from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.errors import MalformedPolicy, NoSuchAccount
from nova_objectstore.iam.errors import LimitExceeded, MalformedPolicyDocument, NoSuchEntity, ValidationFailed
from nova_objectstore.iam.limits import DOCUMENT_CHARS_MAX, MANAGED_POLICY_CHARS_MAX, TRUST_POLICY_CHARS_MAX
from nova_objectstore.iam.ports import EntityKind, IamStore
from nova_objectstore.meta.engine import MetadataEngine


def check_identity_document(text: str) -> str:
    """A policy of an identity. Raises MalformedPolicyDocument, ValidationFailed."""
    _parse(text, Kind.IDENTITY)
    return text


def check_managed_document(text: str) -> str:
    """The document of a managed policy. Raises LimitExceeded when it is too long."""
    check_identity_document(text)
    _check_size(text, "PolicySize", MANAGED_POLICY_CHARS_MAX)
    return text


class TrustPolicies:
    """Checks who may assume a role: whoever is named there must exist, as AWS has it."""

    def __init__(self, iam: IamStore, meta: MetadataEngine) -> None:
        self._iam = iam
        self._meta = meta

    def check(self, text: str) -> str:
        """A trust policy. Raises MalformedPolicyDocument, LimitExceeded."""
        policy = _parse(text, Kind.TRUST)
        _check_size(text, "ACLSizePerRole", TRUST_POLICY_CHARS_MAX)
        for statement in policy.statements:
            for name in sorted(statement.principals.listed) if statement.principals is not None else ():
                if not self._is_there(name):
                    raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{name}"')
        return text

    def _is_there(self, name: str) -> bool:
        """Whether an account, user or role of that name is there. Of what is not kept here nothing is known."""
        try:
            if name.isdigit():
                self._meta.find_account(name)
                return True
            if not name.startswith("arn:aws:iam::"):
                return True
            account_id, _, resource = name.removeprefix("arn:aws:iam::").partition(":")
            kind, _, path = resource.partition("/")
            found = self._iam.find_entity(account_id, EntityKind(kind), path.rpartition("/")[2])
        except (NoSuchAccount, NoSuchEntity):
            return False
        return found.arn == name


def _parse(text: str, kind: Kind) -> Policy:
    if not text:
        raise ValidationFailed(
            "1 validation error detected: Value '' at 'policyDocument' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1"
        )
    try:
        return parse_policy(text, kind, size_max=DOCUMENT_CHARS_MAX)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None


def _check_size(text: str, quota: str, limit: int) -> None:
    if len("".join(text.split())) > limit:
        raise LimitExceeded(quota=quota, limit=limit)
