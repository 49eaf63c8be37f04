"""A bucket's rules of access, compiled from its documents: policy, ACL, ownership, public access block, who pays.

Law: what is stored was checked when it was put; a policy that cannot be read all the same denies everything to everybody
but the root of the bucket's account, who may replace it.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Mapping
from typing import NamedTuple

from nova_objectstore.domain.access_logging import LOGGING, LogTarget
from nova_objectstore.domain.acl import BUCKET_OWNER_FULL_CONTROL, Acl, decode_acl, encode_acl
from nova_objectstore.domain.cors import CORS, CorsRule, decode_rules
from nova_objectstore.domain.lifecycle.configuration import decode as decode_lifecycle
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY, Day
from nova_objectstore.domain.lifecycle.rules import Lifecycle
from nova_objectstore.domain.notifications import NOTIFICATION, Notifications
from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.domain.policy.public import is_public
from nova_objectstore.domain.website import WEBSITE, Website
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.meta.lifecycle_port import DOCUMENT as LIFECYCLE
from nova_objectstore.types import Bucket, Principal

LOG = logging.getLogger(__name__)

# The documents' names.
POLICY, ACL, OWNERSHIP = "policy", "acl", "ownership"
PUBLIC_ACCESS_BLOCK, REQUEST_PAYMENT = "public-access-block", "request-payment"

_BY_DEFAULT = "default"  # behind an ownership that nobody asked for


class Ownership(enum.StrEnum):
    """Who owns objects that others write (AWS: "Controlling ownership of objects and disabling ACLs")."""

    ENFORCED = "BucketOwnerEnforced"  # the bucket's owner, always; there are no ACLs
    PREFERRED = "BucketOwnerPreferred"  # the bucket's owner, where the write says bucket-owner-full-control
    WRITER = "ObjectWriter"  # whoever writes; also where nothing is configured


_ENFORCED = Ownership.ENFORCED  # PERF: Python 3.11 takes 0.15 us to look a member of an enum up in its class


class PublicAccessBlock(NamedTuple):
    """The four settings (AWS: PutPublicAccessBlock)."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


class StoredPolicy(NamedTuple):
    """A bucket policy as it is stored: its text as it was put, and whether the owner's root gave up to change it."""

    text: str
    binds_root: bool = False

    def encode(self) -> bytes:
        """The document."""
        return json.dumps(self).encode()

    @classmethod
    def decode(cls, document: bytes) -> StoredPolicy:
        """From the document."""
        return cls(*json.loads(document))


class BucketRules(NamedTuple):
    """What decides about access to a bucket, beside who asks."""

    ownership: Ownership | None = None  # None: never configured
    ownership_by_default: bool = False  # nobody asked for it: it is what new buckets get
    policy: Policy | None = None
    policy_is_public: bool = False
    policy_binds_root: bool = False
    acl: Acl | None = None  # None: the default one
    block: PublicAccessBlock | None = None
    requester_pays: bool = False
    lifecycle: Lifecycle | None = None
    cors: tuple[CorsRule, ...] = ()
    website: Website | None = None
    log_target: LogTarget | None = None  # None: requests are not logged
    notifications: Notifications | None = None

    @property
    def enforced(self) -> bool:
        """Whether ACLs are off, and the bucket's owner owns everything."""
        return self.ownership is _ENFORCED

    @property
    def takes_private(self) -> bool:
        """Whether the ACL ``private`` may be asked for.

        Where ACLs are off AWS refuses even this one, which says no more than what is so. Older clients send it with every
        write (rclone until 1.60, s3fs); here it is refused where somebody turned ACLs off, and not where the default did.
        """
        return not self.enforced or self.ownership_by_default

    @property
    def restrictions(self) -> PublicAccessBlock:
        """The public access block, without any: nothing blocked."""
        return self.block or _NO_BLOCK

    @property
    def is_public(self) -> bool:
        """Whether policy or ACL give anything to the public (AWS: GetBucketPolicyStatus)."""
        acl_counts = not self.enforced and not self.restrictions.ignore_public_acls
        return self.policy_is_public or (acl_counts and self.acl is not None and self.acl.is_public)

    def object_owner(self, bucket: Bucket, writer: Principal, canned: str) -> str:
        """The account that owns what ``writer`` writes; ``canned`` is the name of the ACL that it asks for, if any."""
        if self.enforced or (self.ownership is Ownership.PREFERRED and canned == BUCKET_OWNER_FULL_CONTROL):
            return bucket.owner_id
        return writer.account_id


_NO_BLOCK = PublicAccessBlock()
NO_RULES = BucketRules()

_LOCKED = parse_policy(
    '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::*"}}', Kind.BUCKET
)


def read_rules(bucket: Bucket, documents: Mapping[str, bytes], *, day: Day = CALENDAR_DAY) -> BucketRules:
    """Compile a bucket's documents. ``day`` is how long those of its lifecycle are."""
    policy, binds_root = _read_policy(bucket, documents)
    ownership, by_default = _read_ownership(documents)
    acl = documents.get(ACL)
    block = documents.get(PUBLIC_ACCESS_BLOCK)
    return BucketRules(
        ownership=ownership,
        ownership_by_default=by_default,
        policy=policy,
        policy_is_public=policy is not None and is_public(policy),
        policy_binds_root=binds_root,
        acl=decode_acl(acl.decode()) if acl is not None else None,
        block=PublicAccessBlock(*json.loads(block)) if block is not None else None,
        requester_pays=REQUEST_PAYMENT in documents,
        lifecycle=Lifecycle(decode_lifecycle(documents[LIFECYCLE]), day) if LIFECYCLE in documents else None,
        cors=decode_rules(documents[CORS]) if CORS in documents else (),
        website=Website.decode(documents[WEBSITE]) if WEBSITE in documents else None,
        log_target=LogTarget.decode(documents[LOGGING]) if LOGGING in documents else None,
        notifications=Notifications.decode(documents[NOTIFICATION]) if NOTIFICATION in documents else None,
    )


def _read_ownership(documents: Mapping[str, bytes]) -> tuple[Ownership | None, bool]:
    document = documents.get(OWNERSHIP)
    if document is None:
        return None, False
    name, _, origin = document.decode().partition(" ")
    return Ownership(name), origin == _BY_DEFAULT


def _read_policy(bucket: Bucket, documents: Mapping[str, bytes]) -> tuple[Policy | None, bool]:
    document = documents.get(POLICY)
    if document is None:
        return None, False
    stored = StoredPolicy.decode(document)
    try:
        return parse_policy(stored.text, Kind.BUCKET, bucket=bucket.name), stored.binds_root
    except MalformedPolicy as error:
        LOG.error("the policy of bucket %s cannot be read, everything is denied: %s", bucket.name, error)
        return _LOCKED, False


def first_documents(*, asked: Ownership | None, default: Ownership, acl: Acl | None) -> Mapping[str, bytes]:
    """The documents that a bucket begins with; ``asked`` is the ownership that its creator wants, None for the default.

    With ObjectWriter by default nothing is stored: such a bucket is as AWS's were before there were ownership controls.
    """
    documents = {}
    if asked is not None:
        documents[OWNERSHIP] = asked.value.encode()
    elif default is not Ownership.WRITER:
        documents[OWNERSHIP] = f"{default.value} {_BY_DEFAULT}".encode()
    if acl is not None:
        documents[ACL] = encode_acl(acl).encode()
    return documents
