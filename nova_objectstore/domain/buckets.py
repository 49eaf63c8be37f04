"""Buckets: made, found, listed, removed. Found ones are cached while the engine's epoch stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nova_objectstore.domain.acl import Acl, encode_acl
from nova_objectstore.domain.bucket_rules import ACL, Ownership, first_documents
from nova_objectstore.errors import BucketAlreadyOwnedByYou, NoSuchBucket
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Bucket, Versioning

BUCKETS_CACHED_MAX = 10_000  # a few MB; above it the cache starts anew

# us-east-1 answers 200 to an owner who creates the bucket again (AWS: CreateBucket, BucketAlreadyOwnedByYou).
_REGION_WHERE_CREATING_AGAIN_IS_FINE = "us-east-1"


class Buckets:
    """The rules of buckets."""

    def __init__(
        self,
        meta: MetadataEngine,
        *,
        region: str,
        now_us: Callable[[], int],
        ownership: Ownership = Ownership.ENFORCED,
    ) -> None:
        self.region = region
        self.ownership = ownership
        self._meta = meta
        self._now_us = now_us
        self._epoch = -1
        self._by_name: dict[str, Bucket | None] = {}

    def find(self, name: str, *, epoch: int | None = None) -> Bucket:
        """The bucket of that name. Raises NoSuchBucket. ``epoch`` is the engine's, for callers that have just read it."""
        if epoch is None:
            epoch = self._meta.epoch()
        if epoch != self._epoch:
            self._by_name.clear()
            self._epoch = epoch
        try:
            bucket = self._by_name[name]
        except KeyError:
            bucket = self._load(name)
        if bucket is None:
            raise NoSuchBucket(bucket_name=name)
        return bucket

    def _load(self, name: str) -> Bucket | None:
        if len(self._by_name) >= BUCKETS_CACHED_MAX:
            self._by_name.clear()
        bucket: Bucket | None
        try:
            bucket = self._meta.find_bucket(name)
        except NoSuchBucket:
            bucket = None
        self._by_name[name] = bucket
        return bucket

    def create(
        self,
        name: str,
        *,
        owner_id: str,
        object_lock: bool = False,
        ownership: Ownership | None = None,
        acl: Acl | None = None,
    ) -> Bucket:
        """Make a bucket. The name has been checked by the front, and that ``ownership`` (or the default) allows for ``acl``.

        Raises BucketAlreadyExists (another account's), BucketAlreadyOwnedByYou (outside us-east-1), TooManyBuckets.
        """
        try:
            return self._meta.create_bucket(
                name,
                owner_id=owner_id,
                region=self.region,
                now_us=self._now_us(),
                object_lock=object_lock,
                documents=first_documents(asked=ownership, default=self.ownership, acl=acl),
            )
        except BucketAlreadyOwnedByYou:
            if self.region != _REGION_WHERE_CREATING_AGAIN_IS_FINE:
                raise
            # ... and has its ACL reset to what this request says
            bucket = self._meta.find_bucket(name)
            if acl is None:
                self._meta.delete_document(bucket.id, ACL)
            else:
                self._meta.put_document(bucket.id, ACL, encode_acl(acl).encode())
            return bucket

    def list(self, owner_id: str, *, prefix: str, after: str, limit: int) -> tuple[Sequence[Bucket], str | None]:
        """A page of an account's buckets by name, and the name to go on behind (None on the last page)."""
        found = self._meta.list_buckets(owner_id, prefix=prefix, after=after, limit=limit + 1)
        page = found[:limit]
        return page, (page[-1].name if page and len(found) > limit else None)

    def set_versioning(self, bucket: Bucket, state: Versioning) -> None:
        """Enable or suspend versioning. Raises NoSuchBucket, InvalidBucketState."""
        self._meta.set_versioning(bucket.id, state)

    def get_document(self, bucket: Bucket, name: str) -> bytes:
        """A stored configuration. Raises NoSuchDocument."""
        return self._meta.get_document(bucket.id, name)

    def put_document(self, bucket: Bucket, name: str, body: bytes) -> None:
        """Store or replace a configuration. Raises NoSuchBucket."""
        self._meta.put_document(bucket.id, name, body)

    def delete_document(self, bucket: Bucket, name: str) -> None:
        """Remove a configuration, if there is one. Raises NoSuchBucket."""
        self._meta.delete_document(bucket.id, name)

    def delete(self, bucket: Bucket) -> None:
        """Remove an empty bucket. Raises BucketNotEmpty, NoSuchBucket."""
        self._meta.delete_bucket(bucket.id)
