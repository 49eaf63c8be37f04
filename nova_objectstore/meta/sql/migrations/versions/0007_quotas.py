"""Quotas of accounts and buckets. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "account_quotas",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("objects_max", BIG, nullable=True),
        sa.Column("bytes_max", BIG, nullable=True),
        sa.Column("objects", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bucket_quotas",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("objects_max", BIG, nullable=True),
        sa.Column("bytes_max", BIG, nullable=True),
        sa.PrimaryKeyConstraint("bucket_id"),
    )
    op.create_table(
        "part_usage",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.PrimaryKeyConstraint("bucket_id"),
    )
    op.execute(
        "INSERT INTO part_usage (bucket_id, bytes) SELECT uploads.bucket_id, sum(parts.size)"
        " FROM uploads JOIN parts ON parts.content_id = uploads.id GROUP BY uploads.bucket_id"
    )
