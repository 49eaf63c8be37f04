"""Objects on their way out: GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.encryption import check_customer
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.restores import Restores
from nova_objectstore.errors import DataMissing, InvalidArgument, InvalidPart, NoSuchKey
from nova_objectstore.limits import PART_NUMBER_MAX
from nova_objectstore.s3.answer import Answer, Headers, xml_answer
from nova_objectstore.s3.conditions import NO_CONDITIONS, read_conditions
from nova_objectstore.s3.dates import http_date
from nova_objectstore.s3.encryption_headers import read_reader_key, refuse_unsigned
from nova_objectstore.s3.faults import MarkerNotReadable, NotModified
from nova_objectstore.s3.object_headers import answer_headers, checksum_headers, shown_version
from nova_objectstore.s3.operation import Controller, operation
from nova_objectstore.s3.ranges import parse_range, range_applies
from nova_objectstore.s3.render import render_attributes
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.restore_status import restore_headers
from nova_objectstore.types import UNVERSIONED, Checksum, Part, Version, new_tuple

# RFC 9110 section 15.4.5: what a 304 repeats, beside ETag and Last-Modified.
NOT_MODIFIED_HEADERS = frozenset(("Cache-Control", "Expires"))

ATTRIBUTES = frozenset(("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"))


class Extent(NamedTuple):
    """The bytes ``first`` to ``last`` (inclusive) of an object, and how they are told of."""

    first: int
    last: int
    is_partial: bool
    checksum: Checksum | None  # of just these bytes, where it is known
    parts_count: int = 0  # told where a part was asked for


class ReadingController(Controller):
    """Reads of objects."""

    def __init__(
        self, objects: Objects, egress: Egress, restores: Restores, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self._restores = restores
        self._clock_s = clock_s
        self._objects = objects
        self._egress = egress

    @operation("GetObject", "GET /{bucket}/{key}", action="s3:GetObject", version_action="s3:GetObjectVersion")
    def get_object(self, req: S3Request) -> Answer:
        """Answer the object, a range of it, or one of its parts."""
        customer = read_reader_key(req.headers)
        version = self._open(req, inline=True)
        extent = self._extent(req, version)
        try:
            body = self._egress.open_body(version, extent.first, extent.last, customer=customer)
        except DataMissing:
            # Overwritten or moved to another class, and its data collected, between two reads: what is current now is
            # the answer. Parts move without a trace in the version.
            again = self._open(req, inline=True)
            is_same = again.sequence == version.sequence and again.content == version.content
            if is_same and not version.parts_count:
                raise
            version, extent = again, self._extent(req, again)
            body = self._egress.open_body(version, extent.first, extent.last, customer=customer)
        return new_tuple(Answer, (206 if extent.is_partial else 200, self._headers(req, version, extent), body))

    @operation("HeadObject", "HEAD /{bucket}/{key}", action="s3:GetObject", version_action="s3:GetObjectVersion")
    def head_object(self, req: S3Request) -> Answer:
        """Answer what GetObject would, without the body."""
        version = self._open(req, inline=False)
        extent = self._extent(req, version)
        check_customer(version.extra, read_reader_key(req.headers))
        return new_tuple(Answer, (206 if extent.is_partial else 200, self._headers(req, version, extent), ()))

    @operation(
        "GetObjectAttributes",
        "GET /{bucket}/{key}?attributes",
        action="s3:GetObjectAttributes",
        version_action="s3:GetObjectVersionAttributes",
        header="x-amz-object-attributes",
    )
    def get_object_attributes(self, req: S3Request) -> Answer:
        """Answer the attributes named in ``x-amz-object-attributes``, without the object."""
        wanted = frozenset(name.strip() for name in req.header("x-amz-object-attributes").split(",") if name.strip())
        if not wanted or not wanted <= ATTRIBUTES:
            raise InvalidArgument(
                "Invalid attribute name specified.",
                argument_name="x-amz-object-attributes",
                argument_value=req.header("x-amz-object-attributes"),
            )
        version = self._open(req, inline=False)
        check_customer(version.extra, read_reader_key(req.headers))
        after = _header_int(req, "x-amz-part-number-marker", 0)
        limit = min(_header_int(req, "x-amz-max-parts", 1000), 1000)
        parts = self._objects.parts(version, after=after, limit=limit + 1) if version.parts_count else ()
        document = render_attributes(
            version, wanted, parts[:limit], after=after, limit=limit, truncated=len(parts) > limit
        )
        headers = [("Last-Modified", http_date(version.modified_us))]
        return xml_answer(200, document, headers + shown_version(req, version))

    @operation("GetObjectTorrent", "GET /{bucket}/{key}?torrent", action="s3:GetObjectTorrent")
    def get_object_torrent(self, req: S3Request) -> Answer:
        """No object has a torrent: S3 gave BitTorrent up, and so the torrent of a key is never there."""
        self._open(req, inline=False)
        raise NoSuchKey(key=req.key)

    def _open(self, req: S3Request, *, inline: bool) -> Version:
        """The version asked for, past its conditions. Raises NotModified, PreconditionFailed, MarkerNotReadable."""
        version = req.judged or self._objects.get(req.bucket, req.key, req.version_id, inline=inline)
        if version.is_marker:
            raise MarkerNotReadable(version)
        if version.extra and req.principal.is_anonymous:
            refuse_unsigned(version.extra)
        self._check_conditions(req, version)
        return version

    def _check_conditions(self, req: S3Request, version: Version) -> None:
        conditions = read_conditions(req.headers)
        if conditions is NO_CONDITIONS:
            return
        modified_s = version.modified_us // 1_000_000
        if conditions.check(etag=version.etag, modified_s=modified_s, now_s=self._clock_s()):
            headers = [("ETag", f'"{version.etag}"'), ("Last-Modified", http_date(version.modified_us))]
            headers.extend((name, value) for name, value in version.headers.items() if name in NOT_MODIFIED_HEADERS)
            raise NotModified(headers + shown_version(req, version))

    def _extent(self, req: S3Request, version: Version) -> Extent:
        if "partNumber" in req.query:
            return self._part_extent(req, version)
        whole = new_tuple(Extent, (0, version.size - 1, False, version.checksum, 0))
        if "range" not in req.headers or not range_applies(
            req.headers.get("if-range"), etag=version.etag, modified_s=version.modified_us // 1_000_000
        ):
            return whole
        bounds = parse_range(req.headers["range"], version.size)
        if bounds is None:
            return whole
        return Extent(*bounds, is_partial=True, checksum=None)

    def _part_extent(self, req: S3Request, version: Version) -> Extent:
        """``partNumber``: the bytes of one part; an object that was no multipart upload has one part, itself."""
        if "range" in req.headers:
            raise InvalidArgument("Cannot specify both Range header and partNumber query parameter")
        number = req.query_int("partNumber", 1, low=1, high=PART_NUMBER_MAX)
        if not version.parts_count and number == 1:
            return Extent(0, version.size - 1, is_partial=version.size > 0, checksum=version.checksum)
        part = self._objects.part(version, number) if version.parts_count else None
        if part is None:
            raise InvalidPart(part_number=number)
        first = part.offset
        return Extent(
            first,
            first + part.size - 1,
            is_partial=True,
            checksum=_part_checksum(version, part),
            parts_count=version.parts_count,
        )

    def _headers(self, req: S3Request, version: Version, extent: Extent) -> Headers:
        headers = answer_headers(req, version)
        headers.append(("Content-Length", str(extent.last - extent.first + 1)))
        if version.storage_class in self._restores.archives:
            headers.extend(restore_headers(self._restores.status(version)))
        if extent.is_partial:
            headers.append(("Content-Range", f"bytes {extent.first}-{extent.last}/{version.size}"))
        if extent.parts_count:
            headers.append(("x-amz-mp-parts-count", str(extent.parts_count)))
        if "x-amz-checksum-mode" in req.headers and req.headers["x-amz-checksum-mode"].upper() == "ENABLED":
            headers.extend(checksum_headers(extent.checksum))
        if req.bucket.versioning is not UNVERSIONED:
            headers.extend(shown_version(req, version))
        return headers


def _part_checksum(version: Version, part: Part) -> Checksum | None:
    """A part's checksum; the type told with it is that of the object."""
    if part.checksum is None or version.checksum is None:
        return part.checksum
    return part.checksum._replace(type=version.checksum.type)


def _header_int(req: S3Request, name: str, default: int) -> int:
    text = req.headers.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidArgument(f"{name} is not a whole number", argument_name=name, argument_value=text)
    return int(text)
