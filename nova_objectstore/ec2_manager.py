"""The Web Manager of the EC2 API of images: what the ``[app:ec2]`` section of nova-api's paste ini builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from nova_objectstore.assembly_images import build_ec2, build_images
from nova_objectstore.manager import StoreManager


class Ec2Manager(StoreManager):
    """Serves the EC2 API over the store of ``state_path``."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._app: Callable[..., Iterable[bytes]] | None = None

    def init_host(self) -> None:
        """Open the engines."""
        store = self._open_store()
        images = build_images(store, announce=self._open_hints().announce)
        self._app = build_ec2(store, images, self._settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        return self._app(environ, start_response)
