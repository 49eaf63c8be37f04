"""Users, groups, roles, their policies and keys. See ``meta/sql/schema.py``."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward; there is no way back."""
