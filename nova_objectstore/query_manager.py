"""The Web Manager of IAM, STS and SNS: what the ``[app:iam_services]`` section of nova-api's paste ini builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from nova_objectstore.assembly_query import build_query_app
from nova_objectstore.manager import StoreManager


class QueryManager(StoreManager):
    """Serves the APIs of the query protocol over the store of ``state_path``, as the S3 endpoint does too."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._app: Callable[..., Iterable[bytes]] | None = None

    def init_host(self) -> None:
        """Open the engines."""
        self._app = build_query_app(self._open_store(), self._settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        assert self._app is not None, "requests come after init_host"
        return self._app(environ, start_response)
