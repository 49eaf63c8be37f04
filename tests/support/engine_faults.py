"""Faults in any call that the engines make: of the file system, of SQLite. One counter for both, so that any may be the n-th.

A fault strikes once, or from its call on until it is healed. A torn commit is one that happens and says that it failed.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import NamedTuple

from support.faulty_sqlite import Faults, sqlite_error
from support.file_systems import FaultyFileSystem

FILE_FAULTS = ("EIO", "ENOSPC", "EROFS", "EMFILE")
SQL_FAULTS = {
    "BEGIN": ("busy", "io", "readonly", "cantopen"),
    "SELECT": ("io", "busy", "corrupt"),
    "write": ("full", "io", "readonly"),
    "COMMIT": ("full", "io", "fsync", "busy", "torn"),
    "ROLLBACK": ("io",),
    "PRAGMA": ("io", "cantopen", "busy"),
}
FAULTS = ("EIO", "ENOSPC", "EROFS", "EMFILE", "busy", "full", "io", "fsync", "readonly", "corrupt", "cantopen", "torn")


class Call(NamedTuple):
    """What an engine asked for: of a file system by its method's name, of SQLite by the statement's kind."""

    name: str
    text: str = ""  # the statement

    @property
    def is_sql(self) -> bool:
        return bool(self.text)

    @property
    def faults(self) -> tuple[str, ...]:
        """Those that it may meet."""
        return SQL_FAULTS[self.name] if self.is_sql else FILE_FAULTS


class Injector:
    """Counts calls while it is armed; the ``at``-th fails (from 0), with ``lasting`` all after it that it may meet too."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.heal()

    def heal(self) -> None:
        """Nothing fails any more, and nothing is counted."""
        self._at: int | None = None
        self.struck: Call | None = None
        self.fault = ""

    def arm(self, at: int, choice: int, *, lasting: bool = False, only: str = "") -> None:
        """From now on. ``choice`` picks one of the faults that the call may meet; ``only`` calls of that name count."""
        self.calls.clear()
        self._only = only
        self._at, self._choice, self._lasting, self.struck, self.fault = at, choice, lasting, None, ""

    def look_at(self, call: Call) -> str:
        """Count the call; the fault that it meets, or nothing."""
        if self._at is None or self._only not in ("", call.name):
            return ""
        self.calls.append(call)
        if len(self.calls) - 1 == self._at:
            self.struck = call
            self.fault = call.faults[self._choice % len(call.faults)]
            return self.fault
        is_later = self.struck is not None and self._lasting and self.fault != "torn"
        return self.fault if is_later and self.fault in call.faults else ""

    @property
    def struck_before_commit(self) -> bool:
        """Whether nothing had been committed, or could have been, when it struck."""
        before = self.calls[: self._at] if self._at is not None else []
        return self.fault != "torn" and not any(call.name == "COMMIT" for call in before)


class InjectedFileSystem(FaultyFileSystem):
    """A real file system but for what the injector says."""

    def __init__(self, injector: Injector) -> None:
        super().__init__()
        self._injector = injector

    def _step(self, call: str) -> None:
        fault = self._injector.look_at(Call(call))
        if fault:
            raise OSError(getattr(errno, fault), f"injected at {call}")

    def look(self, path: str) -> tuple[int, int]:
        self._step("look")
        return super().look(path)


class InjectedSql(Faults):
    """SQLite but for what the injector says."""

    def __init__(self, injector: Injector) -> None:
        super().__init__()
        self._injector = injector

    def look_at(self, sql: str) -> None:
        if "wal_checkpoint" in sql:  # in a thread of its own, whenever it comes to it
            return
        fault = self._injector.look_at(Call(_kind(sql), sql))
        if fault and fault != "torn":
            raise sqlite_error(fault)

    def look_behind(self, sql: str, connection: sqlite3.Connection) -> None:
        if sql == "COMMIT" and self._injector.fault == "torn" and self._injector.calls[-1:] == [self._injector.struck]:
            raise sqlite_error("io")


def _kind(sql: str) -> str:
    word = sql.partition(" ")[0]
    return word if word in SQL_FAULTS else "SELECT" if word == "WITH" else "write"
