"""OpenID Connect providers: verbs of ``iam.ports.IamStore``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nova_objectstore.iam.errors import EntityAlreadyExists, LimitExceeded, NoSuchEntity
from nova_objectstore.iam.limits import CLIENT_IDS_MAX, PROVIDERS_MAX
from nova_objectstore.iam.ports import Provider, ProviderChange
from nova_objectstore.meta.sql.iam import change_tags, check_account
from nova_objectstore.meta.sql.rows import Row, decode_mapping, encode_mapping
from nova_objectstore.meta.sql.statements import accounts
from nova_objectstore.meta.sql.statements import iam as q
from nova_objectstore.meta.sql.transaction import Transaction


def decode_provider(row: Row) -> Provider:
    """A row of ``iam_providers`` as every statement selects it."""
    account_id, url, client_ids, thumbprints, created_us, tags = row
    return Provider(
        account_id,
        url,
        tuple(json.loads(client_ids)),
        tuple(json.loads(thumbprints)),
        created_us,
        decode_mapping(tags),
    )


def create_provider(tx: Transaction, provider: Provider) -> None:
    """Add a provider."""
    check_account(tx, provider.account_id)
    if tx.one(q.find_provider, provider.account_id, provider.host) is not None:
        raise EntityAlreadyExists(kind="provider", name=provider.url)
    if len(tx.all(q.list_providers, provider.account_id)) >= PROVIDERS_MAX:
        raise LimitExceeded(quota="OpenIdConnectProvidersPerAccount", limit=PROVIDERS_MAX)
    tx.run(
        q.insert_provider,
        provider.account_id,
        provider.url,
        json.dumps(list(provider.client_ids)),
        json.dumps(list(provider.thumbprints)),
        provider.created_us,
        encode_mapping(provider.tags),
        provider.host,
    )
    tx.run(accounts.grow_epoch)


def find_provider(tx: Transaction, arn: str) -> Provider:
    """The provider of that ARN."""
    account_id, _, host = arn.removeprefix("arn:aws:iam::").partition(":oidc-provider/")
    row = tx.one(q.find_provider, account_id, host)
    if row is None:
        raise NoSuchEntity(kind="OpenIDConnect Provider", name=arn)
    return decode_provider(row)


def list_providers(tx: Transaction, account_id: str) -> Sequence[Provider]:
    """An account's providers, by URL."""
    return [decode_provider(row) for row in tx.all(q.list_providers, account_id)]


def update_provider(tx: Transaction, arn: str, change: ProviderChange) -> Provider:
    """Change a provider."""
    provider = find_provider(tx, arn)
    changed = provider._replace(
        client_ids=_change_client_ids(provider, change),
        thumbprints=provider.thumbprints if change.thumbprints is None else change.thumbprints,
        tags=change_tags(provider.tags, change.tags),
    )
    tx.run(
        q.update_provider_row,
        json.dumps(list(changed.client_ids)),
        json.dumps(list(changed.thumbprints)),
        encode_mapping(changed.tags),
        provider.account_id,
        provider.host,
    )
    tx.run(accounts.grow_epoch)
    return changed


def _change_client_ids(provider: Provider, change: ProviderChange) -> Sequence[str]:
    made = dict.fromkeys((*provider.client_ids, *change.client_ids_added))
    if len(made) > CLIENT_IDS_MAX:
        raise LimitExceeded(quota="ClientIdsPerOpenIdConnectProvider", limit=CLIENT_IDS_MAX)
    return tuple(client_id for client_id in made if client_id not in change.client_ids_removed)


def delete_provider(tx: Transaction, arn: str) -> None:
    """Remove a provider."""
    provider = find_provider(tx, arn)
    tx.run(q.delete_provider, provider.account_id, provider.host)
    tx.run(accounts.grow_epoch)
