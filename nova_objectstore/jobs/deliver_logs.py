"""Deliver access logs: batches of records become objects in the buckets that are to have them.

Laws (AWS: "Logging requests with server access logging"):

- A record is in its log object within ``delivery_s`` seconds.
- The target's policy is asked at each delivery, for each source; records that it does not take are dropped, and the log
  says so. So are those whose target is gone, or charges requesters.
- What a disk or a database did is tried again. A batch that was stored before its worker died is stored under the same
  key again, which finds it there.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path

from nova_objectstore.delivery.spool import Batch, Spool, read_batch
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_logging import Source, check_delivery
from nova_objectstore.domain.acl import encode_acl
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.notifications import PUT, Announcing, Cause
from nova_objectstore.domain.objects import Objects, ObjectSpec
from nova_objectstore.errors import AccessDenied, AccessError, EngineError, PreconditionFailed, StoreError
from nova_objectstore.images.local_files import LocalBody
from nova_objectstore.types import Bucket, WriteCondition
from nova_wsgi import green

LOG = logging.getLogger(__name__)

SPACING_MIN_S, SPACING_MAX_S = 0.2, 10.0
CAUSE = Cause("AWS:logging.s3.amazonaws.com", source_ip="logging.s3.amazonaws.com")


def spacing_of(delivery_s: float) -> float:
    """Seconds between two looks at the spool."""
    return min(max(delivery_s / 10, SPACING_MIN_S), SPACING_MAX_S)


class LogDelivery:
    """Delivers what the processes of this host have recorded. ``delivery_s``: how old a record may become before."""

    def __init__(
        self,
        spool: Spool,
        buckets: Buckets,
        objects: Objects,
        access: Access,
        identities: Identities,
        *,
        delivery_s: float,
        now_us: Callable[[], int],
    ) -> None:
        self._spool = spool
        self._buckets = buckets
        self._objects = objects
        self._access = access
        self._identities = identities
        # What is not taken in this turn must still be in time in the next.
        self._age_us = int(max(0.0, delivery_s - 2 * spacing_of(delivery_s)) * 1_000_000)
        self._now_us = now_us

    def run(self) -> int:
        """Deliver what is due; answer how many objects were stored."""
        stored = 0
        batches = green.run_native(self._take)
        while self._spool.set_aside:
            LOG.error("no spool file, and set aside: %s", self._spool.set_aside.pop())
        for path in batches:
            try:
                stored += self._deliver(path)
            except (EngineError, OSError) as error:  # OSError: of the batch itself
                LOG.warning("%s is delivered later: %s", path.name, error)
        return stored

    def _take(self) -> list[Path]:
        return self._spool.take(begun_before_us=self._now_us() - self._age_us)

    def _deliver(self, path: Path) -> int:
        try:
            batch = green.run_native(read_batch, path)
        except ValueError as error:
            LOG.error("%s is no batch of access records, and set aside: %s", path, error)
            path.rename(path.with_suffix(".bad"))
            return 0
        stored = 0
        try:
            stored = self._store(batch)
        except EngineError:
            raise
        except StoreError as error:
            LOG.warning("access log %s/%s is not delivered: %r", batch.group.target.bucket, batch.key, error)
        path.unlink(missing_ok=True)
        return stored

    def _store(self, batch: Batch) -> int:
        """Store what the target takes. Raises NoSuchBucket, and what Objects.put raises."""
        target = self._buckets.find(batch.group.target.bucket)
        rules = self._access.rules(target)
        if rules.requester_pays:
            raise AccessDenied("the target charges requesters")
        taken = [source for source in batch.records if self._is_taken(batch, target, source)]
        if not taken:
            return 0
        body = "".join(f"{record}\n" for source in taken for record in batch.records[source]).encode()
        owner = self._identities.owner(target.owner_id)
        acl = None if rules.enforced else batch.group.target.acl(owner.canonical_id)
        spec = ObjectSpec(
            batch.key,
            target.owner_id,
            headers={"Content-Type": "text/plain"},
            extra={} if acl is None else {"acl": encode_acl(acl)},
        )
        announce = None
        if rules.notifications is not None:
            announce = Announcing(rules.notifications, target, PUT, CAUSE, self._now_us())
        try:
            self._objects.put(
                target,
                spec,
                LocalBody(io.BytesIO(body), len(body)),
                WriteCondition(if_none_match=True),
                announce=announce,
            )
        except PreconditionFailed:  # by a worker that died before it could forget the batch
            return 0
        return 1

    def _is_taken(self, batch: Batch, target: Bucket, source: Source) -> bool:
        try:
            check_delivery(self._access, target, source, prefix=batch.group.target.prefix, key=batch.key)
        except AccessError:
            LOG.warning(
                "%d access records of bucket %s are dropped: bucket %s does not take them under %r",
                len(batch.records[source]), source.name, target.name, batch.group.target.prefix,
            )  # fmt: skip
            return False
        return True
