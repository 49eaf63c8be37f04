"""What the scrubber found and how far it is; holds against collection. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "damages",
        sa.Column("id", BIG, nullable=False),
        sa.Column("stage", BIG, nullable=False),
        sa.Column("bucket_id", BIG, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("part", BIG, nullable=False),
        sa.Column("ref", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("found_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("damages_place", "damages", ["bucket_id", "key", "version_id", "part", "stage"], unique=True)
    op.create_table(
        "scrubs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_us", BIG, nullable=False),
        sa.Column("finished_us", BIG, nullable=False),
        sa.Column("position", TEXT, nullable=False),
        sa.Column("items", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("found", BIG, nullable=False),
        sa.Column("bytes_total", BIG, nullable=False),
        sa.Column("found_total", BIG, nullable=False),
        sa.CheckConstraint("id = 1"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "holds",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("until_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
