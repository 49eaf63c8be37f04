"""STS put together over a store: a service of the query protocol."""

from __future__ import annotations

import time

from nova_objectstore.assembly import Settings, Store, iam_store
from nova_objectstore.query.service import Service
from nova_objectstore.sts.issuers import Fetcher, Issuers
from nova_objectstore.sts.service import make_service


def build_sts(store: Store, settings: Settings) -> Service:
    """STS over a store."""
    fetch = Fetcher(plain_http=settings.oidc_plain_http, ca_file=settings.oidc_ca_file)
    issuers = Issuers(fetch, clock_s=time.monotonic)
    return make_service(store.sessions, iam_store(store.meta), store.policies, issuers, store.access)
