"""A consistent copy of a database that is in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nova_objectstore.errors import StorageFailed
from nova_objectstore.meta.sqlite.connection import Settings, connect_reader, create_file, translate


def copy_database(source: Path, target: Path) -> None:
    """Copy ``source`` as it is at one moment into ``target``, which must not exist; nobody waits for it. Blocking.

    SQLite ("Using the SQLite Online Backup API"): in one step, under one read transaction; in WAL mode writers go on beside
    it. Raises StorageFull, StorageFailed.
    """
    try:
        create_file(target)
        with closing(connect_reader(Settings(source))) as reader, closing(sqlite3.connect(target)) as writer:
            reader.backup(writer, pages=-1)
    except (sqlite3.Error, OSError) as error:
        raise translate(error) from error


def check_database(path: Path) -> None:
    """Make sure that a database is one, and whole. Raises StorageFailed. Blocking, for as long as reading it takes."""
    try:
        with closing(connect_reader(Settings(path))) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise translate(error) from error
    if found != "ok":
        raise StorageFailed(f"the metadata database is damaged: {found}")
