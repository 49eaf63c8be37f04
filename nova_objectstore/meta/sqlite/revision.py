"""The schema revision of a database, read without touching it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nova_objectstore.meta.sqlite.connection import Settings, connect_reader, translate
from nova_objectstore.meta.sqlite.schema import read_revision


def revision_of(path: Path) -> str | None:
    """The revision that the database in file ``path`` is at; None when there is none yet. Raises StorageFailed."""
    if not path.exists():
        return None
    try:
        connection = connect_reader(Settings(path))
        try:
            return read_revision(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translate(error) from error
