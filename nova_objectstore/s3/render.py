"""Values -> S3's XML documents. One function a document; text is escaped where it enters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nova_objectstore.s3.dates import iso_date
from nova_objectstore.s3.xml import document, element, escape
from nova_objectstore.types import (
    Account,
    Bucket,
    Checksum,
    Part,
    Upload,
    UploadsPage,
    UploadsQuery,
    Version,
    Versioning,
)

Encode = Callable[[str], str]

URL_SAFE = "/*-._~"  # what encoding-type=url leaves as it is, beside letters and digits


def url_encode(text: str) -> str:
    """``encoding-type=url``: keys that XML 1.0 could not carry become percent-encoded."""
    return quote(text, safe=URL_SAFE)


def plain(text: str) -> str:
    """No encoding-type: the text as it is."""
    return text


def owner_element(name: str, account: Account) -> str:
    """``<Owner>`` and its like: canonical id and name."""
    return f"<{name}>{element('ID', account.canonical_id)}{element('DisplayName', account.name)}</{name}>"


def flag(value: bool) -> str:
    """A boolean as S3's XML has it."""
    return "true" if value else "false"


def optional(name: str, value: object) -> str:
    """An element, or nothing when the value is None or empty."""
    return element(name, str(value)) if value not in (None, "") else ""


# -- errors ---------------------------------------------------------------------------------------------------------


def render_error(
    code: str, message: str, facts: Mapping[str, Any], *, resource: str, request_id: str, host_id: str
) -> str:
    """The error document (AWS: "Error responses"); it carries no namespace."""
    shown = "".join(element(name, str(value)) for name, value in facts.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error>{element('Code', code)}{element('Message', message)}{shown}{element('Resource', resource)}"
        f"{element('RequestId', request_id)}{element('HostId', host_id)}</Error>"
    )


# -- buckets --------------------------------------------------------------------------------------------------------


def render_buckets(account: Account, buckets: Sequence[Bucket], *, prefix: str | None, token: str | None) -> str:
    """ListAllMyBucketsResult."""
    rows = "".join(
        f"<Bucket>{element('Name', bucket.name)}{element('CreationDate', iso_date(bucket.created_us))}"
        f"{element('BucketRegion', bucket.region)}</Bucket>"
        for bucket in buckets
    )
    return document(
        "ListAllMyBucketsResult",
        owner_element("Owner", account),
        f"<Buckets>{rows}</Buckets>",
        optional("Prefix", prefix),
        element("ContinuationToken", token) if token is not None else "",
    )


def render_location(region: str) -> str:
    """LocationConstraint; us-east-1 is the empty one (AWS: GetBucketLocation)."""
    return document("LocationConstraint", "" if region == "us-east-1" else escape(region))


# -- listings -------------------------------------------------------------------------------------------------------


def render_common_prefixes(prefixes: Iterable[str], encode: Encode) -> str:
    """CommonPrefixes, one element each."""
    return "".join(f"<CommonPrefixes><Prefix>{escape(encode(prefix))}</Prefix></CommonPrefixes>" for prefix in prefixes)


def render_versioning(state: Versioning) -> str:
    """VersioningConfiguration; empty for a bucket that never was versioned."""
    return document("VersioningConfiguration", optional("Status", state.value))


# -- writes ---------------------------------------------------------------------------------------------------------


def checksum_value(checksum: Checksum | None) -> str:
    """``<ChecksumCRC32>...</ChecksumCRC32>`` and its type, as answers to writes have them."""
    if checksum is None:
        return ""
    return element(f"Checksum{checksum.algorithm}", checksum.value) + element("ChecksumType", checksum.type)


def render_copy(name: str, etag: str, modified_us: int, checksum: Checksum | None) -> str:
    """CopyObjectResult and CopyPartResult."""
    value = checksum_value(checksum)
    return document(name, element("LastModified", iso_date(modified_us)), element("ETag", f'"{etag}"'), value)


def render_deleted(
    outcomes: Iterable[tuple[str, str | None, str | None, bool]],
    errors: Iterable[tuple[str, str | None, str, str]],
) -> str:
    """DeleteResult: (key, version asked for, marker's version id, marker) and (key, version, code, message)."""
    deleted = "".join(
        f"<Deleted>{element('Key', key)}{optional('VersionId', version_id)}"
        + ("<DeleteMarker>true</DeleteMarker>" if is_marker else "")
        + f"{optional('DeleteMarkerVersionId', marker_id if is_marker else None)}</Deleted>"
        for key, version_id, marker_id, is_marker in outcomes
    )
    failed = "".join(
        f"<Error>{element('Key', key)}{optional('VersionId', version_id)}{element('Code', code)}"
        f"{element('Message', message)}</Error>"
        for key, version_id, code, message in errors
    )
    return document("DeleteResult", deleted, failed)


# -- attributes -------------------------------------------------------------------------------------------------------


def render_attributes(
    version: Version, wanted: frozenset[str], parts: Sequence[Part], *, after: int, limit: int, truncated: bool
) -> str:
    """GetObjectAttributesResponse with what was asked for; its ETag is unquoted."""
    made = []
    if "ETag" in wanted:
        made.append(element("ETag", version.etag))
    if "Checksum" in wanted and version.checksum:
        made.append(f"<Checksum>{checksum_value(version.checksum)}</Checksum>")
    if "ObjectParts" in wanted and version.parts_count:
        made.append(_attribute_parts(version, parts, after=after, limit=limit, truncated=truncated))
    if "StorageClass" in wanted:
        made.append(element("StorageClass", version.storage_class))
    if "ObjectSize" in wanted:
        made.append(element("ObjectSize", str(version.size)))
    return document("GetObjectAttributesResponse", *made)


def _attribute_parts(version: Version, parts: Sequence[Part], *, after: int, limit: int, truncated: bool) -> str:
    """ObjectParts; single parts are told only where they have checksums of their own (AWS: GetObjectAttributes)."""
    rows = "".join(
        f"<Part>{element('PartNumber', str(part.number))}{element('Size', str(part.size))}"
        f"{element(f'Checksum{part.checksum.algorithm}', part.checksum.value) if part.checksum else ''}</Part>"
        for part in parts
    )
    last = parts[-1].number if parts else after
    return (
        f"<ObjectParts>{element('PartsCount', str(version.parts_count))}{element('PartNumberMarker', str(after))}"
        f"{element('NextPartNumberMarker', str(last))}{element('MaxParts', str(limit))}"
        f"{element('IsTruncated', flag(truncated))}{rows}</ObjectParts>"
    )


# -- multipart uploads --------------------------------------------------------------------------------------------------


def render_upload_begun(bucket: str, upload: Upload) -> str:
    """InitiateMultipartUploadResult."""
    return document(
        "InitiateMultipartUploadResult",
        element("Bucket", bucket),
        element("Key", upload.key),
        element("UploadId", upload.upload_id),
    )


def render_completed(location: str, bucket: str, version: Version) -> str:
    """CompleteMultipartUploadResult."""
    return document(
        "CompleteMultipartUploadResult",
        element("Location", location),
        element("Bucket", bucket),
        element("Key", version.key),
        element("ETag", f'"{version.etag}"'),
        checksum_value(version.checksum),
    )


def render_parts(
    bucket: str,
    upload: Upload,
    parts: Sequence[Part],
    *,
    owner: Account,
    initiator: str,
    checksum: tuple[str, str],
    after: int,
    limit: int,
    truncated: bool,
) -> str:
    """ListPartsResult. ``initiator`` is an element, ``checksum`` the upload's algorithm and type."""
    rows = "".join(
        f"<Part>{element('PartNumber', str(part.number))}{element('LastModified', iso_date(part.modified_us))}"
        f"{element('ETag', f'{chr(34)}{part.etag}{chr(34)}')}{element('Size', str(part.size))}"
        f"{element(f'Checksum{part.checksum.algorithm}', part.checksum.value) if part.checksum else ''}</Part>"
        for part in parts
    )
    return document(
        "ListPartsResult",
        element("Bucket", bucket),
        element("Key", upload.key),
        element("UploadId", upload.upload_id),
        element("PartNumberMarker", str(after)),
        element("NextPartNumberMarker", str(parts[-1].number if parts else 0)),
        element("MaxParts", str(limit)),
        element("IsTruncated", flag(truncated)),
        initiator,
        owner_element("Owner", owner),
        element("StorageClass", upload.storage_class),
        element("ChecksumAlgorithm", checksum[0]),
        element("ChecksumType", checksum[1]),
        rows,
    )


def render_uploads(
    bucket: str,
    query: UploadsQuery,
    page: UploadsPage,
    *,
    encode: Encode,
    encoding: str,
    owner: Callable[[str], str],
    initiator: Callable[[str], str],
) -> str:
    """ListMultipartUploadsResult. ``owner`` makes an element of an account's id, ``initiator`` of an ARN."""
    rows = "".join(
        _upload_element(upload, encode, initiator(upload.initiator) + owner(upload.owner_id)) for upload in page.uploads
    )
    return document(
        "ListMultipartUploadsResult",
        element("Bucket", bucket),
        element("KeyMarker", encode(query.key_after)),
        element("UploadIdMarker", query.upload_id_after),
        element("NextKeyMarker", encode(page.next_key)) if page.next_key is not None else "",
        element("NextUploadIdMarker", page.next_upload_id) if page.next_upload_id is not None else "",
        optional("Delimiter", encode(query.delimiter)),
        element("Prefix", encode(query.prefix)),
        optional("EncodingType", encoding),
        element("MaxUploads", str(query.limit)),
        element("IsTruncated", flag(page.next_key is not None)),
        rows,
        render_common_prefixes(page.common_prefixes, encode),
    )


def _upload_element(upload: Upload, encode: Encode, people: str) -> str:
    return (
        f"<Upload>{element('Key', encode(upload.key))}{element('UploadId', upload.upload_id)}"
        f"{people}{element('StorageClass', upload.storage_class)}"
        f"{element('Initiated', iso_date(upload.initiated_us))}"
        + (
            f"{element('ChecksumAlgorithm', upload.checksum_algorithm)}{optional('ChecksumType', upload.checksum_type)}"
            if upload.checksum_algorithm
            else ""
        )
        + "</Upload>"
    )
