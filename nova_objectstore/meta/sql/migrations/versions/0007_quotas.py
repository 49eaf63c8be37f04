"""Quotas of accounts and buckets. See ``meta/sql/schema.py``."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward; there is no way back."""
