"""Buckets, their documents and their usage: the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_objectstore.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidBucketState,
    NoSuchBucket,
    NoSuchDocument,
    TooManyBuckets,
)
from nova_objectstore.limits import BUCKETS_PER_ACCOUNT_MAX
from nova_objectstore.meta.sql import keyrange
from nova_objectstore.meta.sql.bucket_states import forget_state, read_state
from nova_objectstore.meta.sql.quotas import forget_bucket
from nova_objectstore.meta.sql.rows import decode_bucket
from nova_objectstore.meta.sql.statements import buckets as q
from nova_objectstore.meta.sql.statements.accounts import grow_epoch
from nova_objectstore.meta.sql.statements.lifecycle import stop_lifecycle
from nova_objectstore.meta.sql.statements.versions import find_any_current, find_any_hidden
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.meta.sql.uploads import drop_uploads_of
from nova_objectstore.types import Bucket, Versioning


def create_bucket(
    tx: Transaction,
    name: str,
    *,
    owner_id: str,
    region: str,
    now_us: int,
    object_lock: bool = False,
    documents: Mapping[str, bytes] = {},
) -> Bucket:
    """Add a bucket with its first documents; object lock turns versioning on."""
    row = tx.one(q.find_bucket, name)
    if row is not None:
        raise (BucketAlreadyOwnedByYou if row[2] == owner_id else BucketAlreadyExists)(bucket_name=name)
    counted = tx.one(q.count_buckets, owner_id)
    if counted is not None and counted[0] >= BUCKETS_PER_ACCOUNT_MAX:
        raise TooManyBuckets(bucket_name=name)
    versioning = Versioning.ENABLED if object_lock else Versioning.OFF
    bucket_id = tx.insert(q.insert_bucket, name, owner_id, region, now_us, str(versioning), int(object_lock))
    tx.run(q.insert_usage, bucket_id)
    for document, body in documents.items():
        tx.run(q.insert_document, bucket_id, document, body)
    tx.run(grow_epoch)
    return Bucket(bucket_id, name, owner_id, region, now_us, versioning, object_lock, revision=1)


def find_bucket(tx: Transaction, name: str) -> Bucket:
    """The bucket of that name."""
    row = tx.one(q.find_bucket, name)
    if row is None:
        raise NoSuchBucket(bucket_name=name)
    return decode_bucket(row)


def bucket_of_id(tx: Transaction, bucket_id: int) -> Bucket:
    """The bucket of that number."""
    row = tx.one(q.bucket_of_id, bucket_id)
    if row is None:
        raise NoSuchBucket(bucket_id=bucket_id)
    return decode_bucket(row)


def list_buckets(
    tx: Transaction, owner_id: str, *, prefix: str = "", after: str = "", limit: int = 10_000
) -> Sequence[Bucket]:
    """An account's buckets by name."""
    low = max(after, keyrange.before_prefix(prefix))
    rows = tx.all(q.list_buckets, owner_id, low, keyrange.after_prefix(prefix), limit)
    return [decode_bucket(row) for row in rows]


def delete_bucket(tx: Transaction, bucket_id: int, *, now_us: int = 0) -> None:
    """Remove an empty bucket, its documents and its uploads in progress."""
    state = read_state(tx, bucket_id)
    if tx.one(find_any_current, bucket_id) is not None or tx.one(find_any_hidden, bucket_id) is not None:
        raise BucketNotEmpty(bucket_id=bucket_id)
    drop_uploads_of(tx, bucket_id, now_us)
    tx.run(stop_lifecycle, bucket_id)
    tx.run(q.delete_documents, bucket_id)
    forget_bucket(tx, state, bucket_id)
    tx.run(q.delete_usage, bucket_id)
    tx.run(q.delete_bucket, bucket_id)
    _changed(tx, bucket_id)


def set_versioning(tx: Transaction, bucket_id: int, versioning: Versioning) -> None:
    """Change the versioning state."""
    state = read_state(tx, bucket_id)
    if versioning is Versioning.OFF:
        raise InvalidBucketState("Versioning can be suspended, not turned off.", bucket_id=bucket_id)
    if versioning is Versioning.SUSPENDED and state.object_lock:
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            bucket_id=bucket_id,
        )
    tx.run(q.set_bucket_versioning, bucket_id, str(versioning))
    _changed(tx, bucket_id)


def set_object_lock(tx: Transaction, bucket_id: int) -> None:
    """Turn object lock on for good."""
    if read_state(tx, bucket_id).versioning is not Versioning.ENABLED:
        raise InvalidBucketState("Versioning must be 'Enabled' on the bucket.", bucket_id=bucket_id)
    tx.run(q.set_bucket_object_lock, bucket_id)
    _changed(tx, bucket_id)


def usage(tx: Transaction, bucket_id: int) -> tuple[int, int]:
    """Objects and bytes of a bucket; zeros for one that is gone."""
    row = tx.one(q.read_usage, bucket_id)
    return (0, 0) if row is None else (row[0], row[1])


# -- documents ---------------------------------------------------------------------------------------------------------


def get_document(tx: Transaction, bucket_id: int, name: str) -> bytes:
    """A stored configuration."""
    row = tx.one(q.get_document, bucket_id, name)
    if row is None:
        raise NoSuchDocument(bucket_id=bucket_id, document=name)
    return bytes(row[0])


def get_documents(tx: Transaction, bucket_id: int) -> Mapping[str, bytes]:
    """All of a bucket's configurations, by name."""
    return {name: bytes(body) for name, body in tx.all(q.get_documents, bucket_id)}


def put_document(tx: Transaction, bucket_id: int, name: str, body: bytes) -> None:
    """Store or replace a configuration."""
    read_state(tx, bucket_id)
    tx.run(q.delete_document, bucket_id, name)
    tx.run(q.insert_document, bucket_id, name, body)
    tx.run(q.grow_bucket_revision, bucket_id)
    _changed(tx, bucket_id)


def delete_document(tx: Transaction, bucket_id: int, name: str) -> None:
    """Remove a configuration."""
    read_state(tx, bucket_id)
    if tx.run(q.delete_document, bucket_id, name):
        tx.run(q.grow_bucket_revision, bucket_id)
        _changed(tx, bucket_id)


def _changed(tx: Transaction, bucket_id: int) -> None:
    forget_state(tx, bucket_id)
    tx.run(grow_epoch)
