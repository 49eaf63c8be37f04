"""Parts of completed multipart objects: the verbs that read them."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.meta.sql.rows import decode_part
from nova_objectstore.meta.sql.statements import uploads as q
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import ContentKind, Part, Version


def list_content_parts(
    tx: Transaction, version: Version, *, first_byte: int = 0, last_byte: int | None = None
) -> Sequence[Part]:
    """The parts that a byte range touches."""
    assert version.content.kind is ContentKind.PARTS
    end = version.size - 1 if last_byte is None else last_byte
    rows = tx.all(q.list_placed_parts, int(version.content.ref), first_byte, end)
    parts = [decode_part(row) for row in rows]
    return [part for part in parts if part.offset + part.size > first_byte]


def get_content_part(tx: Transaction, version: Version, number: int) -> Part | None:
    """One part by its number."""
    if version.content.kind is not ContentKind.PARTS:
        return None
    row = tx.one(q.get_placed_part, int(version.content.ref), number)
    return None if row is None else decode_part(row)
