"""The schema of a SQLite database: made when it is empty, migrated when it is older, refused when it is newer.

An empty database gets today's tables at once, from the compiled statements; an older one runs alembic's migrations, whose
import costs too much for every start. A test proves that both ways end in the same schema. Either is one transaction, so a
process that is killed in it leaves the database as it was.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Sequence

from nova_objectstore.errors import SchemaTooNew, StorageFailed
from nova_objectstore.meta.sql.revisions import HEAD, STAMP, is_newer, is_revision

_REVISION_TABLE = (  # as alembic makes it
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def prepare_schema(connection: sqlite3.Connection, create: Sequence[str]) -> None:
    """Bring the database to this release's schema. The caller keeps other processes out.

    Raises SchemaTooNew; StorageFailed for a schema that no release of this store has ever made.
    """
    revision = read_revision(connection)
    if revision == HEAD:
        return
    if revision is None:
        _create(connection, create)
    elif not is_revision(revision):
        raise StorageFailed(f"the database has schema {revision!r}, which no release of this store has made")
    elif is_newer(revision):
        raise SchemaTooNew(f"the database has schema {revision}; this release knows schemas up to {HEAD}")
    else:
        upgrade = importlib.import_module("nova_objectstore.meta.sql.migrations.upgrade").upgrade_sqlite
        upgrade(connection, HEAD)


def read_revision(connection: sqlite3.Connection) -> str | None:
    """The revision that the database is at; None when it is empty. Raises StorageFailed when it is not one of ours."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    row = None
    if "alembic_version" in tables:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise StorageFailed("the file is a database, but not a metadata database of this store")
    return str(row[0])


def _create(connection: sqlite3.Connection, create: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in create:
            connection.execute(statement)
        connection.execute(_REVISION_TABLE)
        connection.execute(STAMP, (HEAD,))
        connection.execute("COMMIT")
    except BaseException:  # an interrupt too: half a schema must not stay locked in an open transaction
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
