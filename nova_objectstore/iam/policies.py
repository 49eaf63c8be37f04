"""The rules of policies: inline ones, managed ones with their versions, and what is attached to whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence

from nova_objectstore.iam.documents import check_identity_document, check_managed_document
from nova_objectstore.iam.errors import NoSuchEntity, UnmodifiableEntity, ValidationFailed
from nova_objectstore.iam.managed import AWS_POLICIES, versions_of
from nova_objectstore.iam.names import (
    POLICY_ID_PREFIX,
    check_description,
    check_path,
    check_policy_name,
    check_tags,
    new_id,
)
from nova_objectstore.iam.ports import AWS_POLICY_PREFIX, EntityKind, IamStore, ManagedPolicy, PolicyVersion, TagChange

_policy_arn = re.compile(r"arn:aws:iam::(?:[0-9]{12}|aws):policy/[\x21-\x7e]+").fullmatch


def check_policy_arn(arn: str, aws: Container[str] = AWS_POLICIES) -> str:
    """A managed policy's ARN. Raises ValidationFailed, NoSuchEntity for one of AWS's that is not here."""
    if not _policy_arn(arn):
        raise ValidationFailed(f"ARN {arn[:200]} is not valid.")
    if arn.startswith(AWS_POLICY_PREFIX) and arn not in aws:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.", kind="policy", name=arn)
    return arn


class Policies:
    """What an account's users, groups and roles may do. ``now_us``: microseconds since 1970.

    What names nothing raises NoSuchEntity; what would change one of AWS's policies, UnmodifiableEntity.
    """

    def __init__(self, iam: IamStore, *, now_us: Callable[[], int]) -> None:
        self.iam = iam
        self._now_us = now_us

    # -- inline --------------------------------------------------------------------------------------------------------

    def put_inline(self, account_id: str, kind: EntityKind, name: str, policy: str, document: str) -> None:
        """Add or replace an inline policy. Raises ValidationFailed, MalformedPolicyDocument, LimitExceeded."""
        check_policy_name(policy)
        self.iam.find_entity(account_id, kind, name)
        self.iam.put_inline_policy(account_id, kind, name, policy, check_identity_document(document))

    # -- managed -------------------------------------------------------------------------------------------------------

    def create(
        self,
        account_id: str,
        name: str,
        document: str,
        *,
        path: str = "/",
        description: str = "",
        tags: Sequence[tuple[str, str]] = (),
    ) -> ManagedPolicy:
        """Add a managed policy.

        Raises ValidationFailed, InvalidInput, MalformedPolicyDocument, EntityAlreadyExists, LimitExceeded.
        """
        now_us = self._now_us()
        policy = ManagedPolicy(
            account_id,
            check_policy_name(name),
            check_path(path),
            new_id(POLICY_ID_PREFIX),
            check_description(description),
            now_us,
            now_us,
            default_number=1,
            tags=check_tags(tags),
        )
        self.iam.create_policy(policy, check_managed_document(document))
        return policy

    def find(self, account_id: str, arn: str) -> ManagedPolicy:
        """A managed policy of the account, or of AWS."""
        check_policy_arn(arn)
        return AWS_POLICIES[arn] if arn in AWS_POLICIES else self.iam.find_policy(account_id, arn)

    def versions(self, account_id: str, arn: str) -> Sequence[PolicyVersion]:
        """All versions of a managed policy, newest first."""
        check_policy_arn(arn)
        return versions_of(arn) if arn in AWS_POLICIES else self.iam.list_policy_versions(account_id, arn)

    def version(self, account_id: str, arn: str, number: int) -> PolicyVersion:
        """One version of a managed policy."""
        for version in self.versions(account_id, arn):
            if version.number == number:
                return version
        raise NoSuchEntity(f"Policy {arn} version v{number} does not exist or is not attachable.", name=arn)

    def create_version(self, account_id: str, arn: str, document: str, *, is_default: bool) -> PolicyVersion:
        """Add a version to an account's policy. Raises MalformedPolicyDocument, LimitExceeded."""
        self.find_own(account_id, arn)
        check_managed_document(document)
        return self.iam.create_policy_version(account_id, arn, document, is_default=is_default, now_us=self._now_us())

    def set_default_version(self, account_id: str, arn: str, number: int) -> None:
        """Make another version the one that counts."""
        self.find_own(account_id, arn)
        self.iam.set_default_version(account_id, arn, number, now_us=self._now_us())

    def find_own(self, account_id: str, arn: str) -> ManagedPolicy:
        """A policy that the account may change. Raises UnmodifiableEntity for one of AWS's."""
        check_policy_arn(arn)
        if arn in AWS_POLICIES:
            raise UnmodifiableEntity("AWS managed policies cannot be changed.")
        return self.iam.find_policy(account_id, arn)

    def tag(self, account_id: str, arn: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Add or replace tags. Raises ValidationFailed, InvalidInput, LimitExceeded."""
        self.find_own(account_id, arn)
        self.iam.tag_policy(account_id, arn, TagChange(added=check_tags(pairs)))

    def untag(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; those that are not there are no error."""
        self.find_own(account_id, arn)
        self.iam.tag_policy(account_id, arn, TagChange(removed=keys))

    # -- attached ------------------------------------------------------------------------------------------------------

    def attach(self, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
        """Attach a managed policy. Raises ValidationFailed, LimitExceeded."""
        self.iam.find_entity(account_id, kind, name)
        self.iam.attach_policy(account_id, kind, name, check_policy_arn(arn))

    def detach(self, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
        """Detach a managed policy. Raises ValidationFailed."""
        if not _policy_arn(arn):
            raise ValidationFailed(f"ARN {arn[:200]} is not valid.")
        self.iam.detach_policy(account_id, kind, name, arn)


def policy_name(arn: str) -> str:
    """The name in a policy's ARN."""
    return arn.rpartition("/")[2]
