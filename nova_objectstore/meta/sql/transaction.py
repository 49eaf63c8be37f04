"""Transaction: what a verb may do with the database, and all it may do.

Laws for verbs (functions of a transaction and arguments):

- A verb that writes makes all its checks before its first write. Then an engine may run many verbs in one transaction with
  nothing between them, and a refused verb costs the others nothing. One that fails later is found out by ``dirty``, and
  its whole transaction is undone and repeated without it.
- A verb has no effect but through its transaction, so that it can be repeated.
- A verb that writes runs as if it were alone. SQLite has one writer; an engine that has several makes those of one key
  wait for each other (advisory locks), or runs serializable and repeats.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from nova_objectstore.meta.quota_port import Quota
from nova_objectstore.meta.sql.looks import Plan
from nova_objectstore.meta.sql.rows import Row
from nova_objectstore.meta.sql.statement import Statement
from nova_objectstore.types import Versioning


class BucketQuotas(NamedTuple):
    """The quotas that a bucket's writes are judged by: its own and that of its owner; at least one."""

    owner_id: str
    bucket: Quota | None
    account: Quota | None


class BucketState(NamedTuple):
    """What a write must know of its bucket, read inside its own transaction."""

    versioning: Versioning
    object_lock: bool
    plan: Plan | None = None  # of the lifecycle's looks; None without rules
    quotas: BucketQuotas | None = None


class Transaction(ABC):
    """One transaction, or the part of it that one verb sees."""

    def __init__(self) -> None:
        self.dirty = False  # the running verb has written
        self.bucket_states: dict[int, BucketState] = {}  # read once per transaction; forgotten when one changes
        self.usage: dict[int, tuple[int, int, int]] = {}  # by bucket, what it adds: objects, bytes, bytes of parts
        self.recorded: dict[int | str, tuple[int, int]] = {}  # what a bucket, an account held before it, once looked up

    @abstractmethod
    def one(self, statement: Statement, *params: Any) -> Row | None:
        """The only row, or None."""

    @abstractmethod
    def all(self, statement: Statement, *params: Any) -> list[Row]:
        """Every row."""

    @abstractmethod
    def run(self, statement: Statement, *params: Any) -> int:
        """Write; answer how many rows it changed."""

    @abstractmethod
    def insert(self, statement: Statement, *params: Any) -> int:
        """Insert one row into a table whose ``id`` the database makes; answer that id."""

    def count(self, bucket_id: int, objects: int, size: int) -> None:
        """Add to a bucket's usage: kept here, and written once when the transaction ends."""
        counted = self.usage.get(bucket_id, (0, 0, 0))
        self.usage[bucket_id] = (counted[0] + objects, counted[1] + size, counted[2])

    def count_parts(self, bucket_id: int, size: int) -> None:
        """Add to the bytes of the parts of a bucket's uploads in progress."""
        counted = self.usage.get(bucket_id, (0, 0, 0))
        self.usage[bucket_id] = (counted[0], counted[1], counted[2] + size)

    def random_bytes(self, size: int) -> bytes:
        """Randomness for version ids."""
        return os.urandom(size)
