"""Versions: finding them, writing the current one, changing facts of one that stays. The verbs.

``open_slot`` decides what a write means under the bucket's versioning state, ``make_room`` does it (AWS: "Working with
objects in a versioning-enabled bucket", "... in a versioning-suspended bucket"):

    Off        the object is replaced
    Enabled    the current object becomes a hidden version
    Suspended  the null version is replaced, wherever it stands in the order; a current one with an id is hidden
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nova_objectstore.errors import NoSuchKey, NoSuchVersion
from nova_objectstore.meta.sql import agenda
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.conditions import check_condition
from nova_objectstore.meta.sql.contents import Place, erase_content, replace_content, store_content, takes_place_of
from nova_objectstore.meta.sql.locks import check_removable, check_retention_change
from nova_objectstore.meta.sql.looks import Plan
from nova_objectstore.meta.sql.quotas import check_quota
from nova_objectstore.meta.sql.rows import (
    STANDARD,
    AnyRow,
    PriorRow,
    VersionRow,
    decode_mapping,
    decode_version,
    encode_lock,
    encode_mapping,
    prior_row,
    version_row,
)
from nova_objectstore.meta.sql.statement import Statement
from nova_objectstore.meta.sql.statements import versions as q
from nova_objectstore.meta.sql.transaction import BucketState, Transaction
from nova_objectstore.meta.sql.version_ids import RANDOM_SIZE, make_version_id, sequence_of
from nova_objectstore.types import (
    MARKER,
    NULL_VERSION,
    SUSPENDED,
    UNCONDITIONAL,
    UNVERSIONED,
    VERSIONED,
    Bucket,
    Content,
    Lock,
    NewVersion,
    Version,
    WriteCondition,
    new_tuple,
)

CLOCK_STEP_MIN_US = 1_000_000  # Last-Modified has whole seconds
CLOCK_STEP_MAX_US = 24 * 3600 * 1_000_000  # a time zone that was mixed up

# -- finding -----------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A version's row, and whether it lies in ``objects``."""

    row: VersionRow
    is_current: bool


def find_current(tx: Transaction, bucket_id: int, key: str) -> VersionRow | None:
    """The key's current object."""
    row = tx.one(q.get_current, bucket_id, key)
    return None if row is None else version_row(row)


def find_newest_hidden(tx: Transaction, bucket_id: int, key: str) -> VersionRow | None:
    """The newest of the key's hidden versions and markers."""
    row = tx.one(q.get_newest_hidden, bucket_id, key)
    return None if row is None else version_row(row)


def find_hidden(
    tx: Transaction, bucket_id: int, key: str, version_id: str, *, inline: bool = False
) -> VersionRow | None:
    """The hidden version or marker of that id."""
    if version_id == NULL_VERSION:
        row = tx.one(q.get_hidden_null_inline if inline else q.get_hidden_null, bucket_id, key)
    else:
        sequence = sequence_of(version_id)
        if sequence is None:
            return None
        found = q.get_hidden_inline if inline else q.get_hidden
        row = tx.one(found, bucket_id, key, -sequence, version_id)
    return None if row is None else version_row(row)


def find_version(
    tx: Transaction, bucket_id: int, key: str, version_id: str | None, *, inline: bool = False
) -> Found | None:
    """The version of that id, or the current object for None."""
    row = tx.one(q.get_current_inline if inline else q.get_current, bucket_id, key)
    if row is not None and version_id in (None, row[3]):
        return Found(version_row(row), is_current=True)
    if version_id is None:
        return None
    hidden = find_hidden(tx, bucket_id, key, version_id, inline=inline)
    return None if hidden is None else Found(hidden, is_current=False)


def is_latest(tx: Transaction, found: Found) -> bool:
    """Whether the version is its key's newest; of the hidden ones only a marker can be."""
    if found.is_current or not found.row.is_marker:
        return found.is_current
    newest = find_newest_hidden(tx, found.row.bucket_id, found.row.key)
    assert newest is not None, "found it a moment ago"
    return newest.sequence == found.row.sequence and find_current(tx, found.row.bucket_id, found.row.key) is None


def get_current_version(tx: Transaction, bucket_id: int, key: str, *, inline: bool) -> Version | None:
    """The key's current version; None when there is none."""
    row = tx.one(q.get_current_inline if inline else q.get_current, bucket_id, key)
    return None if row is None else decode_version(row, is_latest=True)


def get_version(
    tx: Transaction, bucket_id: int, key: str, version_id: str | None = None, *, inline: bool = True
) -> Version:
    """The current version, or the one named."""
    found = find_version(tx, bucket_id, key, version_id, inline=inline)
    if found is None:
        raise absent(tx, bucket_id, key, version_id)
    return decode_version(found.row, is_latest=is_latest(tx, found))


def absent(tx: Transaction, bucket_id: int, key: str, version_id: str | None) -> NoSuchKey | NoSuchVersion:
    """What to say of a version that was not found."""
    if version_id is not None:
        return NoSuchVersion(key=key, version_id=version_id)
    newest = find_newest_hidden(tx, bucket_id, key)
    if newest is None:
        return NoSuchKey(key=key)
    return NoSuchKey(key=key, delete_marker=True, version_id=newest.version_id)


# -- writing -----------------------------------------------------------------------------------------------------------


class Slot(NamedTuple):
    """Where a key's next version or marker goes, and what gives way to it."""

    bucket_id: int
    key: str
    version_id: str
    sequence: int
    current: PriorRow | None  # the key's current object
    replaced: AnyRow | None  # the version that goes for good; may be ``current``, a hidden version or a marker
    plan: Plan | None = None  # the bucket's, of its lifecycle


def open_slot(tx: Transaction, state: BucketState, bucket_id: int, key: str, now_us: int) -> Slot:
    """Find out what a write of ``key`` means; change nothing."""
    row = tx.one(q.get_prior, bucket_id, key)
    current = None if row is None else prior_row(bucket_id, key, row)
    newest: AnyRow | None = current
    if newest is None and state.versioning is not UNVERSIONED:
        newest = find_newest_hidden(tx, bucket_id, key)
    sequence = now_us if newest is None else max(now_us, newest.sequence + 1)
    if state.versioning is VERSIONED:
        version_id = make_version_id(sequence, tx.random_bytes(RANDOM_SIZE))
        return Slot(bucket_id, key, version_id, sequence, current, None, state.plan)
    replaced: AnyRow | None = current
    if state.versioning is SUSPENDED and (current is None or current.version_id != NULL_VERSION):
        replaced = find_hidden(tx, bucket_id, key, NULL_VERSION)
    return new_tuple(Slot, (bucket_id, key, NULL_VERSION, sequence, current, replaced, state.plan))


def date_of(slot: Slot, now_us: int) -> int:
    """When the version that takes the slot was modified: now, but not before the one that it follows.

    A client that asks for what was modified since would be told that nothing was, had the clock been set back meanwhile. A
    clock that is further behind was wrong before, and is believed now.
    """
    behind_us = slot.sequence - now_us  # a microsecond or two where the clock goes on
    return slot.sequence if CLOCK_STEP_MIN_US < behind_us <= CLOCK_STEP_MAX_US else now_us


def check_slot(slot: Slot, now_us: int) -> None:
    """Raise ObjectLocked when what would go for good is locked."""
    if slot.replaced is not None:
        check_removable(slot.replaced, now_us=now_us)


def growth(slot: Slot, size: int) -> tuple[int, int]:
    """The objects and bytes that a bucket gains when an object of ``size`` bytes takes the slot."""
    replaced = slot.replaced
    if replaced is None or replaced.kind == MARKER:
        return 1, size
    return 0, size - replaced.size


def make_room(tx: Transaction, slot: Slot, now_us: int) -> None:
    """Hide the current object, or erase what is replaced. The row of the current object itself stays for the next step."""
    current, replaced = slot.current, slot.replaced
    if current is not None and current is not replaced:
        tx.run(q.copy_current_to_hidden, slot.bucket_id, slot.key)
    if replaced is None:
        return
    erase_content(tx, replaced, now_us)
    forget_replaced(tx, slot)
    if replaced is not current:
        tx.run(q.delete_hidden, slot.bucket_id, slot.key, -replaced.sequence)


def forget_replaced(tx: Transaction, slot: Slot) -> None:
    """What is replaced is no longer counted, nor on the agenda."""
    replaced = slot.replaced
    assert replaced is not None
    if slot.plan is not None:
        agenda.forget(tx, slot.bucket_id, slot.key, replaced.sequence)
    if replaced.kind != MARKER:
        tx.count(slot.bucket_id, -1, -replaced.size)


def write_current(tx: Transaction, slot: Slot, new: NewVersion, place: Place, parts_count: int = 0) -> None:
    """Make ``new`` the key's current object, when room was made."""
    # PERF: tuples taken apart at once; a field by its name takes 0.03 us
    bucket_id, key, version_id, sequence, current, _, plan = slot
    _, size, etag, modified_us, owner_id, _, headers, storage_class, checksum, tags, lock, extra = new
    tx.run(
        q.insert_current if current is None else q.update_current,
        bucket_id,
        key,
        sequence,
        version_id,
        size,
        etag,
        modified_us,
        owner_id,
        None if storage_class == STANDARD else storage_class,
        encode_mapping(headers),
        *((None, None, None) if checksum is None else checksum),
        parts_count,
        *place,
        encode_mapping(tags) if tags else None,
        *encode_lock(lock),
        encode_mapping(extra) if extra else None,
    )
    tx.count(bucket_id, 1, size)
    if plan is not None:
        agenda.object_arrived(tx, plan, bucket_id, key, sequence, new)


def written_version(slot: Slot, new: NewVersion, content: Content, parts_count: int = 0) -> Version:
    """The Version that ``write_current`` made."""
    bucket_id, key, version_id, sequence, *_ = slot
    _, size, etag, modified_us, owner_id, _, headers, storage_class, checksum, tags, lock, extra = new
    return new_tuple(
        Version,
        (
            bucket_id,
            key,
            version_id,
            sequence,
            True,
            size,
            etag,
            modified_us,
            owner_id,
            storage_class,
            headers,
            checksum,
            parts_count,
            content,
            tags,
            lock,
            extra,
        ),
    )


def put_version(tx: Transaction, bucket: Bucket, new: NewVersion, condition: WriteCondition = UNCONDITIONAL) -> Version:
    """Make ``new`` the current object of its key."""
    state = read_state(tx, bucket.id)
    slot = open_slot(tx, state, bucket.id, new.key, new.modified_us)
    check_condition(condition, new.key, slot.current)
    check_slot(slot, new.modified_us)
    if state.quotas is not None:
        check_quota(tx, state.quotas, bucket.id, *growth(slot, new.size))
    modified_us = date_of(slot, new.modified_us)
    if modified_us != new.modified_us:
        new = new._replace(modified_us=modified_us)
    current = slot.current
    if current is not None and current is slot.replaced and takes_place_of(new.content, current):
        forget_replaced(tx, slot)  # PERF: the usual overwrite of a small object
        place = replace_content(tx, new.content, current)
    else:
        make_room(tx, slot, new.modified_us)
        place = store_content(tx, new.content)
    write_current(tx, slot, new, place)
    return written_version(slot, new, new.content)


# -- changing facts ----------------------------------------------------------------------------------------------------


def set_tags(tx: Transaction, bucket_id: int, key: str, version_id: str | None, tags: Mapping[str, str]) -> Version:
    """Replace the tags."""
    found = _find_object(tx, bucket_id, key, version_id)
    changed = _change(tx, found, q.set_current_tags, q.set_hidden_tags, tags=encode_mapping(tags))
    plan = read_state(tx, bucket_id).plan
    if plan is not None:
        row = found.row._replace(tags=encode_mapping(tags))
        agenda.tags_changed(tx, plan, row, is_current=found.is_current)
    return changed


def set_extra(tx: Transaction, bucket_id: int, key: str, version_id: str | None, extra: Mapping[str, str]) -> Version:
    """Set the facts of later layers that are named; an empty value removes one."""
    found = _find_object(tx, bucket_id, key, version_id)
    merged = {name: value for name, value in {**decode_mapping(found.row.extra), **extra}.items() if value}
    return _change(tx, found, q.set_current_extra, q.set_hidden_extra, extra=encode_mapping(merged))


def set_retention(
    tx: Transaction,
    bucket_id: int,
    key: str,
    version_id: str | None,
    *,
    mode: str,
    retain_until_us: int,
    now_us: int,
    bypass_governance: bool = False,
) -> Version:
    """Set a retention."""
    found = _find_object(tx, bucket_id, key, version_id)
    check_retention_change(
        found.row, mode=mode, retain_until_us=retain_until_us, now_us=now_us, bypass_governance=bypass_governance
    )
    return _change_lock(tx, found, Lock(mode, retain_until_us, found.row.lock.legal_hold))


def set_legal_hold(tx: Transaction, bucket_id: int, key: str, version_id: str | None, *, on: bool) -> Version:
    """Set or lift a legal hold."""
    found = _find_object(tx, bucket_id, key, version_id)
    return _change_lock(tx, found, found.row.lock._replace(legal_hold=on))


def _find_object(tx: Transaction, bucket_id: int, key: str, version_id: str | None) -> Found:
    """The version to change; a delete marker has no facts to change (AWS answers MethodNotAllowed)."""
    found = find_version(tx, bucket_id, key, version_id)
    if found is None:
        raise absent(tx, bucket_id, key, version_id)
    if found.row.is_marker:
        raise NoSuchVersion(key=key, version_id=found.row.version_id, delete_marker=True)
    return found


def _change_lock(tx: Transaction, found: Found, lock: Lock) -> Version:
    mode, retain_until_us, legal_hold = encode_lock(lock)
    changes = {"lock_mode": mode, "retain_until_us": retain_until_us, "legal_hold": legal_hold}
    return _change(tx, found, q.set_current_lock, q.set_hidden_lock, **changes)


def _change(tx: Transaction, found: Found, current: Statement, hidden: Statement, **changes: Any) -> Version:
    """Run the one of two statements that fits where the version lies; its last parameters are ``changes`` in order."""
    row = found.row
    if found.is_current:
        tx.run(current, row.bucket_id, row.key, *changes.values())
    else:
        tx.run(hidden, row.bucket_id, row.key, -row.sequence, *changes.values())
    return decode_version(row._replace(**changes), is_latest=found.is_current)
