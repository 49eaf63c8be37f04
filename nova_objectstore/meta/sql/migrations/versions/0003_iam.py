"""Users, groups, roles, their policies and keys. See ``meta/sql/schema.py``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Forward; there is no way back."""
    _create_entities()
    _create_policies()
    op.create_table(
        "iam_providers",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("host", KEY, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("client_ids", TEXT, nullable=False),
        sa.Column("thumbprints", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("tags", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "host"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "access_key_uses",
        sa.Column("access_key", TEXT, nullable=False),
        sa.Column("used_us", BIG, nullable=False),
        sa.Column("service", TEXT, nullable=False),
        sa.Column("region", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("access_key"),
        sqlite_with_rowid=False,
    )


def _create_entities() -> None:
    op.create_table(
        "iam_entities",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("folded", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("boundary", TEXT, nullable=False),
        sa.Column("tags", TEXT, nullable=True),
        sa.Column("trust", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("max_session_s", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", "folded"),
        sqlite_with_rowid=False,
    )
    op.create_index("iam_entities_id", "iam_entities", ["id"], unique=True)
    op.create_table(
        "iam_members",
        sa.Column("group_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("iam_members_user", "iam_members", ["user_id", "group_id"], unique=False)


def _create_policies() -> None:
    op.create_table(
        "iam_inline_policies",
        sa.Column("entity_id", TEXT, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entity_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "iam_policies",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("folded", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("changed_us", BIG, nullable=False),
        sa.Column("default_number", BIG, nullable=False),
        sa.Column("last_number", BIG, nullable=False),
        sa.Column("tags", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "folded"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "iam_policy_versions",
        sa.Column("policy_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("policy_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "iam_attachments",
        sa.Column("entity_id", TEXT, nullable=False),
        sa.Column("policy_arn", KEY, nullable=False),
        sa.PrimaryKeyConstraint("entity_id", "policy_arn"),
        sqlite_with_rowid=False,
    )
    op.create_index("iam_attachments_policy", "iam_attachments", ["policy_arn", "entity_id"], unique=False)
