"""Statements of data that no version refers to any more, and of the question whether one does."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement


@statement
def insert_garbage(ref: Param, queued_us: Param) -> Core:
    return sa.insert(t.garbage).values(ref=ref, queued_us=queued_us)


@statement
def list_garbage(queued_before_us: Param, limit: Param) -> Core:
    garbage = t.garbage.c
    return (
        sa.select(garbage.id, garbage.ref, garbage.queued_us)
        .where(garbage.queued_us < queued_before_us)
        .order_by(garbage.queued_us, garbage.id)
        .limit(limit)
    )


@statement
def delete_garbage(garbage_id: Param) -> Core:
    return sa.delete(t.garbage).where(t.garbage.c.id == garbage_id)


@statement
def find_ref(ref: Param) -> Core:
    tables = (t.objects, t.hidden_versions, t.parts, t.images, t.restores, t.garbage)
    named = [sa.exists().where(table.c.ref == ref) for table in tables]
    return sa.select(sa.literal_column("1")).where(sa.or_(*named))
