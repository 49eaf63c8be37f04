"""The objectstore's Managers: the objects that a service gives a life to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_objectstore.assembly import (
    Settings,
    Store,
    build_front,
    build_reaper,
    build_store,
    open_keyring,
    open_metadata,
)
from nova_objectstore.assembly_images import build_image_job, build_images, build_images_app, open_keys
from nova_objectstore.bootstrap import Bootstrap, ensure_root
from nova_objectstore.errors import EngineError
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.ports import Image
from nova_objectstore.jobs.reap_uploads import UploadReaper
from nova_objectstore.s3.address import AddressParser
from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.rpc.client import Client
from nova_wsgi.rpc.dispatcher import exposed
from nova_wsgi.rpc.options import open_transport

LOG = logging.getLogger(__name__)

COLLECT_SPACING_S = 30.0
IMAGES_SPACING_S = 5.0  # how long an image may wait whose worker died, or whose message was lost; one read of an index
REAP_SPACING_S = 600.0

WORKER_TOPIC = "objectstore-worker"
IMAGES_PATH = "/_images"

Application = Callable[..., Iterable[bytes]]


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """The options as the assembly takes them."""
    return Settings(
        state_path=Path(conf.state_path),
        region=conf.s3_region,
        domains=tuple(conf.s3_domain),
        sync=conf.sync,
        inline_size_max=conf.inline_size_max,
        collect_delay_s=conf.collect_delay_s,
        master_key_file=Path(conf.master_key_file) if conf.master_key_file else None,
        encrypts_always=conf.default_encryption != "none",
        customer_keys_need_tls=conf.sse_c_needs_tls,
        object_ownership=conf.s3_object_ownership,
    )


def prepare_state(settings: Settings) -> Bootstrap:
    """Make the state directory, migrate the schema, and make sure that an administrator exists. Idempotent.

    Nothing stays open: it runs in the launching process, before the workers are forked. Raises ConfigError when the
    directory cannot be used.
    """
    with _told_by_path(settings):
        settings.state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        meta = open_metadata(settings)
        meta.open()
        try:
            open_keyring(settings).check()
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


class WorkerHints:
    """Tells the worker that there is work: its next sweep would find it, the hint makes it now."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._transport = open_transport(conf)
        self._client = Client(self._transport, WORKER_TOPIC)

    def announce(self, image: Image) -> None:
        """An image waits to be unbundled."""
        self._client.hint("register_images")

    def close(self, timeout_s: float = 0.0) -> None:
        """Send the hints that wait, within ``timeout_s``, and let go of the queue. Idempotent."""
        self._client.close(timeout_s)
        self._transport.close()


class ObjectstoreManager(Manager):
    """The Web Manager of S3: what the ``[app:s3]`` section of the paste ini builds."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._settings = read_settings(conf)
        self._store: Store | None = None
        self._app: Application | None = None
        self._images: Application | None = None
        self._hosts = AddressParser(self._settings.domains)
        self._worker: WorkerHints | None = None

    def init_host(self) -> None:
        """Open the engines, bring what died half-way to a sane state, and make sure that an administrator exists."""
        with _told_by_path(self._settings):
            self._store = build_store(self._settings)
            self._store.open()
            ensure_root(self._store.meta, self._settings.state_path)
        self._app = build_front(self._store, self._settings)
        self._worker = WorkerHints(self.conf)
        images = build_images(self._store, announce=self._worker.announce)
        self._images = build_images_app(self._store, images, self._settings)

    def cleanup_host(self) -> None:
        """Release the engines and the queue. Idempotent."""
        if self._worker is not None:
            self._worker.close()
        if self._store is not None:
            self._store.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        assert self._images is not None
        if environ["RAW_PATH_INFO"].startswith(IMAGES_PATH) and self._means_images(environ):
            environ["nova.operation"] = "Images"
            return self._images(environ, start_response)
        return self._app(environ, start_response)

    def _means_images(self, environ: dict[str, Any]) -> bool:
        """No bucket can be called _images; under a bucket's own host name it is a key as any other."""
        rest = environ["RAW_PATH_INFO"][len(IMAGES_PATH) :]
        return rest[:1] in ("", "/") and not self._hosts.bucket_of_host(environ.get("HTTP_HOST", ""))


class ObjectstoreWorkerManager(Manager):
    """The System Manager of the background jobs. Every job is a sweep over rows; messages only say that one is worth it."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._settings = read_settings(conf)
        self._store: Store | None = None
        self._image_job: ImageJob | None = None
        self._reaper: UploadReaper | None = None

    def init_host(self) -> None:
        """Open the engines and bring what died half-way to a sane state."""
        with _told_by_path(self._settings):
            self._store = build_store(self._settings)
            self._store.open()
            keys = green.run_native(open_keys, self._settings)
        self._image_job = build_image_job(self._store, keys, lease_s=self.conf.image_lease_s)
        self._reaper = build_reaper(self._store, age_days=self.conf.upload_age_days_max)

    def cleanup_host(self) -> None:
        """Release the engines. Idempotent."""
        if self._store is not None:
            self._store.close()

    @exposed
    def register_images(self) -> None:
        """Work on the images that wait, and return when none does; a soft stop waits for one image, not for all."""
        assert self._image_job is not None, "messages come after init_host"
        self._image_job.run(lambda: not self.stopping)

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

    @periodic_task(spacing_s=REAP_SPACING_S, scope="cluster")
    def reap_uploads(self) -> None:
        """Abort multipart uploads that nobody went on with for longer than ``upload_age_days_max``."""
        assert self._reaper is not None, "periodic tasks come after init_host"
        aborted = self._reaper.run()
        if aborted:
            LOG.info("aborted %d multipart uploads", aborted)
