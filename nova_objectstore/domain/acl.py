"""Access control lists: who was granted what on a bucket or an object (AWS: "Access control list (ACL) overview").

Laws:

- Only a list that is not the default one is stored; by default the owner has full control and nobody else anything.
- Grantees are accounts, by canonical id, or one of three groups. A grant to an account speaks of the account: its users
  need a policy of their own besides.
- An owner may always read and write the list, whatever it says.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from nova_objectstore.domain.policy.principals import Grip
from nova_objectstore.types import Principal

GRANTS_MAX = 100  # S3: grants of one list
ACLS_CACHED_MAX = 2000  # lists of objects, parsed; a few hundred bytes each


class Permission(enum.StrEnum):
    """What may be granted, in the order in which grants are told."""

    READ = "READ"
    WRITE = "WRITE"
    READ_ACP = "READ_ACP"
    WRITE_ACP = "WRITE_ACP"
    FULL_CONTROL = "FULL_CONTROL"


READ, WRITE, READ_ACP = Permission.READ, Permission.WRITE, Permission.READ_ACP
WRITE_ACP, FULL_CONTROL = Permission.WRITE_ACP, Permission.FULL_CONTROL

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset((ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY))
PUBLIC_GROUPS = frozenset((ALL_USERS, AUTHENTICATED_USERS))

# Who the canned list aws-exec-read grants READ to, so that EC2 may fetch a bundle (AWS: "Canned ACL").
EC2_CANONICAL_ID = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"

# Who uploads without a signature is this canonical user (AWS: "Access control list (ACL) overview").
ANONYMOUS_CANONICAL_ID = "65a011a29cdf8ec533ec3d1ccaae921c"
# Grantees that are nobody's account here.
WELL_KNOWN_IDS = frozenset((EC2_CANONICAL_ID, ANONYMOUS_CANONICAL_ID))


class Grant(NamedTuple):
    """A permission of a grantee: a canonical id, or a group's URI."""

    grantee: str
    permission: Permission


class Acl(NamedTuple):
    """A list of grants, groups first: that is how they are told."""

    grants: Sequence[Grant]

    @property
    def is_public(self) -> bool:
        """Whether it grants anything to everybody, or to every account (AWS: "The meaning of public")."""
        return any(grant.grantee in PUBLIC_GROUPS for grant in self.grants)

    def is_for_owner_alone(self, canonical_id: str) -> bool:
        """Whether nobody but ``canonical_id`` is granted anything."""
        return all(grant.grantee == canonical_id for grant in self.grants)

    def grip(self, permission: Permission, principal: Principal, *, ignore_public: bool) -> Grip:
        """How the list grants ``permission`` to a principal; ``ignore_public`` leaves the public groups out."""
        best = Grip.NONE
        for grant in self.grants:
            if grant.permission is permission or grant.permission is FULL_CONTROL:
                best = max(best, _grip(grant.grantee, principal, ignore_public=ignore_public))
        return best


def _grip(grantee: str, principal: Principal, *, ignore_public: bool) -> Grip:
    if grantee in PUBLIC_GROUPS:
        if ignore_public or principal.service or (principal.is_anonymous and grantee != ALL_USERS):
            return Grip.NONE
        return Grip.ROLE if principal.role_arn else Grip.DIRECT
    if grantee == LOG_DELIVERY:
        return Grip.DIRECT if principal.service == LOG_DELIVERY_SERVICE else Grip.NONE
    return Grip.ACCOUNT if principal.canonical_id == grantee else Grip.NONE


LOG_DELIVERY_SERVICE = "logging.s3.amazonaws.com"

PRIVATE = None
"""The default list: the owner has full control."""


def make_acl(grants: Sequence[Grant], owner: str) -> Acl | None:
    """The list of some grants, PRIVATE when it is the default one. ``owner``: the owner's canonical id."""
    ordered = sorted(dict.fromkeys(grants), key=lambda grant: grant.grantee not in GROUPS)
    if ordered == [Grant(owner, FULL_CONTROL)]:
        return PRIVATE
    return Acl(tuple(ordered))


def grants_of(acl: Acl | None, owner: str) -> Sequence[Grant]:
    """The grants to tell of a list, the default one's too."""
    return (Grant(owner, FULL_CONTROL),) if acl is None else acl.grants


def grip_of(
    acl: Acl | None, owner_id: str, permission: Permission, principal: Principal, *, ignore_public: bool = False
) -> Grip:
    """How a list, the default one too, grants ``permission``; ``owner_id`` is the owner's account id."""
    is_owner = bool(owner_id) and principal.account_id == owner_id
    if is_owner and (acl is None or permission in (READ_ACP, WRITE_ACP)):
        return Grip.ACCOUNT
    if acl is None:
        return Grip.NONE
    return acl.grip(permission, principal, ignore_public=ignore_public)


# -- canned lists -------------------------------------------------------------------------------------------------------


class Canned(NamedTuple):
    """A list by name: what it grants beside the owner's full control. ``owner`` is the bucket's, by canonical id."""

    grants: Callable[[str], Sequence[Grant]]
    of_buckets: bool = True
    of_objects: bool = True


def _constant(*grants: Grant) -> Callable[[str], Sequence[Grant]]:
    return lambda _owner: grants


CANNED: Mapping[str, Canned] = {
    "private": Canned(_constant()),
    "public-read": Canned(_constant(Grant(ALL_USERS, READ))),
    "public-read-write": Canned(_constant(Grant(ALL_USERS, READ), Grant(ALL_USERS, WRITE))),
    "authenticated-read": Canned(_constant(Grant(AUTHENTICATED_USERS, READ))),
    "aws-exec-read": Canned(_constant(Grant(EC2_CANONICAL_ID, READ))),
    "log-delivery-write": Canned(
        _constant(Grant(LOG_DELIVERY, WRITE), Grant(LOG_DELIVERY, READ_ACP)), of_objects=False
    ),
    "bucket-owner-read": Canned(lambda owner: (Grant(owner, READ),), of_buckets=False),
    "bucket-owner-full-control": Canned(lambda owner: (Grant(owner, FULL_CONTROL),), of_buckets=False),
}
BUCKET_OWNER_FULL_CONTROL = "bucket-owner-full-control"


def canned_acl(canned: Canned, *, owner: str, bucket_owner: str) -> Acl | None:
    """The list of a canned name, for an owner of a bucket or object; both are canonical ids."""
    if owner == bucket_owner and not canned.of_buckets:
        return PRIVATE
    return make_acl((Grant(owner, FULL_CONTROL), *canned.grants(bucket_owner)), owner)


# -- as it is stored ----------------------------------------------------------------------------------------------------


def encode_acl(acl: Acl) -> str:
    """A list as text."""
    return json.dumps(acl.grants, separators=(",", ":"))


@lru_cache(ACLS_CACHED_MAX)
def decode_acl(text: str) -> Acl:
    """A list from its text."""
    return Acl(tuple(Grant(grantee, Permission(permission)) for grantee, permission in json.loads(text)))


# -- what a permission allows (AWS: "Mapping of ACL permissions and access policy permissions") ---------------------------

BUCKET_PERMISSIONS: Mapping[str, Permission] = {
    "s3:ListBucket": READ,
    "s3:ListBucketVersions": READ,
    "s3:ListBucketMultipartUploads": READ,
    "s3:PutObject": WRITE,
    "s3:DeleteObject": WRITE,  # of what the grantee owns, and of what is not there
    "s3:GetBucketAcl": READ_ACP,
    "s3:PutBucketAcl": WRITE_ACP,
}
OBJECT_PERMISSIONS: Mapping[str, Permission] = {
    "s3:GetObject": READ,
    "s3:GetObjectVersion": READ,
    "s3:GetObjectTorrent": READ,
    "s3:GetObjectAcl": READ_ACP,
    "s3:GetObjectVersionAcl": READ_ACP,
    "s3:PutObjectAcl": WRITE_ACP,
    "s3:PutObjectVersionAcl": WRITE_ACP,
}
