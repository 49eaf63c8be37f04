"""The rules of OpenID Connect providers: whose tokens may be exchanged for the sessions of a role."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from nova_objectstore.iam.errors import InvalidInput, LimitExceeded, NoSuchEntity, ValidationFailed
from nova_objectstore.iam.limits import (
    CLIENT_ID_CHARS_MAX,
    CLIENT_IDS_MAX,
    THUMBPRINT_CHARS,
    THUMBPRINTS_MAX,
    URL_CHARS_MAX,
)
from nova_objectstore.iam.names import check_tags
from nova_objectstore.iam.ports import IamStore, Provider, ProviderChange, TagChange

_arn = re.compile(r"arn:aws:iam::[0-9]{12}:oidc-provider/[\x21-\x7e]+").fullmatch


class Providers:
    """The providers of an account. ``now_us``: microseconds since 1970. What names none raises NoSuchEntity."""

    def __init__(self, iam: IamStore, *, now_us: Callable[[], int]) -> None:
        self._iam = iam
        self._now_us = now_us

    def create(
        self,
        account_id: str,
        url: str,
        *,
        client_ids: Sequence[str] = (),
        thumbprints: Sequence[str] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> Provider:
        """Add a provider.

        Raises ValidationFailed, InvalidInput, NoSuchAccount, EntityAlreadyExists, LimitExceeded.
        """
        provider = Provider(
            account_id,
            check_url(url),
            _check_client_ids(client_ids),
            _check_thumbprints(thumbprints),
            self._now_us(),
            check_tags(tags),
        )
        self._iam.create_provider(provider)
        return provider

    def find(self, account_id: str, arn: str) -> Provider:
        """An account's provider."""
        if not _arn(arn):
            raise ValidationFailed(f"Invalid ARN: {arn[:200]}")
        if not arn.startswith(f"arn:aws:iam::{account_id}:"):
            raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")
        return self._iam.find_provider(arn)

    def list(self, account_id: str) -> Sequence[Provider]:
        """All providers of an account, by URL."""
        return self._iam.list_providers(account_id)

    def delete(self, account_id: str, arn: str) -> None:
        """Remove a provider: no token of it is worth anything from then on."""
        self._iam.delete_provider(self.find(account_id, arn).arn)

    def add_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        """Take tokens for another audience; nothing when it is taken. Raises ValidationFailed, LimitExceeded."""
        self.find(account_id, arn)
        self._iam.update_provider(arn, ProviderChange(client_ids_added=_check_client_ids([client_id])))

    def remove_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        """Take no tokens for that audience; nothing when none were taken."""
        self.find(account_id, arn)
        self._iam.update_provider(arn, ProviderChange(client_ids_removed=(client_id,)))

    def set_thumbprints(self, account_id: str, arn: str, thumbprints: Sequence[str]) -> None:
        """Replace the thumbprints of the certificates that its server may have. Raises ValidationFailed, InvalidInput."""
        self.find(account_id, arn)
        self._iam.update_provider(arn, ProviderChange(thumbprints=_check_thumbprints(thumbprints)))

    def tag(self, account_id: str, arn: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Add or replace tags. Raises ValidationFailed, InvalidInput, LimitExceeded."""
        self.find(account_id, arn)
        self._iam.update_provider(arn, ProviderChange(tags=TagChange(added=check_tags(pairs))))

    def untag(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; those that are not there are no error."""
        self.find(account_id, arn)
        self._iam.update_provider(arn, ProviderChange(tags=TagChange(removed=keys)))


def check_url(url: str) -> str:
    """Where a provider is. AWS takes https alone; http is for providers inside a closed network.

    Raises ValidationFailed.
    """
    if not 1 <= len(url) <= URL_CHARS_MAX:
        raise ValidationFailed(f"Invalid Open ID Connect Provider URL: 1 to {URL_CHARS_MAX} characters")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it is read when it is asked for
    except ValueError:
        raise ValidationFailed("Invalid Open ID Connect Provider URL") from None
    readable = url.isascii() and url.isprintable() and " " not in url and "@" not in url
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or not readable:
        raise ValidationFailed("Invalid Open ID Connect Provider URL")
    return url  # as its tokens name it: some end with a slash


def _check_client_ids(client_ids: Sequence[str]) -> Sequence[str]:
    for client_id in client_ids:
        if not 1 <= len(client_id) <= CLIENT_ID_CHARS_MAX:
            raise ValidationFailed(f"A client id has 1 to {CLIENT_ID_CHARS_MAX} characters")
    if len(client_ids) > CLIENT_IDS_MAX:
        raise LimitExceeded(quota="ClientIdsPerOpenIdConnectProvider", limit=CLIENT_IDS_MAX)
    return tuple(dict.fromkeys(client_ids))


def _check_thumbprints(thumbprints: Sequence[str]) -> Sequence[str]:
    if len(thumbprints) > THUMBPRINTS_MAX:
        raise InvalidInput(f"Thumbprint list must contain fewer than {THUMBPRINTS_MAX + 1} entries.")
    for thumbprint in thumbprints:
        if len(thumbprint) != THUMBPRINT_CHARS or not (thumbprint.isascii() and thumbprint.isalnum()):
            raise ValidationFailed(f"A thumbprint has {THUMBPRINT_CHARS} characters: {thumbprint[:50]}")
    return tuple(thumbprints)
