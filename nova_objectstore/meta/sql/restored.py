"""Restored copies as other verbs meet them: a version that goes takes its copy along, one that is renamed keeps it.

Only what is not of class STANDARD can have one, so that the others never pay a look.
"""

from __future__ import annotations

from nova_objectstore.meta.sql.rows import AnyRow, VersionRow
from nova_objectstore.meta.sql.statements import storage as q
from nova_objectstore.meta.sql.statements import uploads as parts_q
from nova_objectstore.meta.sql.statements.garbage import insert_garbage
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import ContentKind


def erase_restore(tx: Transaction, version: AnyRow, now_us: int) -> None:
    """The version goes, or has another class: its copy is garbage."""
    if version.storage_class is None:
        return
    row = tx.one(q.find_restore, version.bucket_id, version.key, version.sequence)
    if row is not None:
        erase_copy(tx, row[0], row[7], row[8], now_us)


def erase_copy(tx: Transaction, restore_id: int, kind: int | None, ref: str | None, now_us: int) -> None:
    """Forget a restore; its copy's data are garbage."""
    if kind == ContentKind.DATA:
        tx.run(insert_garbage, ref, now_us)
    elif kind == ContentKind.PARTS:
        tx.run(parts_q.queue_refs_of_parts, -restore_id, now_us)
        tx.run(parts_q.delete_blobs_of_parts, -restore_id)
        tx.run(parts_q.delete_parts, -restore_id)
    tx.run(q.delete_restore, restore_id)


def rename_restore(tx: Transaction, version: VersionRow, key: str, sequence: int, version_id: str) -> None:
    """The version has another key, sequence and id."""
    if version.storage_class is not None:
        tx.run(q.rename_restore, version.bucket_id, version.key, version.sequence, key, sequence, version_id)
