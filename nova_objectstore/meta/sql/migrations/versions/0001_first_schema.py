"""The first schema. See ``meta/sql/schema.py`` for what the tables mean."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    _create_accounts()
    _create_buckets()
    _create_objects()
    _create_hidden_versions()
    _create_contents()
    _create_uploads()
    _create_parts()


def _create_accounts() -> None:
    op.create_table(
        "access_keys",
        sa.Column("access_key", TEXT, nullable=False),
        sa.Column("secret_key", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("active", BIG, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("access_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("access_keys_account", "access_keys", ["account_id", "created_us", "access_key"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("canonical_id", TEXT, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("accounts_canonical_id", "accounts", ["canonical_id"], unique=True)
    op.create_index("accounts_name", "accounts", ["name"], unique=True)
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("value", BIG, nullable=False),
        sa.CheckConstraint("id = 1"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO epoch (id, value) VALUES (1, 1)")


def _create_buckets() -> None:
    op.create_table(
        "bucket_usage",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("objects", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.PrimaryKeyConstraint("bucket_id"),
    )
    op.create_table(
        "buckets",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("region", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("versioning", TEXT, nullable=False),
        sa.Column("object_lock", BIG, nullable=False),
        sa.Column("revision", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("buckets_name", "buckets", ["name"], unique=True)
    op.create_index("buckets_owner", "buckets", ["owner_id", "name"], unique=False)
    op.create_table(
        "documents",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket_id", "name"),
        sqlite_with_rowid=False,
    )


def _create_objects() -> None:
    op.create_table(
        "objects",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("etag", TEXT, nullable=False),
        sa.Column("modified_us", BIG, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("storage_class", TEXT, nullable=True),
        sa.Column("headers", TEXT, nullable=True),
        sa.Column("checksum_algorithm", TEXT, nullable=True),
        sa.Column("checksum_type", TEXT, nullable=True),
        sa.Column("checksum_value", TEXT, nullable=True),
        sa.Column("parts_count", BIG, nullable=False),
        sa.Column("kind", BIG, nullable=False),
        sa.Column("ref", TEXT, nullable=True),
        sa.Column("content_id", BIG, nullable=True),
        sa.Column("tags", TEXT, nullable=True),
        sa.Column("lock_mode", TEXT, nullable=True),
        sa.Column("retain_until_us", BIG, nullable=False),
        sa.Column("legal_hold", BIG, nullable=False),
        sa.Column("extra", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("bucket_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "objects_ref",
        "objects",
        ["ref"],
        unique=False,
        sqlite_where=sa.text("ref IS NOT NULL"),
        postgresql_where=sa.text("ref IS NOT NULL"),
    )


def _create_hidden_versions() -> None:
    op.create_table(
        "hidden_versions",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("neg_sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("etag", TEXT, nullable=False),
        sa.Column("modified_us", BIG, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("storage_class", TEXT, nullable=True),
        sa.Column("headers", TEXT, nullable=True),
        sa.Column("checksum_algorithm", TEXT, nullable=True),
        sa.Column("checksum_type", TEXT, nullable=True),
        sa.Column("checksum_value", TEXT, nullable=True),
        sa.Column("parts_count", BIG, nullable=False),
        sa.Column("kind", BIG, nullable=False),
        sa.Column("ref", TEXT, nullable=True),
        sa.Column("content_id", BIG, nullable=True),
        sa.Column("tags", TEXT, nullable=True),
        sa.Column("lock_mode", TEXT, nullable=True),
        sa.Column("retain_until_us", BIG, nullable=False),
        sa.Column("legal_hold", BIG, nullable=False),
        sa.Column("extra", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("bucket_id", "key", "neg_sequence"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "hidden_null_versions",
        "hidden_versions",
        ["bucket_id", "key"],
        unique=True,
        sqlite_where=sa.text("version_id = 'null'"),
        postgresql_where=sa.text("version_id = 'null'"),
    )
    op.create_index(
        "hidden_versions_ref",
        "hidden_versions",
        ["ref"],
        unique=False,
        sqlite_where=sa.text("ref IS NOT NULL"),
        postgresql_where=sa.text("ref IS NOT NULL"),
    )


def _create_contents() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", BIG, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "garbage",
        sa.Column("id", BIG, nullable=False),
        sa.Column("ref", TEXT, nullable=False),
        sa.Column("queued_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("garbage_queued", "garbage", ["queued_us", "id"], unique=False)
    op.create_index("garbage_ref", "garbage", ["ref"], unique=False)


def _create_uploads() -> None:
    op.create_table(
        "completed_uploads",
        sa.Column("upload_id", TEXT, nullable=False),
        sa.Column("bucket_id", BIG, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("etag", TEXT, nullable=False),
        sa.Column("completed_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("upload_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("completed_uploads_bucket", "completed_uploads", ["bucket_id"], unique=False)
    op.create_index("completed_uploads_time", "completed_uploads", ["completed_us"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", BIG, nullable=False),
        sa.Column("bucket_id", BIG, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("upload_id", TEXT, nullable=False),
        sa.Column("initiated_us", BIG, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("initiator", TEXT, nullable=False),
        sa.Column("storage_class", TEXT, nullable=True),
        sa.Column("headers", TEXT, nullable=True),
        sa.Column("checksum_algorithm", TEXT, nullable=False),
        sa.Column("checksum_type", TEXT, nullable=False),
        sa.Column("tags", TEXT, nullable=True),
        sa.Column("lock_mode", TEXT, nullable=True),
        sa.Column("retain_until_us", BIG, nullable=False),
        sa.Column("legal_hold", BIG, nullable=False),
        sa.Column("extra", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("uploads_key", "uploads", ["bucket_id", "key", "initiated_us", "upload_id"], unique=False)
    op.create_index("uploads_upload_id", "uploads", ["upload_id"], unique=True)


def _create_parts() -> None:
    op.create_table(
        "parts",
        sa.Column("content_id", BIG, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", BIG, nullable=True),
        sa.Column("size", BIG, nullable=False),
        sa.Column("etag", TEXT, nullable=False),
        sa.Column("modified_us", BIG, nullable=False),
        sa.Column("checksum_algorithm", TEXT, nullable=True),
        sa.Column("checksum_type", TEXT, nullable=True),
        sa.Column("checksum_value", TEXT, nullable=True),
        sa.Column("kind", BIG, nullable=False),
        sa.Column("ref", TEXT, nullable=True),
        sa.Column("blob_id", BIG, nullable=True),
        sa.Column("extra", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("content_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "parts_offset",
        "parts",
        ["content_id", "offset"],
        unique=False,
        sqlite_where=sa.text('"offset" IS NOT NULL'),
        postgresql_where=sa.text('"offset" IS NOT NULL'),
    )
    op.create_index(
        "parts_ref",
        "parts",
        ["ref"],
        unique=False,
        sqlite_where=sa.text("ref IS NOT NULL"),
        postgresql_where=sa.text("ref IS NOT NULL"),
    )
