"""SQLite connections that fail on purpose, given to the engine through its constructor."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

CODES = {
    "full": sqlite3.SQLITE_FULL,
    "io": sqlite3.SQLITE_IOERR_WRITE,
    "fsync": sqlite3.SQLITE_IOERR_FSYNC,
    "readonly": sqlite3.SQLITE_READONLY,
    "corrupt": sqlite3.SQLITE_CORRUPT,
    "busy": sqlite3.SQLITE_BUSY,
    "cantopen": sqlite3.SQLITE_CANTOPEN,
}


def sqlite_error(name: str) -> sqlite3.OperationalError:
    """An error as the driver raises it."""
    error = sqlite3.OperationalError(f"on purpose: {name}")
    error.sqlite_errorcode = CODES[name]
    return error


class Faults:
    """Decides which statements fail: those that ``matches`` takes, from the ``skip``-th on, ``times`` times."""

    def __init__(self) -> None:
        self.seen = 0
        self.connections = 0
        self.heal()

    def heal(self) -> None:
        """No statement fails any more."""
        self._times = 0

    def fail(self, name: str, matches: Callable[[str], bool], *, skip: int = 0, times: int = 1) -> None:
        """From now on."""
        self._name, self._matches, self._skip, self._times = name, matches, skip, times

    def look_at(self, sql: str) -> None:
        """Raise when it is this statement's turn."""
        self.seen += 1
        if not self._times or not self._matches(sql):
            return
        if self._skip:
            self._skip -= 1
            return
        self._times -= 1
        raise sqlite_error(self._name)

    def look_behind(self, sql: str, connection: sqlite3.Connection) -> None:
        """Raise after a statement has done its work; here never."""

    @property
    def struck(self) -> bool:
        """Whether all that was to fail has failed."""
        return self._times == 0

    def connection_class(self) -> type[sqlite3.Connection]:
        """What makes connections that obey."""
        faults = self

        class FaultyCursor(sqlite3.Cursor):
            def execute(self, sql, *params):
                faults.look_at(sql)
                super().execute(sql, *params)
                faults.look_behind(sql, self.connection)
                return self

        class FaultyConnection(sqlite3.Connection):
            def __init__(self, *args, **kwargs):
                faults.connections += 1
                super().__init__(*args, **kwargs)

            def execute(self, sql, *params):
                faults.look_at(sql)
                cursor = super().execute(sql, *params)
                faults.look_behind(sql, self)
                return cursor

            def cursor(self):
                return super().cursor(FaultyCursor)

        return FaultyConnection


def is_commit(sql: str) -> bool:
    """The statement that makes a transaction durable."""
    return sql == "COMMIT"


def is_write(sql: str) -> bool:
    """A statement that changes rows."""
    return sql.startswith(("INSERT", "UPDATE", "DELETE"))


def is_any(sql: str) -> bool:
    """Every statement of a transaction; undoing one works."""
    return not sql.startswith(("ROLLBACK", "PRAGMA"))
