"""Where the data of storage classes lies, and restored copies. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "restores",
        sa.Column("id", BIG, nullable=False),
        sa.Column("bucket_id", BIG, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("days", BIG, nullable=False),
        sa.Column("expires_us", BIG, nullable=False),
        sa.Column("kind", BIG, nullable=True),
        sa.Column("ref", TEXT, nullable=True),
        sa.Column("priority", BIG, nullable=False),
        sa.Column("lease", TEXT, nullable=False),
        sa.Column("lease_until_us", BIG, nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("restores_version", "restores", ["bucket_id", "key", "sequence"], unique=True)
    _create_partial_index("restores_ongoing", "restores", ["priority", "id"], "expires_us = 0")
    _create_partial_index("restores_expiry", "restores", ["expires_us"], "expires_us <> 0")
    _create_partial_index("restores_ref", "restores", ["ref"], "ref IS NOT NULL")
    op.create_table(
        "class_places",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("mark", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    _create_partial_index("objects_class", "objects", ["storage_class"], "storage_class IS NOT NULL")
    _create_partial_index("hidden_versions_class", "hidden_versions", ["storage_class"], "storage_class IS NOT NULL")
    _create_partial_index("uploads_class", "uploads", ["storage_class"], "storage_class IS NOT NULL")


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
