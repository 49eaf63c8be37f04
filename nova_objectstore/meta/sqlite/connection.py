"""SQLite connections: their settings, transactions on them, and their errors in the store's words."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nova_objectstore.errors import EngineError, StorageFailed, StorageFull
from nova_objectstore.meta.sql.rows import Row
from nova_objectstore.meta.sql.statement import STATEMENTS, Statement
from nova_objectstore.meta.sql.transaction import Transaction
from nova_wsgi import green

PAGE_SIZE = 4096  # measured against 8 and 16 KiB: as fast to read, and a write of one row puts the least into the WAL
CACHE_SIZE_KIB = 8 * 1024  # per connection, filled as it is used; what is not in it is in the system's cache
CHECKPOINT_PAGES = 8000  # 32 MB of log at most while writes never pause: a process that recovers it reads it in 0.1 s
WAL_SIZE_KEPT = 64 * 1024 * 1024  # bytes: a WAL that a long reader made grow is cut back to this
READ_BUSY_TIMEOUT_S = 1.0  # a reader waits only while another process recovers the WAL
STATEMENTS_PER_SLICE = 200  # about a millisecond: then other greenthreads get their turn
SYNCHRONOUS = {"always": "FULL", "never": "NORMAL"}  # never: the WAL is synced at checkpoints alone, never corrupt

# PERF: for each NULL and each blob that is bound, sqlite3 looks for an adapter and makes two errors of not finding one: 0.4 us.
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # which answers None, and without a Python frame


class Settings(NamedTuple):
    """How connections to one database are made."""

    path: Path
    sync: str = "always"
    connection_class: type[sqlite3.Connection] = sqlite3.Connection  # tests give one that fails on purpose


def create_file(path: Path) -> None:
    """Make the database file, if it is not there, readable by its owner alone; its WAL inherits the mode."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:  # not opened: closing it would drop the POSIX locks of this process's other connections
        return
    os.close(fd)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def connect_writer(settings: Settings, *, busy_timeout_s: float = 0.0) -> sqlite3.Connection:
    """A connection for the committer: its statements run on the hub's thread, its COMMIT in a native one."""
    return _connect(
        settings,
        busy_timeout_s,
        f"page_size = {PAGE_SIZE}",
        "journal_mode = WAL",
        f"synchronous = {SYNCHRONOUS[settings.sync]}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"journal_size_limit = {WAL_SIZE_KEPT}",
        "secure_delete = FAST",  # overwrites what costs no further write
    )


def connect_checkpointer(settings: Settings) -> sqlite3.Connection:
    """A connection for checkpoints in a native thread."""
    return _connect(settings, 0.0, f"synchronous = {SYNCHRONOUS[settings.sync]}")


def connect_reader(settings: Settings) -> sqlite3.Connection:
    """A connection for reads on the hub's thread. It sees what is committed, and never waits for a writer."""
    return _connect(settings, READ_BUSY_TIMEOUT_S, "query_only = ON")


def _connect(settings: Settings, busy_timeout_s: float, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        settings.path,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time, but not always the same
        cached_statements=len(STATEMENTS) + 16,
        factory=settings.connection_class,
    )
    try:
        for pragma in (f"cache_size = -{CACHE_SIZE_KIB}", "temp_store = MEMORY", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:  # whatever it is, the caller gets no connection to close
        connection.close()
        raise
    return connection


Execute = Callable[[str, tuple[Any, ...]], sqlite3.Cursor]


class SqliteTransaction(Transaction):
    """Statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, texts: Mapping[Statement, str]) -> None:
        super().__init__()
        self._execute: Execute = connection.execute
        self._texts = texts

    def one(self, statement: Statement, *params: Any) -> Row | None:
        """The only row, or None."""
        return self._execute(self._texts[statement], params).fetchone()  # type: ignore[no-any-return]

    def all(self, statement: Statement, *params: Any) -> list[Row]:
        """Every row."""
        return self._execute(self._texts[statement], params).fetchall()

    def run(self, statement: Statement, *params: Any) -> int:
        """Write; answer how many rows it changed."""
        self.dirty = True
        return self._execute(self._texts[statement], params).rowcount

    def insert(self, statement: Statement, *params: Any) -> int:
        """Insert one row; answer its id."""
        self.dirty = True
        row_id = self._execute(self._texts[statement], params).lastrowid
        assert row_id is not None
        return row_id


class SlicedTransaction(SqliteTransaction):
    """A transaction of the committer: a verb of many statements lets other greenthreads run in between.

    Nobody else uses the committer's connection, so a verb goes on as if nothing had happened.
    """

    def __init__(self, connection: sqlite3.Connection, texts: Mapping[Statement, str]) -> None:
        super().__init__(connection, texts)
        self._cursor = connection.cursor()  # PERF: one for all its statements: each takes what it has before the next
        self._execute = _in_slices(self._cursor.execute)

    def close(self) -> None:
        """Before the transaction ends: no statement is to be left half-way, and to hold the log."""
        self._cursor.close()


def _in_slices(execute: Execute) -> Execute:
    left = STATEMENTS_PER_SLICE

    def execute_sliced(text: str, params: tuple[Any, ...]) -> sqlite3.Cursor:
        nonlocal left
        left -= 1
        if left == 0:
            left = STATEMENTS_PER_SLICE
            green.sleep(0)
        return execute(text, params)

    return execute_sliced


# -- errors ------------------------------------------------------------------------------------------------------------

_PRIMARY = 0xFF  # SQLite's extended codes keep the primary one in the low byte
_STALE_CODES = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_MISUSE,
}


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock: it is worth trying again."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_stale(error: sqlite3.Error) -> bool:
    """Whether the connection may be spoilt, so that a new one should be made."""
    return _code(error) in _STALE_CODES


def translate(error: sqlite3.Error | OSError) -> EngineError:
    """The store's error for SQLite's or the lock files'."""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return (StorageFull if full else StorageFailed)(f"the metadata database failed: {error}")
    if _code(error) == sqlite3.SQLITE_FULL:
        return StorageFull(f"the metadata database is full: {error}")
    return StorageFailed(f"the metadata database failed: {error}")
