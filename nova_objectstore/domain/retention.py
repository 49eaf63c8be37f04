"""Object lock: a bucket's default retention, and the lock that a new version gets (AWS: "Using S3 Object Lock")."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from nova_objectstore.errors import InvalidArgument, InvalidRequest, NoSuchDocument
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import NO_LOCK, Bucket, Lock, Version

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
DOCUMENT = "object-lock"
DAY_US = 24 * 3600 * 1_000_000
YEAR_DAYS = 365


class DefaultRetention(NamedTuple):
    """What versions get that bring no retention of their own; one of days and years is set."""

    mode: str
    days: int = 0
    years: int = 0

    def lock(self, now_us: int) -> Lock:
        """The lock of a version made now."""
        return Lock(self.mode, now_us + (self.days + self.years * YEAR_DAYS) * DAY_US)


class Retention:
    """The rules of object lock that are not the transaction's."""

    def __init__(self, meta: MetadataEngine, *, now_us: Callable[[], int]) -> None:
        self._meta = meta
        self._now_us = now_us

    def configure(self, bucket: Bucket, default: DefaultRetention | None) -> None:
        """Turn object lock on, for good, and set or drop the default. Raises InvalidBucketState without versioning."""
        self._meta.set_object_lock(bucket.id)
        if default is None:
            self._meta.delete_document(bucket.id, DOCUMENT)
        else:
            self._meta.put_document(bucket.id, DOCUMENT, json.dumps(default).encode())

    def default(self, bucket: Bucket) -> DefaultRetention | None:
        """The bucket's default retention."""
        try:
            return DefaultRetention(*json.loads(self._meta.get_document(bucket.id, DOCUMENT)))
        except NoSuchDocument:
            return None

    def lock_for(self, bucket: Bucket, asked: Lock) -> Lock:
        """The lock of a new version: what was asked for, over the bucket's default.

        Raises InvalidRequest where the bucket has no object lock, InvalidArgument for a date that is over.
        """
        if not bucket.object_lock:
            if asked is not NO_LOCK:
                raise InvalidRequest("Bucket is missing Object Lock Configuration")
            return NO_LOCK
        if asked.mode:
            self.check_date(asked.retain_until_us)
            return asked
        default = self.default(bucket)
        if default is None:
            return asked
        return default.lock(self._now_us())._replace(legal_hold=asked.legal_hold)

    def check_date(self, retain_until_us: int) -> None:
        """A retention ends in the future. Raises InvalidArgument."""
        if retain_until_us <= self._now_us():
            raise InvalidArgument("The retain until date must be in the future!")

    def retain(
        self, bucket: Bucket, key: str, version_id: str | None, *, mode: str, until_us: int, bypass_governance: bool
    ) -> Version:
        """Set a version's retention; an empty mode lifts it. Raises ObjectLocked where it would be weakened."""
        self._require(bucket)
        if mode:
            self.check_date(until_us)
        return self._meta.set_retention(
            bucket.id,
            key,
            version_id,
            mode=mode,
            retain_until_us=until_us,
            now_us=self._now_us(),
            bypass_governance=bypass_governance,
        )

    def hold(self, bucket: Bucket, key: str, version_id: str | None, *, on: bool) -> Version:
        """Set or lift a version's legal hold."""
        self._require(bucket)
        return self._meta.set_legal_hold(bucket.id, key, version_id, on=on)

    def get(self, bucket: Bucket, key: str, version_id: str | None) -> Version:
        """A version whose lock is asked for. Raises InvalidRequest where the bucket has no object lock."""
        self._require(bucket)
        return self._meta.get_version(bucket.id, key, version_id, inline=False)

    def _require(self, bucket: Bucket) -> None:
        if not bucket.object_lock:
            raise InvalidRequest("Bucket is missing Object Lock Configuration")
