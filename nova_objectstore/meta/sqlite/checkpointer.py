"""Checkpointer: moves pages from the log into the database beside the writers, in a native thread of its own.

Left to SQLite, the COMMIT that finds the log long enough does it, inside the turnstile: measured with 32 writers, one put in a
hundred then took 60 to 100 ms instead of 20. Here most of it is done between commits (``PASSIVE`` waits for nobody and stops
nobody). The log begins anew only when a commit finds all of it moved; while writes never pause, SQLite's own checkpoint, which
then has little left to do, sees to that every ``connection.CHECKPOINT_PAGES``.
"""

from __future__ import annotations

import contextlib
import sqlite3

from nova_objectstore.meta.sqlite.connection import CHECKPOINT_PAGES, Settings, connect_checkpointer
from nova_wsgi import green

PAGES_PER_CHANGE = 3  # of a small put half as many; but other processes write too
CHANGES = 500  # rows: some 1,000 to 2,000 pages, a few milliseconds of work for the disk


class Checkpointer:
    """One process's share of the work; two processes that checkpoint at once do no harm, one of them does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._changes = 0
        self._log_pages = 0  # when the last checkpoint began
        self._running: green.Completion[None] | None = None
        self._lane: green.Lane[None, None] = green.Lane("meta-checkpointer", self._run)

    def is_due(self) -> bool:
        """Whether the log may be so long, as far as is known here, that the next COMMIT makes SQLite checkpoint."""
        return self._log_pages + self._changes * PAGES_PER_CHANGE >= CHECKPOINT_PAGES

    def note(self, changes: int) -> None:
        """So many rows were changed by a commit: begin a checkpoint if it is time. Never waits."""
        self._changes += changes
        if self._changes < CHANGES or (self._running is not None and not self._running.ready()):
            return
        self._changes = 0
        self._running = self._lane.submit(None)

    def run(self) -> None:
        """A checkpoint now; return when it is over."""
        self._lane.call(None)

    def stop(self) -> None:
        """Finish what runs, and disconnect."""
        self._lane.stop()
        self._disconnect()

    def _run(self, jobs: list[green.Job[None, None]]) -> None:
        """In the native thread. What fails here is still in the log: nothing is lost, and a commit will tell."""
        try:
            if self._connection is None:
                self._connection = connect_checkpointer(self._settings)
            _, self._log_pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is spoilt already, or there is nothing left to do for it
                connection.close()
