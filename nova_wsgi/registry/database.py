"""Database: the registry's transactions, run one after the other in a native thread of the process.

Strategy: whoever reports, lists or takes a lease waits as a greenthread; the hub goes on whatever the database does. A
process has one connection, made when it is first needed and again after a failure.

Laws:

- A transaction has happened whole or not at all; RegistryLost after a lost COMMIT leaves open which. Verbs can be run
  again.
- A database that is lost is told once, by whichever call finds out first, and once that it is back.
- Nothing is opened before a fork.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from nova_wsgi import green
from nova_wsgi.errors import ConfigError, NovaError
from nova_wsgi.registry import compiler

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

STOP_TIMEOUT_S = 2.0  # a database that hangs must not keep the process from its end


class RegistryLost(NovaError):
    """The registry's database cannot be reached, or failed; the next call tries again."""


class Cursor(Protocol):
    """What both drivers give for a statement (PEP 249)."""

    rowcount: int

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Every row."""
        ...


class Connection(Protocol):
    """What both drivers' connections have; used in the native thread alone."""

    def execute(self, statement: str, parameters: Mapping[str, Any] = ..., /) -> Cursor:
        """Run a statement."""
        ...

    def close(self) -> None:
        """Give the connection up."""
        ...


class Driver(Protocol):
    """How one kind of database is reached. ``connect`` and ``is_current`` run in the native thread: they do not log."""

    dialect: str
    place: str  # for people: never with a password
    failures: tuple[type[Exception], ...]
    conflict: type[Exception]  # of the failures: a row that another transaction has made meanwhile
    begin_reading: str
    begin_writing: str
    find_schema: str  # gives a row when the tables are there
    lock_schema: str  # lets one process make them

    def connect(self) -> Connection:
        """Open a connection in which every statement outside BEGIN and COMMIT is a transaction of its own."""
        ...

    def is_current(self) -> bool:
        """Whether the connection made last is still to what ``place`` names."""
        ...


class Transaction:
    """Statements by name, inside one transaction. For verbs; they run in the native thread: they do not log."""

    __slots__ = ("_connection", "_statements")

    def __init__(self, connection: Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._statements = statements

    def all(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._connection.execute(self._statements[statement], parameters).fetchall()

    def one(self, statement: str, **parameters: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def run(self, statement: str, **parameters: Any) -> int:
        """Write; how many rows were changed."""
        return self._connection.execute(self._statements[statement], parameters).rowcount


class Database:
    """Runs verbs, each in a transaction."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._compiled = compiler.load(driver.dialect)
        self._lane: green.Lane[Callable[[], Any], Any] | None = None
        self._owner_pid = 0
        self._connection: Connection | None = None  # the native thread's
        self._lost_at: float | None = None  # time.monotonic() seconds

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._driver.place

    @property
    def is_lost(self) -> bool:
        """Whether the last call failed."""
        return self._lost_at is not None

    def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``verb(transaction, ...)``, which writes nothing. Raises RegistryLost."""
        return self._run(self._driver.begin_reading, lambda transaction: verb(transaction, *args, **kwargs))

    def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``verb(transaction, ...)``; once more when another transaction was first with a row it made.

        Raises RegistryLost.
        """
        try:
            return self._run(self._driver.begin_writing, lambda transaction: verb(transaction, *args, **kwargs))
        except _Conflict:
            return self._run(self._driver.begin_writing, lambda transaction: verb(transaction, *args, **kwargs))

    def close(self) -> None:
        """Let go of the connection and the thread, or leave them to the end of the process when they hang."""
        lane, self._lane = self._lane, None
        if lane is None:
            return
        with contextlib.suppress(green.Timeout), green.Timeout(STOP_TIMEOUT_S):
            lane.call(self._disconnect)
            lane.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- on the hub -------------------------------------------------------------------------------------------------

    def _run(self, begin: str, verb: Callable[[Transaction], T]) -> T:
        if self._lane is None:
            self._lane = green.Lane("registry", self._run_calls)
            self._owner_pid = os.getpid()
        assert self._owner_pid == os.getpid(), "a database is opened after the fork"
        try:
            result: T = self._lane.call(lambda: self._transact(begin, verb))
        except self._driver.conflict as error:
            raise _Conflict(f"{self.place}: {_one_line(error)}") from error
        except self._driver.failures as error:
            self._note_lost(error)
            raise RegistryLost(f"{self.place}: {_one_line(error)}") from error
        self._note_found()
        return result

    def _note_lost(self, error: Exception) -> None:
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            log.error("the services registry is lost, the work goes on without: %s: %s", self.place, _one_line(error))

    def _note_found(self) -> None:
        if self._lost_at is not None:
            log.info("the services registry is back after %.0f s: %s", time.monotonic() - self._lost_at, self.place)
            self._lost_at = None

    # -- in the native thread -----------------------------------------------------------------------------------------

    def _run_calls(self, jobs: Sequence[green.Job[Callable[[], Any], Any]]) -> None:
        for job in jobs:
            try:
                job.result = job.request()
            except Exception as error:  # noqa: BLE001  it belongs to the caller, who raises it on the hub's thread
                job.error = error

    def _transact(self, begin: str, verb: Callable[[Transaction], T]) -> T:
        connection = self._begin(begin)
        try:
            result = verb(Transaction(connection, self._compiled.statements))
            connection.execute("COMMIT")
        except self._driver.failures:
            self._disconnect()  # which undoes the transaction too; the next call gets a sound connection
            raise
        except BaseException:  # whatever it is, no transaction may stay open on a connection that is used again
            connection.execute("ROLLBACK")
            raise
        return result

    def _begin(self, begin: str) -> Connection:
        """Begin on the connection there is, or, when it has died meanwhile, on a new one."""
        if self._connection is not None and self._driver.is_current():
            with contextlib.suppress(*self._driver.failures):
                self._connection.execute(begin)
                return self._connection
        self._disconnect()
        connection = self._driver.connect()
        try:
            self._make_tables(connection)
            connection.execute(begin)
        except BaseException:  # whatever it is, a connection that never began is nobody's
            connection.close()
            raise
        self._connection = connection
        return connection

    def _make_tables(self, connection: Connection) -> None:
        if connection.execute(self._driver.find_schema).fetchall():
            return
        connection.execute(self._driver.begin_writing)
        connection.execute(self._driver.lock_schema)
        if not connection.execute(self._driver.find_schema).fetchall():  # nobody was faster
            for statement in self._compiled.schema:
                connection.execute(statement)
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self._driver.failures):  # it is spoilt, or nothing is left to do for it
                connection.close()


class _Conflict(RegistryLost):
    """Another transaction made the same row at the same time."""


def open_database(url: str, *, create: bool = True) -> Database:
    """The database that a URL names; nothing is connected yet. ``create``: an SQLite file that is not there is made.

    Raises ConfigError for a URL of another kind, and for PostgreSQL without its driver.
    """
    scheme, _, rest = url.partition("://")
    dialect = scheme.partition("+")[0]
    if dialect == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from nova_wsgi.registry.sqlite import SqliteDriver

        return Database(SqliteDriver(rest[1:], create=create))
    if dialect in ("postgresql", "postgres"):
        return Database(_postgresql_driver(f"postgresql://{rest}"))
    shown = f"{dialect}:" if dialect and "@" not in dialect else "this"  # without :// all of it, the password too
    raise ConfigError(
        f"[database] connection is sqlite:///path or postgresql://user:password@host:port/name, not {shown}"
    )


def _postgresql_driver(url: str) -> Driver:
    try:
        from nova_wsgi.registry.postgresql import PostgresqlDriver
    except ImportError as error:
        raise ConfigError(
            f"[database] connection: PostgreSQL needs pip install nova-wsgi[postgres] ({error})"
        ) from None
    return PostgresqlDriver(url)


def _one_line(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split()) or type(error).__name__
