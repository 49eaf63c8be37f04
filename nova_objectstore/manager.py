"""The objectstore's Managers: the objects that a service gives a life to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_objectstore import checksums
from nova_objectstore.assembly import (
    Settings,
    Store,
    build_front,
    build_lifecycle_job,
    build_reaper,
    build_restore_job,
    build_store,
    check_places,
    open_keyring,
    open_metadata,
)
from nova_objectstore.assembly_delivery import (
    DeliveryJobs,
    build_delivery_jobs,
    build_lifecycle_records,
    build_records,
)
from nova_objectstore.assembly_images import build_image_job, build_images, build_images_app, open_keys
from nova_objectstore.assembly_integrity import build_scrubber
from nova_objectstore.assembly_query import build_query_app
from nova_objectstore.assembly_websites import build_websites, check_domains
from nova_objectstore.bootstrap import Bootstrap, ensure_root
from nova_objectstore.errors import EngineError
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.ports import Image
from nova_objectstore.jobs.deliver_logs import spacing_of
from nova_objectstore.jobs.lifecycle import LifecycleJob
from nova_objectstore.jobs.reap_uploads import UploadReaper
from nova_objectstore.jobs.restore import RestoreJob
from nova_objectstore.jobs.scrub import Scrubber
from nova_objectstore.query.request import is_query_call
from nova_objectstore.s3.address import AddressParser
from nova_objectstore.s3.website.app import WebsiteApp
from nova_objectstore.state_directory import make_state_directory
from nova_objectstore.storage_class_options import read_storage_classes
from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, PeriodicTask, periodic_task
from nova_wsgi.rpc.client import Client
from nova_wsgi.rpc.dispatcher import exposed
from nova_wsgi.rpc.options import open_transport

LOG = logging.getLogger(__name__)

COLLECT_SPACING_S = 30.0
IMAGES_SPACING_S = 5.0  # how long an image may wait whose worker died, or whose message was lost; one read of an index
NOTIFY_SPACING_S = 0.5  # how long an event waits before it is sent; one read of an index
RESTORE_SPACING_S = 5.0  # how long a restore may wait whose message was lost; two reads of an index
REAP_SPACING_S = 600.0
SCRUB_SPACING_S = 60.0  # how soon after its time a pass begins; one read of a row
KEY_USES_SPACING_S = 60.0

LIFECYCLE_SPACING_S = 300.0  # new rules are walked by then; what is due at midnight is gone soon after

WORKER_TOPIC = "objectstore-worker"
IMAGES_PATH = "/_images"

Application = Callable[..., Iterable[bytes]]


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """The options as the assembly takes them."""
    return Settings(
        state_path=Path(conf.state_path),
        region=conf.s3_region,
        domains=tuple(conf.s3_domain),
        website_domains=tuple(conf.s3_website_domain),
        website_hosts=tuple(conf.s3_website_host),
        sync=conf.sync,
        verifies_reads=conf.verify_reads == "always",
        inline_size_max=conf.inline_size_max,
        storage_classes=read_storage_classes(conf, state_path=Path(conf.state_path)),
        collect_delay_s=conf.collect_delay_s,
        master_key_file=Path(conf.master_key_file) if conf.master_key_file else None,
        oidc_plain_http=conf.oidc_plain_http,
        oidc_ca_file=conf.oidc_ca_file,
        encrypts_always=conf.default_encryption != "none",
        customer_keys_need_tls=conf.sse_c_needs_tls,
        object_ownership=conf.s3_object_ownership,
        lifecycle_day_s=conf.lifecycle_day_s,
    )


def prepare_state(settings: Settings) -> Bootstrap:
    """Make the state directory, migrate the schema, and make sure that an administrator exists. Idempotent.

    Nothing stays open: it runs in the launching process, before the workers are forked. Raises ConfigError when the
    directory cannot be used.
    """
    check_domains(settings)
    with _told_by_path(settings):
        make_state_directory(settings.state_path)
        meta = open_metadata(settings)
        meta.open()
        try:
            open_keyring(settings).check()
            check_places(settings, meta)
            return ensure_root(meta, settings.state_path)
        finally:
            meta.close()


@contextmanager
def _told_by_path(settings: Settings) -> Iterator[None]:
    """Tell what is wrong with the state in one line that names its directory: raises ConfigError."""
    try:
        yield
    except (OSError, EngineError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = f"{cause.filename}: {cause.strerror}" if isinstance(cause, OSError) and cause.filename else str(cause)
        raise ConfigError(f"state_path {settings.state_path}: {reason}") from error


def lifecycle_spacing_s(day_s: int) -> float:
    """Seconds between two runs of the lifecycle: ten in a short day, but no more than one a second."""
    return min(max(day_s / 10, 1.0), LIFECYCLE_SPACING_S) if day_s else LIFECYCLE_SPACING_S


class WorkerHints:
    """Tells the worker that there is work: its next sweep would find it, the hint makes it now."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._transport = open_transport(conf)
        self._client = Client(self._transport, WORKER_TOPIC)

    def announce(self, image: Image) -> None:
        """An image waits to be unbundled."""
        self._client.hint("register_images")

    def announce_restore(self) -> None:
        """An archived object waits to be restored."""
        self._client.hint("restore_objects")

    def close(self, timeout_s: float = 0.0) -> None:
        """Send the hints that wait, within ``timeout_s``, and let go of the queue. Idempotent."""
        self._client.close(timeout_s)
        self._transport.close()


class StoreManager(Manager):
    """A Manager over the store of ``state_path``: opened by ``init_host``, closed by ``cleanup_host``."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._settings = read_settings(conf)
        self._store: Store | None = None
        self._worker: WorkerHints | None = None

    def _open_store(self) -> Store:
        """Open the engines and bring what died half-way to a sane state. Raises ConfigError, one line."""
        with _told_by_path(self._settings):
            self._store = build_store(self._settings)
            self._store.open()
        return self._store

    def _open_hints(self) -> WorkerHints:
        """The way to tell the worker that there is work."""
        self._worker = WorkerHints(self.conf)
        return self._worker

    @periodic_task(spacing_s=KEY_USES_SPACING_S)
    def write_key_uses(self) -> None:
        """Keep when access keys were last used."""
        if self._store is not None:
            self._store.identities.uses.write()

    def cleanup_host(self) -> None:
        """Release the engines, and the queue where it is used. Idempotent."""
        if self._worker is not None:
            self._worker.close()
        if self._store is not None:
            with suppress(EngineError):  # of a store that fails, the last uses of keys are the least loss
                self.write_key_uses()
            self._store.close()


class ObjectstoreManager(StoreManager):
    """The Web Manager of S3: what the ``[app:s3]`` section of the paste ini builds."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._app: Application | None = None
        self._images: Application | None = None
        self._query: Application | None = None
        self._websites: WebsiteApp | None = None
        self._hosts = AddressParser(self._settings.domains)

    def init_host(self) -> None:
        """Open the engines, bring what died half-way to a sane state, and make sure that an administrator exists."""
        store = self._open_store()
        with _told_by_path(self._settings):
            ensure_root(store.meta, self._settings.state_path)
        checksums.prepare()
        self._app = front = build_front(store, self._settings, records=build_records(store, self._settings))
        self._websites = build_websites(store, front, self._settings)
        self._query = build_query_app(store, self._settings)
        worker = self._open_hints()
        store.restores.hint = worker.announce_restore
        images = build_images(store, announce=worker.announce)
        self._images = build_images_app(store, images, self._settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        assert self._images is not None
        assert self._query is not None
        if self._websites is not None and self._websites.serves(environ.get("HTTP_HOST", "")):
            return self._websites(environ, start_response)
        if environ["RAW_PATH_INFO"] == "/" and is_query_call(environ) and not self._is_of_bucket(environ):
            return self._query(environ, start_response)
        if environ["RAW_PATH_INFO"].startswith(IMAGES_PATH) and self._means_images(environ):
            environ["nova.operation"] = "Images"
            return self._images(environ, start_response)
        return self._app(environ, start_response)

    def _means_images(self, environ: dict[str, Any]) -> bool:
        """No bucket can be called _images; under a bucket's own host name it is a key as any other."""
        rest = environ["RAW_PATH_INFO"][len(IMAGES_PATH) :]
        return rest[:1] in ("", "/") and not self._is_of_bucket(environ)

    def _is_of_bucket(self, environ: dict[str, Any]) -> bool:
        """Whether the host names a bucket."""
        return bool(self._hosts.bucket_of_host(environ.get("HTTP_HOST", "")))


class ObjectstoreWorkerManager(StoreManager):
    """The System Manager of the background jobs. Every job is a sweep over rows; messages only say that one is worth it."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._image_job: ImageJob | None = None
        self._reaper: UploadReaper | None = None
        self._lifecycle: LifecycleJob | None = None
        self._restore_job: RestoreJob | None = None
        self._scrubber: Scrubber | None = None
        self._deliveries: DeliveryJobs | None = None

    def init_host(self) -> None:
        """Open the engines and bring what died half-way to a sane state. Raises ConfigError."""
        store = self._open_store()
        with _told_by_path(self._settings):
            keys = green.run_native(open_keys, self._settings)
        self._image_job = build_image_job(store, keys, lease_s=self.conf.image_lease_s)
        self._reaper = build_reaper(store, age_days=self.conf.upload_age_days_max)
        self._lifecycle = build_lifecycle_job(store, report=build_lifecycle_records(store, self._settings))
        self._restore_job = build_restore_job(store)
        self._scrubber = build_scrubber(
            store, bytes_per_s=self.conf.scrub_bytes_per_s, period_s=self.conf.scrub_period_s
        )
        self._deliveries = build_delivery_jobs(
            store,
            self._settings,
            logging_delivery_s=self.conf.logging_delivery_s,
            networks=self.conf.notification_networks,
            goes_on=lambda: not self.stopping,
        )

    def cleanup_host(self) -> None:
        """End deliveries that are under way; release the engines, and the queue where it is used. Idempotent."""
        if self._deliveries is not None:
            self._deliveries.close()
        super().cleanup_host()

    @exposed
    def register_images(self) -> None:
        """Work on the images that wait, and return when none does; a soft stop waits for one image, not for all."""
        assert self._image_job is not None, "messages come after init_host"
        self._image_job.run(lambda: not self.stopping)

    @exposed
    def restore_objects(self) -> None:
        """Make the copies of archived objects that are waited for; a soft stop waits for one of them."""
        assert self._restore_job is not None, "messages come after init_host"
        self._restore_job.run(lambda: not self.stopping)

    @periodic_task(spacing_s=RESTORE_SPACING_S, run_immediately=True)
    def sweep_restores(self) -> None:
        """Make the copies that a message did not lead to; remove those whose time is over."""
        assert self._restore_job is not None, "periodic tasks come after init_host"
        self._restore_job.run(lambda: not self.stopping)
        removed = self._restore_job.expire()
        if removed:
            LOG.info("removed %d restored copies", removed)

    @exposed
    @periodic_task(spacing_s=COLLECT_SPACING_S, scope="cluster")
    def collect(self) -> None:
        """Delete data that no version refers to any more."""
        assert self._store is not None, "periodic tasks come after init_host"
        deleted = self._store.collector.run()
        if deleted:
            LOG.info("collected %d data files", deleted)

    @periodic_task(spacing_s=IMAGES_SPACING_S, run_immediately=True)
    def sweep_images(self) -> None:
        """Finish registrations that a message did not lead to; forget images that are long gone."""
        assert self._image_job is not None, "periodic tasks come after init_host"
        self._image_job.run(lambda: not self.stopping)
        self._image_job.forget_deregistered()

    @periodic_task(spacing_s=SCRUB_SPACING_S, scope="cluster", run_immediately=True)
    def scrub(self) -> None:
        """Go on reading what is stored; a soft stop waits for one step. The next process goes on where this one stood."""
        assert self._scrubber is not None, "periodic tasks come after init_host"
        done = self._scrubber.run(lambda: not self.stopping)
        if done is not None:
            LOG.info("scrubbed %d contents, %d bytes: %d found damaged", done.items, done.bytes, done.found)

    @periodic_task(spacing_s=REAP_SPACING_S, scope="cluster")
    def reap_uploads(self) -> None:
        """Abort multipart uploads that nobody went on with for longer than ``upload_age_days_max``."""
        assert self._reaper is not None, "periodic tasks come after init_host"
        aborted = self._reaper.run()
        if aborted:
            LOG.info("aborted %d multipart uploads", aborted)

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Those that are marked; the lifecycle, as often as its days ask for; the access logs, in time."""
        spacing_s = lifecycle_spacing_s(self._settings.lifecycle_day_s)
        lifecycle = PeriodicTask("run_lifecycle", self.run_lifecycle, spacing_s, run_immediately=True, scope="cluster")
        log_spacing_s = spacing_of(self.conf.logging_delivery_s)
        logs = PeriodicTask("deliver_logs", self.deliver_logs, log_spacing_s, run_immediately=True, scope="host")
        return [*super().periodic_tasks(), lifecycle, logs]

    def deliver_logs(self) -> None:
        """Store the access logs that are due: of what the processes of this host recorded."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.logs.run()

    @periodic_task(spacing_s=NOTIFY_SPACING_S, run_immediately=True)
    def deliver_events(self) -> None:
        """Begin to deliver the events that wait; the deliveries go on beside."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.notifier.poll()

    @periodic_task(spacing_s=REAP_SPACING_S, scope="cluster")
    def forget_pending_subscriptions(self) -> None:
        """Remove subscriptions that nobody confirmed."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.forget_pending()

    def run_lifecycle(self) -> None:
        """Expire, move and abort what lifecycle rules say; a soft stop waits for one batch."""
        assert self._lifecycle is not None, "periodic tasks come after init_host"
        done = self._lifecycle.run(lambda: not self.stopping)
        if any(done.values()):
            LOG.info("lifecycle: %s", ", ".join(f"{count} {what}" for what, count in done.items() if count))
