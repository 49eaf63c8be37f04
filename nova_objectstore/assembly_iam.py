"""IAM put together over a store: the rules, for the API and for the command line, and the service of the query protocol."""

from __future__ import annotations

from collections.abc import Callable

from nova_objectstore.assembly import Store, iam_store, now_us
from nova_objectstore.iam.actions import make_controllers
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.policies import Policies
from nova_objectstore.iam.providers import Providers
from nova_objectstore.iam.service import iam_service
from nova_objectstore.query.service import Service


def build_iam(store: Store, *, clock_us: Callable[[], int] = now_us) -> Service:
    """IAM over a store."""
    iam = iam_store(store.meta)
    controllers = make_controllers(
        directory=Directory(iam, store.meta, now_us=clock_us),
        policies=Policies(iam, now_us=clock_us),
        providers=Providers(iam, now_us=clock_us),
        identities=store.identities,
        access=store.access,
    )
    return iam_service(*controllers)
