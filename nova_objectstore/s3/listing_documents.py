"""Listings of objects and of their versions as XML documents: a page of a thousand keys is the most that S3 renders.

PERF: what is the same for all keys of a page is looked at once a page: whether any key needs encoding or escaping; and
what one key has in common with the one before it (owner, class, kind of checksum) is rendered for the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

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


def render_contents(
    rows: Sequence[ListedRow], encode: Encode, owner: Callable[[str], str], restored: Restored = NONE_RESTORED
) -> str:
    """Contents, one element an object. ``owner`` makes the Owner element of an account id (or nothing)."""
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


def render_listing(
    bucket: str,
    query: ListQuery,
    page: ListPage,
    *,
    encoding: str,
    encode: Encode,
    owner: Callable[[str], str],
    restored: Restored = NONE_RESTORED,
) -> str:
    """ListBucketResult of ListObjects. NextMarker is told only where a delimiter was given (AWS: ListObjects).

    The prefix is never encoded: the SDKs that ask for encoding do not decode it here.
    """
    return document(
        "ListBucketResult",
        element("Name", bucket),
        element("Prefix", query.prefix),
        element("Marker", encode(query.after)),
        element("NextMarker", encode(page.next_after)) if page.next_after is not None and query.delimiter else "",
        *_listing_tail(query, page, encoding=encoding, encode=encode, owner=owner, restored=restored),
    )


def render_listing_v2(
    bucket: str,
    query: ListQuery,
    page: ListPage,
    *,
    encoding: str,
    encode: Encode,
    owner: Callable[[str], str],
    start_after: str,
    token: str | None,
    next_token: str | None,
    restored: Restored = NONE_RESTORED,
) -> str:
    """ListBucketResult of ListObjectsV2; tokens are never encoded."""
    return document(
        "ListBucketResult",
        element("Name", bucket),
        element("Prefix", encode(query.prefix)),
        optional("StartAfter", encode(start_after)),
        element("ContinuationToken", token) if token is not None else "",
        optional("NextContinuationToken", next_token),
        element("KeyCount", str(len(page.rows) + len(page.common_prefixes))),
        *_listing_tail(query, page, encoding=encoding, encode=encode, owner=owner, restored=restored),
    )


def _listing_tail(
    query: ListQuery,
    page: ListPage,
    *,
    encoding: str,
    encode: Encode,
    owner: Callable[[str], str],
    restored: Restored,
) -> tuple[str, ...]:
    return (
        element("MaxKeys", str(query.limit)),
        optional("Delimiter", encode(query.delimiter)),
        optional("EncodingType", encoding),
        element("IsTruncated", flag(page.next_after is not None)),
        render_contents(page.rows, encode, owner, restored),
        render_common_prefixes(page.common_prefixes, encode),
    )


def render_versions(
    bucket: str,
    query: VersionsQuery,
    page: VersionsPage,
    *,
    encoding: str,
    encode: Encode,
    owner: Callable[[str], str],
    restored: Restored = NONE_RESTORED,
) -> str:
    """ListVersionsResult."""
    return document(
        "ListVersionsResult",
        element("Name", bucket),
        element("Prefix", encode(query.prefix)),
        element("KeyMarker", encode(query.after)),
        element("VersionIdMarker", query.version_id_after),
        element("NextKeyMarker", encode(page.next_key)) if page.next_key is not None else "",
        element("NextVersionIdMarker", page.next_version_id) if page.next_version_id is not None else "",
        element("MaxKeys", str(query.limit)),
        optional("Delimiter", encode(query.delimiter)),
        optional("EncodingType", encoding),
        element("IsTruncated", flag(page.next_key is not None)),
        _render_versions(page.versions, encode, owner, restored),
        render_common_prefixes(page.common_prefixes, encode),
    )


def _render_versions(
    versions: Sequence[Version], encode: Encode, owner: Callable[[str], str], restored: Restored
) -> str:
    """Version and DeleteMarker, one element a version."""
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
