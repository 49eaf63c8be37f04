"""Access logs and event notifications that wait for delivery. See ``meta/sql/schema.py``."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward; there is no way back."""
