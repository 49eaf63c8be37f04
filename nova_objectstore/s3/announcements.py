"""What a request announces of the change that it makes, where its bucket has notifications."""

from __future__ import annotations

import time

from nova_objectstore.domain.notifications import Announcing, Cause, Names, principal_id
from nova_objectstore.s3.request import S3Request


def announcement(req: S3Request, names: Names) -> Announcing | None:
    """What to tell of a change, by what it is called; None in a bucket that notifies nobody."""
    # PERF: all that a request to such a bucket costs
    notifications = req.rules.notifications
    if notifications is None:
        return None
    cause = Cause(
        principal_id(req.principal),
        source_ip=str(req.environ.get("REMOTE_ADDR", "")),
        request_id=req.request_id,
        host_id=req.bucket.region,
    )
    return Announcing(notifications, req.bucket, names, cause, time.time_ns() // 1000)
