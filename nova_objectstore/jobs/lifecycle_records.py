"""Access log records of what the lifecycle did to buckets whose requests are logged (AWS: "Logging lifecycle operations").

The requester is the service itself; fields that are a request's are not known. What a class is called in the operation is
AWS's for its classes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from nova_objectstore.delivery.spool import Group, Spool
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_logging import Source
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import EngineError
from nova_objectstore.jobs.lifecycle import Happened
from nova_objectstore.meta.lifecycle_port import LookKind
from nova_objectstore.s3.access_records import FIELDS_COUNT, NOTHING, key_field, stamp_field

REQUESTER = "AmazonS3"
_CLASSES = {
    "STANDARD_IA": "_SIA",
    "ONEZONE_IA": "_ZIA",
    "INTELLIGENT_TIERING": "_INT",
    "GLACIER_IR": "_GIR",
    "DEEP_ARCHIVE": "_GDA",
}


class LifecycleRecords:
    """Hears what was done (``jobs.lifecycle.Report``)."""

    def __init__(
        self, spool: Spool, access: Access, identities: Identities, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self._spool = spool
        self._access = access
        self._identities = identities
        self._clock_s = clock_s

    def __call__(self, happened: Happened) -> None:
        """Record it, where the bucket's requests are logged."""
        bucket = happened.bucket
        try:
            target = self._access.rules(bucket).log_target
            owner = self._identities.owner(bucket.owner_id)
        except EngineError:
            return  # delivery of logs is best effort, and what was done is done
        if target is None:
            return
        now_s = self._clock_s()
        source = Source(bucket.name, bucket.owner_id, (bucket.owner_id, owner.canonical_id))
        group = Group.of(target, source, bucket.region, int(now_s * 1_000_000))
        self._spool.write(group, source, _line(happened, owner.canonical_id, now_s))


def _line(happened: Happened, owner: str, now_s: float) -> str:
    version = happened.subject.version
    fields = [NOTHING] * FIELDS_COUNT
    fields[0:3] = owner or NOTHING, happened.bucket.name, stamp_field(now_s)
    fields[4:8] = REQUESTER, secrets.token_hex(8).upper(), _operation(happened), key_field(happened.subject.key)
    fields[8] = fields[15] = fields[16] = f'"{NOTHING}"'
    if version is not None and not version.is_marker:
        fields[12] = str(version.size)
    version_id = happened.deleted.version_id if happened.deleted is not None else None
    if version_id is None and version is not None and happened.storage_class:
        version_id = version.version_id
    fields[17] = version_id or NOTHING
    return " ".join(fields)


def _operation(happened: Happened) -> str:
    if happened.storage_class:
        return f"S3.TRANSITION{_CLASSES.get(happened.storage_class, '')}.OBJECT"
    if happened.subject.kind is LookKind.UPLOAD:
        return "S3.DELETE.UPLOAD"
    made_marker = (
        happened.subject.kind is LookKind.CURRENT and happened.deleted is not None and happened.deleted.is_marker
    )
    return "S3.CREATE.DELETEMARKER" if made_marker else "S3.EXPIRE.OBJECT"
