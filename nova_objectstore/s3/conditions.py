"""Conditional requests: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, and their kin for copies and writes.

Strategy: headers are parsed once into a frozen value; reads and copies are judged here, against an ETag and a time; writes
are judged inside the metadata transaction, which gets a ``types.WriteCondition``.

Laws:

- Reads: RFC 9110 section 13.2.2 gives the order. If-Match before (and instead of) If-Unmodified-Since, then If-None-Match
  before (and instead of) If-Modified-Since. AWS's page of GetObject says the same.
- Copies: the same pairs, and whatever fails is 412: there is no 304 for a write.
- S3 takes ETags with and without quotes. Dates have seconds: an object is as old as its Last-Modified header says.
- A malformed date is no condition (RFC 9110 section 13.1.3); neither is an If-Modified-Since later than now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from nova_objectstore.errors import InvalidArgument, NotOffered, PreconditionFailed
from nova_objectstore.types import UNCONDITIONAL, WriteCondition

_iso_date = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)").fullmatch
_etag_item = re.compile(r'\s*(W/)?(?:"([^"]*)"|([^\s",]+))\s*(?:,|$)')

DATE_CHARS_MAX = 64  # the longest form that S3 takes has 35


def parse_http_date(text: str) -> int | None:
    """Epoch seconds of an HTTP date (RFC 9110 section 5.6.7, obsolete forms too) or an ISO 8601 one; None for neither."""
    return _parse_date(text) if len(text) <= DATE_CHARS_MAX else None


@lru_cache(maxsize=256)
def _parse_date(text: str) -> int | None:
    try:
        if _iso_date(text):
            moment = datetime.fromisoformat(text)
        else:
            moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


class ETagList(NamedTuple):
    """The ETags of an If-Match or If-None-Match, without quotes; ``any`` for ``*``. A weak tag is (tag, True)."""

    any: bool
    tags: tuple[tuple[str, bool], ...]

    def matches_strongly(self, etag: str) -> bool:
        """If-Match: no weak tag matches (RFC 9110 section 13.1.1)."""
        return self.any or any(tag == etag and not weak for tag, weak in self.tags)

    def matches_weakly(self, etag: str) -> bool:
        """If-None-Match: weakness does not count (RFC 9110 section 13.1.2)."""
        return self.any or any(tag == etag for tag, _ in self.tags)


def parse_etags(header: str) -> ETagList:
    """``"a", W/"b", c`` or ``*``. What is no list of ETags is one tag, quotes and all, which then matches nothing."""
    text = header.strip()
    if text in ("*", '"*"'):
        return ETagList(True, ())
    tags = []
    position = 0
    while position < len(text):
        match = _etag_item.match(text, position)
        if match is None:
            return ETagList(False, ((text, False),))
        weak, quoted, bare = match.groups()
        tags.append((bare if quoted is None else quoted, weak is not None))
        position = match.end()
    return ETagList(False, tuple(tags))


def match_etag_strongly(header: str, etag: str) -> bool:
    """Whether one of the header's ETags is ``etag``, strongly."""
    return parse_etags(header).matches_strongly(etag)


def unquote_etag(text: str) -> str:
    """An ETag without the quotes that some clients send and others do not."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


class ReadConditions(NamedTuple):
    """The conditions of a read or of a copy's source, as sent; None where the header is not there."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None

    def check(self, *, etag: str, modified_s: int, now_s: float) -> bool:
        """Judge a read of an existing object. True: it is not modified, answer 304. False: go on.

        ``etag`` without quotes; ``modified_s`` in whole epoch seconds. Raises PreconditionFailed (``condition``).
        """
        self._check_match(etag=etag, modified_s=modified_s)
        if self.if_none_match is not None:
            return parse_etags(self.if_none_match).matches_weakly(etag)
        return self._is_unmodified(modified_s, now_s)

    def check_copy(self, *, etag: str, modified_s: int, now_s: float) -> None:
        """Judge a copy's source. Raises PreconditionFailed where a read would say 412 or 304."""
        self._check_match(etag=etag, modified_s=modified_s, prefix="x-amz-copy-source-")
        if self.if_none_match is not None:
            if parse_etags(self.if_none_match).matches_weakly(etag):
                raise PreconditionFailed(condition="x-amz-copy-source-If-None-Match")
        elif self._is_unmodified(modified_s, now_s):
            raise PreconditionFailed(condition="x-amz-copy-source-If-Modified-Since")

    def _check_match(self, *, etag: str, modified_s: int, prefix: str = "") -> None:
        if self.if_match is not None:
            if not parse_etags(self.if_match).matches_strongly(etag):
                raise PreconditionFailed(condition=f"{prefix}If-Match")
        elif self.if_unmodified_since is not None:
            since = parse_http_date(self.if_unmodified_since)
            if since is not None and modified_s > since:
                raise PreconditionFailed(condition=f"{prefix}If-Unmodified-Since")

    def _is_unmodified(self, modified_s: int, now_s: float) -> bool:
        if self.if_modified_since is None:
            return False
        since = parse_http_date(self.if_modified_since)
        return since is not None and since <= now_s and modified_s <= since


NO_CONDITIONS = ReadConditions()
_READ_HEADERS = frozenset(("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"))


def read_conditions(headers: Mapping[str, str]) -> ReadConditions:
    """The conditions of a GET or HEAD."""
    # PERF: most reads have none
    if _READ_HEADERS.isdisjoint(headers):
        return NO_CONDITIONS
    return _conditions(headers, "if-")


def copy_conditions(headers: Mapping[str, str]) -> ReadConditions:
    """The conditions on a copy's source: x-amz-copy-source-if-*."""
    return _conditions(headers, "x-amz-copy-source-if-")


def rename_conditions(headers: Mapping[str, str]) -> ReadConditions:
    """The conditions on a rename's source: x-amz-rename-source-if-*."""
    return _conditions(headers, "x-amz-rename-source-if-")


def _conditions(headers: Mapping[str, str], prefix: str) -> ReadConditions:
    if_match = headers.get(prefix + "match")
    if_none_match = headers.get(prefix + "none-match")
    if_modified_since = headers.get(prefix + "modified-since")
    if_unmodified_since = headers.get(prefix + "unmodified-since")
    if if_match is if_none_match is if_modified_since is if_unmodified_since is None:
        return NO_CONDITIONS
    return ReadConditions(if_match, if_none_match, if_modified_since, if_unmodified_since)


def write_condition(headers: Mapping[str, str]) -> WriteCondition:
    """The condition of a PutObject, CompleteMultipartUpload or CopyObject (AWS: "Conditional writes").

    AWS takes no other If-None-Match than ``*``; here an ETag is taken too: the write happens unless the key holds it.
    Raises NotOffered (``header``) for both headers at once, and for several ETags.
    """
    if_match = headers.get("if-match")
    if_none_match = headers.get("if-none-match")
    if if_match is None and if_none_match is None:
        return UNCONDITIONAL
    if if_match is not None and if_none_match is not None:
        raise NotOffered(
            header="If-Match,If-None-Match",
            additional_message="Multiple conditional request headers present in the request",
        )
    if if_none_match is None:
        return WriteCondition(if_match=_single_etag(if_match or "", "If-Match"))
    etag = _single_etag(if_none_match, "If-None-Match")
    if etag == "*":
        return WriteCondition(if_none_match=True)
    return WriteCondition(
        if_none_match_etag=etag.removeprefix("W/")
    )  # RFC 9110 section 13.1.2: weakness does not count


def _single_etag(header: str, name: str) -> str:
    """The one ETag of a write's If-Match, or ``*``."""
    tags = parse_etags(header)
    if tags.any:
        return "*"
    if len(tags.tags) != 1:
        raise NotOffered(header=name, additional_message=f"We don't accept the provided value of {name} header")
    tag, weak = tags.tags[0]
    # S3 makes no weak ETags: one that claims to be weak matches no object (RFC 9110 section 13.1.1)
    return f"W/{tag}" if weak else tag


def delete_condition(headers: Mapping[str, str]) -> WriteCondition:
    """The condition of a DeleteObject: If-Match, x-amz-if-match-size, x-amz-if-match-last-modified-time.

    Raises NotOffered as ``write_condition``, InvalidArgument for a size or time that is none.
    """
    if_match = headers.get("if-match")
    size = headers.get("x-amz-if-match-size")
    modified = headers.get("x-amz-if-match-last-modified-time")
    if if_match is None and size is None and modified is None:
        return UNCONDITIONAL
    return object_condition(if_match, size, modified)


def object_condition(etag: str | None, size: str | None, modified: str | None) -> WriteCondition:
    """The condition of one object of a DeleteObjects document: its ETag, Size and LastModifiedTime elements."""
    return WriteCondition(
        if_match=None if etag is None else _single_etag(etag, "If-Match"),
        size=None if size is None else _parse_size(size),
        modified_us=None if modified is None else _parse_moment(modified) * 1_000_000,
    )


def _parse_size(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise InvalidArgument("Invalid size", argument_name="x-amz-if-match-size", argument_value=text)
    return int(text)


def _parse_moment(text: str) -> int:
    moment_s = parse_http_date(text.strip())
    if moment_s is None:
        raise InvalidArgument("Invalid time", argument_name="x-amz-if-match-last-modified-time", argument_value=text)
    return moment_s
