"""What the lifecycle needs to find what is due. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "lifecycle_buckets",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("looks", TEXT, nullable=True),
        sa.Column("generation", BIG, nullable=False),
        sa.Column("walk_stage", BIG, nullable=False),
        sa.Column("walk_key", KEY, nullable=False),
        sa.Column("walk_number", BIG, nullable=False),
        sa.PrimaryKeyConstraint("bucket_id"),
    )
    op.create_table(
        "lifecycle_agenda",
        sa.Column("bucket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("due_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("bucket_id", "key", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("lifecycle_agenda_due", "lifecycle_agenda", ["bucket_id", "due_us"], unique=False)
