"""Quotas: the verbs of ``meta/quota_port.py``, the check that writes make, and the counters it judges by.

Strategy: a bucket's counters are kept always, by the writes themselves; an account's only while it has a quota, in the
quota's own row. What a transaction adds is gathered in ``Transaction.usage`` and written once at its end, so a check adds
it to what the rows said before. The limits come with the bucket's state, which every write reads: a bucket without a quota
pays one attribute test.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.errors import NoSuchAccount, NoSuchBucket, QuotaExceeded
from nova_objectstore.meta.quota_port import NO_QUOTA, KnownQuota, Quota, QuotaUse
from nova_objectstore.meta.sql.bucket_states import forget_state, read_state
from nova_objectstore.meta.sql.statements import quotas as q
from nova_objectstore.meta.sql.statements.accounts import find_account
from nova_objectstore.meta.sql.statements.buckets import add_usage
from nova_objectstore.meta.sql.transaction import BucketQuotas, BucketState, Transaction

# -- the check of a write ------------------------------------------------------------------------------------------------


def check_quota(tx: Transaction, quotas: BucketQuotas, bucket_id: int, objects: int, size: int) -> None:
    """Judge a write that adds so many objects and bytes, before it writes anything. Raises QuotaExceeded."""
    if objects <= 0 and size <= 0:
        return
    if quotas.bucket is not None:
        _judge("bucket", quotas.bucket, _use_of_bucket(tx, bucket_id), objects, size)
    if quotas.account is not None:
        _judge("account", quotas.account, _use_of_account(tx, quotas.owner_id), objects, size)


def _judge(whose: str, quota: Quota, used: tuple[int, int], objects: int, size: int) -> None:
    limits = ((objects, used[0], quota.objects_max, "objects"), (size, used[1], quota.bytes_max, "bytes"))
    for more, held, held_max, unit in limits:
        if held_max is not None and more > 0 and held + more > held_max:
            raise QuotaExceeded(f"The write would exceed the {whose}'s quota of {held_max} {unit}.")


def _use_of_bucket(tx: Transaction, bucket_id: int) -> tuple[int, int]:
    """Objects and bytes, with what this transaction has added so far."""
    recorded = tx.recorded.get(bucket_id)
    if recorded is None:
        row = tx.one(q.read_bucket_use, bucket_id)
        assert row is not None, "every bucket has a row of usage"
        recorded = tx.recorded[bucket_id] = (row[0], row[1])
    objects, size, parts_size = tx.usage.get(bucket_id, (0, 0, 0))
    return recorded[0] + objects, recorded[1] + size + parts_size


def _use_of_account(tx: Transaction, account_id: str) -> tuple[int, int]:
    recorded = tx.recorded.get(account_id)
    if recorded is None:
        row = tx.one(q.find_account_quota, account_id)
        assert row is not None, "the state of its bucket says that it has a quota"
        recorded = tx.recorded[account_id] = (row[2], row[3])
    objects, size = recorded
    for bucket_id, (more_objects, more_size, more_parts) in tx.usage.items():
        quotas = read_state(tx, bucket_id).quotas
        if quotas is not None and quotas.owner_id == account_id:
            objects, size = objects + more_objects, size + more_size + more_parts
    return objects, size


# -- counters ------------------------------------------------------------------------------------------------------------


def write_usage(tx: Transaction) -> None:
    """At the end of a transaction: write what it has counted."""
    for bucket_id, (objects, size, parts_size) in tx.usage.items():
        if objects or size:
            tx.run(add_usage, bucket_id, objects, size)
        if parts_size and not tx.run(q.add_part_usage, bucket_id, parts_size):
            tx.run(q.insert_part_usage, bucket_id, parts_size)
        quotas = read_state(tx, bucket_id).quotas
        if quotas is not None and quotas.account is not None:
            tx.run(q.add_account_use, quotas.owner_id, objects, size + parts_size)


def forget_bucket(tx: Transaction, state: BucketState, bucket_id: int) -> None:
    """The bucket goes, with its uploads: before its row of usage does. What was counted and not written goes with it."""
    if state.quotas is not None and state.quotas.account is not None:
        row = tx.one(q.read_bucket_use, bucket_id)
        assert row is not None, "every bucket has a row of usage"
        tx.run(q.add_account_use, state.quotas.owner_id, -row[0], -row[1])
        tx.recorded.pop(state.quotas.owner_id, None)
    tx.usage.pop(bucket_id, None)
    tx.recorded.pop(bucket_id, None)
    tx.run(q.delete_part_usage, bucket_id)
    tx.run(q.delete_bucket_quota, bucket_id)


# -- the verbs -----------------------------------------------------------------------------------------------------------


def set_bucket_quota(tx: Transaction, bucket_id: int, quota: Quota) -> None:
    """Replace a bucket's quota."""
    read_state(tx, bucket_id)
    tx.run(q.delete_bucket_quota, bucket_id)
    if quota != NO_QUOTA:
        tx.run(q.insert_bucket_quota, bucket_id, *quota)
    forget_state(tx, bucket_id)


def set_account_quota(tx: Transaction, account_id: str, quota: Quota) -> None:
    """Replace an account's quota. Its counters begin with what the rows of its buckets say: what this transaction has
    counted already is written to both at its end."""
    if tx.one(find_account, account_id) is None:
        raise NoSuchAccount(account_id=account_id)
    if quota == NO_QUOTA:
        tx.run(q.delete_account_quota, account_id)
    elif not tx.run(q.set_account_quota_row, account_id, *quota):
        row = tx.one(q.sum_account_use, account_id)
        assert row is not None, "a sum is a row"
        tx.run(q.insert_account_quota, account_id, *quota, *row)
    tx.recorded.pop(account_id, None)
    tx.bucket_states.clear()  # of any of its buckets


def get_bucket_quota(tx: Transaction, bucket_id: int) -> QuotaUse:
    """A bucket's quota and use."""
    row = tx.one(q.find_bucket_quota, bucket_id)
    if row is None:
        raise NoSuchBucket(bucket_id=bucket_id)
    return _bucket_use(tx, bucket_id, Quota(*row))


def _bucket_use(tx: Transaction, bucket_id: int, quota: Quota) -> QuotaUse:
    row = tx.one(q.read_bucket_use, bucket_id)
    assert row is not None, "every bucket has a row of usage"
    return QuotaUse(quota, row[0], row[1])


def get_account_quota(tx: Transaction, account_id: str) -> QuotaUse:
    """An account's quota and use."""
    row = tx.one(q.find_account_quota, account_id)
    if row is not None:
        return QuotaUse(Quota(row[0], row[1]), row[2], row[3])
    if tx.one(find_account, account_id) is None:
        raise NoSuchAccount(account_id=account_id)
    summed = tx.one(q.sum_account_use, account_id)
    assert summed is not None, "a sum is a row"
    return QuotaUse(NO_QUOTA, summed[0], summed[1])


def list_quotas(tx: Transaction) -> Sequence[KnownQuota]:
    """Every quota there is."""
    found = [
        KnownQuota(account_id, None, QuotaUse(Quota(objects_max, bytes_max), objects, size))
        for account_id, objects_max, bytes_max, objects, size in tx.all(q.list_account_quotas)
    ]
    found += [
        KnownQuota(account_id, name, _bucket_use(tx, bucket_id, Quota(objects_max, bytes_max)))
        for account_id, name, bucket_id, objects_max, bytes_max in tx.all(q.list_bucket_quotas)
    ]
    return sorted(found, key=lambda known: (known.account_id, known.bucket_name or ""))
