"""Registered images and whom they are shared with. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "image_permissions",
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "images",
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("image_type", TEXT, nullable=False),
        sa.Column("architecture", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("kernel_id", TEXT, nullable=False),
        sa.Column("ramdisk_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("is_public", BIG, nullable=False),
        sa.Column("block_devices", TEXT, nullable=True),
        sa.Column("product_codes", TEXT, nullable=True),
        sa.Column("virtualization_type", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("etag", TEXT, nullable=False),
        sa.Column("ref", TEXT, nullable=True),
        sa.Column("changed_us", BIG, nullable=False),
        sa.Column("lease", TEXT, nullable=False),
        sa.Column("lease_until_us", BIG, nullable=False),
        sa.Column("attempts", BIG, nullable=False),
        sa.PrimaryKeyConstraint("image_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("images_owner", "images", ["owner_id", "image_id"], unique=False)
    _create_partial_index("images_name", ["owner_id", "name"], "state <> 'deregistered' AND name <> ''", unique=True)
    _create_partial_index(
        "images_unfinished", ["created_us", "image_id"], "state IN ('pending', 'decrypting', 'untarring')"
    )
    _create_partial_index("images_gone", ["changed_us"], "state = 'deregistered'")
    _create_partial_index("images_ref", ["ref"], "ref IS NOT NULL")


def _create_partial_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "images", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
