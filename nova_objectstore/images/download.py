"""An image's bytes as a response: whole or a range, with conditions.

What RFC 9110 says of conditions and ranges is judged by a function given in: the protocols share it (:class:`ReadRules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from nova_objectstore.domain.egress import Egress
from nova_objectstore.images.ports import Image
from nova_objectstore.types import NO_LOCK, NULL_VERSION, Content, ContentKind, Version
from nova_wsgi.response import Response


class Selection(NamedTuple):
    """What a read is answered with: 200 or 206 with the bytes ``first`` to ``last`` (inclusive), or 304 without any."""

    status: int
    first: int = 0
    last: int = -1


class ReadRules(Protocol):
    """RFC 9110 sections 13 and 14 for one representation."""

    def __call__(self, headers: Mapping[str, str], *, etag: str, modified_us: int, size: int) -> Selection:
        """Judge a read by its headers (by lower-case name). Raises PreconditionFailed, InvalidRange."""
        ...

    def http_date(self, moment_us: int) -> str:
        """A time as Last-Modified has it."""
        ...


class Download:
    """Makes responses of images."""

    def __init__(self, egress: Egress, rules: ReadRules) -> None:
        self._egress = egress
        self._rules = rules

    def response(self, image: Image, headers: Mapping[str, str]) -> Response:
        """The image, which is available. Raises PreconditionFailed, InvalidRange, DataMissing."""
        selection = self._rules(headers, etag=image.etag, modified_us=image.changed_us, size=image.size)
        answer = [
            ("ETag", f'"{image.etag}"'),
            ("Last-Modified", self._rules.http_date(image.changed_us)),
            ("Accept-Ranges", "bytes"),
        ]
        if selection.status == 304:
            return Response(status=304, headers=answer)
        answer.append(("Content-Length", str(selection.last - selection.first + 1)))
        if selection.status == 206:
            answer.append(("Content-Range", f"bytes {selection.first}-{selection.last}/{image.size}"))
        body = self._egress.open_body(_as_version(image), selection.first, selection.last)
        return Response(body, status=selection.status, headers=answer, content_type="application/octet-stream")


def _as_version(image: Image) -> Version:
    """The image's bytes as Egress takes them."""
    return Version(
        bucket_id=0,
        key=image.image_id,
        version_id=NULL_VERSION,
        sequence=0,
        is_latest=True,
        size=image.size,
        etag=image.etag,
        modified_us=image.changed_us,
        owner_id=image.owner_id,
        storage_class="STANDARD",
        headers={},
        checksum=None,
        parts_count=0,
        content=Content(ContentKind.DATA, image.ref),
        tags={},
        lock=NO_LOCK,
        extra={},
    )
