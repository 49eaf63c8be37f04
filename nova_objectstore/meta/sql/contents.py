"""Contents: where a version's bytes are put, and what becomes of them when their version goes."""

from __future__ import annotations

from typing import NamedTuple

from nova_objectstore.meta.sql.restored import erase_restore
from nova_objectstore.meta.sql.rows import AnyRow
from nova_objectstore.meta.sql.statements import uploads as parts_q
from nova_objectstore.meta.sql.statements.garbage import insert_garbage
from nova_objectstore.meta.sql.statements.versions import delete_blob, insert_blob, replace_blob
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import DATA, INLINE, MARKER, PARTS, Content, new_tuple


class Place(NamedTuple):
    """The three columns that say where bytes lie."""

    kind: int
    ref: str | None
    content_id: int | None


_INLINE, _DATA = int(INLINE), int(DATA)
NOWHERE = Place(int(MARKER), None, None)


def store_content(tx: Transaction, content: Content) -> Place:
    """Write small bytes into the database; of others only the name."""
    if content.kind is INLINE:
        assert content.inline is not None, "inline content comes with its bytes"
        return Place(_INLINE, None, tx.insert(insert_blob, content.inline))
    assert content.kind is DATA, content.kind
    assert content.ref, "data comes with its name"
    return Place(_DATA, content.ref, None)


def takes_place_of(content: Content, found: AnyRow) -> bool:
    """Whether new bytes can lie where those of a version lie that goes: both are small."""
    return content.kind is INLINE and found.kind == INLINE and found.storage_class is None


def replace_content(tx: Transaction, content: Content, found: AnyRow) -> Place:
    """Small bytes in the place of small bytes: one statement instead of two."""
    content_id = found.content_id
    tx.run(replace_blob, content_id, content.inline)
    return new_tuple(Place, (_INLINE, None, content_id))


def erase_content(tx: Transaction, found: AnyRow, now_us: int) -> None:
    """The version goes: its small bytes at once, its data into the queue, and its restored copy with it."""
    erase_restore(tx, found, now_us)
    if found.kind == INLINE:
        tx.run(delete_blob, found.content_id)
    elif found.kind == DATA:
        tx.run(insert_garbage, found.ref, now_us)
    elif found.kind == PARTS:
        erase_parts(tx, found.content_id, now_us)


def erase_parts(tx: Transaction, content_id: int | None, now_us: int) -> None:
    """Every part of an upload, or of the object that it became."""
    tx.run(parts_q.queue_refs_of_parts, content_id, now_us)
    tx.run(parts_q.delete_blobs_of_parts, content_id)
    tx.run(parts_q.delete_parts, content_id)


def erase_part(tx: Transaction, content_id: int, number: int, now_us: int) -> int:
    """One part of an upload in progress, if it is there; answer the bytes it had."""
    row = tx.one(parts_q.find_part_content, content_id, number)
    if row is None:
        return 0
    ref, blob_id, size = row
    if ref is not None:
        tx.run(insert_garbage, ref, now_us)
    if blob_id is not None:
        tx.run(delete_blob, blob_id)
    tx.run(parts_q.delete_part, content_id, number)
    return int(size)
