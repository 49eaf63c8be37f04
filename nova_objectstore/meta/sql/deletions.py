"""Deletions: hiding a key under a delete marker, removing a version for good, both a thousand at once. The verbs."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.errors import StoreError
from nova_objectstore.meta.sql import agenda
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.conditions import check_delete_condition
from nova_objectstore.meta.sql.contents import erase_content
from nova_objectstore.meta.sql.locks import check_removable
from nova_objectstore.meta.sql.statements import versions as q
from nova_objectstore.meta.sql.transaction import BucketState, Transaction
from nova_objectstore.meta.sql.versions import (
    Found,
    Slot,
    check_slot,
    date_of,
    find_current,
    find_newest_hidden,
    find_version,
    make_room,
    open_slot,
)
from nova_objectstore.types import UNCONDITIONAL, UNVERSIONED, Bucket, Deleted, WriteCondition


def delete_object(
    tx: Transaction,
    bucket: Bucket,
    key: str,
    *,
    owner_id: str,
    now_us: int,
    condition: WriteCondition = UNCONDITIONAL,
) -> Deleted:
    """DELETE without a version id."""
    state = read_state(tx, bucket.id)
    return delete_key(tx, state, bucket.id, key, owner_id=owner_id, now_us=now_us, condition=condition)


def delete_key(
    tx: Transaction,
    state: BucketState,
    bucket_id: int,
    key: str,
    *,
    owner_id: str,
    now_us: int,
    condition: WriteCondition = UNCONDITIONAL,
) -> Deleted:
    """``delete_object`` in the bucket's state as it was read."""
    slot = open_slot(tx, state, bucket_id, key, now_us)
    if condition is not UNCONDITIONAL and condition != UNCONDITIONAL:
        newest = slot.current or find_newest_hidden(tx, bucket_id, key)
        if newest is None:
            return Deleted(None, is_marker=False)  # what was to be deleted was never there: nothing to hide
        check_delete_condition(condition, newest)
    check_slot(slot, now_us)
    make_room(tx, slot, now_us)
    if slot.current is not None:
        tx.run(q.delete_current, bucket_id, key)
    if state.versioning is UNVERSIONED:
        return Deleted(None, is_marker=False)
    insert_marker(tx, slot, owner_id=owner_id, now_us=now_us)
    return Deleted(slot.version_id, is_marker=True)


def insert_marker(tx: Transaction, slot: Slot, *, owner_id: str, now_us: int) -> None:
    """Put a delete marker on top of the key's versions, when room was made and no current object is left."""
    modified_us = date_of(slot, now_us)
    tx.run(q.insert_hidden_marker, slot.bucket_id, slot.key, -slot.sequence, slot.version_id, modified_us, owner_id)
    if slot.plan is not None:
        agenda.marker_arrived(tx, slot.plan, slot.bucket_id, slot.key, slot.sequence)


def delete_version(
    tx: Transaction,
    bucket: Bucket,
    key: str,
    version_id: str,
    *,
    now_us: int,
    bypass_governance: bool = False,
    condition: WriteCondition = UNCONDITIONAL,
) -> Deleted:
    """DELETE with a version id."""
    state = read_state(tx, bucket.id)
    found = find_version(tx, bucket.id, key, version_id)
    check_delete_condition(condition, None if found is None else found.row)
    if found is None:
        return Deleted(version_id, is_marker=False)
    check_removable(found.row, now_us=now_us, bypass_governance=bypass_governance)
    remove_version(tx, state, found, now_us)
    return Deleted(version_id, is_marker=found.row.is_marker)


def remove_version(tx: Transaction, state: BucketState, found: Found, now_us: int) -> None:
    """Remove a version or marker for good, that may be removed; the next newest becomes current."""
    _remove(tx, found, now_us)
    if state.plan is not None:
        agenda.version_went(tx, state.plan, found.row, was_current=found.is_current)


def _remove(tx: Transaction, found: Found, now_us: int) -> None:
    row = found.row
    erase_content(tx, row, now_us)
    if not row.is_marker:
        tx.count(row.bucket_id, -1, -row.size)
    if found.is_current:
        tx.run(q.delete_current, row.bucket_id, row.key)
        promote(tx, row.bucket_id, row.key)
        return
    tx.run(q.delete_hidden, row.bucket_id, row.key, -row.sequence)
    if row.is_marker and find_current(tx, row.bucket_id, row.key) is None:
        promote(tx, row.bucket_id, row.key)


def promote(tx: Transaction, bucket_id: int, key: str) -> None:
    """The key has no current object: its newest hidden version becomes it, unless a marker keeps the key hidden."""
    newest = find_newest_hidden(tx, bucket_id, key)
    if newest is None or newest.is_marker:
        return
    tx.run(q.copy_hidden_to_current, bucket_id, key, -newest.sequence)
    tx.run(q.delete_hidden, bucket_id, key, -newest.sequence)


def delete_objects(
    tx: Transaction,
    bucket: Bucket,
    deletes: Sequence[tuple[str, str | None, WriteCondition]],
    *,
    owner_id: str,
    now_us: int,
    bypass_governance: bool = False,
) -> Sequence[Deleted | Exception]:
    """DeleteObjects. A refused key has changed nothing (its checks come first), so its error is a value here."""
    state = read_state(tx, bucket.id)
    outcomes: list[Deleted | Exception] = []
    for key, version_id, condition in deletes:
        outcome: Deleted | Exception
        try:
            if version_id is None:
                outcome = delete_key(tx, state, bucket.id, key, owner_id=owner_id, now_us=now_us, condition=condition)
            else:
                outcome = delete_version(
                    tx,
                    bucket,
                    key,
                    version_id,
                    now_us=now_us,
                    bypass_governance=bypass_governance,
                    condition=condition,
                )
        except StoreError as error:
            outcome = error.with_traceback(None)  # told, not traced: its frames hold the outcomes
        outcomes.append(outcome)
    return outcomes
