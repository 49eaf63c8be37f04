"""Databases of earlier releases, filled; and what must hold when one has become a database of this release."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory

from nova_objectstore.meta.sql.migrations.upgrade import make_config, upgrade_sqlite
from nova_objectstore.meta.sql.revisions import HEAD
from nova_objectstore.meta.sqlite import SqliteEngine

_OWN_TABLES = {"alembic_version", "sqlite_sequence"}

Rows = dict[str, list[tuple[Any, ...]]]


def revisions() -> list[str]:
    """All that there have been, the oldest first."""
    script = ScriptDirectory.from_config(make_config())
    return sorted(found.revision for found in script.walk_revisions())


def older_revisions() -> list[str]:
    """All but this release's."""
    return [revision for revision in revisions() if revision != HEAD]


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def make_older(filled: Path, older: Path, revision: str) -> None:
    """A database of ``revision`` at ``older``, with as much as it can hold of what the one at ``filled`` holds."""
    older.touch(mode=0o600)
    with connected(older) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        upgrade_sqlite(connection, revision)
        connection.execute("ATTACH ? AS filled", (str(filled),))
        for table in _tables(connection) - _OWN_TABLES:
            columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})"))
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM filled.{table}")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}


def rows_of(path: Path) -> Rows:
    """The rows of every table."""
    with connected(path) as connection:
        tables = sorted(_tables(connection) - _OWN_TABLES)
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


def schema_of(path: Path) -> dict[str, str]:
    """Every table and index as SQL, without white space and quotes."""
    with connected(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: re.sub(r'[\s"]+', "", sql) for name, sql in found}


def revision_of(path: Path) -> list[tuple[str]]:
    """What the database says of itself."""
    with connected(path) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchall()


def new_schema(directory: Path) -> dict[str, str]:
    """The schema of a database that is made anew."""
    path = directory / "anew.sqlite"
    engine = SqliteEngine(path)
    engine.open()
    engine.close()
    return schema_of(path)


def check_upgraded(path: Path, before: Rows, schema: dict[str, str], *, but: str = "") -> None:
    """The database is of this release, whole, and holds every row that it held before, but for one table's."""
    assert revision_of(path) == [(HEAD,)]
    assert schema_of(path) == schema
    after = rows_of(path)
    assert {table: after[table] for table in before if table != but} == {
        table: rows for table, rows in before.items() if table != but
    }
    with connected(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
