"""What watches over the stored bytes, put together: scrubber, check, backup, restore."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from nova_objectstore.assembly import (
    DATA_DIRECTORY,
    DATABASE_NAME,
    Settings,
    Store,
    integrity_store,
    now_us,
    place_of_data,
    read_schema,
    storage_store,
)
from nova_objectstore.data.empty_place import EmptyPlace
from nova_objectstore.domain.data_engines import DEFAULT
from nova_objectstore.domain.verification import Verifier
from nova_objectstore.errors import StorageFailed
from nova_objectstore.jobs.backup import HOLD_S, Backup
from nova_objectstore.jobs.check import Checker
from nova_objectstore.jobs.restore_backup import BackupRestore
from nova_objectstore.jobs.scrub import Scrubber
from nova_objectstore.meta.sql.revisions import is_newer
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.meta.sqlite.backup import check_database, copy_database
from nova_wsgi import green


def build_scrubber(
    store: Store, *, bytes_per_s: int = 0, period_s: int = 0, clock_us: Callable[[], int] = now_us
) -> Scrubber:
    """The scrubber, at ``bytes_per_s`` (0: as fast as it can), with a pass every ``period_s`` (0: none by itself)."""
    return Scrubber(
        store.meta,
        integrity_store(store.meta),
        store.data,
        Verifier(store.data, store.encryption),
        bytes_per_s=bytes_per_s,
        period_us=period_s * 1_000_000,
        now_us=clock_us,
    )


def build_checker(store: Store, settings: Settings, *, clock_us: Callable[[], int] = now_us) -> Checker:
    """What compares metadata and data."""
    return Checker(
        store.meta,
        integrity_store(store.meta),
        store.data,
        check_metadata=lambda: check_database(settings.state_path / DATABASE_NAME),
        now_us=clock_us,
    )


class _Snapshot:
    def __init__(self, meta: SqliteEngine, schema: str) -> None:
        self._meta = meta
        self.schema = schema
        self.store = integrity_store(meta)

    def list_places(self) -> dict[str, str]:
        return dict(storage_store(self._meta).list_class_places())


def build_backup(
    store: Store, settings: Settings, *, hold_s: float = HOLD_S, clock_us: Callable[[], int] = now_us
) -> Backup:
    """What makes backups of the store."""

    @contextlib.contextmanager
    def snapshot(path: Path) -> Iterator[_Snapshot]:
        green.run_native(copy_database, settings.state_path / DATABASE_NAME, path)
        meta = SqliteEngine(path, sync="never")  # it is only read, and synced when all is there
        meta.open()
        try:
            yield _Snapshot(meta, read_schema(settings)[0] or "")
        finally:
            meta.close()
            wal = path.with_name(path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                raise StorageFailed("the copy of the metadata could not be written out")
            for name in ("-turn", "-writer", "-wal", "-shm"):
                path.with_name(path.name + name).unlink(missing_ok=True)

    return Backup(
        integrity_store(store.meta), store.data, settings.state_path, snapshot=snapshot, now_us=clock_us, hold_s=hold_s
    )


def build_restore(settings: Settings) -> BackupRestore:
    """What restores a backup into the settings' places."""
    places = {
        DEFAULT: EmptyPlace(settings.state_path / DATA_DIRECTORY),
        **{made.name: EmptyPlace(place_of_data(made)) for made in settings.storage_classes if made.data_url},
    }
    return BackupRestore(settings.state_path, places, check_database=check_database, is_newer=is_newer)
