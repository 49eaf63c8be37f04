"""The tables, and what holds between their rows.

Laws, kept by the verbs and checked by the tests' ``check_state``:

- ``objects`` has a row for a key exactly when a plain GET finds one: the key's newest version is not a delete marker.
- ``hidden_versions`` has every other version and all delete markers. A key's row in ``objects`` is newer than each of them.
- A version, or a part, owns its bytes alone: a row of ``blobs`` (``content_id``), a ref of the data engine (``ref``), or the
  rows of ``parts`` with its ``content_id``, which is the number of the upload that they came with.
- ``bucket_usage`` is the number and the bytes of the versions that are not markers; ``part_usage`` the bytes of the parts
  of uploads in progress, with no row where there never was one. An account with a quota has the sums of both over its
  buckets in the quota's row.
- An image that is available owns the bytes of its ``ref`` alone; no other image has one.
- A restored copy (``restores``) belongs to one version, whose storage class is not STANDARD, and owns its bytes alone.
- An event waits at least once; ``subscriptions.waiting`` is the number of a subscription's rows in ``deliveries``.
- Every primary key of numbers whose values leave the database (buckets, uploads, garbage, events) never comes back.

Keys compare as the bytes of their UTF-8: SQLite's BINARY collation, PostgreSQL's "C".

``hidden_versions`` sorts by ``neg_sequence`` (minus the sequence), so that one ascending index gives the newest first.
Tables keyed by (bucket, key) are WITHOUT ROWID: measured with a million keys put in random order, a page of 1,000
then costs 2.2 ms instead of 4.8, and a single read the same. Pages of 4 KiB write the least into the WAL.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ColumnElement, Index, Integer, LargeBinary, Table, Text
from sqlalchemy import literal_column as _sql

from nova_objectstore.meta.sql.schema_columns import Big, metadata
from nova_objectstore.meta.sql.schema_columns import key as _key
from nova_objectstore.meta.sql.schema_columns import number as _number
from nova_objectstore.meta.sql.schema_columns import text as _text
from nova_objectstore.meta.sql.schema_delivery import (
    SUBSCRIPTION_IS_DUE,
    SUBSCRIPTION_IS_PENDING,
    deliveries,
    events,
    subscriptions,
    topics,
)

__all__ = [
    "SUBSCRIPTION_IS_DUE",
    "SUBSCRIPTION_IS_PENDING",
    "deliveries",
    "events",
    "metadata",
    "subscriptions",
    "topics",
]


def _version_columns() -> list[Column[object]]:
    """What ``objects`` and ``hidden_versions`` have in common, behind the columns of their keys."""
    columns = [
        _text("version_id"),
        _number("size"),
        _text("etag"),
        _number("modified_us"),
        _text("owner_id"),
        _text("storage_class", nullable=True),  # NULL: STANDARD
        _text("headers", nullable=True),  # JSON object; NULL: none
        _text("checksum_algorithm", nullable=True),  # NULL: no checksum
        _text("checksum_type", nullable=True),
        _text("checksum_value", nullable=True),
        _number("parts_count"),
        _number("kind"),  # types.ContentKind
        _text("ref", nullable=True),  # DATA: the data engine's name
        _number("content_id", nullable=True),  # INLINE: blobs.id; PARTS: parts.content_id
        _text("tags", nullable=True),  # JSON object; NULL: none
        _text("lock_mode", nullable=True),  # NULL: neither retention nor legal hold, then the next two are 0
        _number("retain_until_us"),
        _number("legal_hold"),
        _text("extra", nullable=True),  # JSON object; NULL: none
    ]
    return columns  # type: ignore[return-value]


epoch = Table("epoch", metadata, Column("id", Integer, primary_key=True), _number("value"), CheckConstraint("id = 1"))

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    _text("canonical_id"),
    _key("name"),
    _text("email"),
    _number("created_us"),
    Index("accounts_canonical_id", "canonical_id", unique=True),
    Index("accounts_name", "name", unique=True),
    sqlite_with_rowid=False,
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key", Text, primary_key=True),
    _text("secret_key"),
    _text("account_id"),
    _text("user_name", nullable=True),
    _number("active"),
    _number("created_us"),
    Index("access_keys_account", "account_id", "created_us", "access_key"),
    sqlite_with_rowid=False,
)

buckets = Table(
    "buckets",
    metadata,
    Column("id", Big, primary_key=True),
    _key("name"),
    _text("owner_id"),
    _text("region"),
    _number("created_us"),
    _text("versioning"),
    _number("object_lock"),
    _number("revision"),
    Index("buckets_name", "name", unique=True),
    Index("buckets_owner", "owner_id", "name"),
    sqlite_autoincrement=True,
)

documents = Table(
    "documents",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

bucket_usage = Table(
    "bucket_usage",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    _number("objects"),
    _number("bytes"),
)

part_usage = Table(
    "part_usage",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    _number("bytes"),
)

# NULL: any number of them
bucket_quotas = Table(
    "bucket_quotas",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    _number("objects_max", nullable=True),
    _number("bytes_max", nullable=True),
)

account_quotas = Table(
    "account_quotas",
    metadata,
    Column("account_id", Text, primary_key=True),
    _number("objects_max", nullable=True),
    _number("bytes_max", nullable=True),
    _number("objects"),
    _number("bytes"),
    sqlite_with_rowid=False,
)

objects = Table(
    "objects",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    Column("key", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _number("sequence"),
    *_version_columns(),
    sqlite_with_rowid=False,
)

hidden_versions = Table(
    "hidden_versions",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    Column("key", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("neg_sequence", Big, primary_key=True, autoincrement=False),
    *_version_columns(),
    sqlite_with_rowid=False,
)

# A version id tells its sequence (see versions.py), all but the null version's: it is found by an index of its own.
_IS_NULL_VERSION: ColumnElement[bool] = _sql("version_id = 'null'")
_HAS_REF: ColumnElement[bool] = _sql("ref IS NOT NULL")
Index(
    "hidden_null_versions",
    hidden_versions.c.bucket_id,
    hidden_versions.c.key,
    unique=True,
    sqlite_where=_IS_NULL_VERSION,
    postgresql_where=_IS_NULL_VERSION,
)
Index("objects_ref", objects.c.ref, sqlite_where=_HAS_REF, postgresql_where=_HAS_REF)
Index("hidden_versions_ref", hidden_versions.c.ref, sqlite_where=_HAS_REF, postgresql_where=_HAS_REF)

blobs = Table("blobs", metadata, Column("id", Big, primary_key=True), Column("body", LargeBinary, nullable=False))

uploads = Table(
    "uploads",
    metadata,
    Column("id", Big, primary_key=True),  # becomes the content_id of the object
    _number("bucket_id"),
    _key("key"),
    _text("upload_id"),
    _number("initiated_us"),
    _text("owner_id"),
    _text("initiator"),
    _text("storage_class", nullable=True),
    _text("headers", nullable=True),
    _text("checksum_algorithm"),
    _text("checksum_type"),
    _text("tags", nullable=True),
    _text("lock_mode", nullable=True),
    _number("retain_until_us"),
    _number("legal_hold"),
    _text("extra", nullable=True),
    Index("uploads_upload_id", "upload_id", unique=True),
    Index("uploads_key", "bucket_id", "key", "initiated_us", "upload_id"),
    sqlite_autoincrement=True,
)

parts = Table(
    "parts",
    metadata,
    Column("content_id", Big, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _number("offset", nullable=True),  # NULL while the upload is in progress
    _number("size"),
    _text("etag"),
    _number("modified_us"),
    _text("checksum_algorithm", nullable=True),
    _text("checksum_type", nullable=True),
    _text("checksum_value", nullable=True),
    _number("kind"),
    _text("ref", nullable=True),
    _number("blob_id", nullable=True),
    _text("extra", nullable=True),
    sqlite_with_rowid=False,
)
_IS_PLACED: ColumnElement[bool] = _sql('"offset" IS NOT NULL')
Index("parts_offset", parts.c.content_id, parts.c.offset, sqlite_where=_IS_PLACED, postgresql_where=_IS_PLACED)
Index("parts_ref", parts.c.ref, sqlite_where=_HAS_REF, postgresql_where=_HAS_REF)

completed_uploads = Table(
    "completed_uploads",
    metadata,
    Column("upload_id", Text, primary_key=True),
    _number("bucket_id"),
    _key("key"),
    _text("version_id"),
    _number("sequence"),
    _text("etag"),
    _number("completed_us"),
    Index("completed_uploads_time", "completed_us"),
    Index("completed_uploads_bucket", "bucket_id"),
    sqlite_with_rowid=False,
)

garbage = Table(
    "garbage",
    metadata,
    Column("id", Big, primary_key=True),
    _text("ref"),
    _number("queued_us"),
    Index("garbage_queued", "queued_us", "id"),
    Index("garbage_ref", "ref"),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("image_id", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _text("owner_id"),
    _text("location"),
    _text("image_type"),
    _text("architecture"),
    _text("state"),
    _number("created_us"),
    _text("kernel_id"),
    _text("ramdisk_id"),
    _text("name"),
    _text("description"),
    _number("is_public"),
    _text("block_devices", nullable=True),  # JSON list of pairs; NULL: none
    _text("product_codes", nullable=True),  # JSON list; NULL: none
    _text("virtualization_type"),
    _text("reason"),
    _number("size"),
    _text("etag"),
    _text("ref", nullable=True),  # the data engine's name; NULL while there are no bytes
    _number("changed_us"),
    _text("lease"),  # who works on it; empty: nobody
    _number("lease_until_us"),  # until then nobody else may claim it
    _number("attempts"),
    sqlite_with_rowid=False,
)
IMAGE_IS_LIVING: ColumnElement[bool] = _sql("state <> 'deregistered'")
IMAGE_IS_UNFINISHED: ColumnElement[bool] = _sql("state IN ('pending', 'decrypting', 'untarring')")
IMAGE_IS_GONE: ColumnElement[bool] = _sql("state = 'deregistered'")
Index("images_owner", images.c.owner_id, images.c.image_id)
Index(
    "images_name",
    images.c.owner_id,
    images.c.name,
    unique=True,
    sqlite_where=_sql("state <> 'deregistered' AND name <> ''"),
    postgresql_where=_sql("state <> 'deregistered' AND name <> ''"),
)
Index(
    "images_unfinished",
    images.c.created_us,
    images.c.image_id,
    sqlite_where=IMAGE_IS_UNFINISHED,
    postgresql_where=IMAGE_IS_UNFINISHED,
)
Index("images_gone", images.c.changed_us, sqlite_where=IMAGE_IS_GONE, postgresql_where=IMAGE_IS_GONE)
Index("images_ref", images.c.ref, sqlite_where=_HAS_REF, postgresql_where=_HAS_REF)

image_permissions = Table(
    "image_permissions",
    metadata,
    Column("image_id", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("account_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# -- IAM: what belongs to users, groups and roles names them by their ids, which outlive a change of name ----------------

iam_entities = Table(
    "iam_entities",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # user | group | role
    Column(
        "folded", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True
    ),  # the name in lower-case
    _text("name"),
    _text("path"),
    _text("id"),
    _number("created_us"),
    _text("boundary"),  # ARN; empty: none
    _text("tags", nullable=True),  # JSON object; NULL: none
    _text("trust"),
    _text("description"),
    _number("max_session_s"),
    Index("iam_entities_id", "id", unique=True),
    sqlite_with_rowid=False,
)

iam_members = Table(
    "iam_members",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Index("iam_members_user", "user_id", "group_id"),
    sqlite_with_rowid=False,
)

iam_inline_policies = Table(
    "iam_inline_policies",
    metadata,
    Column("entity_id", Text, primary_key=True),
    Column("name", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _text("document"),
    sqlite_with_rowid=False,
)

iam_policies = Table(
    "iam_policies",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("folded", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _text("name"),
    _text("path"),
    _text("id"),
    _text("description"),
    _number("created_us"),
    _number("changed_us"),
    _number("default_number"),
    _number("last_number"),  # of the newest version that there ever was
    _text("tags", nullable=True),
    sqlite_with_rowid=False,
)

iam_policy_versions = Table(
    "iam_policy_versions",
    metadata,
    Column("policy_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("document"),
    _number("created_us"),
    sqlite_with_rowid=False,
)

iam_attachments = Table(
    "iam_attachments",
    metadata,
    Column("entity_id", Text, primary_key=True),
    Column("policy_arn", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Index("iam_attachments_policy", "policy_arn", "entity_id"),
    sqlite_with_rowid=False,
)

iam_providers = Table(
    "iam_providers",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("host", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),  # the URL without scheme
    _text("url"),
    _text("client_ids"),  # JSON list
    _text("thumbprints"),  # JSON list
    _number("created_us"),
    _text("tags", nullable=True),
    sqlite_with_rowid=False,
)

access_key_uses = Table(
    "access_key_uses",
    metadata,
    Column("access_key", Text, primary_key=True),
    _number("used_us"),
    _text("service"),
    _text("region"),
    sqlite_with_rowid=False,
)

lifecycle_buckets = Table(
    "lifecycle_buckets",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    _text("looks", nullable=True),  # JSON, see looks.py; NULL: there are no rules any more, and rows to be cleared away
    _number("generation"),  # the bucket's revision when the rules came
    _number("walk_stage"),  # 0: every version is entered; else where the walk is, see lifecycle.py
    _key("walk_key"),
    _number("walk_number"),
)

# A row for what the rules of a bucket may do something to; none in a bucket without rules.
lifecycle_agenda = Table(
    "lifecycle_agenda",
    metadata,
    Column("bucket_id", Big, primary_key=True, autoincrement=False),
    Column("key", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("number", Big, primary_key=True, autoincrement=False),  # a version's sequence; of an upload, minus its id
    _number("due_us"),
    Index("lifecycle_agenda_due", "bucket_id", "due_us"),
    sqlite_with_rowid=False,
)

# -- storage classes ----------------------------------------------------------------------------------------------------

_HAS_CLASS: ColumnElement[bool] = _sql("storage_class IS NOT NULL")
Index("objects_class", objects.c.storage_class, sqlite_where=_HAS_CLASS, postgresql_where=_HAS_CLASS)
Index("hidden_versions_class", hidden_versions.c.storage_class, sqlite_where=_HAS_CLASS, postgresql_where=_HAS_CLASS)
Index("uploads_class", uploads.c.storage_class, sqlite_where=_HAS_CLASS, postgresql_where=_HAS_CLASS)

# Copies of archived versions. Those of parts are rows of ``parts`` whose content_id is minus the restore's id.
restores = Table(
    "restores",
    metadata,
    Column("id", Big, primary_key=True),
    _number("bucket_id"),
    _key("key"),
    _number("sequence"),
    _text("version_id"),
    _number("days"),
    _number("expires_us"),  # 0 while the copy is being made
    _number("kind", nullable=True),  # types.ContentKind of the copy; NULL while it is being made
    _text("ref", nullable=True),
    _number("priority"),
    _text("lease"),  # who makes it; empty: nobody
    _number("lease_until_us"),  # until then nobody else may claim it
    _number("attempts"),
    Index("restores_version", "bucket_id", "key", "sequence", unique=True),
    sqlite_autoincrement=True,
)
RESTORE_IS_ONGOING: ColumnElement[bool] = _sql("expires_us = 0")
RESTORE_IS_THERE: ColumnElement[bool] = _sql("expires_us <> 0")
Index(
    "restores_ongoing",
    restores.c.priority,
    restores.c.id,
    sqlite_where=RESTORE_IS_ONGOING,
    postgresql_where=RESTORE_IS_ONGOING,
)
Index(
    "restores_expiry",
    restores.c.expires_us,
    sqlite_where=RESTORE_IS_THERE,
    postgresql_where=RESTORE_IS_THERE,
)
Index("restores_ref", restores.c.ref, sqlite_where=_HAS_REF, postgresql_where=_HAS_REF)

class_places = Table(
    "class_places",
    metadata,
    Column("name", Text, primary_key=True),
    _text("mark"),
    sqlite_with_rowid=False,
)

# -- integrity: see meta/integrity_port.py -------------------------------------------------------------------------------

damages = Table(
    "damages",
    metadata,
    Column("id", Big, primary_key=True),
    _number("stage"),  # integrity_port.Stage
    _number("bucket_id"),  # 0 of an image
    _key("key"),
    _text("version_id"),
    _number("part"),
    _text("ref"),  # empty: the bytes lie in the metadata
    _number("size"),
    _text("reason"),
    _number("found_us"),
    Index("damages_place", "bucket_id", "key", "version_id", "part", "stage", unique=True),
    sqlite_autoincrement=True,
)

scrubs = Table(
    "scrubs",
    metadata,
    Column("id", Integer, primary_key=True),
    _number("started_us"),
    _number("finished_us"),
    _text("position"),  # integrity_port.Position; empty: no pass runs
    _number("items"),
    _number("bytes"),
    _number("found"),
    _number("bytes_total"),
    _number("found_total"),
    CheckConstraint("id = 1"),
)

holds = Table(
    "holds",
    metadata,
    Column("name", Text, primary_key=True),
    _number("until_us"),
    sqlite_with_rowid=False,
)

# What a new database begins with.
SEED = "INSERT INTO epoch (id, value) VALUES (1, 1)"
