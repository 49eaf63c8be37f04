"""The Web Manager of the EC2 API of images: what the ``[app:ec2]`` section of nova-api's paste ini builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from nova_objectstore.assembly import Store, build_store
from nova_objectstore.assembly_images import build_ec2, build_images
from nova_objectstore.manager import WorkerHints, read_settings
from nova_wsgi.manager import Manager


class Ec2Manager(Manager):
    """Serves the EC2 API over the store of ``state_path``."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._settings = read_settings(conf)
        self._store: Store | None = None
        self._worker: WorkerHints | None = None
        self._app: Callable[..., Iterable[bytes]] | None = None

    def init_host(self) -> None:
        """Open the engines."""
        self._store = build_store(self._settings)
        self._store.open()
        self._worker = WorkerHints(self.conf)
        images = build_images(self._store, announce=self._worker.announce)
        self._app = build_ec2(self._store, images, self._settings)

    def cleanup_host(self) -> None:
        """Release the engines and the queue. Idempotent."""
        if self._worker is not None:
            self._worker.close()
        if self._store is not None:
            self._store.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        return self._app(environ, start_response)
