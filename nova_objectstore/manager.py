"""The objectstore's Managers: the objects that a service gives a life to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_objectstore.assembly import Settings, Store, build_front, build_store, open_metadata
from nova_objectstore.bootstrap import Bootstrap, ensure_root
from nova_objectstore.errors import EngineError
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task

LOG = logging.getLogger(__name__)

COLLECT_SPACING_S = 30.0


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """The options as the assembly takes them."""
    return Settings(
        state_path=Path(conf.state_path),
        region=conf.s3_region,
        domains=tuple(conf.s3_domain),
        sync=conf.sync,
        inline_size_max=conf.inline_size_max,
        collect_delay_s=conf.collect_delay_s,
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


class ObjectstoreManager(Manager):
    """The Web Manager of S3: what the ``[app:s3]`` section of the paste ini builds."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._settings = read_settings(conf)
        self._store: Store | None = None
        self._app: Callable[..., Iterable[bytes]] | None = None

    def init_host(self) -> None:
        """Open the engines, bring what died half-way to a sane state, and make sure that an administrator exists."""
        with _told_by_path(self._settings):
            self._store = build_store(self._settings)
            self._store.open()
            ensure_root(self._store.meta, self._settings.state_path)
        self._app = build_front(self._store, self._settings)

    def cleanup_host(self) -> None:
        """Release the engines. Idempotent."""
        if self._store is not None:
            self._store.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        return self._app(environ, start_response)

    @periodic_task(spacing_s=COLLECT_SPACING_S, scope="host")
    def collect(self) -> None:
        """Delete data that no version refers to any more."""
        assert self._store is not None, "periodic tasks come after init_host"
        deleted = self._store.collector.run()
        if deleted:
            LOG.info("collected %d data files", deleted)
