"""Where bundles come from: manifests and parts as objects of the store's own buckets, read with somebody's permissions."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, Protocol

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_context import StoredContext
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.objects import Objects
from nova_objectstore.errors import NoSuchKey
from nova_objectstore.images.errors import InvalidLocation, InvalidManifest
from nova_objectstore.images.limits import MANIFEST_BYTES_MAX
from nova_objectstore.images.manifest import Manifest, read_manifest
from nova_objectstore.types import Principal

READ_ACTION = "s3:GetObject"


class StoredObject(NamedTuple):
    """An object on its way: its size in bytes, and its bytes in pieces. Closing the pieces releases it."""

    size: int
    pieces: Generator[bytes, None, None]


class BundleSource(Protocol):
    """What reads bundles."""

    def open(self, principal: Principal, bucket: str, key: str) -> StoredObject:
        """An object, as ``principal`` may read it. Raises AccessDenied, NoSuchBucket, NoSuchKey, EngineError."""
        ...

    def owner(self, account_id: str) -> Principal:
        """The principal that an account's root is. Raises NoSuchAccount."""
        ...


class Location(NamedTuple):
    """The place of a manifest; the parts lie beside it, under the same prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Location:
        """``bucket/some/prefix/name.manifest.xml``. Raises InvalidLocation."""
        bucket, _, key = text.partition("/")
        if not bucket or not key or "\0" in text:
            raise InvalidLocation(location=text)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidLocation(location=repr(text)) from None
        return cls(bucket, key)

    def beside(self, filename: str) -> str:
        """The key of a part."""
        return self.key[: self.key.rfind("/") + 1] + filename


def read_source_manifest(source: BundleSource, principal: Principal, location: Location) -> Manifest:
    """The manifest at ``location``. Raises InvalidManifest, and what ``source.open`` raises."""
    found = source.open(principal, location.bucket, location.key)
    try:
        if found.size > MANIFEST_BYTES_MAX:
            raise InvalidManifest(f"The manifest is larger than {MANIFEST_BYTES_MAX} bytes.")
        return read_manifest(b"".join(found.pieces))
    finally:
        found.pieces.close()


class StoredBundles:
    """A :class:`BundleSource` over the domain of the store."""

    def __init__(
        self, buckets: Buckets, objects: Objects, egress: Egress, access: Access, identities: Identities
    ) -> None:
        self._buckets = buckets
        self._objects = objects
        self._egress = egress
        self._access = access
        self._identities = identities

    def open(self, principal: Principal, bucket: str, key: str) -> StoredObject:
        """An object, as ``principal`` may read it. Raises AccessDenied, NoSuchBucket, NoSuchKey, EngineError."""
        found = self._buckets.find(bucket)
        context = StoredContext(lambda: self._objects.get(found, key, inline=True))
        self._access.check(principal, READ_ACTION, found, key, context=context)
        version = context.version() or self._objects.get(found, key, inline=True)
        if version.is_marker:
            raise NoSuchKey(key=key)
        return StoredObject(version.size, self._egress.read(version))

    def owner(self, account_id: str) -> Principal:
        """The principal that an account's root is. Raises NoSuchAccount."""
        account = self._identities.account(account_id)
        return Principal(
            account_id=account.id, canonical_id=account.canonical_id, arn=f"arn:aws:iam::{account.id}:root"
        )
