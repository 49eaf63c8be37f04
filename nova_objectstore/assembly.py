"""Engines -> domain -> front: the only module that sees all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nova_objectstore.crypto.keyring import Keyring
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.data.engine import DataEngine
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.bucket_encryption import BucketEncryptions
from nova_objectstore.domain.bucket_rules import Ownership
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.encryption import Encryption
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.ingest import Ingest
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.retention import Retention
from nova_objectstore.domain.uploads import Uploads
from nova_objectstore.jobs.collect import Collector
from nova_objectstore.jobs.reap_uploads import DAY_US, UploadReaper
from nova_objectstore.limits import INLINE_SIZE_MAX
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.sql.revisions import HEAD
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.meta.sqlite.revision import revision_of
from nova_objectstore.s3.app import S3App
from nova_objectstore.s3.operations import make_table
from nova_objectstore.s3.policy_context import Sources

DATABASE_NAME = "metadata.sqlite"
DATA_DIRECTORY = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the options say, read once."""

    state_path: Path
    region: str = "us-east-1"
    domains: Sequence[str] = ()
    sync: str = "always"
    inline_size_max: int = INLINE_SIZE_MAX
    collect_delay_s: float = 600.0
    master_key_file: Path | None = None
    encrypts_always: bool = False
    customer_keys_need_tls: bool = False
    object_ownership: str = Ownership.ENFORCED


@dataclass(frozen=True, slots=True)
class Store:
    """The engines and the rules over them."""

    meta: MetadataEngine
    data: DataEngine
    identities: Identities
    access: Access
    buckets: Buckets
    objects: Objects
    retention: Retention
    uploads: Uploads
    encryption: Encryption
    egress: Egress
    collector: Collector

    def open(self) -> None:
        """Open both engines and bring what died half-way to a sane state. Idempotent."""
        self.meta.open()
        self.data.start()
        self.collector.recover()

    def close(self) -> None:
        """Release both engines. Idempotent."""
        self.data.stop()
        self.meta.close()


def now_us() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


def open_metadata(settings: Settings) -> MetadataEngine:
    """The metadata engine of the settings, not opened yet."""
    return SqliteEngine(settings.state_path / DATABASE_NAME, sync=settings.sync)


def read_schema(settings: Settings) -> tuple[str | None, str]:
    """The schema version of the database as it lies there, None before it was made; and this release's."""
    return revision_of(settings.state_path / DATABASE_NAME), HEAD


def open_keyring(settings: Settings, *, clock_us: Callable[[], int] = now_us) -> Keyring:
    """The store's own keys, as they lie in the state directory. Raises ConfigError for a master key that is none."""
    master = MasterKeyPlace.of(settings.state_path, file=settings.master_key_file)
    return Keyring(settings.state_path, master, now_us=clock_us)


def build_store(settings: Settings, *, clock_us: Callable[[], int] = now_us) -> Store:
    """Put the engines and the domain together; ``Store.open`` then makes them ready."""
    settings.state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    meta = open_metadata(settings)
    data = FilesEngine(settings.state_path / DATA_DIRECTORY, sync=settings.sync)
    retention = Retention(meta, now_us=clock_us)
    ingest = Ingest(data, inline_size_max=settings.inline_size_max)
    encryption = Encryption(
        open_keyring(settings, clock_us=clock_us),
        BucketEncryptions(meta, always=settings.encrypts_always),
        region=settings.region,
    )
    egress = Egress(meta, data, encryption)
    return Store(
        meta=meta,
        data=data,
        identities=Identities(meta),
        access=Access(meta),
        buckets=Buckets(meta, region=settings.region, ownership=Ownership(settings.object_ownership), now_us=clock_us),
        retention=retention,
        objects=Objects(meta, data, ingest, egress, encryption, retention, now_us=clock_us),
        uploads=Uploads(meta, data, ingest, egress, encryption, retention, now_us=clock_us),
        encryption=encryption,
        egress=egress,
        collector=Collector(meta, data, delay_us=int(settings.collect_delay_s * 1_000_000), now_us=clock_us),
    )


def build_reaper(store: Store, *, age_days: int, clock_us: Callable[[], int] = now_us) -> UploadReaper:
    """The job that aborts abandoned uploads; ``age_days`` 0 aborts none."""
    return UploadReaper(store.meta, age_us=age_days * DAY_US, now_us=clock_us)


def build_front(store: Store, settings: Settings, *, clock_s: Callable[[], float] = time.time) -> S3App:
    """The S3 application over a store."""
    return S3App(
        make_table(store),
        identities=store.identities,
        access=store.access,
        buckets=store.buckets,
        sources=Sources(store.objects, store.uploads, clock_s, settings.region),
        domains=settings.domains,
        customer_keys_need_tls=settings.customer_keys_need_tls,
    )
