"""Statements of buckets, their documents and their usage."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement


@statement
def insert_bucket(
    name: Param, owner_id: Param, region: Param, created_us: Param, versioning: Param, object_lock: Param
) -> Core:
    return sa.insert(t.buckets).values(
        name=name,
        owner_id=owner_id,
        region=region,
        created_us=created_us,
        versioning=versioning,
        object_lock=object_lock,
        revision=1,
    )


@statement
def find_bucket(name: Param) -> Core:
    return sa.select(t.buckets).where(t.buckets.c.name == name)


@statement
def read_bucket_state(bucket_id: Param) -> Core:
    # PERF: few buckets have lifecycle rules or quotas; each join is one step into a small table, once a transaction
    buckets, rules, own, owners = t.buckets, t.lifecycle_buckets, t.bucket_quotas, t.account_quotas
    columns = (buckets.c.versioning, buckets.c.object_lock, rules.c.looks, buckets.c.owner_id)
    limits = (own.c.bucket_id, owners.c.account_id, own.c.objects_max, own.c.bytes_max)
    joined = (
        buckets.outerjoin(rules, rules.c.bucket_id == buckets.c.id)
        .outerjoin(own, own.c.bucket_id == buckets.c.id)
        .outerjoin(owners, owners.c.account_id == buckets.c.owner_id)
    )
    found = sa.select(*columns, *limits, owners.c.objects_max, owners.c.bytes_max).select_from(joined)
    return found.where(buckets.c.id == bucket_id)


@statement
def read_bucket_revision(bucket_id: Param) -> Core:
    return sa.select(t.buckets.c.revision).where(t.buckets.c.id == bucket_id)


@statement
def bucket_of_id(bucket_id: Param) -> Core:
    return sa.select(t.buckets).where(t.buckets.c.id == bucket_id)


@statement
def list_buckets(owner_id: Param, low: Param, high: Param, limit: Param) -> Core:
    buckets = t.buckets
    return (
        sa.select(buckets)
        .where(buckets.c.owner_id == owner_id, buckets.c.name > low, buckets.c.name < high)
        .order_by(buckets.c.name)
        .limit(limit)
    )


@statement
def count_buckets(owner_id: Param) -> Core:
    return sa.select(sa.func.count()).select_from(t.buckets).where(t.buckets.c.owner_id == owner_id)


@statement
def find_any_bucket_of(owner_id: Param) -> Core:
    return sa.select(t.buckets.c.id).where(t.buckets.c.owner_id == owner_id).limit(1)


@statement
def delete_bucket(bucket_id: Param) -> Core:
    return sa.delete(t.buckets).where(t.buckets.c.id == bucket_id)


@statement
def set_bucket_versioning(bucket_id: Param, versioning: Param) -> Core:
    return (
        sa.update(t.buckets)
        .where(t.buckets.c.id == bucket_id)
        .values(versioning=versioning, revision=t.buckets.c.revision + 1)
    )


@statement
def set_bucket_object_lock(bucket_id: Param) -> Core:
    return (
        sa.update(t.buckets).where(t.buckets.c.id == bucket_id).values(object_lock=1, revision=t.buckets.c.revision + 1)
    )


@statement
def grow_bucket_revision(bucket_id: Param) -> Core:
    return sa.update(t.buckets).where(t.buckets.c.id == bucket_id).values(revision=t.buckets.c.revision + 1)


# -- documents ---------------------------------------------------------------------------------------------------------


@statement
def get_document(bucket_id: Param, name: Param) -> Core:
    return sa.select(t.documents.c.body).where(t.documents.c.bucket_id == bucket_id, t.documents.c.name == name)


@statement
def get_documents(bucket_id: Param) -> Core:
    documents = t.documents
    return (
        sa.select(documents.c.name, documents.c.body)
        .where(documents.c.bucket_id == bucket_id)
        .order_by(documents.c.name)
    )


@statement
def insert_document(bucket_id: Param, name: Param, body: Param) -> Core:
    return sa.insert(t.documents).values(bucket_id=bucket_id, name=name, body=body)


@statement
def delete_document(bucket_id: Param, name: Param) -> Core:
    return sa.delete(t.documents).where(t.documents.c.bucket_id == bucket_id, t.documents.c.name == name)


@statement
def delete_documents(bucket_id: Param) -> Core:
    return sa.delete(t.documents).where(t.documents.c.bucket_id == bucket_id)


# -- usage -------------------------------------------------------------------------------------------------------------


@statement
def insert_usage(bucket_id: Param) -> Core:
    return sa.insert(t.bucket_usage).values(bucket_id=bucket_id, objects=0, bytes=0)


@statement
def read_usage(bucket_id: Param) -> Core:
    return sa.select(t.bucket_usage.c.objects, t.bucket_usage.c.bytes).where(t.bucket_usage.c.bucket_id == bucket_id)


@statement
def add_usage(bucket_id: Param, objects: Param, size: Param) -> Core:
    usage = t.bucket_usage
    return (
        sa.update(usage)
        .where(usage.c.bucket_id == bucket_id)
        .values(objects=usage.c.objects + objects, bytes=usage.c.bytes + size)
    )


@statement
def delete_usage(bucket_id: Param) -> Core:
    return sa.delete(t.bucket_usage).where(t.bucket_usage.c.bucket_id == bucket_id)
