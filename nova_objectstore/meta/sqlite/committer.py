"""Committer: the one greenthread of a process that writes, and the native thread that waits for a slow disk.

Strategy: writes that come while a commit is under way are collected; the next transaction takes them all (group commit).
Their statements run on the hub's thread, one verb after the other, and only the COMMIT may run in a native thread: where
the disk is not quick enough to be waited for (see ``patience.py``).

    Measured beside readers that keep the hub busy: with the statements in the native thread too, every one of them gives
    the interpreter lock away and waits to get it back; puts then took 28 ms at 640 a second instead of 5 ms at 2,700.

Laws:

- A waiter hears of its write only when it is durable, or when nothing of it is left.
- Verbs check before they write, so a refused one needs no undoing. If one fails later, or a statement fails, the whole
  transaction is undone and each of its verbs repeated in a transaction of its own.
- A failed COMMIT fails every write of its transaction. None of it is seen afterwards, unless the machine dies before the next
  commit: then the database may find the transaction complete in its log. Callers treat EngineError as "outcome unknown".
- The turnstile is left right after the COMMIT, in the same thread, before this process's waiters are told.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nova_objectstore.errors import StorageFailed, StoreError
from nova_objectstore.meta.sql.quotas import write_usage
from nova_objectstore.meta.sql.statement import Statement
from nova_objectstore.meta.sqlite.checkpointer import Checkpointer
from nova_objectstore.meta.sqlite.connection import (
    Settings,
    SlicedTransaction,
    connect_writer,
    is_busy,
    is_stale,
    translate,
)
from nova_objectstore.meta.sqlite.patience import PATIENCE_S, Patience, Way
from nova_objectstore.meta.sqlite.turnstile import Turnstile
from nova_objectstore.types import new_tuple
from nova_wsgi import green

LOG = logging.getLogger(__name__)

BATCH_MAX = 256  # writes: some 10 ms of statements, bounded so that a commit is never far
BUSY_RETRY_S = 0.005  # how soon to look again when a foreign program (a backup, the sqlite3 shell) holds the lock
STOP_TIMEOUT_S = 10.0  # a commit that hangs in the kernel must not hang the process's end

Outcome = tuple[green.Completion[Any], Any, BaseException | None]


class _Write(NamedTuple):
    verb: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    completion: green.Completion[Any]
    queued_s: float


class _Undone(Exception):
    """The transaction was rolled back; ``cause`` is why."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Committer:
    """Runs writing verbs. ``lock_timeout_s``: how long a write waits for other processes before it fails."""

    def __init__(
        self, settings: Settings, turnstile: Turnstile, texts: Mapping[Statement, str], *, lock_timeout_s: float
    ) -> None:
        self._settings = settings
        self._turnstile = turnstile
        self._texts = texts
        self._lock_timeout_s = lock_timeout_s
        self._queue: deque[_Write] = deque()
        self._idle: green.Completion[None] | None = None
        self._stopping = False
        self._patience = Patience()
        self._way = Way.THREAD  # of the last commit
        self._commit_s = 0.0  # how long the last COMMIT took
        self._alone = 0  # this many writes get a transaction of their own: one that they shared was undone
        self._connection: sqlite3.Connection | None = None
        self._lane: green.Lane[Callable[[], None], None] = green.Lane("meta-committer", _run_calls)
        self._checkpointer = Checkpointer(settings)
        self._greenthread = green.spawn(self._run)

    def write(self, verb: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run ``verb(transaction, *args, **kwargs)`` and return its result when it is durable."""
        if self._stopping:
            raise StorageFailed("the metadata engine is closed")
        completion: green.Completion[Any] = green.Completion()
        self._queue.append(new_tuple(_Write, (verb, args, kwargs, completion, time.monotonic())))
        self._wake()
        return completion.wait()

    def checkpoint(self) -> bool:
        """Move what is in the log into the database, as far as readers allow, so that it may begin anew. Always true."""
        self._checkpointer.run()
        return True

    def stop(self) -> None:
        """Finish what is queued, and release everything."""
        self._stopping = True
        self._wake()
        try:
            with green.Timeout(STOP_TIMEOUT_S):
                self._greenthread.wait()
                self._checkpointer.stop()
                self._lane.call(self._disconnect)
                self._lane.stop()
        except green.Timeout:
            LOG.error("the metadata database did not finish within %s s; leaving it as it is", STOP_TIMEOUT_S)

    def _wake(self) -> None:
        if self._idle is not None:
            idle, self._idle = self._idle, None
            green.deliver([(idle, None, None)])

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._queue or not self._stopping:
            if not self._queue:
                self._idle = green.Completion()
                self._idle.wait()
                continue
            try:
                self._enter()
                self._commit_some()
            except Exception as error:  # noqa: BLE001  whatever it is: the waiters get it, and the loop must go on
                self._fail_queued(_translated(error), queued_before_s=time.monotonic())
            finally:
                self._turnstile.leave()
            if self._way is Way.HUB and self._queue:
                green.sleep(0)  # the hub has stood still for one transaction, not for all of a queue

    def _enter(self) -> None:
        """Pass the turnstile. Writes that have waited too long meanwhile fail; the others go on waiting."""
        if self._turnstile.try_enter():
            return
        entered = self._lane.submit(self._turnstile.enter)
        while not entered.ready():
            try:
                with green.Timeout(self._lock_timeout_s / 10):
                    entered.wait()
            except green.Timeout:
                self._fail_waiting()
        entered.wait()

    def _commit_some(self) -> None:
        """One transaction with what is queued now."""
        connection = self._begin()
        count = min(1 if self._alone else BATCH_MAX, len(self._queue))
        self._alone = max(0, self._alone - 1)
        batch = [self._queue.popleft() for _ in range(count)]
        try:
            outcomes = self._attempt(connection, batch)
        except _Undone as undone:
            if len(batch) > 1:
                self._queue.extendleft(reversed(batch))
                self._alone = len(batch)
                return
            outcomes = [(batch[0].completion, None, _translated(undone.cause))]
        green.deliver(outcomes)

    def _attempt(self, connection: sqlite3.Connection, batch: list[_Write]) -> list[Outcome]:
        """Run the verbs and commit. Raises _Undone when one of them spoilt the transaction of them all."""
        changes = connection.total_changes
        try:
            with contextlib.closing(SlicedTransaction(connection, self._texts)) as transaction:
                outcomes, dirty = _run_verbs(transaction, batch)
        except Exception as error:  # whatever a verb raises after it has written, its writes must go
            self._roll_back(connection, error)
            raise _Undone(error) from error
        if not dirty:
            self._roll_back(connection, None)
            return outcomes
        try:
            self._wait_for_commit()
        except sqlite3.Error as error:
            self._roll_back(connection, error)
            failed = translate(error)
            return [(write.completion, None, failed) for write in batch]
        self._checkpointer.note(connection.total_changes - changes)
        return outcomes

    def _wait_for_commit(self) -> None:
        """Commit where the disk has earned it."""
        began_s = time.monotonic()
        is_long = self._stopping or self._checkpointer.is_due()  # SQLite may checkpoint in this COMMIT
        way = self._way = Way.THREAD if is_long else self._patience.choose(began_s)
        try:
            if way is Way.HUB:
                self._commit()
            else:
                self._lane.call(self._commit, patience_s=PATIENCE_S if way is Way.PATIENT else 0.0)
        finally:
            if not is_long:
                self._patience.note(way, began_s, self._commit_s)

    # -- failing -------------------------------------------------------------------------------------------------------

    def _fail_waiting(self) -> None:
        locked = StorageFailed(f"the metadata database was locked for {self._lock_timeout_s} s")
        self._fail_queued(locked, queued_before_s=time.monotonic() - self._lock_timeout_s)

    def _fail_queued(self, error: Exception, *, queued_before_s: float) -> None:
        outcomes: list[Outcome] = []
        while self._queue and self._queue[0].queued_s <= queued_before_s:
            outcomes.append((self._queue.popleft().completion, None, error))
        if outcomes:
            green.deliver(outcomes)

    # -- the connection ------------------------------------------------------------------------------------------------

    def _begin(self) -> sqlite3.Connection:
        """Begin a transaction. Waits while a foreign program holds the database's own lock."""
        while True:
            try:
                if self._connection is None:
                    self._connection = connect_writer(self._settings)
                self._connection.execute("BEGIN IMMEDIATE")
                return self._connection
            except sqlite3.Error as error:
                if not is_busy(error):
                    self._forget_if_stale(error)
                    raise
                self._fail_waiting()
                if not self._queue:
                    raise
            green.sleep(BUSY_RETRY_S)

    def _commit(self) -> None:
        """In either thread: make the transaction durable, and let the next process in."""
        assert self._connection is not None
        began_s = time.monotonic()
        try:
            self._connection.execute("COMMIT")
        finally:
            self._commit_s = time.monotonic() - began_s
            self._turnstile.leave()

    def _roll_back(self, connection: sqlite3.Connection, cause: Exception | None) -> None:
        try:
            if connection.in_transaction:  # SQLite itself rolls back after some errors
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()
        if isinstance(cause, sqlite3.Error):
            self._forget_if_stale(cause)

    def _forget_if_stale(self, error: sqlite3.Error) -> None:
        if is_stale(error):
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is spoilt already, or there is nothing left to do for it
                connection.close()


def _run_verbs(transaction: SlicedTransaction, batch: list[_Write]) -> tuple[list[Outcome], bool]:
    """Run every verb; answer the outcomes, and whether anything was written."""
    outcomes: list[Outcome] = []
    dirty = False
    for verb, args, kwargs, completion, _ in batch:
        transaction.dirty = False
        try:
            outcomes.append((completion, verb(transaction, *args, **kwargs), None))
        except sqlite3.Error:
            raise
        except Exception as error:  # a refusal, or a fault of the verb's: its caller gets it
            if transaction.dirty:
                raise
            if isinstance(error, StoreError):  # told, not traced: its frames hold the outcomes, and they it
                error = error.with_traceback(None)
            outcomes.append((completion, None, error))
        dirty = dirty or transaction.dirty
    write_usage(transaction)
    return outcomes, dirty


def _run_calls(jobs: list[green.Job[Callable[[], None], None]]) -> None:
    """The native thread's work: calls that wait for the disk or for other processes."""
    for job in jobs:
        try:
            job.request()
        except Exception as error:  # noqa: BLE001  it belongs to the committer, who raises it on the hub's thread
            job.error = error


def _translated(error: Exception) -> Exception:
    return translate(error) if isinstance(error, sqlite3.Error | OSError) else error
