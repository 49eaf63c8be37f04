"""Who may do what: one question, asked by the pipeline for every request and by operations for second resources.

Law: the answer to an unknown question is no. An account's root may do everything to the account's own buckets; nobody
else may do anything.
"""

from __future__ import annotations

from nova_objectstore.errors import AccessDenied
from nova_objectstore.types import Bucket, Principal


class Access:
    """Decides; holds no state of its own."""

    def check(self, principal: Principal, action: str, bucket: Bucket | None = None, key: str | None = None) -> None:
        """Return when ``principal`` may do ``action`` on the bucket or key. Raises AccessDenied."""
        if principal.is_anonymous:
            raise AccessDenied(action=action)
        if bucket is not None and bucket.owner_id != principal.account_id:
            raise AccessDenied(action=action)
