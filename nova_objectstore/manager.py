"""The objectstore's Managers: what all of them share, and that of S3. A service gives them a life; the worker's is beside."""

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
    build_store,
    check_places,
    now_us,
    open_keyring,
    open_metadata,
)
from nova_objectstore.assembly_delivery import build_records
from nova_objectstore.assembly_query import build_query_app
from nova_objectstore.assembly_websites import build_websites, check_domains
from nova_objectstore.bootstrap import Bootstrap, ensure_root
from nova_objectstore.domain.cautious_clock import CautiousClock
from nova_objectstore.errors import EngineError
from nova_objectstore.images.ports import Image
from nova_objectstore.query.request import is_query_call
from nova_objectstore.s3.access_records import AccessRecords
from nova_objectstore.s3.address import AddressParser
from nova_objectstore.s3.website.app import WebsiteApp
from nova_objectstore.state_directory import make_state_directory
from nova_objectstore.storage_class_options import read_storage_classes
from nova_wsgi.calling import entry_of
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.rpc.client import Client
from nova_wsgi.rpc.options import open_transport

LOG = logging.getLogger(__name__)

KEY_USES_SPACING_S = 60.0
HEAL_SPACING_S = 10.0  # how long the bytes of a write whose outcome is unknown take up space; a look at an empty set


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
        lock_timeout_s=conf.lock_timeout_s,
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
    with told_by_path(settings):
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
def told_by_path(settings: Settings) -> Iterator[None]:
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
        self._aging_us = CautiousClock(now_us)
        self._store: Store | None = None
        self._worker: WorkerHints | None = None

    def _open_store(self) -> Store:
        """Open the engines and bring what died half-way to a sane state. Raises ConfigError, one line."""
        with told_by_path(self._settings):
            self._store = build_store(self._settings, aging_us=self._aging_us)
            self._store.open()
        return self._store

    def _open_hints(self) -> WorkerHints:
        """The way to tell the worker that there is work."""
        self._worker = WorkerHints(self.conf)
        return self._worker

    @periodic_task(spacing_s=HEAL_SPACING_S)
    def heal(self) -> None:
        """Find out what became of writes whose outcome was unknown; keep space for deletions. Now the disk may do it."""
        if self._store is not None:
            with suppress(EngineError):  # it does not answer yet, and whoever writes says so
                self._store.collector.decide()
            self._store.meta.tidy()

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
            self.heal()
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
        self._records: AccessRecords | None = None
        self._hosts = AddressParser(self._settings.domains)

    def init_host(self) -> None:
        """Open the engines, bring what died half-way to a sane state, and make sure that an administrator exists."""
        store = self._open_store()
        with told_by_path(self._settings):
            ensure_root(store.meta, self._settings.state_path)
        checksums.prepare()
        self._records = build_records(store, self._settings)
        front = build_front(store, self._settings, records=self._records)
        self._app = entry_of(front)
        self._websites = build_websites(store, front, self._settings)
        self._query = build_query_app(store, self._settings)
        worker = self._open_hints()
        store.restores.hint = worker.announce_restore

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        assert self._query is not None
        if self._websites is not None and self._websites.serves(environ.get("HTTP_HOST", "")):
            return self._websites(environ, start_response)
        path = environ["RAW_PATH_INFO"]
        if path == "/" and is_query_call(environ) and not self._is_of_bucket(environ):
            return self._query(environ, start_response)
        if path.startswith(IMAGES_PATH) and self._means_images(environ):
            environ["nova.operation"] = "Images"
            return self._open_images()(environ, start_response)
        return self._app(environ, start_response)

    def cleanup_host(self) -> None:
        """Release the files of access records, the engines, and the queue. Idempotent."""
        if self._records is not None:
            self._records.close()
        super().cleanup_host()

    def _open_images(self) -> Application:
        """The application of ``/_images``, made when it is asked for: its modules are 6 MB, and most stores have no images."""
        if self._images is None:
            from nova_objectstore.assembly_images import build_images, build_images_app

            assert self._store is not None, "requests come after init_host"
            assert self._worker is not None
            images = build_images(self._store, announce=self._worker.announce)
            self._images = build_images_app(self._store, images, self._settings)
        return self._images

    def _means_images(self, environ: dict[str, Any]) -> bool:
        """No bucket can be called _images; under a bucket's own host name it is a key as any other."""
        rest = environ["RAW_PATH_INFO"][len(IMAGES_PATH) :]
        return rest[:1] in ("", "/") and not self._is_of_bucket(environ)

    def _is_of_bucket(self, environ: dict[str, Any]) -> bool:
        """Whether the host names a bucket."""
        return bool(self._hosts.bucket_of_host(environ.get("HTTP_HOST", "")))
