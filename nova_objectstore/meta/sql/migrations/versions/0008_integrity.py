"""Digests and what the scrubber found. See ``meta/sql/schema.py``."""

from __future__ import annotations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward; there is no way back."""
