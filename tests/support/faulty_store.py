"""A whole store, its S3 application over its real engines, any call of which may fail."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.engine_faults import InjectedFileSystem, InjectedSql, Injector
from support.in_process import InProcess
from support.store import ACCESS_KEY, SECRET_KEY

from nova_objectstore.assembly import DATA_DIRECTORY, DATABASE_NAME, Settings, build_front, build_store, now_us
from nova_objectstore.assembly_delivery import build_records
from nova_objectstore.assembly_integrity import build_checker, build_scrubber
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.accounts import Accounts, KeyPair
from nova_objectstore.domain.data_engines import DataEngines
from nova_objectstore.domain.storage_classes import StorageClassSettings
from nova_objectstore.meta.sqlite import SqliteEngine

LOCK_TIMEOUT_S = 0.05  # how long a write waits for a locked database
OWNER = "111122223333"
BUCKETS = ("plain", "versioned", "acls", "logs", "bundles")


class FaultyStore:
    """``s3`` talks to it; ``injector`` decides what fails; ``ahead_us`` is added to the clock."""

    def __init__(self, state_path: Path) -> None:
        self.state_path = state_path
        self.injector = Injector()
        self._names = itertools.count(1)
        self.ahead_us = 0
        self.settings = Settings(
            state_path=state_path,
            collect_delay_s=-1,
            storage_classes=(
                StorageClassSettings("COLD", (state_path / "cold").as_uri(), inline_size_max=0),
                StorageClassSettings("GLACIER", (state_path / "ice").as_uri(), is_archive=True),
            ),
        )
        meta = SqliteEngine(
            state_path / DATABASE_NAME,
            sync="never",
            lock_timeout_s=LOCK_TIMEOUT_S,
            connection_class=InjectedSql(self.injector).connection_class(),
        )
        self.places = [state_path / name for name in (DATA_DIRECTORY, "cold", "ice")]
        files, cold, ice = (FilesEngine(place, filesystem=InjectedFileSystem(self.injector)) for place in self.places)
        data = DataEngines(files, {"COLD": cold, "GLACIER": ice})
        self.store = build_store(self.settings, clock_us=self.clock_us, meta=meta, data=data)
        self.store.open()
        records = build_records(self.store, self.settings, clock_us=self.clock_us)
        self.front = build_front(self.store, self.settings, records=records)
        self.s3 = InProcess(self.front).client()
        self._prepare()

    def _prepare(self) -> None:
        Accounts(self.store.meta, now_us=self.clock_us).create(
            "owner", account_id=OWNER, pair=KeyPair(ACCESS_KEY, SECRET_KEY)
        )
        for bucket in BUCKETS:
            ownership = {"ObjectOwnership": "ObjectWriter"} if bucket == "acls" else {}
            self.s3.create_bucket(Bucket=bucket, **ownership)
        self.s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})

    def fresh_name(self) -> str:
        """A name that nothing in the store has."""
        return f"step-{next(self._names)}"

    def clock_us(self) -> int:
        return now_us() + self.ahead_us

    def close(self) -> None:
        self.injector.heal()
        self.store.close()

    # -- at rest -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """With nothing failing any more: nothing missing, nothing too many, nothing on its way, nothing damaged."""
        self.store.collector.decide()
        self.store.collector.run()
        problems = list(build_checker(self.store, self.settings).run(repair=False, young_s=-60))
        assert problems == []
        assert [file for place in self.places for file in place.glob("pending/*/*")] == []
        assert list(self.store.data.list_doubtful()) == []
        assert build_scrubber(self.store).run_now().damages == 0


def open_descriptors() -> dict[str, str]:
    """The descriptors of this process, and what they are of."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


@contextmanager
def faulty_store(path: Path) -> Iterator[FaultyStore]:
    made = FaultyStore(path)
    try:
        yield made
    finally:
        made.close()
