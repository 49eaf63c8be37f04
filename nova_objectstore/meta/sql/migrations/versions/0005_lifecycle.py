"""What the lifecycle needs to find what is due. See ``meta/sql/schema.py``."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward; there is no way back."""
