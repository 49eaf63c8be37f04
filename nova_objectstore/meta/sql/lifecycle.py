"""The agenda, walked and worked off: the verbs of ``meta.lifecycle_port``. See ``agenda.py`` for how it is kept.

A walk goes through the current objects, the hidden versions and the uploads, in the order of their keys. What is written
behind its back enters itself; what moves from a table that is still to come to one that was walked does too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.errors import ObjectLocked
from nova_objectstore.meta.lifecycle_port import (
    DOCUMENT,
    NEWER_COUNTED_MAX,
    Applied,
    Decision,
    Due,
    Look,
    LookKind,
    Outcome,
    StoredLifecycle,
    Subject,
    Work,
)
from nova_objectstore.meta.sql import agenda, keyrange
from nova_objectstore.meta.sql.announced import announce_deleted
from nova_objectstore.meta.sql.bucket_states import forget_state, read_state
from nova_objectstore.meta.sql.deletions import delete_key, remove_version
from nova_objectstore.meta.sql.locks import check_removable
from nova_objectstore.meta.sql.looks import Plan, decode_looks, decode_plan, encode_looks
from nova_objectstore.meta.sql.rows import (
    Row,
    VersionRow,
    decode_bucket,
    decode_mapping,
    decode_upload,
    decode_version,
    version_row,
)
from nova_objectstore.meta.sql.statements import lifecycle as q
from nova_objectstore.meta.sql.statements.buckets import get_document
from nova_objectstore.meta.sql.statements.versions import get_current, list_current, list_hidden
from nova_objectstore.meta.sql.transaction import BucketState, Transaction
from nova_objectstore.meta.sql.uploads import drop_upload
from nova_objectstore.meta.sql.versions import Found
from nova_objectstore.types import Bucket, Deleted

WALKED, IN_OBJECTS, IN_HIDDEN, IN_UPLOADS = range(4)  # walk_stage
_LAST_NUMBER = (1 << 63) - 1


# -- rules -------------------------------------------------------------------------------------------------------------


def get_lifecycle(tx: Transaction, bucket_id: int) -> StoredLifecycle | None:
    """The rules; None without any."""
    kept = tx.one(q.read_lifecycle_bucket, bucket_id)
    document = tx.one(get_document, bucket_id, DOCUMENT)
    if kept is None or kept[0] is None or document is None:
        return None
    return StoredLifecycle(kept[1], bytes(document[0]), decode_looks(kept[0]))


def put_looks(tx: Transaction, bucket_id: int, generation: int, looks: Sequence[Look]) -> None:
    """Replace the looks of the same rules."""
    kept = tx.one(q.read_lifecycle_bucket, bucket_id)
    if kept is None or kept[0] is None or kept[1] != generation:
        return
    tx.run(q.set_lifecycle_looks, bucket_id, encode_looks(looks), generation)
    forget_state(tx, bucket_id)


def list_lifecycle_work(tx: Transaction, *, now_us: int, after: int = 0, limit: int = 1000) -> Sequence[Work]:
    """Buckets with a row due, or to be walked."""
    return [
        Work(bucket_id, None if row[0] is None else decode_bucket(row), stage != WALKED)
        for bucket_id, stage, *rest in tx.all(q.list_lifecycle_work, now_us, after, limit)
        for row in (tuple(rest),)
    ]


# -- walking -----------------------------------------------------------------------------------------------------------


def walk_lifecycle(tx: Transaction, bucket_id: int, *, limit: int = 500) -> bool:
    """Enter what comes next into the agenda, or clear away one without rules."""
    kept = tx.one(q.read_lifecycle_bucket, bucket_id)
    if kept is None:
        return False
    looks, _, stage, key, number = kept
    if looks is None:
        return _clear(tx, bucket_id, limit)
    if stage == WALKED:
        return False
    reached = _STAGES[stage](tx, decode_plan(looks), bucket_id, key, number, limit)
    if reached is None:
        stage = (stage + 1) % (IN_UPLOADS + 1)
        reached = "", 0
    tx.run(q.set_walk, bucket_id, stage, *reached)
    return bool(stage != WALKED)


def _clear(tx: Transaction, bucket_id: int, limit: int) -> bool:
    rows = tx.all(q.list_agenda, bucket_id, limit)
    for key, number in rows:
        agenda.forget(tx, bucket_id, key, number)
    if len(rows) == limit:
        return True
    tx.run(q.delete_lifecycle_bucket, bucket_id)
    return False


Reached = tuple[str, int] | None  # where a step of a walk ended; None at the table's end


def _enter(tx: Transaction, bucket_id: int, key: str, number: int, due_us: int | None) -> None:
    # PERF: most of a bucket is not meant by its rules; a row of older ones goes when it is looked at
    if due_us is not None:
        agenda.set_due(tx, bucket_id, key, number, due_us)


def _walk_objects(tx: Transaction, plan: Plan, bucket_id: int, key: str, number: int, limit: int) -> Reached:
    rows = tx.all(list_current, bucket_id, key, keyrange.END, limit)
    for found in rows:
        row = version_row(found)
        since_us = row.modified_us
        due_us = plan.first_us(LookKind.CURRENT, row.key, row.size, decode_mapping(row.tags), since_us=since_us)
        _enter(tx, bucket_id, row.key, row.sequence, due_us)
    return None if len(rows) < limit else (version_row(rows[-1]).key, 0)


def _walk_hidden(tx: Transaction, plan: Plan, bucket_id: int, key: str, number: int, limit: int) -> Reached:
    rows = tx.all(list_hidden, bucket_id, key, number, keyrange.END, limit)
    for found in rows:
        row = version_row(found)
        subject = _hidden_subject(tx, row)
        if subject.kind is not LookKind.GONE:
            size = None if row.is_marker else row.size
            due_us = plan.first_us(
                subject.kind, row.key, size, decode_mapping(row.tags), since_us=subject.since_us, newer=subject.newer
            )
            _enter(tx, bucket_id, row.key, row.sequence, due_us)
    return None if len(rows) < limit else (version_row(rows[-1]).key, -version_row(rows[-1]).sequence)


def _walk_uploads(tx: Transaction, plan: Plan, bucket_id: int, key: str, number: int, limit: int) -> Reached:
    last = tx.one(q.get_upload_numbered, number)
    # Where the upload that was the last is gone, its key's others are entered again, rather than left out.
    behind = (-1, "") if last is None else (last[4], last[3])
    rows = tx.all(q.list_numbered_uploads, bucket_id, key, *behind, limit)
    for found, upload, initiated_us in rows:
        due_us = plan.first_us(LookKind.UPLOAD, found, None, {}, since_us=initiated_us)
        _enter(tx, bucket_id, found, -upload, due_us)
    return None if len(rows) < limit else (rows[-1][0], rows[-1][1])


_STAGES: dict[int, Any] = {IN_OBJECTS: _walk_objects, IN_HIDDEN: _walk_hidden, IN_UPLOADS: _walk_uploads}


# -- looking -----------------------------------------------------------------------------------------------------------


def list_due(tx: Transaction, bucket_id: int, *, now_us: int, limit: int = 100) -> Due | None:
    """What is due, the longest due first."""
    kept = tx.one(q.read_lifecycle_bucket, bucket_id)
    if kept is None or kept[0] is None:
        return None
    rows = tx.all(q.list_due, bucket_id, now_us, limit)
    return Due(kept[1], [_read_subject(tx, bucket_id, key, number) for key, number in rows])


def _read_subject(tx: Transaction, bucket_id: int, key: str, number: int) -> Subject:
    """What a row of the agenda is about."""
    if number < 0:
        return _upload_subject(tx, bucket_id, key, number)
    current = tx.one(get_current, bucket_id, key)
    if current is not None and version_row(current).sequence == number:
        version = decode_version(current, is_latest=True)
        return Subject(LookKind.CURRENT, key, number, version.modified_us, version)
    hidden = tx.one(q.get_hidden_numbered, bucket_id, key, -number)
    if hidden is None:
        return Subject(LookKind.GONE, key, number, 0)
    return _hidden_subject(tx, version_row(hidden), current)


def _upload_subject(tx: Transaction, bucket_id: int, key: str, number: int) -> Subject:
    row = tx.one(q.get_upload_numbered, -number)
    if row is None:
        return Subject(LookKind.GONE, key, number, 0)
    upload = decode_upload(row[1:])
    assert (upload.bucket_id, upload.key) == (bucket_id, key), "uploads keep their numbers"
    return Subject(LookKind.UPLOAD, key, number, upload.initiated_us, upload=upload)


def _hidden_subject(tx: Transaction, row: VersionRow, current: Row | None = None) -> Subject:
    """A hidden version: noncurrent, or a marker that is alone; the newest marker over others is nobody's business."""
    place = (row.bucket_id, row.key, -row.sequence)
    if current is None:
        current = tx.one(get_current, row.bucket_id, row.key)
    successor = tx.one(q.find_hidden_successor, *place)
    if successor is None and current is None:
        version = decode_version(row, is_latest=True)
        alone = tx.one(q.get_hidden_before, *place) is None
        kind = LookKind.MARKER if alone else LookKind.GONE
        return Subject(kind, row.key, row.sequence, row.modified_us, version)
    counted = len(tx.all(q.list_hidden_newer, *place, NEWER_COUNTED_MAX + 1))
    # Without a current object the newest hidden one is the marker, which is not noncurrent.
    newer = counted - (1 if current is None else 0)
    since_us = version_row(current).sequence if successor is None and current is not None else _sequence(successor)
    version = decode_version(row, is_latest=False)
    return Subject(
        LookKind.NONCURRENT, row.key, row.sequence, since_us, version, newer=min(newer, NEWER_COUNTED_MAX)
    )  # fmt: skip


def _sequence(successor: Row | None) -> int:
    assert successor is not None
    return -int(successor[0])


# -- doing -------------------------------------------------------------------------------------------------------------


def apply_decisions(
    tx: Transaction,
    bucket: Bucket,
    generation: int,
    decisions: Sequence[Decision],
    *,
    now_us: int,
    announce: Announcement | None = None,
) -> Sequence[Applied]:
    """Do what was decided, where it is still so."""
    state = read_state(tx, bucket.id)
    kept = tx.one(q.read_lifecycle_bucket, bucket.id)
    if kept is None or kept[0] is None or kept[1] != generation:
        return [Applied(Outcome.CHANGED) for _ in decisions]
    applied = []
    for decision in decisions:
        applied.append(_apply(tx, state, bucket, decision, now_us))
        deleted = applied[-1].deleted
        if announce is not None and deleted is not None:
            named = decision.subject.kind is not LookKind.CURRENT
            announce_deleted(tx, announce, decision.subject.key, deleted, named=named)
    return applied


def _apply(tx: Transaction, state: BucketState, bucket: Bucket, decision: Decision, now_us: int) -> Applied:
    subject = decision.subject
    if _read_subject(tx, bucket.id, subject.key, subject.number) != subject:
        return Applied(Outcome.CHANGED)
    if not decision.removes or subject.kind is LookKind.GONE:
        agenda.set_due(tx, bucket.id, subject.key, subject.number, decision.next_us)
        return Applied(Outcome.KEPT)
    try:
        return Applied(Outcome.REMOVED, _remove(tx, state, bucket, subject, now_us))
    except ObjectLocked:  # raised before anything was written
        return Applied(Outcome.CHANGED)


def _remove(tx: Transaction, state: BucketState, bucket: Bucket, subject: Subject, now_us: int) -> Deleted | None:
    if subject.kind is LookKind.UPLOAD:
        drop_upload(tx, state, bucket.id, subject.key, -subject.number, now_us)
        return None
    if subject.kind is LookKind.CURRENT:
        return delete_key(tx, state, bucket.id, subject.key, owner_id=bucket.owner_id, now_us=now_us)
    row = tx.one(q.get_hidden_numbered, bucket.id, subject.key, -subject.number)
    assert row is not None, "the subject was read in this transaction"
    found = version_row(row)
    check_removable(found, now_us=now_us)
    remove_version(tx, state, Found(found, is_current=False), now_us)
    return Deleted(found.version_id, is_marker=found.is_marker)
