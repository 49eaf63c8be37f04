"""Statements of multipart uploads and of parts, those of uploads in progress and those of completed objects."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of

UPLOAD_COLUMNS = (
    "bucket_id",
    "key",
    "upload_id",
    "initiated_us",
    "owner_id",
    "initiator",
    "storage_class",
    "headers",
    "checksum_algorithm",
    "checksum_type",
    "tags",
    "lock_mode",
    "retain_until_us",
    "legal_hold",
    "extra",
)
PART_COLUMNS = (
    "content_id",
    "number",
    "size",
    "etag",
    "modified_us",
    "checksum_algorithm",
    "checksum_type",
    "checksum_value",
    "kind",
    "ref",
    "blob_id",
    "extra",
)


# -- uploads -----------------------------------------------------------------------------------------------------------


@statement_of(UPLOAD_COLUMNS)
def insert_upload(row: dict[str, Param]) -> Core:
    return sa.insert(t.uploads).values(row)


@statement
def find_upload(bucket_id: Param, key: Param, upload_id: Param) -> Core:
    uploads = t.uploads.c
    return sa.select(t.uploads).where(
        uploads.upload_id == upload_id, uploads.bucket_id == bucket_id, uploads.key == key
    )


@statement
def find_upload_number(bucket_id: Param, key: Param, upload_id: Param) -> Core:
    uploads = t.uploads.c
    return sa.select(uploads.id).where(
        uploads.upload_id == upload_id, uploads.bucket_id == bucket_id, uploads.key == key
    )


@statement
def list_uploads(
    bucket_id: Param, low: Param, initiated_us: Param, upload_id: Param, high: Param, limit: Param
) -> Core:
    uploads = t.uploads.c
    return (
        sa.select(*(uploads[name] for name in UPLOAD_COLUMNS))
        .where(
            uploads.bucket_id == bucket_id,
            sa.tuple_(uploads.key, uploads.initiated_us, uploads.upload_id) > sa.tuple_(low, initiated_us, upload_id),
            uploads.key < high,
        )
        .order_by(uploads.key, uploads.initiated_us, uploads.upload_id)
        .limit(limit)
    )


@statement
def list_upload_numbers(bucket_id: Param) -> Core:
    return sa.select(t.uploads.c.id).where(t.uploads.c.bucket_id == bucket_id)


@statement
def delete_upload(upload_number: Param) -> Core:
    return sa.delete(t.uploads).where(t.uploads.c.id == upload_number)


# -- completed uploads, remembered for a while -------------------------------------------------------------------------


@statement
def insert_completed_upload(
    upload_id: Param,
    bucket_id: Param,
    key: Param,
    version_id: Param,
    sequence: Param,
    etag: Param,
    completed_us: Param,
) -> Core:
    return sa.insert(t.completed_uploads).values(
        upload_id=upload_id,
        bucket_id=bucket_id,
        key=key,
        version_id=version_id,
        sequence=sequence,
        etag=etag,
        completed_us=completed_us,
    )


@statement
def find_completed_upload(upload_id: Param, bucket_id: Param, key: Param) -> Core:
    done = t.completed_uploads.c
    return sa.select(done.version_id, done.sequence, done.etag).where(
        done.upload_id == upload_id, done.bucket_id == bucket_id, done.key == key
    )


@statement
def prune_completed_uploads(before_us: Param, limit: Param) -> Core:
    done = t.completed_uploads
    oldest = sa.select(done.c.upload_id).where(done.c.completed_us < before_us).order_by(done.c.completed_us)
    return sa.delete(done).where(done.c.upload_id.in_(oldest.limit(limit)))


@statement
def delete_completed_uploads_of(bucket_id: Param) -> Core:
    return sa.delete(t.completed_uploads).where(t.completed_uploads.c.bucket_id == bucket_id)


# -- parts -------------------------------------------------------------------------------------------------------------


def _parts(*, inline: bool) -> Core:
    """The columns that ``rows.decode_part`` takes."""
    parts = t.parts.c
    body = t.blobs.c.body if inline else sa.null().label("body")
    select = sa.select(parts.number, parts.offset, *(parts[name] for name in PART_COLUMNS[2:]), body)
    return select.select_from(t.parts.outerjoin(t.blobs, t.blobs.c.id == parts.blob_id)) if inline else select


@statement_of(PART_COLUMNS)
def insert_part(row: dict[str, Param]) -> Core:
    return sa.insert(t.parts).values(row)


@statement
def find_part_content(content_id: Param, number: Param) -> Core:
    parts = t.parts.c
    return sa.select(parts.ref, parts.blob_id, parts.size).where(parts.content_id == content_id, parts.number == number)


@statement
def delete_part(content_id: Param, number: Param) -> Core:
    return sa.delete(t.parts).where(t.parts.c.content_id == content_id, t.parts.c.number == number)


@statement
def list_parts(content_id: Param, after: Param, limit: Param) -> Core:
    parts = t.parts.c
    uploaded = _parts(inline=False).where(parts.content_id == content_id, parts.number > after)
    return uploaded.order_by(parts.number).limit(limit)


@statement
def list_part_facts(content_id: Param) -> Core:
    parts = t.parts.c
    return sa.select(parts.number, parts.size, parts.etag).where(parts.content_id == content_id)


@statement
def set_part_offset(content_id: Param, number: Param, offset: Param) -> Core:
    parts = t.parts.c
    return sa.update(t.parts).where(parts.content_id == content_id, parts.number == number).values(offset=offset)


@statement
def get_placed_part(content_id: Param, number: Param) -> Core:
    parts = t.parts.c
    return _parts(inline=True).where(parts.content_id == content_id, parts.number == number, parts.offset.is_not(None))


@statement
def list_placed_parts(content_id: Param, first_byte: Param, last_byte: Param) -> Core:
    parts = t.parts.c
    before = t.parts.alias("before")
    first_offset = (
        sa.select(sa.func.max(before.c.offset))
        .where(before.c.content_id == content_id, before.c.offset <= first_byte)
        .scalar_subquery()
    )
    return (
        _parts(inline=True)
        .where(parts.content_id == content_id, parts.offset >= first_offset, parts.offset <= last_byte)
        .order_by(parts.offset, parts.number)
    )


# -- all the parts of one content --------------------------------------------------------------------------------------


@statement
def queue_refs_of_parts(content_id: Param, queued_us: Param) -> Core:
    parts = t.parts.c
    refs = sa.select(parts.ref, queued_us).where(parts.content_id == content_id, parts.ref.is_not(None))
    return sa.insert(t.garbage).from_select(("ref", "queued_us"), refs.order_by(parts.number))


@statement
def delete_blobs_of_parts(content_id: Param) -> Core:
    parts = t.parts.c
    ids = sa.select(parts.blob_id).where(parts.content_id == content_id, parts.blob_id.is_not(None))
    return sa.delete(t.blobs).where(t.blobs.c.id.in_(ids))


@statement
def delete_parts(content_id: Param) -> Core:
    return sa.delete(t.parts).where(t.parts.c.content_id == content_id)
