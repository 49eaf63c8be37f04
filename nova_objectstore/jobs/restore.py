"""Restore: makes the copies of archived versions that were asked for, and removes them when their time is over.

Strategy: a row is claimed under a lease and worked on from the beginning; what an earlier attempt left are data that no row
names, which the data engine's law removes. So a worker that dies at any point costs time and nothing else.

Laws:

- A copy is there when the row says so; the row and the names of all its data change in one transaction.
- A version that goes, or has another class, takes its row along: then the copy is discarded.
- What a disk or a database did is tried again later, at most ``ATTEMPTS_MAX`` times; then the request is given up.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.carrying import Carrier
from nova_objectstore.domain.notifications import RESTORE_DONE, RESTORE_OVER, Announcer, announce_nothing
from nova_objectstore.domain.restores import Restores
from nova_objectstore.errors import EngineError
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.storage_port import RestoreClaim, RestoredPart, StorageStore
from nova_objectstore.types import Content, ContentKind

LOG = logging.getLogger(__name__)

LEASE_S = 60.0  # longer than the disk needs to make a copy durable
RETRY_DELAY_S = 30.0
ATTEMPTS_MAX = 10
EXPIRED_AT_ONCE = 100  # copies a transaction: some milliseconds, so that writers get in between

_S = 1_000_000


class LeaseLost(Exception):
    """Another works on it, or it is not wanted any more."""


class RestoreJob:
    """Makes copies. ``run`` may be called by several greenthreads, and by several processes."""

    def __init__(
        self,
        meta: MetadataEngine,
        store: StorageStore,
        carrier: Carrier,
        target: DataEngine,
        restores: Restores,
        *,
        now_us: Callable[[], int],
        lease_s: float = LEASE_S,
        retry_delay_s: float = RETRY_DELAY_S,
        announcer: Announcer = announce_nothing,
    ) -> None:
        self._meta = meta
        self._store = store
        self._carrier = carrier
        self._target = target
        self._restores = restores
        self._now_us = now_us
        self._lease_us = int(lease_s * _S)
        self._retry_delay_us = int(retry_delay_s * _S)
        self._announcer = announcer

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> int:
        """Make the copies that are waited for, one after the other, while ``goes_on``; answer how many. Raises EngineError."""
        made = 0
        while goes_on():
            now_us = self._now_us()
            claim = self._store.claim_restore(secrets.token_hex(16), now_us=now_us, until_us=now_us + self._lease_us)
            if claim is None:
                break
            made += self._restore(claim)
        return made

    def expire(self) -> int:
        """Remove copies whose time is over; answer how many."""
        removed = 0
        while True:
            now_us = self._now_us()
            expired = self._store.list_expired_restores(now_us=now_us, limit=EXPIRED_AT_ONCE)
            if not expired:
                return removed
            announcements = self._announcements({restore.bucket_id for restore in expired})
            removed += self._store.expire_restores(now_us=now_us, limit=EXPIRED_AT_ONCE, announcements=announcements)

    def _announcements(self, bucket_ids: Collection[int]) -> Mapping[int, Announcement]:
        made = {
            bucket_id: self._announcer(self._meta.bucket_of_id(bucket_id), RESTORE_OVER) for bucket_id in bucket_ids
        }
        return {bucket_id: announce for bucket_id, announce in made.items() if announce is not None}

    def _restore(self, claim: RestoreClaim) -> bool:
        """One attempt at one version; whether its copy is there now."""
        carried: list[Content] = []
        try:
            content, parts = self._carry(claim, carried)
        except BaseException as error:  # whatever it is, a kill too: what was carried so far is nobody's
            self._carrier.discard(carried)
            if isinstance(error, LeaseLost):
                return False
            if isinstance(error, EngineError):
                self._put_off(claim, error)
                return False
            raise  # a killed greenthread, or a fault of ours: the lease runs out
        try:
            done = self._finish(claim, content, parts)
        except EngineError:  # it may have happened
            self._carrier.doubt(carried)
            raise
        (self._carrier.settle if done else self._carrier.discard)(carried)
        return done

    def _finish(self, claim: RestoreClaim, content: Content | None, parts: Sequence[RestoredPart]) -> bool:
        """Have the metadata name the copy; False when the claim is another's by now. Raises EngineError."""
        expires_us = self._restores.expiry_us(claim.restore.days)
        announce = self._announcer(self._meta.bucket_of_id(claim.version.bucket_id), RESTORE_DONE)
        if announce is not None:
            announce = announce.of_restore(expires_us, claim.version.storage_class)
        return self._store.finish_restore(
            claim.restore.id, claim.lease, content=content, parts=parts, expires_us=expires_us, announce=announce
        )

    def _carry(self, claim: RestoreClaim, carried: list[Content]) -> tuple[Content | None, Sequence[RestoredPart]]:
        """Copy what the version has; ``carried`` gets what was made. Raises LeaseLost, EngineError."""
        version = claim.version
        renewal = _Renewal(self._store, claim, now_us=self._now_us, lease_us=self._lease_us)
        if version.content.kind is ContentKind.INLINE:
            return Content(ContentKind.INLINE), ()
        if version.content.kind is ContentKind.DATA:
            carried.append(self._carrier.carry(version.content, self._target, on_step=renewal.renew_when_due))
            return carried[-1], ()
        parts = []
        for part in self._meta.list_content_parts(version):
            content = part.content
            if content.kind is ContentKind.DATA:
                content = self._carrier.carry(content, self._target, on_step=renewal.renew_when_due)
                carried.append(content)
            parts.append(RestoredPart(part.number, content))
        return None, parts

    def _put_off(self, claim: RestoreClaim, error: EngineError) -> None:
        version, restore = claim.version, claim.restore
        if claim.attempts >= ATTEMPTS_MAX:
            LOG.error("the restore of %r is given up: %s %s", version.key, type(error).__name__, error)
            self._store.give_restore_up(restore.id, claim.lease)
            return
        LOG.warning("the restore of %r is tried again later: %s %s", version.key, type(error).__name__, error)
        self._store.release_restore(restore.id, claim.lease, retry_at_us=self._now_us() + self._retry_delay_us)


class _Renewal:
    """Holds a lease while somebody works."""

    def __init__(self, store: StorageStore, claim: RestoreClaim, *, now_us: Callable[[], int], lease_us: int) -> None:
        self._store = store
        self._claim = claim
        self._now_us = now_us
        self._lease_us = lease_us
        self._due_us = now_us() + lease_us // 3

    def renew_when_due(self) -> None:
        """Raises LeaseLost."""
        now_us = self._now_us()
        if now_us < self._due_us:
            return
        if not self._store.renew_restore(self._claim.restore.id, self._claim.lease, until_us=now_us + self._lease_us):
            raise LeaseLost
        self._due_us = now_us + self._lease_us // 3
