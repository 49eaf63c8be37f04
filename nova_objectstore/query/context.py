"""What a request of the query protocol knows of itself, by condition key: the keys that every service of AWS has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nova_objectstore.errors import MissingError
from nova_objectstore.types import Version


class QueryContext:
    """The context of a request (``domain.access_context.Context``): there is no object, bucket or upload in it.

    ``told``: values of further condition keys (lower-case but for a tag's name) that an action read from its parameters:
    ``iam:policyarn``, ``aws:requesttag/team``, ``sts:externalid``.
    """

    __slots__ = ("_environ", "_headers", "now_s", "region", "told")

    def __init__(
        self,
        environ: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        now_s: float,
        region: str,
        told: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._environ = environ
        self._headers = headers
        self.now_s = now_s
        self.region = region
        self.told = told or {}

    def telling(self, told: Mapping[str, Sequence[str]]) -> QueryContext:
        """The same request, with further keys."""
        return QueryContext(
            self._environ, self._headers, now_s=self.now_s, region=self.region, told={**self.told, **told}
        )

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key; None when the request has no such key."""
        if key in self.told:
            return self.told[key]
        read = _KEYS.get(key)
        value = read(self) if read is not None else None
        return None if value is None else (value,)

    def address(self) -> str | None:
        """The client's address, without the zone of a link-local one."""
        return str(self._environ.get("REMOTE_ADDR", "")).partition("%")[0] or None

    def header(self, name: str) -> str | None:
        """A header by its lower-case name."""
        return self._headers.get(name)

    def is_secure(self) -> str:
        """``true`` over TLS."""
        return "true" if self._environ.get("wsgi.url_scheme") == "https" else "false"

    # -- what only S3 has ----------------------------------------------------------------------------------------------

    def version(self) -> Version | None:
        """There is no object."""
        return None

    def missing(self) -> MissingError | None:
        """There is no object."""
        return None

    def initiator(self) -> str | None:
        """There is no upload."""
        return None

    def pays(self) -> bool:
        """There is no bucket."""
        return False

    def listing(self, prefix: str) -> QueryContext:
        """There is no bucket."""
        return self


def _current_time(context: QueryContext) -> str:
    return datetime.fromtimestamp(int(context.now_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_KEYS: Mapping[str, Callable[[QueryContext], str | None]] = {
    "aws:currenttime": _current_time,
    "aws:epochtime": lambda context: str(int(context.now_s)),
    "aws:referer": lambda context: context.header("referer"),
    "aws:requestedregion": lambda context: context.region,
    "aws:securetransport": QueryContext.is_secure,
    "aws:sourceip": QueryContext.address,
    "aws:useragent": lambda context: context.header("user-agent"),
    "aws:viaawsservice": lambda context: "false",
}
