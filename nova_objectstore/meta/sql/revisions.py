"""The schema's revisions: numbers of four digits, each a file in ``migrations/versions``."""

from __future__ import annotations

HEAD = "0008"  # what this release reads and writes
STAMP = "INSERT INTO alembic_version (version_num) VALUES (?)"


def is_revision(text: str) -> bool:
    """Whether this store, in whatever release, could have written that."""
    return text.isascii() and text.isdigit() and len(text) == len(HEAD) and int(text) > 0


def is_newer(revision: str) -> bool:
    """Whether a database was written by a later release."""
    return revision > HEAD
