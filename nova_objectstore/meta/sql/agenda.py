"""The agenda, kept by the verbs that write versions: one function for each thing that can happen to a version.

Each is called, at the end of what it tells of, where the bucket has rules (``plan`` is not None) and nowhere else. A row
names a version by its sequence, so that what becomes current or noncurrent keeps its row and gets another time.

``newer`` noncurrent versions are waited for without looking: a version that some look passes over because too few newer
ones are there gets a row when the one arrives that makes them enough (``_enough_newer``).
"""

from __future__ import annotations

from nova_objectstore.meta.lifecycle_port import NEWER_COUNTED_MAX, LookKind
from nova_objectstore.meta.sql.looks import Plan
from nova_objectstore.meta.sql.rows import VersionRow, decode_mapping, version_row
from nova_objectstore.meta.sql.statements import lifecycle as q
from nova_objectstore.meta.sql.statements.versions import get_current, get_newest_hidden
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import NewVersion


def set_due(tx: Transaction, bucket_id: int, key: str, number: int, due_us: int | None) -> None:
    """Make the row say when to look; None removes it."""
    if due_us is None:
        tx.run(q.delete_due, bucket_id, key, number)
    elif not tx.run(q.set_due, bucket_id, key, number, due_us):
        tx.run(q.insert_due, bucket_id, key, number, due_us)


def forget(tx: Transaction, bucket_id: int, key: str, number: int) -> None:
    """A version went, or an upload ended."""
    tx.run(q.delete_due, bucket_id, key, number)


def object_arrived(tx: Transaction, plan: Plan, bucket_id: int, key: str, sequence: int, new: NewVersion) -> None:
    """``new`` became the key's current object."""
    due_us = plan.first_us(LookKind.CURRENT, key, new.size, new.tags, since_us=new.modified_us)
    set_due(tx, bucket_id, key, sequence, due_us)
    _succeeded(tx, plan, bucket_id, key, sequence)


def marker_arrived(tx: Transaction, plan: Plan, bucket_id: int, key: str, sequence: int) -> None:
    """A delete marker became the key's newest version."""
    _succeeded(tx, plan, bucket_id, key, sequence)
    enter_newest(tx, plan, bucket_id, key)


def version_went(tx: Transaction, plan: Plan, row: VersionRow, *, was_current: bool) -> None:
    """A version was removed for good; another may have become the newest, or be alone now."""
    forget(tx, row.bucket_id, row.key, row.sequence)
    if was_current or row.is_marker or tx.one(get_current, row.bucket_id, row.key) is None:
        enter_newest(tx, plan, row.bucket_id, row.key)


def tags_changed(tx: Transaction, plan: Plan, row: VersionRow, *, is_current: bool) -> None:
    """A version has other tags."""
    if is_current:
        due_us = _first_us(plan, LookKind.CURRENT, row, row.modified_us)
    else:  # rather too early: it was noncurrent no earlier than it was made, and not more newer ones can count
        due_us = _first_us(plan, LookKind.NONCURRENT, row, row.sequence, newer=NEWER_COUNTED_MAX)
    set_due(tx, row.bucket_id, row.key, row.sequence, due_us)


def upload_began(tx: Transaction, plan: Plan, bucket_id: int, key: str, number: int, initiated_us: int) -> None:
    """An upload with that number was begun."""
    set_due(tx, bucket_id, key, -number, plan.first_us(LookKind.UPLOAD, key, None, {}, since_us=initiated_us))


# -- the versions around one -------------------------------------------------------------------------------------------


def enter_newest(tx: Transaction, plan: Plan, bucket_id: int, key: str) -> None:
    """Enter the key's current object, or the marker that is all that is left of it."""
    current = tx.one(get_current, bucket_id, key)
    if current is not None:
        row = version_row(current)
        set_due(tx, bucket_id, key, row.sequence, _first_us(plan, LookKind.CURRENT, row, row.modified_us))
        return
    newest = tx.one(get_newest_hidden, bucket_id, key)
    if newest is None:
        return
    row = version_row(newest)
    if tx.one(q.get_hidden_before, bucket_id, key, -row.sequence) is None:
        set_due(tx, bucket_id, key, row.sequence, _first_us(plan, LookKind.MARKER, row, row.modified_us))
    else:
        forget(tx, bucket_id, key, row.sequence)


def _succeeded(tx: Transaction, plan: Plan, bucket_id: int, key: str, sequence: int) -> None:
    """The version or marker of that sequence is the newest: the one before it is noncurrent from now on."""
    found = tx.one(q.get_hidden_before, bucket_id, key, -sequence)
    if found is None:
        return
    row = version_row(found)
    set_due(tx, bucket_id, key, row.sequence, _first_us(plan, LookKind.NONCURRENT, row, sequence))
    for count in plan.counts:
        _enough_newer(tx, plan, bucket_id, key, sequence, count)


def _enough_newer(tx: Transaction, plan: Plan, bucket_id: int, key: str, sequence: int, count: int) -> None:
    """One version has ``count`` newer noncurrent ones since now: what waited for that is to be looked at."""
    found = tx.one(q.get_hidden_ranked, bucket_id, key, -sequence, count)
    successor = tx.one(q.get_hidden_ranked, bucket_id, key, -sequence, count - 1)
    if found is None or successor is None:
        return
    row, since_us = version_row(found), version_row(successor).sequence
    due_us = _first_us(plan, LookKind.NONCURRENT, row, since_us, newer=count)
    if due_us is not None:
        set_due(tx, bucket_id, key, row.sequence, due_us)


def _first_us(plan: Plan, kind: LookKind, row: VersionRow, since_us: int, *, newer: int = 0) -> int | None:
    size = None if row.is_marker else row.size
    return plan.first_us(kind, row.key, size, decode_mapping(row.tags), since_us=since_us, newer=newer)
