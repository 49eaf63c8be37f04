"""Statements of the walk over all that is stored, of damage, of counting again, and of holds."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.rows import VERSION_COLUMNS, VERSION_FACTS
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of

DAMAGE_COLUMNS = ("stage", "bucket_id", "key", "version_id", "part", "ref", "size", "reason", "found_us")
SCRUB_COLUMNS = ("started_us", "finished_us", "position", "items", "bytes", "found", "bytes_total", "found_total")
_NOTHING = 3  # types.ContentKind

# -- the walk ----------------------------------------------------------------------------------------------------------


@statement
def walk_current(bucket_id: Param, key: Param, last_bucket_id: Param, limit: Param) -> Core:
    objects = t.objects.c
    body = sa.and_(objects.kind == 0, t.blobs.c.id == objects.content_id)
    return (
        sa.select(*(objects[name] for name in VERSION_COLUMNS), t.blobs.c.body)
        .select_from(t.objects.outerjoin(t.blobs, body))
        .where(
            sa.tuple_(objects.bucket_id, objects.key) > sa.tuple_(bucket_id, key), objects.bucket_id <= last_bucket_id
        )
        .order_by(objects.bucket_id, objects.key)
        .limit(limit)
    )


@statement
def walk_hidden(bucket_id: Param, key: Param, neg_sequence: Param, last_bucket_id: Param, limit: Param) -> Core:
    hidden = t.hidden_versions.c
    body = sa.and_(hidden.kind == 0, t.blobs.c.id == hidden.content_id)
    facts = (hidden[name] for name in VERSION_FACTS)
    return (
        sa.select(hidden.bucket_id, hidden.key, -hidden.neg_sequence, *facts, t.blobs.c.body)
        .select_from(t.hidden_versions.outerjoin(t.blobs, body))
        .where(
            sa.tuple_(hidden.bucket_id, hidden.key, hidden.neg_sequence) > sa.tuple_(bucket_id, key, neg_sequence),
            hidden.bucket_id <= last_bucket_id,
        )
        .order_by(hidden.bucket_id, hidden.key, hidden.neg_sequence)
        .limit(limit)
    )


# abs(): the rows are walked by their ids, and no index by bucket is to be preferred to that.


@statement
def walk_uploads(number: Param, first_bucket_id: Param, last_bucket_id: Param, limit: Param) -> Core:
    uploads = t.uploads.c
    return (
        sa.select(uploads.id, uploads.bucket_id, uploads.key, uploads.upload_id, uploads.extra)
        .where(
            uploads.id > number,
            sa.func.abs(uploads.bucket_id).between(first_bucket_id, last_bucket_id),
        )
        .order_by(uploads.id)
        .limit(limit)
    )


@statement
def walk_restores(number: Param, first_bucket_id: Param, last_bucket_id: Param, limit: Param) -> Core:
    restores = t.restores.c
    return (
        sa.select(restores.id, restores.bucket_id, restores.key, restores.version_id, restores.kind, restores.ref)
        .where(
            restores.id > number,
            sa.func.abs(restores.bucket_id).between(first_bucket_id, last_bucket_id),
            restores.expires_us != 0,
        )
        .order_by(restores.id)
        .limit(limit)
    )


@statement
def walk_images(image_id: Param, limit: Param) -> Core:
    images = t.images.c
    return (
        sa.select(images.image_id, images.size, images.etag, images.ref)
        .where(images.image_id > image_id, images.ref.is_not(None))
        .order_by(images.image_id)
        .limit(limit)
    )


@statement
def walk_parts(content_id: Param, after: Param, limit: Param) -> Core:
    """The columns that ``rows.decode_part`` takes."""
    parts = t.parts.c
    names = ("size", "etag", "modified_us", "checksum_algorithm", "checksum_type", "checksum_value")
    columns = (*(parts[name] for name in names), parts.kind, parts.ref, parts.blob_id, parts.extra)
    return (
        sa.select(parts.number, parts.offset, *columns, t.blobs.c.body)
        .select_from(t.parts.outerjoin(t.blobs, t.blobs.c.id == parts.blob_id))
        .where(parts.content_id == content_id, parts.number > after)
        .order_by(parts.number)
        .limit(limit)
    )


@statement
def find_live_ref(ref: Param) -> Core:
    tables = (t.objects, t.hidden_versions, t.parts, t.images, t.restores)
    named = [sa.exists().where(table.c.ref == ref) for table in tables]
    return sa.select(sa.literal_column("1")).where(sa.or_(*named))


# -- damage ------------------------------------------------------------------------------------------------------------


@statement_of(DAMAGE_COLUMNS)
def insert_damage(row: dict[str, Param]) -> Core:
    return sa.insert(t.damages).values(row)


@statement
def find_damage(stage: Param, bucket_id: Param, key: Param, version_id: Param, part: Param) -> Core:
    damages = t.damages.c
    return sa.select(damages.id).where(
        damages.stage == stage,
        damages.bucket_id == bucket_id,
        damages.key == key,
        damages.version_id == version_id,
        damages.part == part,
    )


@statement
def list_damages() -> Core:
    damages, buckets = t.damages, t.buckets
    columns = (damages.c[name] for name in DAMAGE_COLUMNS)
    joined = damages.outerjoin(buckets, buckets.c.id == damages.c.bucket_id)
    return sa.select(damages.c.id, *columns, buckets.c.name).select_from(joined).order_by(damages.c.id)


@statement
def delete_damage(damage_id: Param) -> Core:
    return sa.delete(t.damages).where(t.damages.c.id == damage_id)


@statement
def get_scrub_row() -> Core:
    return sa.select(*(t.scrubs.c[name] for name in SCRUB_COLUMNS)).where(t.scrubs.c.id == 1)


@statement_of(SCRUB_COLUMNS)
def insert_scrub(row: dict[str, Param]) -> Core:
    return sa.insert(t.scrubs).values(id=1, **row)


@statement_of(SCRUB_COLUMNS)
def update_scrub(row: dict[str, Param]) -> Core:
    return sa.update(t.scrubs).where(t.scrubs.c.id == 1).values(row)


# -- counters ----------------------------------------------------------------------------------------------------------


@statement
def read_counters(bucket_id: Param) -> Core:
    usage, parts = t.bucket_usage, t.part_usage
    joined = usage.outerjoin(parts, parts.c.bucket_id == usage.c.bucket_id)
    columns = (usage.c.objects, usage.c.bytes, sa.func.coalesce(parts.c.bytes, 0))
    return sa.select(*columns).select_from(joined).where(usage.c.bucket_id == bucket_id)


@statement
def count_current(bucket_id: Param) -> Core:
    objects = t.objects.c
    return sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(objects.size), 0)).where(
        objects.bucket_id == bucket_id
    )


@statement
def count_hidden(bucket_id: Param) -> Core:
    hidden = t.hidden_versions.c
    return sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(hidden.size), 0)).where(
        hidden.bucket_id == bucket_id, hidden.kind != _NOTHING
    )


@statement
def count_part_bytes(bucket_id: Param) -> Core:
    uploads, parts = t.uploads, t.parts
    joined = uploads.join(parts, parts.c.content_id == uploads.c.id)
    return (
        sa.select(sa.func.coalesce(sa.func.sum(parts.c.size), 0))
        .select_from(joined)
        .where(uploads.c.bucket_id == bucket_id)
    )


@statement
def set_usage(bucket_id: Param, objects: Param, size: Param) -> Core:
    usage = t.bucket_usage
    return sa.update(usage).where(usage.c.bucket_id == bucket_id).values(objects=objects, bytes=size)


@statement
def set_part_usage(bucket_id: Param, size: Param) -> Core:
    return sa.update(t.part_usage).where(t.part_usage.c.bucket_id == bucket_id).values(bytes=size)


@statement
def find_owner(bucket_id: Param) -> Core:
    return sa.select(t.buckets.c.owner_id).where(t.buckets.c.id == bucket_id)


@statement
def set_account_use(account_id: Param, objects: Param, size: Param) -> Core:
    quotas = t.account_quotas
    return sa.update(quotas).where(quotas.c.account_id == account_id).values(objects=objects, bytes=size)


# -- holds -------------------------------------------------------------------------------------------------------------


@statement
def insert_hold(name: Param, until_us: Param) -> Core:
    return sa.insert(t.holds).values(name=name, until_us=until_us)


@statement
def find_hold(name: Param, now_us: Param) -> Core:
    return sa.select(t.holds.c.name).where(t.holds.c.name == name, t.holds.c.until_us > now_us)


@statement
def set_hold(name: Param, until_us: Param) -> Core:
    return sa.update(t.holds).where(t.holds.c.name == name).values(until_us=until_us)


@statement
def delete_hold(name: Param) -> Core:
    return sa.delete(t.holds).where(t.holds.c.name == name)


@statement
def find_any_hold(now_us: Param) -> Core:
    return sa.select(t.holds.c.name).where(t.holds.c.until_us > now_us).limit(1)
