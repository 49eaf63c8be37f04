"""A bucket's lifecycle rules, stored and removed: the verbs of ``meta.lifecycle_port`` that change the bucket."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.meta.lifecycle_port import DOCUMENT, Look
from nova_objectstore.meta.sql import buckets
from nova_objectstore.meta.sql.bucket_states import forget_state, read_state
from nova_objectstore.meta.sql.looks import encode_looks
from nova_objectstore.meta.sql.statements import lifecycle as q
from nova_objectstore.meta.sql.statements.buckets import get_document, read_bucket_revision
from nova_objectstore.meta.sql.transaction import Transaction


def put_lifecycle(tx: Transaction, bucket_id: int, document: bytes, looks: Sequence[Look]) -> None:
    """Store or replace the rules; the same rules again change nothing."""
    read_state(tx, bucket_id)
    text = encode_looks(looks)
    kept = tx.one(q.read_lifecycle_bucket, bucket_id)
    stored = tx.one(get_document, bucket_id, DOCUMENT)
    if kept is not None and kept[0] == text and stored is not None and bytes(stored[0]) == document:
        return
    buckets.put_document(tx, bucket_id, DOCUMENT, document)
    row = tx.one(read_bucket_revision, bucket_id)
    assert row is not None, "its state was read"
    tx.run(q.insert_lifecycle_bucket if kept is None else q.set_lifecycle_looks, bucket_id, text, row[0])
    forget_state(tx, bucket_id)


def delete_lifecycle(tx: Transaction, bucket_id: int) -> None:
    """Remove the rules, if there are any."""
    buckets.delete_document(tx, bucket_id, DOCUMENT)
    if tx.run(q.stop_lifecycle, bucket_id):
        forget_state(tx, bucket_id)
