"""Images put together over a store: the registry, the job, ``/_images`` and the EC2 API. The assembly's other half.

It lends the images what the S3 front has and they may not import: the rules of ranges and conditions, and SigV4.
"""

from __future__ import annotations

from collections.abc import Mapping

from nova_objectstore.images.download import Selection
from nova_objectstore.s3.conditions import read_conditions
from nova_objectstore.s3.dates import http_date
from nova_objectstore.s3.ranges import parse_range, range_applies


class S3ReadRules:
    """:class:`~nova_objectstore.images.download.ReadRules` as S3's GetObject has them."""

    def __init__(self, *, clock_s) -> None:
        self._clock_s = clock_s

    def __call__(self, headers: Mapping[str, str], *, etag: str, modified_us: int, size: int) -> Selection:
        """Judge a read. Raises PreconditionFailed, InvalidRange."""
        modified_s = modified_us // 1_000_000
        conditions = read_conditions(headers)
        if conditions.check(etag=etag, modified_s=modified_s, now_s=self._clock_s()):
            return Selection(304)
        bounds = None
        if range_applies(headers.get("if-range"), etag=etag, modified_s=modified_s):
            bounds = parse_range(headers.get("range"), size)
        if bounds is None:
            return Selection(200, 0, size - 1)
        return Selection(206, bounds.first, bounds.last)

    def http_date(self, moment_us: int) -> str:
        """As Last-Modified has it."""
        return http_date(moment_us)
