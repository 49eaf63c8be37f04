"""Server access logging of a bucket: where its records go, and whether they may (AWS: "Enabling server access logging").

Laws:

- Logs are stored for the source's owner by this store's logging service, ``logging.s3.amazonaws.com``: the target bucket's
  policy must let it put objects under the prefix, and may ask for the source by aws:SourceArn and aws:SourceAccount.
- The policy is asked when logging is configured and at every delivery; what was taken back is not delivered.
- A target of another account must name the source: a policy that says nothing of it is meant for its own account's buckets.
  (At AWS other accounts' targets are refused altogether.)
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nova_objectstore.domain.access_context import StoredContext
from nova_objectstore.domain.acl import LOG_DELIVERY_SERVICE, Acl, Grant, Permission, make_acl
from nova_objectstore.errors import AccessDenied, NoSuchKey
from nova_objectstore.types import Bucket, Principal, Version

if TYPE_CHECKING:
    from nova_objectstore.domain.access import Access

LOGGING = "logging"  # the document's name
LOGGING_SERVICE = Principal(service=LOG_DELIVERY_SERVICE)
PUT_ACTION = "s3:PutObject"


class KeyFormat(enum.StrEnum):
    """How the keys of log objects are made behind the prefix (AWS: TargetObjectKeyFormat)."""

    DEFAULT = ""  # not said: as SIMPLE
    SIMPLE = "Simple"  # 2026-11-22-18-45-00-UNIQUE
    BY_EVENT_TIME = "EventTime"  # account/region/bucket/2026/11/22/2026-11-22-00-00-00-UNIQUE: the day of its requests
    BY_DELIVERY_TIME = "DeliveryTime"  # the same, by when it was stored

    @property
    def is_partitioned(self) -> bool:
        """Whether each source has objects of its own."""
        return self in (KeyFormat.BY_EVENT_TIME, KeyFormat.BY_DELIVERY_TIME)


class LogTarget(NamedTuple):
    """Where a bucket's access log goes. ``grants``: who else may read the log objects, where the target has ACLs."""

    bucket: str
    prefix: str
    key_format: KeyFormat = KeyFormat.DEFAULT
    grants: Sequence[Grant] = ()

    def encode(self) -> bytes:
        """The document that is stored, and what spool files begin with."""
        return json.dumps([self.bucket, self.prefix, self.key_format, self.grants]).encode()

    @classmethod
    def decode(cls, document: bytes | str) -> LogTarget:
        """From the document."""
        bucket, prefix, key_format, grants = json.loads(document)
        return cls(
            bucket,
            prefix,
            KeyFormat(key_format),
            tuple(Grant(grantee, Permission(permission)) for grantee, permission in grants),
        )

    def acl(self, owner: str) -> Acl | None:
        """The list of a log object whose owner has that canonical id."""
        if not self.grants:
            return None
        return make_acl((Grant(owner, Permission.FULL_CONTROL), *self.grants), owner)


class Source(NamedTuple):
    """A bucket whose requests are logged. ``owner_names``: its account's 12 digits and canonical id."""

    name: str
    owner_id: str
    owner_names: Sequence[str]


class _LogContext(StoredContext):
    """What a target's policy may ask of a delivery. An account goes by both its names."""

    __slots__ = ("_source",)

    def __init__(self, source: Source | None) -> None:
        super().__init__(_nothing)
        self._source = source

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key."""
        if self._source is None:
            return None
        if key == "aws:sourcearn":
            return (f"arn:aws:s3:::{self._source.name}",)
        if key == "aws:sourceaccount":
            return self._source.owner_names
        return None


def _nothing() -> Version:
    raise NoSuchKey


def check_delivery(access: Access, target: Bucket, source: Source, *, prefix: str, key: str) -> None:
    """Return when the source's logs may be stored in ``target`` under ``key``. Raises AccessDenied.

    The policy may give the prefix itself (``.../logs/``) as well as the keys under it (``.../logs/*``); one that denies the
    key denies it.
    """
    context = _LogContext(source)
    if not _may_put(access, target, prefix, key, context):
        raise AccessDenied
    if target.owner_id != source.owner_id and _may_put(access, target, prefix, key, _LogContext(None)):
        raise AccessDenied("The policy of another account's bucket must name the source bucket or its account.")


def _may_put(access: Access, target: Bucket, prefix: str, key: str, context: StoredContext) -> bool:
    if access.may(LOGGING_SERVICE, PUT_ACTION, target, key, context=context):
        return True
    if access.denies(LOGGING_SERVICE, PUT_ACTION, target, key, context=context):
        return False
    return access.may(LOGGING_SERVICE, PUT_ACTION, target, prefix, context=context)
