"""Garbage: data that no version refers to any more. The verbs."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.meta.sql.statements import garbage as q
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import Garbage


def list_garbage(tx: Transaction, *, queued_before_us: int, limit: int = 1000) -> Sequence[Garbage]:
    """Refs queued before that time, oldest first."""
    return [Garbage(*row) for row in tx.all(q.list_garbage, queued_before_us, limit)]


def forget_garbage(tx: Transaction, ids: Sequence[int]) -> None:
    """Drop rows whose data has been deleted."""
    for garbage_id in ids:
        tx.run(q.delete_garbage, garbage_id)


def queue_unnamed(tx: Transaction, refs: Sequence[str], *, now_us: int) -> None:
    """Queue those of ``refs`` that nothing names."""
    for ref in refs:
        if tx.one(q.find_ref, ref) is None:
            tx.run(q.insert_garbage, ref, now_us)


def known_refs(tx: Transaction, refs: Sequence[str]) -> Sequence[str]:
    """Those of ``refs`` that a version, a part, an image or the queue names."""
    return [ref for ref in refs if tx.one(q.find_ref, ref) is not None]
