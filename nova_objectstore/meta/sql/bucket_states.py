"""A bucket's state, as a write reads it inside its own transaction."""

from __future__ import annotations

from nova_objectstore.errors import NoSuchBucket
from nova_objectstore.meta.quota_port import Quota
from nova_objectstore.meta.sql.looks import decode_plan
from nova_objectstore.meta.sql.statements.buckets import read_bucket_state
from nova_objectstore.meta.sql.transaction import BucketQuotas, BucketState, Transaction
from nova_objectstore.types import Versioning


def read_state(tx: Transaction, bucket_id: int) -> BucketState:
    """What the database says of the bucket now. Raises NoSuchBucket.

    PERF: read once per transaction, which may be that of many writes.
    """
    state = tx.bucket_states.get(bucket_id)
    if state is None:
        row = tx.one(read_bucket_state, bucket_id)
        if row is None:
            raise NoSuchBucket(bucket_id=bucket_id)
        state = tx.bucket_states[bucket_id] = BucketState(
            Versioning(row[0]), bool(row[1]), None if row[2] is None else decode_plan(row[2]), _quotas(*row[3:])
        )
    return state


def _quotas(owner_id: str, bucket_id: int | None, account_id: str | None, *limits: int | None) -> BucketQuotas | None:
    """The quotas whose row is there."""
    if bucket_id is None and account_id is None:
        return None
    bucket = None if bucket_id is None else Quota(*limits[:2])
    return BucketQuotas(owner_id, bucket, None if account_id is None else Quota(*limits[2:]))


def forget_state(tx: Transaction, bucket_id: int) -> None:
    """The running verb changes the bucket."""
    tx.bucket_states.pop(bucket_id, None)
