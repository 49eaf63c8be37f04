"""Statements of quotas and of what is counted for them."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement

# -- quotas ------------------------------------------------------------------------------------------------------------


@statement
def insert_bucket_quota(bucket_id: Param, objects_max: Param, bytes_max: Param) -> Core:
    return sa.insert(t.bucket_quotas).values(bucket_id=bucket_id, objects_max=objects_max, bytes_max=bytes_max)


@statement
def delete_bucket_quota(bucket_id: Param) -> Core:
    return sa.delete(t.bucket_quotas).where(t.bucket_quotas.c.bucket_id == bucket_id)


@statement
def find_bucket_quota(bucket_id: Param) -> Core:
    """A row for every bucket."""
    quotas = t.bucket_quotas
    joined = t.buckets.outerjoin(quotas, quotas.c.bucket_id == t.buckets.c.id)
    return sa.select(quotas.c.objects_max, quotas.c.bytes_max).select_from(joined).where(t.buckets.c.id == bucket_id)


@statement
def list_bucket_quotas() -> Core:
    quotas = t.bucket_quotas
    columns = (t.buckets.c.owner_id, t.buckets.c.name, quotas.c.bucket_id, quotas.c.objects_max, quotas.c.bytes_max)
    # An outer join, though every quota has its bucket: so the few quotas are walked, and not the buckets.
    return sa.select(*columns).select_from(quotas.outerjoin(t.buckets, t.buckets.c.id == quotas.c.bucket_id))


@statement
def insert_account_quota(account_id: Param, objects_max: Param, bytes_max: Param, objects: Param, size: Param) -> Core:
    return sa.insert(t.account_quotas).values(
        account_id=account_id, objects_max=objects_max, bytes_max=bytes_max, objects=objects, bytes=size
    )


@statement
def set_account_quota_row(account_id: Param, objects_max: Param, bytes_max: Param) -> Core:
    quotas = t.account_quotas
    return (
        sa.update(quotas).where(quotas.c.account_id == account_id).values(objects_max=objects_max, bytes_max=bytes_max)
    )


@statement
def delete_account_quota(account_id: Param) -> Core:
    return sa.delete(t.account_quotas).where(t.account_quotas.c.account_id == account_id)


@statement
def find_account_quota(account_id: Param) -> Core:
    quotas = t.account_quotas
    columns = (quotas.c.objects_max, quotas.c.bytes_max, quotas.c.objects, quotas.c.bytes)
    return sa.select(*columns).where(quotas.c.account_id == account_id)


@statement
def list_account_quotas() -> Core:
    quotas = t.account_quotas
    columns = (quotas.c.account_id, quotas.c.objects_max, quotas.c.bytes_max, quotas.c.objects, quotas.c.bytes)
    return sa.select(*columns).order_by(quotas.c.account_id)


# -- what is counted ---------------------------------------------------------------------------------------------------


@statement
def read_bucket_use(bucket_id: Param) -> Core:
    usage, parts = t.bucket_usage, t.part_usage
    joined = usage.outerjoin(parts, parts.c.bucket_id == usage.c.bucket_id)
    held = usage.c.bytes + sa.func.coalesce(parts.c.bytes, sa.literal(0))
    return sa.select(usage.c.objects, held).select_from(joined).where(usage.c.bucket_id == bucket_id)


@statement
def sum_account_use(account_id: Param) -> Core:
    usage, parts = t.bucket_usage, t.part_usage
    joined = t.buckets.join(usage, usage.c.bucket_id == t.buckets.c.id).outerjoin(
        parts, parts.c.bucket_id == t.buckets.c.id
    )
    held = usage.c.bytes + sa.func.coalesce(parts.c.bytes, sa.literal(0))
    sums = (sa.func.coalesce(sa.func.sum(count), sa.literal(0)) for count in (usage.c.objects, held))
    return sa.select(*sums).select_from(joined).where(t.buckets.c.owner_id == account_id)


@statement
def add_account_use(account_id: Param, objects: Param, size: Param) -> Core:
    quotas = t.account_quotas
    return (
        sa.update(quotas)
        .where(quotas.c.account_id == account_id)
        .values(objects=quotas.c.objects + objects, bytes=quotas.c.bytes + size)
    )


@statement
def insert_part_usage(bucket_id: Param, size: Param) -> Core:
    return sa.insert(t.part_usage).values(bucket_id=bucket_id, bytes=size)


@statement
def add_part_usage(bucket_id: Param, size: Param) -> Core:
    parts = t.part_usage
    return sa.update(parts).where(parts.c.bucket_id == bucket_id).values(bytes=parts.c.bytes + size)


@statement
def delete_part_usage(bucket_id: Param) -> Core:
    return sa.delete(t.part_usage).where(t.part_usage.c.bucket_id == bucket_id)


@statement
def sum_parts(content_id: Param) -> Core:
    """The bytes of an upload's parts."""
    parts = t.parts.c
    return sa.select(sa.func.coalesce(sa.func.sum(parts.size), sa.literal(0))).where(parts.content_id == content_id)
