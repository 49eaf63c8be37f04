"""Statements of the lifecycle: buckets with rules, and their agenda."""

from __future__ import annotations

from typing import Any

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement
from nova_objectstore.meta.sql.statements.versions import hidden_columns

# -- rules -------------------------------------------------------------------------------------------------------------


def _where_bucket(core: Core, table: Any, bucket_id: Param) -> Core:
    return core.where(table.c.bucket_id == bucket_id)


@statement
def read_lifecycle_bucket(bucket_id: Param) -> Core:
    rules = t.lifecycle_buckets.c
    columns = (rules.looks, rules.generation, rules.walk_stage, rules.walk_key, rules.walk_number)
    return _where_bucket(sa.select(*columns), t.lifecycle_buckets, bucket_id)


@statement
def insert_lifecycle_bucket(bucket_id: Param, looks: Param, generation: Param) -> Core:
    return sa.insert(t.lifecycle_buckets).values(
        bucket_id=bucket_id, looks=looks, generation=generation, walk_stage=1, walk_key="", walk_number=0
    )


@statement
def set_lifecycle_looks(bucket_id: Param, looks: Param, generation: Param) -> Core:
    changed = _where_bucket(sa.update(t.lifecycle_buckets), t.lifecycle_buckets, bucket_id)
    return changed.values(looks=looks, generation=generation, walk_stage=1, walk_key="", walk_number=0)


@statement
def stop_lifecycle(bucket_id: Param) -> Core:
    changed = _where_bucket(sa.update(t.lifecycle_buckets), t.lifecycle_buckets, bucket_id)
    return changed.values(looks=sa.null(), walk_stage=1)


@statement
def set_walk(bucket_id: Param, stage: Param, key: Param, number: Param) -> Core:
    changed = _where_bucket(sa.update(t.lifecycle_buckets), t.lifecycle_buckets, bucket_id)
    return changed.values(walk_stage=stage, walk_key=key, walk_number=number)


@statement
def delete_lifecycle_bucket(bucket_id: Param) -> Core:
    return _where_bucket(sa.delete(t.lifecycle_buckets), t.lifecycle_buckets, bucket_id)


@statement
def list_lifecycle_work(now_us: Param, after: Param, limit: Param) -> Core:
    rules, agenda = t.lifecycle_buckets, t.lifecycle_agenda
    is_due = sa.exists().where(agenda.c.bucket_id == rules.c.bucket_id, agenda.c.due_us <= now_us)
    return (
        sa.select(rules.c.bucket_id, rules.c.walk_stage, t.buckets)
        .select_from(rules.outerjoin(t.buckets, t.buckets.c.id == rules.c.bucket_id))
        .where(rules.c.bucket_id > after, sa.or_(rules.c.walk_stage > 0, is_due))
        .order_by(rules.c.bucket_id)
        .limit(limit)
    )


# -- the agenda --------------------------------------------------------------------------------------------------------


def _where_row(core: Core, bucket_id: Param, key: Param, number: Param) -> Core:
    agenda = t.lifecycle_agenda.c
    return core.where(agenda.bucket_id == bucket_id, agenda.key == key, agenda.number == number)


@statement
def set_due(bucket_id: Param, key: Param, number: Param, due_us: Param) -> Core:
    return _where_row(sa.update(t.lifecycle_agenda), bucket_id, key, number).values(due_us=due_us)


@statement
def insert_due(bucket_id: Param, key: Param, number: Param, due_us: Param) -> Core:
    return sa.insert(t.lifecycle_agenda).values(bucket_id=bucket_id, key=key, number=number, due_us=due_us)


@statement
def delete_due(bucket_id: Param, key: Param, number: Param) -> Core:
    return _where_row(sa.delete(t.lifecycle_agenda), bucket_id, key, number)


@statement
def list_due(bucket_id: Param, now_us: Param, limit: Param) -> Core:
    agenda = t.lifecycle_agenda.c
    return (
        sa.select(agenda.key, agenda.number)
        .where(agenda.bucket_id == bucket_id, agenda.due_us <= now_us)
        .order_by(agenda.due_us)
        .limit(limit)
    )


@statement
def list_agenda(bucket_id: Param, limit: Param) -> Core:
    agenda = t.lifecycle_agenda.c
    return sa.select(agenda.key, agenda.number).where(agenda.bucket_id == bucket_id).limit(limit)


# -- what is around a hidden version -----------------------------------------------------------------------------------


def _where_hidden(core: Core, bucket_id: Param, key: Param) -> Core:
    hidden = t.hidden_versions.c
    return core.where(hidden.bucket_id == bucket_id, hidden.key == key)


@statement
def get_hidden_numbered(bucket_id: Param, key: Param, neg_sequence: Param) -> Core:
    chosen = _where_hidden(hidden_columns(), bucket_id, key)
    return chosen.where(t.hidden_versions.c.neg_sequence == neg_sequence)


@statement
def get_hidden_before(bucket_id: Param, key: Param, neg_sequence: Param) -> Core:
    """The newest hidden version older than that."""
    hidden = t.hidden_versions.c
    older = _where_hidden(hidden_columns(), bucket_id, key).where(hidden.neg_sequence > neg_sequence)
    return older.order_by(hidden.neg_sequence).limit(1)


@statement
def get_hidden_ranked(bucket_id: Param, key: Param, neg_sequence: Param, rank: Param) -> Core:
    """The hidden version that has ``rank`` newer ones among those older than that."""
    hidden = t.hidden_versions.c
    older = _where_hidden(hidden_columns(), bucket_id, key).where(hidden.neg_sequence > neg_sequence)
    return older.order_by(hidden.neg_sequence).limit(1).offset(rank)


@statement
def find_hidden_successor(bucket_id: Param, key: Param, neg_sequence: Param) -> Core:
    """The oldest hidden version newer than that."""
    hidden = t.hidden_versions.c
    newer = _where_hidden(sa.select(hidden.neg_sequence), bucket_id, key).where(hidden.neg_sequence < neg_sequence)
    return newer.order_by(hidden.neg_sequence.desc()).limit(1)


@statement
def list_hidden_newer(bucket_id: Param, key: Param, neg_sequence: Param, limit: Param) -> Core:
    hidden = t.hidden_versions.c
    newer = _where_hidden(sa.select(hidden.neg_sequence), bucket_id, key).where(hidden.neg_sequence < neg_sequence)
    return newer.limit(limit)


# -- uploads -----------------------------------------------------------------------------------------------------------


@statement
def get_upload_numbered(number: Param) -> Core:
    return sa.select(t.uploads).where(t.uploads.c.id == number)


@statement
def list_numbered_uploads(bucket_id: Param, key: Param, initiated_us: Param, upload_id: Param, limit: Param) -> Core:
    uploads = t.uploads.c
    order = (uploads.key, uploads.initiated_us, uploads.upload_id)
    return (
        sa.select(uploads.key, uploads.id, uploads.initiated_us)
        .where(uploads.bucket_id == bucket_id, sa.tuple_(*order) > sa.tuple_(key, initiated_us, upload_id))
        .order_by(*order)
        .limit(limit)
    )
