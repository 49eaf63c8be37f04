"""The registry in an SQLite file: for the services of one host."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from typing import Any

from nova_wsgi import green

BUSY_TIMEOUT_S = 5.0  # for other processes' heartbeats: each holds the lock for a millisecond
WAL_RETRY_S = 0.005

_PRIMARY_CODE = 0xFF  # SQLite's extended codes keep the primary one in the low byte
_time = green.original("time")  # in the native thread
_os = green.original("os")  # whose patched open would make a hub there


class SqliteDriver:
    """Connections to the file at ``path``. With ``create`` the file, and its folder if that alone is missing, are made."""

    dialect = "sqlite"
    failures: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    conflict: type[Exception] = sqlite3.IntegrityError
    begin_reading = "BEGIN"
    begin_writing = "BEGIN IMMEDIATE"
    find_schema = "SELECT 1 FROM sqlite_master WHERE name = 'nova_services'"
    lock_schema = "SELECT 1"  # BEGIN IMMEDIATE has done it

    def __init__(self, path: str, *, create: bool = True) -> None:
        self.place = os.path.abspath(path)
        self._create = create
        self._identity: tuple[int, int] | None = None

    def connect(self) -> Any:
        """Open the file."""
        if self._create:
            self._make_file()
        elif not os.path.exists(self.place):
            raise FileNotFoundError(errno.ENOENT, "no service has reported there")
        connection = sqlite3.connect(self.place, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            _begin_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")  # what an administrator disabled stays so
            self._identity = _identity(self.place)
        except BaseException:  # whatever it is, the caller gets no connection to close
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        """Make what is not there, readable by its owner alone."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(self.place), 0o700)
        with contextlib.suppress(FileExistsError):  # not opened when it is there: closing it would drop SQLite's locks
            os.close(_os.open(self.place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def is_current(self) -> bool:
        """False when the file was removed or replaced: what is written into the old one is lost."""
        try:
            return self._identity == _identity(self.place)
        except OSError:
            return False


def _begin_wal(connection: sqlite3.Connection) -> None:
    """Change to write-ahead logging. While another process does the same SQLite says "locked" at once, and does not wait."""
    deadline = _time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY or _time.monotonic() > deadline:
                raise
        else:
            return
        _time.sleep(WAL_RETRY_S)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
