"""Statements of storage classes: data that moved, restored copies, the places of classes."""

from __future__ import annotations

from typing import Any

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement
from nova_objectstore.meta.sql.statements.leases import is_lease_over

# -- moving ------------------------------------------------------------------------------------------------------------


def _where_key(core: Core, table: Any, bucket_id: Param, key: Param) -> Core:
    return core.where(table.c.bucket_id == bucket_id, table.c.key == key)


@statement
def set_current_place(
    bucket_id: Param, key: Param, storage_class: Param, kind: Param, ref: Param, content_id: Param
) -> Core:
    changed = _where_key(sa.update(t.objects), t.objects, bucket_id, key)
    return changed.values(storage_class=storage_class, kind=kind, ref=ref, content_id=content_id)


@statement
def set_hidden_place(
    bucket_id: Param,
    key: Param,
    neg_sequence: Param,
    storage_class: Param,
    kind: Param,
    ref: Param,
    content_id: Param,
) -> Core:
    hidden = t.hidden_versions
    changed = _where_key(sa.update(hidden), hidden, bucket_id, key).where(hidden.c.neg_sequence == neg_sequence)
    return changed.values(storage_class=storage_class, kind=kind, ref=ref, content_id=content_id)


@statement
def set_part_place(content_id: Param, number: Param, ref: Param) -> Core:
    parts = t.parts.c
    changed = sa.update(t.parts).where(parts.content_id == content_id, parts.number == number)
    return changed.values(kind=1, ref=ref, blob_id=sa.null())


# -- restored copies ---------------------------------------------------------------------------------------------------

_RESTORE = ("id", "bucket_id", "key", "version_id", "sequence", "days", "expires_us", "kind", "ref")


def _restores() -> Core:
    """The columns that ``storage.py`` makes a Restore of."""
    return sa.select(*(t.restores.c[name] for name in _RESTORE))


@statement
def insert_restore(
    bucket_id: Param, key: Param, sequence: Param, version_id: Param, days: Param, priority: Param
) -> Core:
    return sa.insert(t.restores).values(
        bucket_id=bucket_id,
        key=key,
        sequence=sequence,
        version_id=version_id,
        days=days,
        priority=priority,
        expires_us=0,
        lease="",
        lease_until_us=0,
        attempts=0,
    )


@statement
def find_restore(bucket_id: Param, key: Param, sequence: Param) -> Core:
    restores = t.restores.c
    return _restores().where(restores.bucket_id == bucket_id, restores.key == key, restores.sequence == sequence)


@statement
def find_held_restore(restore_id: Param, lease: Param) -> Core:
    restores = t.restores.c
    return _restores().where(restores.id == restore_id, restores.lease == lease, t.RESTORE_IS_ONGOING)


@statement
def find_claimable_restore(now_us: Param, far_us: Param) -> Core:
    restores = t.restores.c
    is_free = is_lease_over(restores.lease_until_us, now_us, far_us)
    columns = [restores[name] for name in _RESTORE]
    return (
        sa.select(*columns, restores.attempts)
        # The first priority is 0: said, so that the index of what is ongoing is searched in its order.
        .where(t.RESTORE_IS_ONGOING, restores.priority >= 0, is_free)
        .order_by(restores.priority, restores.id)
        .limit(1)
    )


@statement
def list_expired_restores(now_us: Param, limit: Param) -> Core:
    restores = t.restores.c
    due = _restores().where(t.RESTORE_IS_THERE, restores.expires_us <= now_us)
    return due.order_by(restores.expires_us).limit(limit)


def _change(restore_id: Param, **changes: Any) -> Core:
    return sa.update(t.restores).where(t.restores.c.id == restore_id).values(**changes)


@statement
def lease_restore(restore_id: Param, lease: Param, until_us: Param, attempts: Param) -> Core:
    return _change(restore_id, lease=lease, lease_until_us=until_us, attempts=attempts)


@statement
def set_restore_lease(restore_id: Param, lease: Param, until_us: Param) -> Core:
    return _change(restore_id, lease=lease, lease_until_us=until_us)


@statement
def set_restore_expiry(restore_id: Param, days: Param, expires_us: Param) -> Core:
    return _change(restore_id, days=days, expires_us=expires_us)


@statement
def set_restored(restore_id: Param, kind: Param, ref: Param, expires_us: Param) -> Core:
    return _change(restore_id, kind=kind, ref=ref, expires_us=expires_us, lease="", lease_until_us=0)


@statement
def rename_restore(
    bucket_id: Param, key: Param, sequence: Param, new_key: Param, new_sequence: Param, version_id: Param
) -> Core:
    restores = t.restores.c
    found = sa.update(t.restores).where(
        restores.bucket_id == bucket_id, restores.key == key, restores.sequence == sequence
    )
    return found.values(key=new_key, sequence=new_sequence, version_id=version_id)


@statement
def delete_restore(restore_id: Param) -> Core:
    return sa.delete(t.restores).where(t.restores.c.id == restore_id)


@statement
def insert_restored_part(
    new_content_id: Param, kind: Param, ref: Param, blob_id: Param, content_id: Param, number: Param
) -> Core:
    """The copy of a part: its facts, and bytes of its own."""
    parts = t.parts.c
    facts = ("size", "etag", "modified_us", "checksum_algorithm", "checksum_type", "checksum_value", "extra")
    source = sa.select(
        new_content_id,
        parts.number,
        parts.offset,
        *(parts[name] for name in facts),
        kind,
        ref,
        blob_id,
    ).where(parts.content_id == content_id, parts.number == number)
    return sa.insert(t.parts).from_select(("content_id", "number", "offset", *facts, "kind", "ref", "blob_id"), source)


# -- the places of classes ---------------------------------------------------------------------------------------------


@statement
def list_class_places() -> Core:
    places = t.class_places.c
    return sa.select(places.name, places.mark).order_by(places.name)


@statement
def insert_class_place(name: Param, mark: Param) -> Core:
    return sa.insert(t.class_places).values(name=name, mark=mark)


@statement
def delete_class_place(name: Param) -> Core:
    return sa.delete(t.class_places).where(t.class_places.c.name == name)


@statement
def find_use_of_class(name: Param, first_ref: Param, end_ref: Param) -> Core:
    """Whether a version or an upload is of the class, or garbage still to be collected lies in its engine."""
    classed = [sa.exists().where(table.c.storage_class == name) for table in (t.objects, t.hidden_versions, t.uploads)]
    garbage = t.garbage.c
    lying = sa.exists().where(garbage.ref >= first_ref, garbage.ref < end_ref)
    return sa.select(sa.literal_column("1")).where(sa.or_(*classed, lying))
