"""IamStore: users, groups, roles, their policies and keys, and OpenID Connect providers. The port, and what crosses it.

Laws:

- A verb is one whole transaction, as those of ``meta.engine``; every verb that changes something grows the epoch, but for
  :meth:`IamStore.note_key_uses`.
- Names are compared without regard to case, and listed in that order; they are kept, and answered, as they were made.
- Nothing of one account refers to something of another; a policy's ARN names its account, ``aws`` for AWS's own, which
  the store knows by their ARNs alone.
- What must be true of several rows (quotas, who belongs to what, what hinders a deletion) is checked inside the transaction.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.types import AccessKey

NO_TAGS: Mapping[str, str] = {}
AWS_POLICY_PREFIX = "arn:aws:iam::aws:policy/"


class TagChange(NamedTuple):
    """Tags to add or replace, and keys to remove; keys that differ in case alone are the same."""

    added: Mapping[str, str] = NO_TAGS
    removed: Sequence[str] = ()


class EntityKind(enum.StrEnum):
    """What has policies of its own."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"


USER, GROUP, ROLE = EntityKind.USER, EntityKind.GROUP, EntityKind.ROLE


class Entity(NamedTuple):
    """A user, a group or a role."""

    account_id: str
    kind: EntityKind
    name: str
    path: str  # begins and ends with a slash
    id: str  # AIDA..., AGPA..., AROA...: never used again
    created_us: int
    boundary: str = ""  # ARN of the policy that is its permissions boundary
    tags: Mapping[str, str] = NO_TAGS
    trust: str = ""  # of a role: who may assume it, a policy document
    description: str = ""  # of a role
    max_session_s: int = 0  # of a role

    @property
    def arn(self) -> str:
        """``arn:aws:iam::ACCOUNT:user/path/name``."""
        return f"arn:aws:iam::{self.account_id}:{self.kind}{self.path}{self.name}"


class EntityChange(NamedTuple):
    """What is to be different; None leaves it as it is. ``boundary`` empty removes it."""

    name: str | None = None
    path: str | None = None
    boundary: str | None = None
    tags: TagChange | None = None
    trust: str | None = None
    description: str | None = None
    max_session_s: int | None = None


class ManagedPolicy(NamedTuple):
    """A managed policy of an account; its documents are its versions."""

    account_id: str
    name: str
    path: str
    id: str  # ANPA...
    description: str
    created_us: int
    changed_us: int
    default_number: int  # of the version that counts
    tags: Mapping[str, str] = NO_TAGS

    @property
    def arn(self) -> str:
        """``arn:aws:iam::ACCOUNT:policy/path/name``."""
        return f"arn:aws:iam::{self.account_id}:policy{self.path}{self.name}"


class PolicyVersion(NamedTuple):
    """One document of a managed policy: ``v1``, ``v2`` and so on; numbers are never used again."""

    number: int
    document: str
    created_us: int


class PolicyUse(NamedTuple):
    """How many users, groups and roles of an account have a managed policy: attached, and as their boundary."""

    attached: int
    boundaries: int


class Provider(NamedTuple):
    """An OpenID Connect provider. ``url`` as it was given, ``https://...``."""

    account_id: str
    url: str
    client_ids: Sequence[str]
    thumbprints: Sequence[str]
    created_us: int
    tags: Mapping[str, str] = NO_TAGS

    @property
    def host(self) -> str:
        """The URL without its scheme: its name in ARNs, and in the condition keys of its tokens."""
        return self.url.partition("://")[2]

    @property
    def arn(self) -> str:
        """``arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH``."""
        return f"arn:aws:iam::{self.account_id}:oidc-provider/{self.host}"


class ProviderChange(NamedTuple):
    """What is to be different; None leaves it as it is."""

    client_ids_added: Sequence[str] = ()
    client_ids_removed: Sequence[str] = ()
    thumbprints: Sequence[str] | None = None
    tags: TagChange | None = None


class KeyUse(NamedTuple):
    """When a key pair was last used, and for what."""

    access_key: str
    used_us: int
    service: str
    region: str


class PolicyText(NamedTuple):
    """A policy that is attached: its document, or the ARN of one of AWS's, whose document the store does not have."""

    document: str = ""
    arn: str = ""


class EntityPolicies(NamedTuple):
    """What decides what a user or a role may do: all that is attached to it and to its groups, and its boundary."""

    attached: Sequence[PolicyText]
    boundary: PolicyText | None


class AccountSummary(NamedTuple):
    """How much of everything an account has."""

    users: int
    groups: int
    roles: int
    policies: int
    providers: int
    versions: int
    root_keys: int


class IamStore(Protocol):
    """The verbs. Each is one transaction. NoSuchEntity is raised by all that name something."""

    # -- users, groups, roles ------------------------------------------------------------------------------------------

    def create_entity(self, entity: Entity) -> None:
        """Add one. Raises NoSuchAccount, EntityAlreadyExists, LimitExceeded, NoSuchEntity (its boundary)."""

    def find_entity(self, account_id: str, kind: EntityKind, name: str) -> Entity:
        """The one of that name."""

    def list_entities(
        self, account_id: str, kind: EntityKind, *, path_prefix: str = "/", after: str = "", limit: int = 1000
    ) -> Sequence[Entity]:
        """Those under a path, by name, behind the name ``after``, at most ``limit``."""

    def update_entity(self, account_id: str, kind: EntityKind, name: str, change: EntityChange) -> Entity:
        """Change one. Raises EntityAlreadyExists, NoSuchEntity (of a boundary too), LimitExceeded (tags)."""

    def delete_entity(self, account_id: str, kind: EntityKind, name: str) -> None:
        """Remove one that has no keys, policies or members, and is in no group. Raises DeleteConflict."""

    # -- membership ----------------------------------------------------------------------------------------------------

    def add_member(self, account_id: str, group: str, user: str) -> None:
        """Put a user into a group; nothing when it is in it. Raises LimitExceeded."""

    def remove_member(self, account_id: str, group: str, user: str) -> None:
        """Take a user out of a group. Raises NoSuchEntity when it is not in it."""

    def list_members(self, account_id: str, group: str, *, after: str = "", limit: int = 1000) -> Sequence[Entity]:
        """A group's users, by name."""

    def list_groups_of(self, account_id: str, user: str, *, after: str = "", limit: int = 1000) -> Sequence[Entity]:
        """A user's groups, by name."""

    # -- keys of users -------------------------------------------------------------------------------------------------

    def create_entity_key(self, key: AccessKey, *, keys_max: int) -> None:
        """Add a key pair to a user, or to the root (``user_name`` None). Raises LimitExceeded, AccessKeyExists."""

    def list_entity_keys(self, account_id: str, user: str | None) -> Sequence[AccessKey]:
        """The key pairs of a user, or of the root, oldest first."""

    def set_entity_key_active(self, account_id: str, user: str | None, access_key: str, active: bool) -> None:
        """Switch a key pair of that user, or of the root, on or off."""

    def delete_entity_key(self, account_id: str, user: str | None, access_key: str) -> None:
        """Remove a key pair of that user, or of the root."""

    def note_key_uses(self, uses: Sequence[KeyUse]) -> None:
        """Keep when keys were used; a use that is older than what is kept changes nothing, nor one of a key that is gone."""

    def find_key_use(self, access_key: str) -> KeyUse | None:
        """When a key was last used; None when it never was."""

    # -- inline policies -----------------------------------------------------------------------------------------------

    def put_inline_policy(self, account_id: str, kind: EntityKind, name: str, policy: str, document: str) -> None:
        """Add or replace. Raises LimitExceeded when all inline policies together are too long."""

    def find_inline_policy(self, account_id: str, kind: EntityKind, name: str, policy: str) -> str:
        """The document."""

    def list_inline_policies(
        self, account_id: str, kind: EntityKind, name: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[str]:
        """Their names, in order."""

    def delete_inline_policy(self, account_id: str, kind: EntityKind, name: str, policy: str) -> None:
        """Remove it."""

    # -- managed policies ----------------------------------------------------------------------------------------------

    def create_policy(self, policy: ManagedPolicy, document: str) -> None:
        """Add one with its first version. Raises NoSuchAccount, EntityAlreadyExists, LimitExceeded."""

    def find_policy(self, account_id: str, arn: str) -> ManagedPolicy:
        """The account's policy of that ARN."""

    def list_policies(
        self, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int = 1000
    ) -> Sequence[ManagedPolicy]:
        """An account's own managed policies by name."""

    def tag_policy(self, account_id: str, arn: str, tags: TagChange) -> None:
        """Change its tags. Raises LimitExceeded."""

    def delete_policy(self, account_id: str, arn: str) -> None:
        """Remove one that nobody has and whose default version is its only one. Raises DeleteConflict."""

    def create_policy_version(
        self, account_id: str, arn: str, document: str, *, is_default: bool, now_us: int
    ) -> PolicyVersion:
        """Add a version. Raises LimitExceeded."""

    def list_policy_versions(self, account_id: str, arn: str) -> Sequence[PolicyVersion]:
        """All versions, newest first."""

    def set_default_version(self, account_id: str, arn: str, number: int, *, now_us: int) -> None:
        """Make another version the one that counts."""

    def delete_policy_version(self, account_id: str, arn: str, number: int) -> None:
        """Remove a version. Raises DeleteConflict for the default one."""

    # -- attachments ---------------------------------------------------------------------------------------------------

    def attach_policy(self, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
        """Attach a managed policy; nothing when it is attached. Raises LimitExceeded."""

    def detach_policy(self, account_id: str, kind: EntityKind, name: str, arn: str) -> None:
        """Detach it. Raises NoSuchEntity when it is not attached."""

    def list_attached_policies(
        self, account_id: str, kind: EntityKind, name: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[str]:
        """The ARNs of what is attached, in order."""

    def list_policy_entities(self, account_id: str, arn: str, *, boundary: bool = False) -> Sequence[Entity]:
        """Who of an account has the policy attached, or as a boundary: by kind and name."""

    def count_policy_uses(self, account_id: str) -> Mapping[str, PolicyUse]:
        """By the ARN of each managed policy that an account uses at all: by how many."""

    # -- deciding ------------------------------------------------------------------------------------------------------

    def policies_of(self, account_id: str, user: str) -> EntityPolicies:
        """All policies of a user: inline and attached, its groups' too, and its boundary."""

    def policies_of_role(self, account_id: str, role: str) -> EntityPolicies:
        """All policies of a role: inline and attached, and its boundary."""

    # -- OpenID Connect providers --------------------------------------------------------------------------------------

    def create_provider(self, provider: Provider) -> None:
        """Add one. Raises NoSuchAccount, EntityAlreadyExists, LimitExceeded."""

    def find_provider(self, arn: str) -> Provider:
        """The provider of that ARN."""

    def list_providers(self, account_id: str) -> Sequence[Provider]:
        """An account's providers, by URL."""

    def update_provider(self, arn: str, change: ProviderChange) -> Provider:
        """Change one. Raises LimitExceeded (client ids, tags)."""

    def delete_provider(self, arn: str) -> None:
        """Remove one."""

    # -- all -----------------------------------------------------------------------------------------------------------

    def count_account(self, account_id: str) -> AccountSummary:
        """How much of everything an account has."""
