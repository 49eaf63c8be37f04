"""Restores: archived versions made readable for some days (AWS: RestoreObject, "Restoring an archived object").

The copy lies in the default data engine, as the archived bytes are stored: sealed where they are. It belongs to its
version and goes with it. A version that is archived is read through its copy and not otherwise (``Egress``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.domain.storage_classes import StorageClasses
from nova_objectstore.errors import InvalidObjectState
from nova_objectstore.meta.storage_port import Restore, StorageStore
from nova_objectstore.types import Bucket, ContentKind, Listed, Version

# AWS: RestoreRequest, Tier; the sooner first.
TIERS = ("Expedited", "Standard", "Bulk")


class RestoreStatus(NamedTuple):
    """What is told of a version: its copy is being made, or is there until ``expires_us``."""

    is_ongoing: bool
    expires_us: int


class Restores:
    """The rules of restores. ``hint`` is called when there is work for who makes copies."""

    def __init__(self, store: StorageStore, classes: StorageClasses, *, day: Day, now_us: Callable[[], int]) -> None:
        self.archives = classes.archives
        self.hint: Callable[[], None] = _nobody
        self._store = store
        self._day = day
        self._now_us = now_us

    def request(
        self, bucket: Bucket, version: Version, *, days: int, tier: str, announce: Announcement | None = None
    ) -> bool:
        """Have a copy made that lasts ``days``; False where one is there, which now lasts ``days`` from now on.

        Raises InvalidObjectState (not archived), RestoreAlreadyInProgress, NoSuchVersion (gone meanwhile).
        """
        assert bucket.id == version.bucket_id
        if version.storage_class not in self.archives:
            raise InvalidObjectState(
                "Restore is not allowed for the object's current storage class", storage_class=version.storage_class
            )
        now_us = self._now_us()
        begun = self._store.request_restore(
            version,
            days=days,
            priority=TIERS.index(tier),
            now_us=now_us,
            expires_us=self.expiry_us(days),
            announce=announce,
        )
        if begun:
            self.hint()
        return begun

    def expiry_us(self, days: int) -> int:
        """When a copy ends that is there from now on for so many days: the days are rounded up as a lifecycle's are."""
        end_us = self._now_us() + days * self._day.length_us
        round_us = self._day.round_us
        return -(-end_us // round_us) * round_us if round_us else end_us

    def status(self, version: Version) -> RestoreStatus | None:
        """What is to be told of an archived version; None of any other, and where nothing was asked for."""
        if version.storage_class not in self.archives:
            return None
        return self._shown(self._store.find_restore(version))

    def statuses(self, versions: Sequence[Version | Listed]) -> Mapping[tuple[str, int], RestoreStatus]:
        """The same of a page of one bucket's versions, by key and sequence."""
        archived = [version for version in versions if version.storage_class in self.archives]
        if not archived:
            return {}
        found = self._store.find_restores(archived)
        return {name: shown for name, restore in found.items() if (shown := self._shown(restore)) is not None}

    def _shown(self, restore: Restore | None) -> RestoreStatus | None:
        if restore is None or not (restore.is_ongoing or restore.expires_us > self._now_us()):
            return None
        return RestoreStatus(restore.is_ongoing, restore.expires_us)

    def find_readable(self, version: Version) -> Version:
        """An archived version with its copy as its content. Raises InvalidObjectState where there is none."""
        restore = self._store.find_restore(version)
        if restore is None or restore.content is None or restore.expires_us <= self._now_us():
            raise InvalidObjectState(storage_class=version.storage_class)
        if restore.content.kind is ContentKind.INLINE:
            return version
        return version._replace(content=restore.content)


def _nobody() -> None:
    """Where the worker's next sweep is soon enough."""
