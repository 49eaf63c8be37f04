"""The query protocol put together over a store: its services, on the S3 endpoint and as an API of nova-api."""

from __future__ import annotations

import time
from collections.abc import Callable

from nova_objectstore.assembly import Settings, Store
from nova_objectstore.assembly_iam import build_iam
from nova_objectstore.assembly_sts import build_sts
from nova_objectstore.delivery.sns import sns_service
from nova_objectstore.domain.identities import Identities
from nova_objectstore.query.app import QueryApp
from nova_objectstore.query.signatures import Credentials, FindCredentials


def find_credentials(identities: Identities) -> FindCredentials:
    """Credentials by the key pairs of roots, users and sessions."""

    def find(access_key: str, token: str | None) -> Credentials | None:
        identity = identities.find_signer(access_key, token)
        return Credentials(identity.key.secret_key, identity.principal) if identity else None

    return find


def build_query_app(store: Store, settings: Settings, *, clock_s: Callable[[], float] = time.time) -> QueryApp:
    """The query protocol over a store: every service has its line here."""
    services = (build_iam(store), build_sts(store, settings), sns_service(store.topics))
    return QueryApp(
        services,
        find_credentials(store.identities),
        region=settings.region,
        clock_s=clock_s,
        note_use=store.identities.uses.note,
    )
