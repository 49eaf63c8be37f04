"""The schema: made anew or migrated, refused when it is newer; the statements compiled for it, and how they find rows."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.metadata import new_version, sqlite_metadata

from nova_objectstore.errors import SchemaTooNew, StorageFailed
from nova_objectstore.meta.sql import compiler, engine, revisions
from nova_objectstore.meta.sql.migrations.upgrade import make_config, upgrade_sqlite
from nova_objectstore.meta.sql.schema import metadata
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.meta.sqlite.schema import prepare_schema, read_revision

assert engine.SqlEngine, "imported for its effect: every statement is declared"


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Every table and index as SQL, without white space and quotes."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: re.sub(r'[\s"]+', "", sql) for name, sql in rows}


def content_of(connection: sqlite3.Connection) -> dict[str, list[tuple]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in sorted(tables)}


@pytest.fixture
def connect(tmp_path):
    """Connections in autocommit mode, closed at the end."""
    made: list[sqlite3.Connection] = []

    def connect(name: str = "db.sqlite", **options) -> sqlite3.Connection:
        made.append(sqlite3.connect(tmp_path / name, isolation_level=None, check_same_thread=False, **options))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


# -- made, migrated, refused -------------------------------------------------------------------------------------------


def test_a_database_made_anew_is_one_that_was_migrated(connect):
    made, migrated = connect("made"), connect("migrated")
    prepare_schema(made, compiler.load("sqlite").schema)
    upgrade_sqlite(migrated, "head")

    assert schema_of(made) == schema_of(migrated)
    assert content_of(made) == content_of(migrated)
    assert read_revision(made) == read_revision(migrated) == revisions.HEAD


def test_the_tables_in_the_code_are_those_of_the_migrations(connect):
    migrated = connect()
    upgrade_sqlite(migrated, "head")
    with sa.create_engine("sqlite://", creator=lambda: migrated, poolclass=sa.StaticPool).connect() as bound:
        assert compare_metadata(MigrationContext.configure(bound), metadata) == []
    assert ScriptDirectory.from_config(make_config()).get_heads() == [revisions.HEAD]


def test_an_older_database_is_migrated_with_what_it_holds(tmp_path, connect):
    older = connect("metadata.sqlite")
    upgrade_sqlite(older, "0001")
    older.execute("INSERT INTO accounts VALUES ('1', 'c', 'alice', 'a@example.org', 5)")
    older.close()

    with sqlite_metadata(tmp_path) as meta:
        assert [account.name for account in meta.engine.list_accounts()] == ["alice"]
        assert meta.rows("alembic_version") == [{"version_num": revisions.HEAD}]
        meta.put(meta.bucket(), "k")
        meta.check_state()


def test_preparing_again_changes_nothing(connect):
    connection = connect()
    prepare_schema(connection, compiler.load("sqlite").schema)
    before = (schema_of(connection), content_of(connection))

    prepare_schema(connection, ["DROP TABLE objects"])

    assert (schema_of(connection), content_of(connection)) == before


def test_a_newer_database_is_refused_and_left_alone(tmp_path, connect):
    with sqlite_metadata(tmp_path) as meta:
        meta.put(meta.bucket(), "k")
    connection = connect("metadata.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = content_of(connection)

    with pytest.raises(SchemaTooNew, match="9999"):
        SqliteEngine(tmp_path / "metadata.sqlite").open()

    assert content_of(connection) == before


@pytest.mark.parametrize("content", ["another database", "no database"])
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path, connect, content):
    path = tmp_path / "db.sqlite"
    if content == "another database":
        connect().execute("CREATE TABLE poems (line TEXT)")
    else:
        path.write_text("no database at all, but long enough to be looked at" * 100)

    engine = SqliteEngine(path)
    with pytest.raises(StorageFailed):
        engine.open()
    with pytest.raises(StorageFailed):
        engine.epoch()
    engine.close()

    if content == "another database":
        assert schema_of(connect()) == {"poems": "CREATETABLEpoems(lineTEXT)"}


def test_a_directory_that_is_not_there_is_a_failure(tmp_path):
    with pytest.raises(StorageFailed):
        SqliteEngine(tmp_path / "missing" / "db.sqlite").open()


class BreakingConnection(sqlite3.Connection):
    """Fails at its n-th changing statement, and at each one after it."""

    left = 0

    def execute(self, sql, *params):
        self._count(sql)
        return super().execute(sql, *params)

    def cursor(self, factory=None):
        return super().cursor(BreakingCursor)

    def _count(self, sql: str) -> None:
        if sql.lstrip().upper().startswith(("CREATE", "INSERT", "COMMIT")):
            self.left -= 1
            if self.left <= 0:
                raise sqlite3.OperationalError("disk I/O error")


class BreakingCursor(sqlite3.Cursor):
    """SQLAlchemy's way to the same failure."""

    def execute(self, sql, *params):
        self.connection._count(sql)
        return super().execute(sql, *params)


@pytest.mark.parametrize("way", ["made", "migrated"])
@pytest.mark.parametrize("left", [1, 2, 9, 20, 30])
def test_a_schema_that_fails_half_way_leaves_nothing(connect, way, left):
    schema = compiler.load("sqlite").schema
    breaking = connect(factory=BreakingConnection)
    breaking.left = left
    with pytest.raises(sqlite3.OperationalError):
        prepare_schema(breaking, schema) if way == "made" else upgrade_sqlite(breaking, "head")
    assert schema_of(connect()) == {}

    prepare_schema(connect(), schema)

    assert read_revision(connect()) == revisions.HEAD


KILLED = """
import os, signal, sqlite3, sys
from nova_wsgi import green; green.patch()
from nova_objectstore.meta.sql.migrations.upgrade import upgrade_sqlite
left = 15
def trace(sql):
    global left
    left -= sql.startswith(("CREATE", "\\nCREATE"))
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.set_trace_callback(trace)
upgrade_sqlite(connection, "head")
"""


def test_a_migration_that_is_killed_half_way_leaves_nothing(tmp_path, connect):
    path = tmp_path / "metadata.sqlite"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert schema_of(connect("metadata.sqlite")) == {}

    with sqlite_metadata(tmp_path) as meta:
        meta.put(meta.bucket(), "k")
        meta.check_state()


# -- opening -----------------------------------------------------------------------------------------------------------

OPENED = """
import sys
from nova_wsgi import green; green.patch()
from nova_objectstore.meta.sqlite import SqliteEngine
engine = SqliteEngine(sys.argv[1])
engine.open()
print(engine.epoch())
engine.close()
print(sorted({"sqlalchemy", "alembic"} & set(sys.modules)))
"""


def test_processes_that_open_a_new_database_at_once_all_succeed_and_without_sqlalchemy(tmp_path):
    command = [sys.executable, "-c", OPENED, str(tmp_path / "db.sqlite")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]

    assert [process.communicate(timeout=30)[0] for process in processes] == ["1\n[]\n"] * 4


def test_every_file_is_its_owners_alone(tmp_path):
    mask = os.umask(0)
    try:
        with sqlite_metadata(tmp_path) as meta:
            meta.put(meta.bucket(), "k")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(mask)

    assert modes == dict.fromkeys([f"metadata.sqlite{end}" for end in ("", "-wal", "-shm", "-turn", "-writer")], 0o600)


def test_opening_and_closing_twice(tmp_path):
    engine = SqliteEngine(str(tmp_path / "db.sqlite"))
    engine.close()
    engine.open()
    engine.open()
    bucket = engine.create_bucket("photos", owner_id="1", region="r", now_us=1)
    engine.put_version(bucket, new_version("k"))
    engine.close()
    engine.close()

    engine.open()

    assert engine.get_version(bucket.id, "k").content.inline == b"body"
    engine.close()


@pytest.mark.parametrize(("sync", "synchronous"), [("always", 2), ("never", 1)])
def test_sync_is_what_was_asked_for(tmp_path, sync, synchronous):
    seen: set[int] = set()

    class Watched(sqlite3.Connection):
        def execute(self, sql, *params):
            if sql == "COMMIT":
                seen.update(super().execute("PRAGMA synchronous").fetchone())
            return super().execute(sql, *params)

    with sqlite_metadata(tmp_path, sync=sync, connection_class=Watched) as meta:
        seen.clear()
        meta.bucket()

    assert seen == {synchronous}


# -- statements --------------------------------------------------------------------------------------------------------


def test_the_kept_statements_are_those_of_the_sources():
    kept = compiler._kept_path("sqlite").read_text()

    assert importlib.import_module("json").loads(kept) == compiler.compile_all("sqlite"), (
        "run: python -m nova_objectstore.meta.sql.compiler"
    )


def test_every_statement_compiles_for_postgresql_too():
    compiled = compiler.load("postgresql")

    assert len(compiled.texts) == len(compiler.load("sqlite").texts) > 60
    assert any("$22" in text for text in compiled.texts.values())
    assert not any("?" in text for text in compiled.texts.values())
    assert any('COLLATE "C"' in statement for statement in compiled.schema)


# tables that may be read whole
SMALL = {"accounts", "account_quotas", "bucket_quotas", "class_places", "damages", "epoch", "holds"}


def test_every_statement_finds_its_rows_by_an_index_and_in_order(connect):
    connection = connect()
    compiled = compiler.load("sqlite")
    prepare_schema(connection, compiled.schema)
    for found, text in compiled.texts.items():
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", [None] * len(found.params)).fetchall()
        for *_, step in plan:
            scanned = re.match(r"SCAN (\w+)", step)
            assert scanned is None or scanned[1] in SMALL | {"CONSTANT"}, f"{found} reads a whole table: {step}"
            assert "TEMP B-TREE" not in step, f"{found} sorts: {step}"


def test_a_package_carries_what_is_read_at_run_time():
    package = Path(compiler.__file__).parent
    setup = (Path(__file__).parents[3] / "setup.py").read_text()

    for path, pattern in (
        ("compiled/sqlite.json", "meta/sql/compiled/*.json"),
        ("migrations/script.py.mako", "*.mako"),
    ):
        assert (package / path).exists()
        assert pattern in setup
