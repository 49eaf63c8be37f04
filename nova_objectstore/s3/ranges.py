"""The Range header (RFC 9110 section 14), as S3 reads it.

Laws (S3 as measured by its clients; RFC 9110 section 14.2 allows each):

- One range of bytes is answered. Several in one header, another unit, or anything malformed, and the header is ignored:
  the whole object is the answer.
- A well-formed range without any byte of the object is InvalidRange (416).
- White space is taken nowhere but around the whole value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nova_objectstore.errors import InvalidArgument, InvalidRange
from nova_objectstore.s3.conditions import match_etag_strongly, parse_http_date

_single_range = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})", re.IGNORECASE).fullmatch
_copy_range = re.compile(r"bytes=([0-9]{1,20})-([0-9]{1,20})").fullmatch


class ByteRange(NamedTuple):
    """Bytes ``first`` to ``last``, both inclusive, as Content-Range counts them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    def content_range(self, size: int) -> str:
        """The value of Content-Range for an object of ``size`` bytes."""
        return f"bytes {self.first}-{self.last}/{size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The range asked for of an object of ``size`` bytes; None for the whole of it.

    Raises InvalidRange (``range_requested``, ``actual_object_size``) when no byte of the object is in the range.
    """
    if not header:
        return None
    match = _single_range(header.strip(" \t"))
    if match is None:
        return None
    first_text, last_text = match.groups()
    if first_text:
        first = int(first_text)
        last = int(last_text) if last_text else size - 1
        if last_text and last < first:
            return None  # RFC 9110 section 14.1.1: such an int-range is invalid, and an invalid Range is ignored
    elif last_text:
        count = int(last_text)
        # "-0" is well-formed and asks for nothing (RFC 9110 section 14.1.3: unsatisfiable)
        first, last = (max(0, size - count), size - 1) if count else (size, size)
    else:
        return None
    if first >= size:
        raise InvalidRange(range_requested=header, actual_object_size=size)
    return ByteRange(first, min(last, size - 1))


def range_applies(if_range: str | None, *, etag: str, modified_s: int) -> bool:
    """Whether the Range header counts beside this If-Range (RFC 9110 section 13.1.5).

    ``etag`` without quotes; ``modified_s`` in whole epoch seconds. An ETag must match strongly, a date exactly.
    """
    if not if_range:
        return True
    value = if_range.strip(" \t")
    if value.startswith(('"', "W/")):
        return match_etag_strongly(value, etag)
    date_s = parse_http_date(value)
    if date_s is None:
        return match_etag_strongly(value, etag)  # S3's ETags are sent without quotes by some clients
    return date_s == modified_s


def parse_copy_range(header: str, size: int) -> ByteRange:
    """x-amz-copy-source-range of UploadPartCopy: ``bytes=first-last``, wholly inside the source of ``size`` bytes.

    Raises InvalidArgument for another form, InvalidRange for a range beyond the source.
    """
    match = _copy_range(header)
    if match is None or int(match[1]) > int(match[2]):
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            argument_name="x-amz-copy-source-range",
            argument_value=header,
        )
    wanted = ByteRange(int(match[1]), int(match[2]))
    if wanted.last >= size:
        raise InvalidRange(
            f"Range specified is not valid for source object of size: {size}",
            range_requested=header,
            actual_object_size=size,
        )
    return wanted
