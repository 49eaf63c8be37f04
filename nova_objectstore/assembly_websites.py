"""Websites put together: over the S3 front of the same store."""

from __future__ import annotations

from nova_objectstore.assembly import Settings, Store
from nova_objectstore.s3.app import S3App
from nova_objectstore.s3.website.app import WebsiteApp
from nova_objectstore.s3.website.hosts import WebsiteHosts
from nova_wsgi.errors import ConfigError


def check_domains(settings: Settings) -> None:
    """Whether each domain is S3's or the websites'. Raises ConfigError."""
    both = {_plain(name) for name in settings.domains} & {_plain(name) for name in settings.website_domains}
    if both - {""}:
        raise ConfigError(f"s3_website_domain: {min(both - {''})} is an s3_domain too")


def _plain(name: str) -> str:
    return name.strip(" .").lower()


def build_websites(store: Store, front: S3App, settings: Settings) -> WebsiteApp | None:
    """The application of the hosts that are websites; None when no host is one."""
    hosts = WebsiteHosts(settings.website_domains, settings.website_hosts, s3_domains=settings.domains)
    if not hosts:
        return None
    return WebsiteApp(front, hosts, buckets=store.buckets, access=store.access, host_id=settings.region)
