"""Renames: the current object of one key becomes that of another. The verb.

AWS offers RenameObject on directory buckets only, which have no versions; here is what it means with them: the source's
current version moves. It leaves its key, which is why a locked one cannot be renamed, and comes under the target as a new
version; a delete marker hides what is left of the source.
"""

from __future__ import annotations

from nova_objectstore.meta.sql import agenda
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.conditions import check_condition
from nova_objectstore.meta.sql.contents import Place
from nova_objectstore.meta.sql.deletions import insert_marker
from nova_objectstore.meta.sql.locks import check_removable
from nova_objectstore.meta.sql.restored import rename_restore
from nova_objectstore.meta.sql.rows import VersionRow, decode_version
from nova_objectstore.meta.sql.statements import versions as q
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.meta.sql.versions import (
    Slot,
    absent,
    check_slot,
    find_current,
    make_room,
    open_slot,
    write_current,
    written_version,
)
from nova_objectstore.types import (
    NULL_VERSION,
    UNCONDITIONAL,
    Bucket,
    NewVersion,
    Version,
    Versioning,
    WriteCondition,
)


def rename_object(
    tx: Transaction,
    bucket: Bucket,
    source: str,
    target: str,
    *,
    now_us: int,
    source_condition: WriteCondition = UNCONDITIONAL,
    condition: WriteCondition = UNCONDITIONAL,
) -> Version:
    """RenameObject. A rename to itself checks its conditions and changes nothing."""
    state = read_state(tx, bucket.id)
    moved = find_current(tx, bucket.id, source)
    check_condition(source_condition, source, moved)
    if moved is None:
        raise absent(tx, bucket.id, source, None)
    if source == target:
        check_condition(condition, target, moved)
        return decode_version(moved, is_latest=True)
    left = open_slot(tx, state, bucket.id, source, now_us)
    taken = open_slot(tx, state, bucket.id, target, now_us)
    check_condition(condition, target, taken.current)
    check_removable(moved, now_us=now_us)
    check_slot(left, now_us)
    check_slot(taken, now_us)
    _leave(tx, left, moved, now_us, hidden=state.versioning is not Versioning.OFF)
    make_room(tx, taken, now_us)
    rename_restore(tx, moved, target, taken.sequence, taken.version_id)
    return _arrive(tx, taken, moved)


def _leave(tx: Transaction, left: Slot, moved: VersionRow, now_us: int, *, hidden: bool) -> None:
    """Take the current row away from its key, its content untouched; hide older versions under a marker."""
    tx.run(q.delete_current, left.bucket_id, left.key)
    if left.plan is not None:
        agenda.forget(tx, left.bucket_id, left.key, moved.sequence)
    tx.count(left.bucket_id, -1, -moved.size)
    if not hidden:
        return
    if left.version_id == NULL_VERSION and moved.version_id != NULL_VERSION:
        make_room(tx, left._replace(current=None), now_us)  # suspended: the marker replaces a hidden null version
    insert_marker(tx, left, owner_id=moved.owner_id, now_us=now_us)


def _arrive(tx: Transaction, taken: Slot, moved: VersionRow) -> Version:
    known = decode_version(moved, is_latest=True)
    new = NewVersion(
        key=taken.key,
        size=known.size,
        etag=known.etag,
        modified_us=known.modified_us,
        owner_id=known.owner_id,
        content=known.content,
        headers=known.headers,
        storage_class=known.storage_class,
        checksum=known.checksum,
        tags=known.tags,
        lock=known.lock,
        extra=known.extra,
    )
    write_current(tx, taken, new, Place(moved.kind, moved.ref, moved.content_id), known.parts_count)
    return written_version(taken, new, known.content, known.parts_count)
