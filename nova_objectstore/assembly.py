"""Engines -> domain -> front: the only module that sees all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nova_objectstore.crypto.keyring import Keyring
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.crypto.secret_keys import SecretKeys
from nova_objectstore.crypto.session_tokens import SessionTokens
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.places import claim_place, directory_of, open_engine
from nova_objectstore.delivery.ports import DeliveryStore
from nova_objectstore.delivery.topics import Topics
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.bucket_encryption import BucketEncryptions
from nova_objectstore.domain.bucket_rules import Ownership
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.carrying import Carrier
from nova_objectstore.domain.data_engines import DEFAULT, DataEngines
from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.encryption import Encryption
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.identity_policies import StoredPolicies
from nova_objectstore.domain.ingest import Ingest
from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.domain.mover import Mover
from nova_objectstore.domain.notifications import SERVICE, Announcer, Announcing, Names
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.restores import Restores
from nova_objectstore.domain.retention import Retention
from nova_objectstore.domain.storage_classes import StorageClasses, StorageClassSettings
from nova_objectstore.domain.uploads import Uploads
from nova_objectstore.errors import StorageFull
from nova_objectstore.iam.managed import document_of
from nova_objectstore.iam.ports import IamStore
from nova_objectstore.jobs.collect import Collector
from nova_objectstore.jobs.lifecycle import LifecycleJob, Report, tell_nobody
from nova_objectstore.jobs.reap_uploads import DAY_US, UploadReaper
from nova_objectstore.jobs.restore import RestoreJob
from nova_objectstore.limits import INLINE_SIZE_MAX, LOCK_TIMEOUT_S
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_objectstore.meta.lifecycle_port import LifecycleStore
from nova_objectstore.meta.quota_port import QuotaStore
from nova_objectstore.meta.sql.revisions import HEAD
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.meta.sqlite.reserve import RESERVE_SIZE
from nova_objectstore.meta.sqlite.revision import revision_of
from nova_objectstore.meta.storage_port import StorageStore
from nova_objectstore.s3.access_records import AccessRecords
from nova_objectstore.s3.app import S3App
from nova_objectstore.s3.operations import make_table
from nova_objectstore.s3.policy_context import Sources
from nova_objectstore.state_directory import make_state_directory
from nova_objectstore.sts.sessions import Sessions
from nova_objectstore.types import Bucket
from nova_wsgi.errors import ConfigError

if TYPE_CHECKING:
    _QUOTA_ENGINES: tuple[type[QuotaStore], ...] = (SqliteEngine,)  # what quota_store() relies on
    _LIFECYCLE_ENGINES: tuple[type[LifecycleStore], ...] = (SqliteEngine,)  # what lifecycle_store() relies on
    _ENGINES: tuple[type[IamStore], ...] = (SqliteEngine,)  # what iam_store() relies on
    _INTEGRITY_ENGINES: tuple[type[IntegrityStore], ...] = (SqliteEngine,)  # what integrity_store() relies on
    _STORAGE_ENGINES: tuple[type[StorageStore], ...] = (SqliteEngine,)  # what storage_store() relies on
    _DELIVERY_ENGINES: tuple[type[DeliveryStore], ...] = (SqliteEngine,)  # what delivery_store() relies on

DATABASE_NAME = "metadata.sqlite"
DATA_DIRECTORY = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the options say, read once."""

    state_path: Path
    region: str = "us-east-1"
    domains: Sequence[str] = ()
    website_domains: Sequence[str] = ()
    website_hosts: Sequence[str] = ()
    sync: str = "always"
    lock_timeout_s: float = LOCK_TIMEOUT_S
    verifies_reads: bool = False
    inline_size_max: int = INLINE_SIZE_MAX
    storage_classes: Sequence[StorageClassSettings] = ()
    collect_delay_s: float = 600.0
    master_key_file: Path | None = None
    oidc_plain_http: bool = False
    oidc_ca_file: str = ""
    encrypts_always: bool = False
    customer_keys_need_tls: bool = False
    object_ownership: str = Ownership.ENFORCED
    lifecycle_day_s: int = 0  # 0: the calendar's days


@dataclass(frozen=True, slots=True)
class Store:
    """The engines and the rules over them."""

    meta: MetadataEngine
    data: DataEngines
    classes: StorageClasses
    restores: Restores
    mover: Mover
    check_places: Callable[[], None]
    identities: Identities
    sessions: Sessions
    policies: StoredPolicies
    access: Access
    buckets: Buckets
    objects: Objects
    retention: Retention
    uploads: Uploads
    lifecycles: BucketLifecycles
    topics: Topics
    transition_classes: Collection[str]  # what lifecycle rules may move objects to
    encryption: Encryption
    egress: Egress
    collector: Collector

    def open(self) -> None:
        """Open the engines and bring what died half-way to a sane state. Idempotent. Raises ConfigError (check_places)."""
        self.meta.open()
        self.check_places()
        self._start_data()
        self.collector.recover()

    def _start_data(self) -> None:
        """A process that begins on a full disk must be able to: it is emptied through it."""
        while True:
            try:
                self.data.start()
            except StorageFull:
                if not self.meta.make_room():
                    raise
            else:
                return

    def close(self) -> None:
        """Release both engines. Idempotent."""
        self.data.stop()
        self.meta.close()


def now_us() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


def open_metadata(settings: Settings) -> MetadataEngine:
    """The metadata engine of the settings, not opened yet. Raises ConfigError for a master key that is none."""
    secrets = SecretKeys(open_keyring(settings))
    path = settings.state_path / DATABASE_NAME
    return SqliteEngine(
        path,
        sync=settings.sync,
        lock_timeout_s=settings.lock_timeout_s,
        secrets=secrets,
        reserve_size=RESERVE_SIZE,
    )


def iam_store(meta: MetadataEngine) -> IamStore:
    """The metadata engine as the port of IAM: every engine has both."""
    return cast("IamStore", meta)


def quota_store(meta: MetadataEngine) -> QuotaStore:
    """The metadata engine as the port of quotas: every engine has both."""
    return cast("QuotaStore", meta)


def lifecycle_store(meta: MetadataEngine) -> LifecycleStore:
    """The metadata engine as the port of lifecycles: every engine has both."""
    return cast("LifecycleStore", meta)


def delivery_store(meta: MetadataEngine) -> DeliveryStore:
    """The metadata engine as the port of topics and events: every engine has both."""
    return cast("DeliveryStore", meta)


def integrity_store(meta: MetadataEngine) -> IntegrityStore:
    """The metadata engine as the port of integrity: every engine has both."""
    return cast("IntegrityStore", meta)


def storage_store(meta: MetadataEngine) -> StorageStore:
    """The metadata engine as the port of storage classes: every engine has both."""
    return cast("StorageStore", meta)


def place_of_data(made: StorageClassSettings) -> Path:
    """The directory of a class's own data engine. Raises ConfigError, one line, for a URL that names none."""
    try:
        return directory_of(made.data_url)
    except ConfigError as error:
        raise ConfigError(f"[storage_class:{made.name}] data: {error}") from None


def open_engines(settings: Settings) -> DataEngines:
    """The data engine of STANDARD, and those of the classes that have one for themselves; not started yet."""
    others = {
        made.name: open_engine(made.data_url, sync=settings.sync) for made in settings.storage_classes if made.data_url
    }
    return DataEngines(FilesEngine(settings.state_path / DATA_DIRECTORY, sync=settings.sync), others)


def check_places(settings: Settings, meta: MetadataEngine) -> None:
    """Make sure that each class's own data engine is the one it was, and that none is missing. Blocking; idempotent.

    Raises ConfigError, one line: a disk that is not mounted, another store's directory, a class that was taken out of
    the configuration while there are objects in it.
    """
    store = storage_store(meta)
    known = store.list_class_places()
    urls = {made.name: made.data_url for made in settings.storage_classes if made.data_url}
    for name in known.keys() - urls.keys():
        if store.uses_class_place(name):
            raise ConfigError(
                f"[storage_class:{name}] data: there are objects of this class, and no place is configured"
            )
    for name, url in urls.items():
        try:
            _check_place(store, name, url, known.get(name))
        except ConfigError as error:
            raise ConfigError(f"[storage_class:{name}] data: {error}") from None


def _check_place(store: StorageStore, name: str, url: str, mark: str | None) -> None:
    try:
        made = claim_place(url, mark)
    except ConfigError:
        now = store.list_class_places().get(name)
        if now != mark:  # another process makes the first use of it just now
            claim_place(url, now)
            return
        if mark is None or store.uses_class_place(name):
            raise
        made, mark = claim_place(url, None), None  # nothing lies there: the class may go elsewhere
        store.forget_class_place(name)
    if mark is None:
        store.record_class_place(name, made)


def read_schema(settings: Settings) -> tuple[str | None, str]:
    """The schema version of the database as it lies there, None before it was made; and this release's."""
    return revision_of(settings.state_path / DATABASE_NAME), HEAD


def open_keyring(settings: Settings, *, clock_us: Callable[[], int] = now_us) -> Keyring:
    """The store's own keys, as they lie in the state directory. Raises ConfigError for a master key that is none."""
    master = MasterKeyPlace.of(settings.state_path, file=settings.master_key_file)
    return Keyring(settings.state_path, master, now_us=clock_us)


def build_store(
    settings: Settings,
    *,
    clock_us: Callable[[], int] = now_us,
    aging_us: Callable[[], int] | None = None,
    meta: MetadataEngine | None = None,
    data: DataEngines | None = None,
) -> Store:
    """Put the engines and the domain together; ``Store.open`` then makes them ready.

    ``aging_us`` is the clock by which data are old enough to be deleted, where it is another (``CautiousClock``). ``meta``
    and ``data`` are other engines than those of the settings: for tests, ones that fail.
    """
    make_state_directory(settings.state_path)
    meta = meta if meta is not None else open_metadata(settings)
    data = data if data is not None else open_engines(settings)
    classes = StorageClasses(data, settings.storage_classes, inline_size_max=settings.inline_size_max)
    retention = Retention(meta, now_us=clock_us)
    ingest = Ingest(data, inline_size_max=settings.inline_size_max)
    keyring = open_keyring(settings, clock_us=clock_us)
    encryption = Encryption(
        keyring,
        BucketEncryptions(meta, always=settings.encrypts_always),
        region=settings.region,
    )
    day = Day.of_seconds(settings.lifecycle_day_s)
    restores = Restores(storage_store(meta), classes, day=day, now_us=clock_us)
    egress = Egress(meta, data, encryption, restores=restores, verifies=settings.verifies_reads)
    iam = iam_store(meta)
    policies = StoredPolicies(iam, meta, document_of=document_of)
    identities = Identities(meta, iam)
    sessions = Sessions(SessionTokens(keyring), identities, iam, policies, clock_s=lambda: clock_us() / 1_000_000)
    identities.find_session = sessions.find
    access = Access(meta, policies, day=day)
    return Store(
        meta=meta,
        data=data,
        classes=classes,
        restores=restores,
        mover=Mover(meta, storage_store(meta), Carrier(data), classes, now_us=clock_us),
        check_places=lambda: check_places(settings, meta),
        identities=identities,
        sessions=sessions,
        policies=policies,
        access=access,
        buckets=Buckets(meta, region=settings.region, ownership=Ownership(settings.object_ownership), now_us=clock_us),
        retention=retention,
        objects=Objects(meta, data, ingest, egress, encryption, retention, classes, now_us=clock_us),
        lifecycles=BucketLifecycles(lifecycle_store(meta), day=day),
        topics=Topics(delivery_store(meta), access, region=settings.region, now_us=clock_us),
        transition_classes=classes.transitions,
        uploads=Uploads(meta, data, ingest, egress, encryption, retention, classes, now_us=clock_us),
        encryption=encryption,
        egress=egress,
        collector=Collector(
            meta,
            data,
            delay_us=int(settings.collect_delay_s * 1_000_000),
            now_us=aging_us or clock_us,
            holds=integrity_store(meta),
        ),
    )


def build_reaper(store: Store, *, age_days: int, clock_us: Callable[[], int] = now_us) -> UploadReaper:
    """The job that aborts abandoned uploads; ``age_days`` 0 aborts none."""
    return UploadReaper(store.meta, age_us=age_days * DAY_US, now_us=clock_us)


def announcer_of(store: Store, *, clock_us: Callable[[], int] = now_us) -> Announcer:
    """What jobs announce of the changes that they make, as the buckets' notifications have it."""

    def announce(bucket: Bucket, names: Names) -> Announcing | None:
        notifications = store.access.rules(bucket).notifications
        return None if notifications is None else Announcing(notifications, bucket, names, SERVICE, clock_us())

    return announce


def build_restore_job(store: Store, *, clock_us: Callable[[], int] = now_us) -> RestoreJob:
    """The job that makes the copies of archived objects, and removes them."""
    return RestoreJob(
        store.meta,
        storage_store(store.meta),
        Carrier(store.data),
        store.data.at(DEFAULT),
        store.restores,
        now_us=clock_us,
        announcer=announcer_of(store, clock_us=clock_us),
    )


def build_lifecycle_job(
    store: Store, *, report: Report = tell_nobody, clock_us: Callable[[], int] = now_us
) -> LifecycleJob:
    """The job that does what lifecycle rules say; ``report`` hears what it did."""
    announcer = announcer_of(store, clock_us=clock_us)
    return LifecycleJob(
        lifecycle_store(store.meta),
        store.lifecycles,
        store.mover,
        now_us=clock_us,
        announcer=announcer,
        report=report,
    )


def build_front(
    store: Store,
    settings: Settings,
    *,
    records: AccessRecords | None = None,
    clock_s: Callable[[], float] = time.time,
) -> S3App:
    """The S3 application over a store. ``records`` takes what access logs are to hear of; without it none hears anything."""
    return S3App(
        make_table(store),
        identities=store.identities,
        access=store.access,
        buckets=store.buckets,
        sources=Sources(store.objects, store.uploads, clock_s, settings.region),
        domains=settings.domains,
        customer_keys_need_tls=settings.customer_keys_need_tls,
        records=records,
    )
