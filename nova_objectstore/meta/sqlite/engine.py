"""SqliteEngine: the metadata engine in one file on a local disk, for any number of processes of one host."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nova_objectstore.errors import EngineError, StorageFailed, StorageFull
from nova_objectstore.limits import LOCK_TIMEOUT_S
from nova_objectstore.meta.secrets_port import NoSeal, SecretSeal
from nova_objectstore.meta.sql import (
    accounts,
    announced,
    buckets,
    compiler,
    garbage,
    iam,
    iam_policies,
    iam_providers,
    images,
    lifecycle,
    lifecycle_rules,
    storage,
    uploads,
)
from nova_objectstore.meta.sql.engine import SqlEngine
from nova_objectstore.meta.sqlite.committer import Committer
from nova_objectstore.meta.sqlite.connection import (
    Settings,
    SqliteTransaction,
    connect_reader,
    connect_writer,
    create_file,
    is_stale,
    translate,
)
from nova_objectstore.meta.sqlite.reserve import Reserve
from nova_objectstore.meta.sqlite.schema import prepare_schema
from nova_objectstore.meta.sqlite.sealing import seal_secret_keys
from nova_objectstore.meta.sqlite.turnstile import Turnstile
from nova_objectstore.meta.sqlite.version_cache import VersionCache
from nova_objectstore.meta.sqlite.wal_index import open_wal_index
from nova_objectstore.types import Version
from nova_wsgi import green

R = TypeVar("R")

# How long epoch() trusts what it has read. A write that grows the epoch returns only after that time, so that whoever asks
# after it, in whatever process, reads anew: changes are seen at once, and a busy process reads the epoch 500 times a second.
EPOCH_TRUST_S = 0.002
_GROWS_EPOCH = frozenset(  # the modules whose writing verbs do
    module.__name__ for module in (accounts, buckets, iam, iam_policies, iam_providers, lifecycle_rules)
)

_GIVES_SPACE = frozenset(  # verbs that must do their work on a full disk too: it is emptied by them
    (
        announced.delete_object,
        announced.delete_version,
        announced.delete_objects,
        buckets.delete_bucket,
        garbage.forget_garbage,
        garbage.queue_unnamed,
        images.deregister_image,
        lifecycle.apply_decisions,
        storage.expire_restores,
        uploads.abort_upload,
    )
)

NO_SEAL = NoSeal()


class SqliteEngine(SqlEngine):
    """``MetadataEngine`` on SQLite. Open it in the process that uses it: nothing of it survives a fork.

    ``path``: the database; its WAL and two lock files lie beside it, all readable by their owner alone.
    ``sync``: ``always`` makes a write durable before it returns; ``never`` leaves that to the operating system (a power
    failure then loses the last writes, but never the database).
    ``lock_timeout_s``: how long a write waits for other processes before it fails with StorageFailed.
    ``connection_class``: what makes connections; for tests of failures.
    ``secrets``: what seals secret keys; those that lie there unsealed are sealed when the engine is opened.
    ``reserve_size``: bytes kept beside the database, so that deletions are possible when its disk is full; 0: none.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        sync: str = "always",
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        connection_class: type[sqlite3.Connection] = sqlite3.Connection,
        secrets: SecretSeal = NO_SEAL,
        reserve_size: int = 0,
    ) -> None:
        super().__init__(secrets)
        self._settings = Settings(Path(path), sync, connection_class)
        self._lock_timeout_s = lock_timeout_s
        self._reserve = Reserve(Path(path), reserve_size)
        self._gives_space = _GIVES_SPACE if reserve_size else frozenset()
        self._turnstile = Turnstile(Path(path))
        self._epoch = 0
        self._epoch_trusted_until_s = 0.0  # time.monotonic()
        self._epoch_mark = b""  # the wal-index's before the epoch was read
        self._committer: Committer | None = None
        self._reader: SqliteTransaction | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._versions: VersionCache | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect; make or migrate the schema; start the committer. Idempotent."""
        if self._committer is not None:
            return
        self._compiled = compiler.load("sqlite")
        try:
            create_file(self._settings.path)
            self._turnstile.open()
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            self._turnstile.close()
            raise translate(error) from error
        except EngineError:
            self._turnstile.close()
            raise
        self.tidy()
        self._committer = Committer(
            self._settings, self._turnstile, self._compiled.texts, lock_timeout_s=self._lock_timeout_s
        )

    def _prepare(self) -> None:
        """One process at a time: recover the log of one that died, and see to the schema."""
        green.run_native(self._turnstile.enter)
        try:
            # Another process that closes the database just now holds it alone for a moment.
            connection = connect_writer(self._settings, busy_timeout_s=self._lock_timeout_s)
            try:
                prepare_schema(connection, self._compiled.schema)
                seal_secret_keys(connection, self._secrets)
            finally:
                connection.close()
        finally:
            self._turnstile.leave()

    def close(self) -> None:
        """Finish what is queued, then disconnect. Idempotent."""
        committer, self._committer = self._committer, None
        if committer is None:
            return
        self._disconnect_reader()
        committer.stop()
        self._versions = None
        self._turnstile.close()

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def epoch(self) -> int:
        """As the port has it."""
        now_s = time.monotonic()
        if now_s >= self._epoch_trusted_until_s:
            # PERF: looking at the mark costs a fiftieth of the statement
            mark = self._versions.index.mark() if self._versions is not None else b""
            if not mark or mark != self._epoch_mark:
                self._epoch = super().epoch()
                self._epoch_mark = mark
            self._epoch_trusted_until_s = now_s + EPOCH_TRUST_S
        return self._epoch

    def get_version(self, bucket_id: int, key: str, version_id: str | None = None, *, inline: bool = True) -> Version:
        """As the port has it."""
        versions = self._versions
        if versions is None or version_id is not None or self._reader is None:
            return super().get_version(bucket_id, key, version_id, inline=inline)
        version = versions.find(bucket_id, key, inline=inline)
        if version is None:
            version = super().get_version(bucket_id, key, inline=inline)
            versions.keep(version, inline=inline)
        return version

    def _write(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        if self._committer is None:
            raise StorageFailed("the metadata engine is closed")
        commit = self._committer.write if verb not in self._gives_space else self._write_on_full_disk
        if verb.__module__ not in _GROWS_EPOCH:
            return commit(verb, args, kwargs)  # type: ignore[no-any-return]
        try:
            return commit(verb, args, kwargs)  # type: ignore[no-any-return]
        finally:
            green.sleep(EPOCH_TRUST_S)
            self._epoch_trusted_until_s = 0.0

    def _write_on_full_disk(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """Write; where there is no space, begin the log anew, and then give the reserve back step by step."""
        assert self._committer is not None
        make_room = self._committer.checkpoint
        while True:
            try:
                return self._committer.write(verb, args, kwargs)  # type: ignore[no-any-return]
            except StorageFull:
                if not make_room():
                    raise
            make_room = self.make_room

    def make_room(self) -> bool:
        """As the port has it: a step of the reserve."""
        return green.run_native(self._reserve.release)

    def tidy(self) -> None:
        """As the port has it: take the reserve again, where it was given back."""
        green.run_native(self._reserve.fill)

    def _read(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        # PERF: on the hub's thread: a row that is in the page cache costs less than waking another thread.
        try:
            return verb(self._reader or self._connect_reader(), *args, **kwargs)
        except sqlite3.Error as error:
            raise self._read_failed(error) from error

    def _snapshot(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        try:
            reader = self._reader or self._connect_reader()
            connection = self._read_connection
            assert connection is not None
            connection.execute("BEGIN")
            try:
                return verb(reader, *args, **kwargs)
            finally:
                if connection.in_transaction:  # SQLite itself rolls back after some errors
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._read_failed(error) from error

    # -- the connection of the reads -----------------------------------------------------------------------------------

    def _connect_reader(self) -> SqliteTransaction:
        if self._committer is None:
            raise StorageFailed("the metadata engine is closed")
        if self._reader is None:
            self._read_connection = connect_reader(self._settings)
            self._reader = SqliteTransaction(self._read_connection, self._compiled.texts)
            self._watch_wal_index()
        return self._reader

    def _watch_wal_index(self) -> None:
        """Trust the cache by the wal-index that the connection just made shares with all others."""
        try:
            index = open_wal_index(self._settings.path)
        except OSError:
            self._versions = None  # no cache then
            return
        if self._versions is None or self._versions.index is not index:
            self._versions = VersionCache(index)
            self._epoch_mark = b""

    def _disconnect_reader(self) -> None:
        connection, self._read_connection, self._reader = self._read_connection, None, None
        if connection is not None:
            connection.close()

    def _read_failed(self, error: sqlite3.Error) -> EngineError:
        if is_stale(error):
            self._disconnect_reader()
        return translate(error)
