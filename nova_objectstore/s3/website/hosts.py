"""Which hosts are websites, and of which buckets: the Host header in, a bucket's name out.

Laws:

- ``bucket.domain`` under a website domain is that bucket's website. Where S3's own domains and the websites' overlap, the
  longer one counts.
- A host of its own (a CNAME to this store) is the website of the bucket that is called exactly like it, if the
  administrator lets that host be one: by its name, by ``*.suffix``, or by ``*`` for every host. Never S3's own hosts, nor,
  under ``*``, an address or a name without a dot: else whoever makes a bucket could take over the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nova_objectstore.s3.address import host_name

EVERY_HOST = "*"

_is_address = re.compile(r"[0-9.]+|\[.*\]").fullmatch


class WebsiteHosts:
    """Knows the domains and hosts of the configuration, and S3's own domains."""

    def __init__(self, domains: Sequence[str], hosts: Sequence[str] = (), *, s3_domains: Sequence[str] = ()) -> None:
        suffixes = [(name, True) for name in map(_clean, domains) if name]
        suffixes += [(name, False) for name in map(_clean, s3_domains) if name]
        self._domains = sorted(suffixes, key=lambda entry: len(entry[0]), reverse=True)  # the longest match counts
        wanted = {_clean(host) for host in hosts} - {""}
        self._every = EVERY_HOST in wanted
        self._names = frozenset(host for host in wanted if not host.startswith("*"))
        self._below = tuple(host[1:] for host in wanted if host.startswith("*."))

    def __bool__(self) -> bool:
        return any(is_website for _, is_website in self._domains) or bool(self._names or self._below or self._every)

    def bucket_of(self, host: str) -> str | None:
        """The bucket whose website a Host header asks for, ``""`` for a website domain itself; None: it is S3's."""
        name = host_name(host)
        for domain, is_website in self._domains:
            if name == domain:
                return "" if is_website else None
            if name.endswith("." + domain):
                return name[: -len(domain) - 1] if is_website else None
        return name if self._is_own(name) else None

    def _is_own(self, name: str) -> bool:
        if name in self._names or name.endswith(self._below):
            return True
        return self._every and "." in name and not _is_address(name)


def _clean(name: str) -> str:
    return name.strip().strip(".").lower()
