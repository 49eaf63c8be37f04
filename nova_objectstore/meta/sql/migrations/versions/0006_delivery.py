"""Topics, subscriptions, and events that wait for delivery. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    op.create_table(
        "topics",
        sa.Column("arn", KEY, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("attributes", TEXT, nullable=True),
        sa.Column("tags", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("arn"),
        sqlite_with_rowid=False,
    )
    op.create_index("topics_owner", "topics", ["owner_id", "arn"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("arn", KEY, nullable=False),
        sa.Column("topic_arn", KEY, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("protocol", TEXT, nullable=False),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("attributes", TEXT, nullable=True),
        *(sa.Column(name, BIG, nullable=False) for name in ("waiting", "delivered", "dropped", "failures")),
        sa.Column("retry_at_us", BIG, nullable=False),
        sa.Column("last_error", TEXT, nullable=False),
        sa.Column("last_error_us", BIG, nullable=False),
        sa.Column("last_delivered_us", BIG, nullable=False),
        sa.Column("lease", TEXT, nullable=False),
        sa.Column("lease_until_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("arn"),
        sqlite_with_rowid=False,
    )
    op.create_index("subscriptions_topic", "subscriptions", ["topic_arn", "arn"], unique=False)
    op.create_index("subscriptions_owner", "subscriptions", ["owner_id", "arn"], unique=False)
    _create_partial_index("subscriptions_due", ["retry_at_us", "arn"], "waiting > 0")
    _create_partial_index("subscriptions_pending", ["created_us"], "token <> ''")
    op.create_table(
        "events",
        sa.Column("id", BIG, nullable=False),
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deliveries",
        sa.Column("subscription_arn", KEY, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("subscription_arn", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_event", "deliveries", ["event_id"], unique=False)


def _create_partial_index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "subscriptions", columns, unique=False, sqlite_where=condition, postgresql_where=condition)
