"""Storage classes: versions that move, archived ones that are restored, the places of classes. The verbs.

See ``meta/storage_port.py`` for what they promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_objectstore.delivery.ports import Announcement, Effect
from nova_objectstore.errors import NoSuchVersion, RestoreAlreadyInProgress
from nova_objectstore.meta.sql import agenda
from nova_objectstore.meta.sql.announced import announce_version
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.restored import erase_copy, erase_restore
from nova_objectstore.meta.sql.rows import STANDARD, Row, VersionRow, decode_version
from nova_objectstore.meta.sql.statements import storage as q
from nova_objectstore.meta.sql.statements import uploads as parts_q
from nova_objectstore.meta.sql.statements.garbage import insert_garbage
from nova_objectstore.meta.sql.statements.leases import FAR_US
from nova_objectstore.meta.sql.statements.versions import delete_blob, insert_blob
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.meta.sql.versions import Found, find_version, is_latest
from nova_objectstore.meta.storage_port import Move, MovedPart, Restore, RestoreClaim, RestoredPart
from nova_objectstore.types import Content, ContentKind, Listed, Version

_INLINE, _DATA, _PARTS = int(ContentKind.INLINE), int(ContentKind.DATA), int(ContentKind.PARTS)

# -- moving ------------------------------------------------------------------------------------------------------------


def move_version(tx: Transaction, move: Move, *, now_us: int, announce: Announcement | None = None) -> Version | None:
    """Give a version its new class and place."""
    found = _find_same(tx, move.version)
    if found is None:
        return None
    row = found.row
    left = [_find_part(tx, row.content_id, part) for part in move.parts]
    if None in left:
        return None
    plan = read_state(tx, row.bucket_id).plan
    erase_restore(tx, row, now_us)
    for part, (ref, blob_id) in zip(move.parts, left, strict=True):  # type: ignore[misc]  # none is None
        _leave(tx, ref, blob_id, now_us)
        tx.run(q.set_part_place, row.content_id, part.number, part.after.ref)
    moved = row._replace(storage_class=None if move.storage_class == STANDARD else move.storage_class)
    if move.content is not None:
        _leave(tx, row.ref, row.content_id if row.kind == _INLINE else None, now_us)
        moved = moved._replace(kind=_DATA, ref=move.content.ref, content_id=None, inline=None)
    place = (moved.storage_class, moved.kind, moved.ref, moved.content_id)
    if found.is_current:
        tx.run(q.set_current_place, row.bucket_id, row.key, *place)
    else:
        tx.run(q.set_hidden_place, row.bucket_id, row.key, -row.sequence, *place)
    if plan is not None:
        agenda.tags_changed(tx, plan, moved, is_current=found.is_current)  # it is to be looked at as another version
    version = decode_version(moved, is_latest=found.is_current)
    if announce is not None:
        announce_version(tx, announce, Effect.CHANGED, version)
    return version


def _find_same(tx: Transaction, version: Version) -> Found | None:
    """The version, if it is of the class and lies where it did when it was read."""
    found = find_version(tx, version.bucket_id, version.key, version.version_id)
    if found is None or found.row.is_marker or found.row.sequence != version.sequence:
        return None
    row = found.row
    if (row.storage_class or STANDARD) != version.storage_class or row.kind != version.content.kind:
        return None
    place = {_DATA: row.ref, _PARTS: str(row.content_id)}.get(row.kind, "")
    return found if place == version.content.ref else None


def _find_part(tx: Transaction, content_id: int | None, part: MovedPart) -> tuple[str | None, int | None] | None:
    """Where a part lies (ref, blob); None when it is not there any more."""
    row = tx.one(parts_q.find_part_content, content_id, part.number)
    if row is None or (row[0] or "") != part.before.ref:
        return None
    return row[0], row[1]


def _leave(tx: Transaction, ref: str | None, blob_id: int | None, now_us: int) -> None:
    if ref is not None:
        tx.run(insert_garbage, ref, now_us)
    if blob_id is not None:
        tx.run(delete_blob, blob_id)


# -- restored copies ---------------------------------------------------------------------------------------------------


def _decode(row: Row) -> Restore:
    restore_id, bucket_id, key, version_id, sequence, days, expires_us, kind, ref = row[:9]
    content = None
    if kind == _DATA:
        content = Content(ContentKind.DATA, ref)
    elif kind == _PARTS:
        content = Content(ContentKind.PARTS, str(-restore_id))
    elif kind == _INLINE:
        content = Content(ContentKind.INLINE)
    return Restore(restore_id, bucket_id, key, version_id, sequence, days, expires_us, content)


def request_restore(
    tx: Transaction,
    version: Version,
    *,
    days: int,
    priority: int,
    now_us: int,
    expires_us: int,
    announce: Announcement | None = None,
) -> bool:
    """Ask for a copy of a version, or for more time with the one that is there."""
    if _find_same(tx, version) is None:
        raise NoSuchVersion(key=version.key, version_id=version.version_id)
    row = tx.one(q.find_restore, version.bucket_id, version.key, version.sequence)
    if row is not None:
        restore = _decode(row)
        if restore.is_ongoing:
            raise RestoreAlreadyInProgress(key=version.key)
        if restore.expires_us > now_us:
            tx.run(q.set_restore_expiry, restore.id, days, expires_us)
            return False
        erase_copy(tx, restore.id, row[7], row[8], now_us)
    tx.insert(q.insert_restore, version.bucket_id, version.key, version.sequence, version.version_id, days, priority)
    if announce is not None:
        announce_version(tx, announce, Effect.CHANGED, version)
    return True


def find_restore(tx: Transaction, version: Version | Listed) -> Restore | None:
    """What was asked for of that version."""
    row = tx.one(q.find_restore, version.bucket_id, version.key, version.sequence)
    return None if row is None else _decode(row)


def find_restores(tx: Transaction, versions: Sequence[Version | Listed]) -> Mapping[tuple[str, int], Restore]:
    """The same of many versions."""
    found = (find_restore(tx, version) for version in versions)
    return {(restore.key, restore.sequence): restore for restore in found if restore is not None}


def claim_restore(tx: Transaction, lease: str, *, now_us: int, until_us: int) -> RestoreClaim | None:
    """Lease the next restore to be made."""
    row = tx.one(q.find_claimable_restore, now_us, until_us + FAR_US)
    if row is None:
        return None
    restore, attempts = _decode(row), row[9] + 1
    found = find_version(tx, restore.bucket_id, restore.key, restore.version_id)
    assert found is not None, "a version takes its restore along when it goes"
    assert found.row.sequence == restore.sequence
    tx.run(q.lease_restore, restore.id, lease, until_us, attempts)
    return RestoreClaim(restore, decode_version(found.row, is_latest=is_latest(tx, found)), lease, attempts)


def renew_restore(tx: Transaction, restore_id: int, lease: str, *, until_us: int) -> bool:
    """Hold it longer."""
    if tx.one(q.find_held_restore, restore_id, lease) is None:
        return False
    tx.run(q.set_restore_lease, restore_id, lease, until_us)
    return True


def finish_restore(
    tx: Transaction,
    restore_id: int,
    lease: str,
    *,
    content: Content | None,
    parts: Sequence[RestoredPart],
    expires_us: int,
    announce: Announcement | None = None,
) -> bool:
    """The copy is there."""
    row = tx.one(q.find_held_restore, restore_id, lease)
    if row is None:
        return False
    version = _version_of(tx, _decode(row))
    if announce is not None:
        announce_version(tx, announce, Effect.CHANGED, decode_version(version, is_latest=False))
    if content is not None:
        tx.run(q.set_restored, restore_id, int(content.kind), content.ref or None, expires_us)
        return True
    for part in parts:
        kind, ref, blob_id = int(part.content.kind), part.content.ref or None, None
        if part.content.kind is ContentKind.INLINE:
            blob_id = tx.insert(insert_blob, part.content.inline)
        tx.run(q.insert_restored_part, -restore_id, kind, ref, blob_id, version.content_id, part.number)
    tx.run(q.set_restored, restore_id, _PARTS, None, expires_us)
    return True


def _version_of(tx: Transaction, restore: Restore) -> VersionRow:
    found = find_version(tx, restore.bucket_id, restore.key, restore.version_id)
    assert found is not None, "a version takes its restore along when it goes"
    return found.row


def release_restore(tx: Transaction, restore_id: int, lease: str, *, retry_at_us: int) -> None:
    """Let anybody claim it from then on."""
    if tx.one(q.find_held_restore, restore_id, lease) is not None:
        tx.run(q.set_restore_lease, restore_id, "", retry_at_us)


def give_restore_up(tx: Transaction, restore_id: int, lease: str) -> None:
    """Forget that it was asked for."""
    if tx.one(q.find_held_restore, restore_id, lease) is not None:
        tx.run(q.delete_restore, restore_id)


def list_expired_restores(tx: Transaction, *, now_us: int, limit: int) -> Sequence[Restore]:
    """Those whose time is over."""
    return [_decode(row) for row in tx.all(q.list_expired_restores, now_us, limit)]


def expire_restores(tx: Transaction, *, now_us: int, limit: int, announcements: Mapping[int, Announcement] = {}) -> int:
    """Remove copies whose time is over."""
    rows = tx.all(q.list_expired_restores, now_us, limit)
    for row in rows:
        restore = _decode(row)
        announce = announcements.get(restore.bucket_id)
        if announce is not None:
            version = decode_version(_version_of(tx, restore), is_latest=False)
            announce_version(tx, announce, Effect.CHANGED, version)
        erase_copy(tx, row[0], row[7], row[8], now_us)
    return len(rows)


# -- the places of classes ---------------------------------------------------------------------------------------------


def list_class_places(tx: Transaction) -> Mapping[str, str]:
    """The classes that have had a data engine of their own, with the marks of their places."""
    return dict(tx.all(q.list_class_places))


def record_class_place(tx: Transaction, name: str, mark: str) -> None:
    """A class has a data engine of its own."""
    if name not in list_class_places(tx):  # two processes that start at once found the same mark
        tx.run(q.insert_class_place, name, mark)


def uses_class_place(tx: Transaction, name: str) -> bool:
    """Whether anything is of that class, or lies in its engine."""
    return tx.one(q.find_use_of_class, name, f"{name}:", f"{name};") is not None  # ; is what comes behind :


def forget_class_place(tx: Transaction, name: str) -> bool:
    """Forget the place of a class that is not used."""
    if uses_class_place(tx, name):
        return False
    tx.run(q.delete_class_place, name)
    return True
