"""Quotas, the port: how much a bucket and an account may hold. See ``meta/engine.py`` for the laws of verbs.

Laws:

- A write that adds objects, or bytes, is refused with ``errors.QuotaExceeded`` when its bucket or its bucket's owner would
  then hold more than the quota says; the check is part of the transaction that writes, so that no race passes it.
- What adds nothing is never refused: a deletion, a delete marker, a rename, an object replaced by one that is no larger.
  So a quota below what is held already refuses what would add to it, and nothing else.
- Objects are versions that are not delete markers. Bytes are theirs, and those of the parts of uploads in progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Quota(NamedTuple):
    """The most that a bucket or an account may hold; None: any number."""

    objects_max: int | None = None
    bytes_max: int | None = None


NO_QUOTA = Quota()


class QuotaUse(NamedTuple):
    """A quota, and what is held under it: objects, and bytes with those of parts in progress."""

    quota: Quota
    objects: int
    size: int


class KnownQuota(NamedTuple):
    """A quota of an account, or, where ``bucket_name`` says which, of one of its buckets."""

    account_id: str
    bucket_name: str | None
    use: QuotaUse


class QuotaStore(Protocol):
    """The verbs. Each is one transaction."""

    def set_bucket_quota(self, bucket_id: int, quota: Quota) -> None:
        """Replace a bucket's quota; ``NO_QUOTA`` removes it. Raises NoSuchBucket."""

    def set_account_quota(self, account_id: str, quota: Quota) -> None:
        """Replace an account's quota; ``NO_QUOTA`` removes it. Raises NoSuchAccount."""

    def get_bucket_quota(self, bucket_id: int) -> QuotaUse:
        """A bucket's quota, and what it holds. Raises NoSuchBucket."""

    def get_account_quota(self, account_id: str) -> QuotaUse:
        """An account's quota, and what its buckets hold together. Raises NoSuchAccount."""

    def list_quotas(self) -> Sequence[KnownQuota]:
        """Every quota there is: by account, each account's own before those of its buckets, which come by name."""
