"""A look at the services registry from beside it, and heartbeats to report."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from nova_wsgi.registry.services import Heartbeat


@dataclass
class Place:
    """An empty database, and a look at it from beside the registry."""

    url: str

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
                return connection.execute(statement).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def age(self, seconds: float) -> None:
        """Let time pass for all that is in the database."""
        passed = int(seconds * 1_000_000)
        self.execute(f"UPDATE nova_service_processes SET last_seen_us = last_seen_us - {passed}")
        self.execute(f"UPDATE nova_leases SET expires_us = expires_us - {passed}")

    def rows(self, table: str) -> int:
        return self.execute(f"SELECT count(*) FROM {table}")[0][0]


def beat(process_id="p1", *, host="alpha", binary="nova-thing", topic="thing", state="up", **given) -> Heartbeat:
    defaults = {"pid": 4711, "version": "1.0", "age_s": 0.0, "in_flight": 0}
    return Heartbeat(process_id=process_id, host=host, binary=binary, topic=topic, state=state, **{**defaults, **given})
