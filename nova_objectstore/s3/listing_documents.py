"""Listings of objects and of their versions as XML documents: a page of a thousand keys is the most that S3 renders.

PERF: what is the same for all keys of a page is looked at once a page: whether any key needs encoding or escaping; and
what one key has in common with the one before it (owner, class, kind of checksum) is rendered for the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.domain.storage_classes import STANDARD
from nova_objectstore.s3.dates import MILLISECONDS, SIXTY, iso_date, iso_hour
from nova_objectstore.s3.render import (
    URL_SAFE,
    Encode,
    flag,
    optional,
    render_common_prefixes,
    url_encode,
)
from nova_objectstore.s3.xml import document, element, escape
from nova_objectstore.types import ListedRow, ListPage, ListQuery, Version, VersionsPage, VersionsQuery

_NEEDS_URL_ENCODING = re.compile(f"[^A-Za-z0-9{re.escape(URL_SAFE)}]")

Restored = Mapping[tuple[str, int], str]  # RestoreStatus elements by key and sequence
NONE_RESTORED: Restored = {}


class ListingStyle(NamedTuple):
    """How a listing is to look, whatever is on its page: what the request asks for beside keys."""

    encoding: str  # the encoding-type, or ""
    encode: Encode  # what it does to a key
    owner: Callable[[str], str]  # makes the Owner element of an account id, or nothing
    restored: Restored = NONE_RESTORED


def checksum_elements(algorithm: str | None, kind: str | None) -> str:
    """ChecksumAlgorithm and ChecksumType, as listings have them."""
    if algorithm is None:
        return ""
    return f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm><ChecksumType>{kind}</ChecksumType>"


def render_keys(keys: Sequence[str], encode: Encode) -> Sequence[str]:
    """Keys as they may stand in an element: encoded, then escaped."""
    together = "".join(keys)
    if encode is url_encode:  # leaves nothing to escape
        if _NEEDS_URL_ENCODING.search(together) is None:
            return keys
        return url_encode("\0".join(keys)).split("%00")  # no key has a NUL, and its own %00 becomes %2500
    if escape(together) == together:
        return keys
    return [escape(key) for key in keys]


def render_contents(rows: Sequence[ListedRow], style: ListingStyle) -> str:
    """Contents, one element an object."""
    _, encode, owner, restored = style
    contents: list[str] = []
    by = storage = algorithm = kind = None  # of the row before
    middle = end = ""
    for shown, (_, key, sequence, size, etag, modified_us, owner_id, its_storage, its_algorithm, its_kind) in zip(
        render_keys([row[1] for row in rows], encode), rows, strict=True
    ):
        # PERF: comparing four texts costs less than finding what was made of them in a dict
        if owner_id != by or its_storage != storage or its_algorithm != algorithm or its_kind != kind:
            by, storage, algorithm, kind = owner_id, its_storage, its_algorithm, its_kind
            middle = f"&quot;</ETag>{checksum_elements(algorithm, kind)}<Size>"
            end = f"</Size>{owner(owner_id)}<StorageClass>{storage or STANDARD}</StorageClass></Contents>"
        # PERF: dates.iso_date, here for the call that it saves
        milliseconds = modified_us // 1000
        contents.append(
            f"<Contents><Key>{shown}</Key><LastModified>{iso_hour(milliseconds // 3_600_000)}"
            f"{SIXTY[milliseconds // 60_000 % 60]}{SIXTY[milliseconds // 1000 % 60]}{MILLISECONDS[milliseconds % 1000]}"
            "</LastModified>"
            f"<ETag>&quot;{etag}{middle}{size}{_with_status(end, restored.get((key, sequence), '')) if restored else end}"
        )
    return "".join(contents)


def _with_status(end: str, status: str) -> str:
    """The end of an object's Contents with its RestoreStatus."""
    return end.replace("<StorageClass>", f"{status}<StorageClass>")


def render_listing(bucket: str, query: ListQuery, page: ListPage, style: ListingStyle) -> str:
    """ListBucketResult of ListObjects. NextMarker is told only where a delimiter was given (AWS: ListObjects).

    The prefix is never encoded: the SDKs that ask for encoding do not decode it here.
    """
    encode = style.encode
    return document(
        "ListBucketResult",
        element("Name", bucket),
        element("Prefix", query.prefix),
        element("Marker", encode(query.after)),
        element("NextMarker", encode(page.next_after)) if page.next_after is not None and query.delimiter else "",
        *_objects_tail(query, page, style),
    )


def render_listing_v2(
    bucket: str,
    query: ListQuery,
    page: ListPage,
    style: ListingStyle,
    *,
    start_after: str,
    token: str | None,
    next_token: str | None,
) -> str:
    """ListBucketResult of ListObjectsV2; tokens are never encoded."""
    encode = style.encode
    return document(
        "ListBucketResult",
        element("Name", bucket),
        element("Prefix", encode(query.prefix)),
        optional("StartAfter", encode(start_after)),
        element("ContinuationToken", token) if token is not None else "",
        optional("NextContinuationToken", next_token),
        element("KeyCount", str(len(page.rows) + len(page.common_prefixes))),
        *_objects_tail(query, page, style),
    )


def render_versions(bucket: str, query: VersionsQuery, page: VersionsPage, style: ListingStyle) -> str:
    """ListVersionsResult."""
    encode = style.encode
    versions = _render_versions(page.versions, style)
    return document(
        "ListVersionsResult",
        element("Name", bucket),
        element("Prefix", encode(query.prefix)),
        element("KeyMarker", encode(query.after)),
        element("VersionIdMarker", query.version_id_after),
        element("NextKeyMarker", encode(page.next_key)) if page.next_key is not None else "",
        element("NextVersionIdMarker", page.next_version_id) if page.next_version_id is not None else "",
        *_tail(query, style, versions, page.common_prefixes, is_truncated=page.next_key is not None),
    )


def _objects_tail(query: ListQuery, page: ListPage, style: ListingStyle) -> tuple[str, ...]:
    contents = render_contents(page.rows, style)
    return _tail(query, style, contents, page.common_prefixes, is_truncated=page.next_after is not None)


def _tail(
    query: ListQuery | VersionsQuery,
    style: ListingStyle,
    shown: str,
    common_prefixes: Sequence[str],
    *,
    is_truncated: bool,
) -> tuple[str, ...]:
    """What every listing ends with: what was asked for, whether there is more, and the page, rendered."""
    return (
        element("MaxKeys", str(query.limit)),
        optional("Delimiter", style.encode(query.delimiter)),
        optional("EncodingType", style.encoding),
        element("IsTruncated", flag(is_truncated)),
        shown,
        render_common_prefixes(common_prefixes, style.encode),
    )


def _render_versions(versions: Sequence[Version], style: ListingStyle) -> str:
    """Version and DeleteMarker, one element a version."""
    _, encode, owner, restored = style
    elements: list[str] = []
    for shown, version in zip(render_keys([version.key for version in versions], encode), versions, strict=True):
        head = (
            f"<Key>{shown}</Key>{element('VersionId', version.version_id)}"
            f"<IsLatest>{flag(version.is_latest)}</IsLatest><LastModified>{iso_date(version.modified_us)}</LastModified>"
        )
        if version.is_marker:
            elements.append(f"<DeleteMarker>{head}{owner(version.owner_id)}</DeleteMarker>")
            continue
        checksum = checksum_elements(*version.checksum[:2]) if version.checksum else ""
        elements.append(
            f"<Version>{head}<ETag>&quot;{version.etag}&quot;</ETag>{checksum}"
            f"<Size>{version.size}</Size>{owner(version.owner_id)}"
            f"{restored.get((version.key, version.sequence), '') if restored else ''}"
            f"<StorageClass>{version.storage_class}</StorageClass></Version>"
        )
    return "".join(elements)
