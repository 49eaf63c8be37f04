"""What responses tell of a bucket's lifecycle rules: ``x-amz-expiration``, ``x-amz-abort-date``, ``x-amz-abort-rule-id``."""

from __future__ import annotations

from urllib.parse import quote

from nova_objectstore.domain.lifecycle.rules import Lifecycle
from nova_objectstore.s3.answer import Headers
from nova_objectstore.s3.dates import http_date
from nova_objectstore.types import Upload, Version

_LAST_US = 253_402_300_799_000_000  # 9999-12-31T23:59:59Z: later ones have a fifth digit, which no client reads


def expiration_headers(lifecycle: Lifecycle, version: Version) -> Headers:
    """``x-amz-expiration`` of a current object that expires (AWS: GetObject); noncurrent versions have none."""
    promise = lifecycle.expiration(version) if version.is_latest else None
    if promise is None:
        return []
    date = http_date(min(promise.date_us, _LAST_US))
    return [("x-amz-expiration", f'expiry-date="{date}", rule-id="{_quoted(promise.rule_id)}"')]


def abort_headers(lifecycle: Lifecycle, upload: Upload) -> Headers:
    """``x-amz-abort-date`` and the rule of an upload that is going to be aborted (AWS: CreateMultipartUpload)."""
    promise = lifecycle.abortion(upload.key, upload.initiated_us)
    if promise is None:
        return []
    return [
        ("x-amz-abort-date", http_date(min(promise.date_us, _LAST_US))),
        ("x-amz-abort-rule-id", _quoted(promise.rule_id)),
    ]


def _quoted(rule_id: str) -> str:
    """AWS, GetObject, x-amz-expiration: "the value of the rule-id is URL-encoded"."""
    return quote(rule_id, safe="")
