"""Statements of versions: the current ones in ``objects``, the others in ``hidden_versions``, small bodies in ``blobs``.

Every select of a whole version gives the columns of ``rows.VersionRow``.
"""

from __future__ import annotations

from typing import Any

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.rows import PRIOR_COLUMNS, VERSION_COLUMNS, VERSION_FACTS
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of
from nova_objectstore.types import Listed


def _current(*, inline: bool) -> Core:
    body = t.blobs.c.body if inline else sa.null().label("body")
    select = sa.select(*(t.objects.c[name] for name in VERSION_COLUMNS), body)
    return select.select_from(_with_blob(t.objects)) if inline else select


def _hidden(*, inline: bool) -> Core:
    body = t.blobs.c.body if inline else sa.null().label("body")
    facts = (t.hidden_versions.c[name] for name in VERSION_FACTS)
    hidden = t.hidden_versions.c
    select = sa.select(hidden.bucket_id, hidden.key, -hidden.neg_sequence, *facts, body)
    return select.select_from(_with_blob(t.hidden_versions)) if inline else select


def hidden_columns() -> Core:
    """A select of hidden versions without their bytes, for other modules to narrow down."""
    return _hidden(inline=False)


def _with_blob(table: Any) -> Core:
    inline = sa.and_(table.c.kind == 0, t.blobs.c.id == table.c.content_id)
    return table.outerjoin(t.blobs, inline)


def _one_current(select: Core, bucket_id: Param, key: Param) -> Core:
    return select.where(t.objects.c.bucket_id == bucket_id, t.objects.c.key == key)


def _one_hidden(select: Core, bucket_id: Param, key: Param, neg_sequence: Param, version_id: Param) -> Core:
    hidden = t.hidden_versions.c
    return select.where(
        hidden.bucket_id == bucket_id,
        hidden.key == key,
        hidden.neg_sequence == neg_sequence,
        hidden.version_id == version_id,
    )


def _null_hidden(select: Core, bucket_id: Param, key: Param) -> Core:
    hidden = t.hidden_versions.c
    return select.where(
        hidden.bucket_id == bucket_id, hidden.key == key, hidden.version_id == sa.literal_column("'null'")
    )


# -- reading one -------------------------------------------------------------------------------------------------------


@statement
def get_current(bucket_id: Param, key: Param) -> Core:
    return _one_current(_current(inline=False), bucket_id, key)


@statement
def get_prior(bucket_id: Param, key: Param) -> Core:
    """The columns of ``rows.PriorRow``."""
    return _one_current(sa.select(*(t.objects.c[name] for name in PRIOR_COLUMNS)), bucket_id, key)


@statement
def get_current_inline(bucket_id: Param, key: Param) -> Core:
    return _one_current(_current(inline=True), bucket_id, key)


@statement
def get_hidden(bucket_id: Param, key: Param, neg_sequence: Param, version_id: Param) -> Core:
    return _one_hidden(_hidden(inline=False), bucket_id, key, neg_sequence, version_id)


@statement
def get_hidden_inline(bucket_id: Param, key: Param, neg_sequence: Param, version_id: Param) -> Core:
    return _one_hidden(_hidden(inline=True), bucket_id, key, neg_sequence, version_id)


@statement
def get_hidden_null(bucket_id: Param, key: Param) -> Core:
    return _null_hidden(_hidden(inline=False), bucket_id, key)


@statement
def get_hidden_null_inline(bucket_id: Param, key: Param) -> Core:
    return _null_hidden(_hidden(inline=True), bucket_id, key)


@statement
def get_newest_hidden(bucket_id: Param, key: Param) -> Core:
    hidden = t.hidden_versions.c
    return (
        _hidden(inline=False)
        .where(hidden.bucket_id == bucket_id, hidden.key == key)
        .order_by(hidden.neg_sequence)
        .limit(1)
    )


@statement
def find_any_current(bucket_id: Param) -> Core:
    return sa.select(t.objects.c.key).where(t.objects.c.bucket_id == bucket_id).limit(1)


@statement
def find_any_hidden(bucket_id: Param) -> Core:
    return sa.select(t.hidden_versions.c.key).where(t.hidden_versions.c.bucket_id == bucket_id).limit(1)


# -- reading many ------------------------------------------------------------------------------------------------------


@statement
def list_current(bucket_id: Param, low: Param, high: Param, limit: Param) -> Core:
    return _between_keys(_current(inline=False), bucket_id, low, high, limit)


@statement
def list_shown(bucket_id: Param, low: Param, high: Param, limit: Param) -> Core:
    """The columns of ``types.Listed``: half of what a listing of whole versions costs is columns that it does not show."""
    shown = (t.objects.c[name] for name in Listed._fields)
    return _between_keys(sa.select(*shown), bucket_id, low, high, limit)


def _between_keys(select: Core, bucket_id: Param, low: Param, high: Param, limit: Param) -> Core:
    objects = t.objects.c
    return (
        select.where(objects.bucket_id == bucket_id, objects.key > low, objects.key < high)
        .order_by(objects.key)
        .limit(limit)
    )


@statement
def list_hidden(bucket_id: Param, low: Param, neg_sequence: Param, high: Param, limit: Param) -> Core:
    hidden = t.hidden_versions.c
    return (
        _hidden(inline=False)
        .where(
            hidden.bucket_id == bucket_id,
            sa.tuple_(hidden.key, hidden.neg_sequence) > sa.tuple_(low, neg_sequence),
            hidden.key < high,
        )
        .order_by(hidden.key, hidden.neg_sequence)
        .limit(limit)
    )


# -- writing -----------------------------------------------------------------------------------------------------------


@statement_of(VERSION_COLUMNS)
def insert_current(row: dict[str, Param]) -> Core:
    return sa.insert(t.objects).values(row)


@statement_of(VERSION_COLUMNS)
def update_current(row: dict[str, Param]) -> Core:
    changes = {name: row[name] for name in ("sequence", *VERSION_FACTS)}
    return _where_key(sa.update(t.objects), t.objects, row["bucket_id"], row["key"]).values(changes)


def _where_key(core: Core, table: Any, bucket_id: Param, key: Param) -> Core:
    return core.where(table.c.bucket_id == bucket_id, table.c.key == key)


@statement
def delete_current(bucket_id: Param, key: Param) -> Core:
    return _where_key(sa.delete(t.objects), t.objects, bucket_id, key)


@statement
def insert_hidden_marker(
    bucket_id: Param, key: Param, neg_sequence: Param, version_id: Param, modified_us: Param, owner_id: Param
) -> Core:
    nothing = {"size": 0, "etag": "", "parts_count": 0, "kind": 3, "retain_until_us": 0, "legal_hold": 0}
    return sa.insert(t.hidden_versions).values(
        bucket_id=bucket_id,
        key=key,
        neg_sequence=neg_sequence,
        version_id=version_id,
        modified_us=modified_us,
        owner_id=owner_id,
        **nothing,
    )


@statement
def copy_current_to_hidden(bucket_id: Param, key: Param) -> Core:
    objects = t.objects.c
    facts = [objects[name] for name in VERSION_FACTS]
    source = sa.select(objects.bucket_id, objects.key, -objects.sequence, *facts)
    target = ("bucket_id", "key", "neg_sequence", *VERSION_FACTS)
    return sa.insert(t.hidden_versions).from_select(target, _where_key(source, t.objects, bucket_id, key))


@statement
def copy_hidden_to_current(bucket_id: Param, key: Param, neg_sequence: Param) -> Core:
    hidden = t.hidden_versions.c
    facts = [hidden[name] for name in VERSION_FACTS]
    source = sa.select(hidden.bucket_id, hidden.key, -hidden.neg_sequence, *facts)
    chosen = _where_key(source, t.hidden_versions, bucket_id, key).where(hidden.neg_sequence == neg_sequence)
    return sa.insert(t.objects).from_select(VERSION_COLUMNS, chosen)


@statement
def delete_hidden(bucket_id: Param, key: Param, neg_sequence: Param) -> Core:
    hidden = t.hidden_versions
    return _where_key(sa.delete(hidden), hidden, bucket_id, key).where(hidden.c.neg_sequence == neg_sequence)


# -- changing facts of a version that stays ----------------------------------------------------------------------------


def _change_current(bucket_id: Param, key: Param, **changes: Param) -> Core:
    return _where_key(sa.update(t.objects), t.objects, bucket_id, key).values(**changes)


def _change_hidden(bucket_id: Param, key: Param, neg_sequence: Param, **changes: Param) -> Core:
    hidden = t.hidden_versions
    chosen = _where_key(sa.update(hidden), hidden, bucket_id, key).where(hidden.c.neg_sequence == neg_sequence)
    return chosen.values(**changes)


@statement
def set_current_tags(bucket_id: Param, key: Param, tags: Param) -> Core:
    return _change_current(bucket_id, key, tags=tags)


@statement
def set_hidden_tags(bucket_id: Param, key: Param, neg_sequence: Param, tags: Param) -> Core:
    return _change_hidden(bucket_id, key, neg_sequence, tags=tags)


@statement
def set_current_extra(bucket_id: Param, key: Param, extra: Param) -> Core:
    return _change_current(bucket_id, key, extra=extra)


@statement
def set_hidden_extra(bucket_id: Param, key: Param, neg_sequence: Param, extra: Param) -> Core:
    return _change_hidden(bucket_id, key, neg_sequence, extra=extra)


@statement
def set_current_lock(bucket_id: Param, key: Param, mode: Param, retain_until_us: Param, legal_hold: Param) -> Core:
    return _change_current(bucket_id, key, lock_mode=mode, retain_until_us=retain_until_us, legal_hold=legal_hold)


@statement
def set_hidden_lock(
    bucket_id: Param, key: Param, neg_sequence: Param, mode: Param, retain_until_us: Param, legal_hold: Param
) -> Core:
    return _change_hidden(
        bucket_id, key, neg_sequence, lock_mode=mode, retain_until_us=retain_until_us, legal_hold=legal_hold
    )


# -- small bodies ------------------------------------------------------------------------------------------------------


@statement
def insert_blob(body: Param) -> Core:
    return sa.insert(t.blobs).values(body=body)


@statement
def replace_blob(blob_id: Param, body: Param) -> Core:
    return sa.update(t.blobs).where(t.blobs.c.id == blob_id).values(body=body)


@statement
def delete_blob(blob_id: Param) -> Core:
    return sa.delete(t.blobs).where(t.blobs.c.id == blob_id)
