"""Changes of objects, with the events that tell of them in the same transaction: the port's verbs around those of others.

A change is announced after its verb has made it, and only when the verb has changed something: a refused one, a delete of
what is not there, and a completion that is only repeated are no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_objectstore.delivery.ports import Announcement, Change, Effect
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.sql import deletions, renames, uploads, versions
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.delivery import publish_event
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import UNCONDITIONAL, Bucket, Deleted, NewVersion, Version, Versioning, WriteCondition


def announce_change(tx: Transaction, announce: Announcement, change: Change) -> None:
    """Write the events of a change that the running transaction has made."""
    for event in announce.events(change):
        publish_event(tx, event)


def announce_version(tx: Transaction, announce: Announcement, effect: Effect, version: Version) -> None:
    """Write the events of what became of a version."""
    change = Change(effect, version.key, version.version_id, version.size, version.etag)
    announce_change(tx, announce, change)


def announce_deleted(tx: Transaction, announce: Announcement, key: str, deleted: Deleted, *, named: bool) -> None:
    """Write the events of a delete. ``named``: by a version id, so that what went was not hidden but removed."""
    hidden = deleted.is_marker and not named
    announce_change(tx, announce, Change(Effect.HIDDEN if hidden else Effect.REMOVED, key, deleted.version_id))


# -- the verbs ---------------------------------------------------------------------------------------------------------


def put_version(
    tx: Transaction,
    bucket: Bucket,
    new: NewVersion,
    condition: WriteCondition = UNCONDITIONAL,
    *,
    announce: Announcement | None = None,
) -> Version:
    """Make ``new`` the current object of its key."""
    version = versions.put_version(tx, bucket, new, condition)
    if announce is not None:
        announce_version(tx, announce, Effect.WRITTEN, version)
    return version


def complete_upload(
    tx: Transaction,
    bucket: Bucket,
    assembly: Assembly,
    condition: WriteCondition = UNCONDITIONAL,
    *,
    announce: Announcement | None = None,
) -> Version:
    """Turn chosen parts into the key's current object."""
    version = uploads.complete_upload(tx, bucket, assembly, condition)
    if announce is not None and tx.dirty:
        announce_version(tx, announce, Effect.WRITTEN, version)
    return version


def delete_object(
    tx: Transaction,
    bucket: Bucket,
    key: str,
    *,
    owner_id: str,
    now_us: int,
    condition: WriteCondition = UNCONDITIONAL,
    announce: Announcement | None = None,
) -> Deleted:
    """DELETE without a version id."""
    deleted = deletions.delete_object(tx, bucket, key, owner_id=owner_id, now_us=now_us, condition=condition)
    if announce is not None and tx.dirty:
        announce_deleted(tx, announce, key, deleted, named=False)
    return deleted


def delete_version(
    tx: Transaction,
    bucket: Bucket,
    key: str,
    version_id: str,
    *,
    now_us: int,
    bypass_governance: bool = False,
    condition: WriteCondition = UNCONDITIONAL,
    announce: Announcement | None = None,
) -> Deleted:
    """DELETE with a version id."""
    deleted = deletions.delete_version(
        tx, bucket, key, version_id, now_us=now_us, bypass_governance=bypass_governance, condition=condition
    )
    if announce is not None and tx.dirty:
        announce_deleted(tx, announce, key, deleted, named=True)
    return deleted


def delete_objects(
    tx: Transaction,
    bucket: Bucket,
    deletes: Sequence[tuple[str, str | None, WriteCondition]],
    *,
    owner_id: str,
    now_us: int,
    bypass_governance: bool = False,
    announce: Announcement | None = None,
) -> Sequence[Deleted | Exception]:
    """DeleteObjects."""
    if announce is None:
        return deletions.delete_objects(
            tx, bucket, deletes, owner_id=owner_id, now_us=now_us, bypass_governance=bypass_governance
        )
    outcomes: list[Deleted | Exception] = []
    dirty = tx.dirty
    for delete in deletes:
        tx.dirty = False  # so that it tells of this one alone
        (outcome,) = deletions.delete_objects(
            tx, bucket, [delete], owner_id=owner_id, now_us=now_us, bypass_governance=bypass_governance
        )
        if tx.dirty and isinstance(outcome, Deleted):
            announce_deleted(tx, announce, delete[0], outcome, named=delete[1] is not None)
        dirty = dirty or tx.dirty
        outcomes.append(outcome)
    tx.dirty = dirty
    return outcomes


def rename_object(
    tx: Transaction,
    bucket: Bucket,
    source: str,
    target: str,
    *,
    now_us: int,
    source_condition: WriteCondition = UNCONDITIONAL,
    condition: WriteCondition = UNCONDITIONAL,
    announce: Announcement | None = None,
) -> Version:
    """RenameObject."""
    version = renames.rename_object(
        tx, bucket, source, target, now_us=now_us, source_condition=source_condition, condition=condition
    )
    if announce is not None and tx.dirty:
        is_off = read_state(tx, bucket.id).versioning is Versioning.OFF
        announce_change(tx, announce, Change(Effect.REMOVED if is_off else Effect.HIDDEN, source, None))
        announce_version(tx, announce, Effect.WRITTEN, version)
    return version


def set_tags(
    tx: Transaction,
    bucket_id: int,
    key: str,
    version_id: str | None,
    tags: Mapping[str, str],
    *,
    announce: Announcement | None = None,
) -> Version:
    """Replace the tags."""
    version = versions.set_tags(tx, bucket_id, key, version_id, tags)
    if announce is not None:
        announce_version(tx, announce, Effect.CHANGED, version)
    return version


def set_extra(
    tx: Transaction,
    bucket_id: int,
    key: str,
    version_id: str | None,
    extra: Mapping[str, str],
    *,
    announce: Announcement | None = None,
) -> Version:
    """Set the facts of later layers that are named."""
    version = versions.set_extra(tx, bucket_id, key, version_id, extra)
    if announce is not None:
        announce_version(tx, announce, Effect.CHANGED, version)
    return version
