"""Objects that come from objects: CopyObject and RenameObject."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.bucket_encryption import CustomerKey
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.encryption import check_customer
from nova_objectstore.domain.notifications import COPY as COPY_EVENT
from nova_objectstore.domain.notifications import RENAME
from nova_objectstore.domain.objects import Objects
from nova_objectstore.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidRequest,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
    StoreError,
)
from nova_objectstore.limits import COPY_SIZE_MAX
from nova_objectstore.s3.access_records import Touched, touch
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer, xml_answer
from nova_objectstore.s3.checksums import parse_algorithm
from nova_objectstore.s3.conditions import NO_CONDITIONS, copy_conditions, rename_conditions, write_condition
from nova_objectstore.s3.copy_source import CopySource, parse_copy_source, parse_rename_source
from nova_objectstore.s3.encryption_headers import (
    asks_for_encryption,
    read_source_key,
    refuse_unsigned,
    written_headers,
)
from nova_objectstore.s3.errors import find_row
from nova_objectstore.s3.lifecycle_headers import expiration_headers
from nova_objectstore.s3.object_headers import read_spec, version_headers
from nova_objectstore.s3.operation import Controller, operation
from nova_objectstore.s3.render import render_copy
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import UNCONDITIONAL, Bucket, Version, Versioning, WriteCondition

COPY, REPLACE = "COPY", "REPLACE"


class Source(NamedTuple):
    """What a copy reads; ``customer`` opens it where it was stored with SSE-C."""

    bucket: Bucket
    version: Version
    customer: CustomerKey | None


class CopySources:
    """Finds what ``x-amz-copy-source`` names, and asks whether the caller may read it."""

    def __init__(
        self, buckets: Buckets, objects: Objects, access: Access, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self._clock_s = clock_s
        self._buckets = buckets
        self._objects = objects
        self._access = access

    def open(self, req: S3Request) -> Source:
        """The source, past its conditions, with the customer's key that it needs.

        Raises NoSuchBucket, NoSuchKey, NoSuchVersion, AccessDenied, PreconditionFailed, InvalidArgument,
        InvalidRequest (also for a customer's key that is missing, wrong or too much).
        """
        customer = read_source_key(req.headers)
        source = parse_copy_source(req.require_header("x-amz-copy-source"))
        bucket = self._buckets.find(source.bucket)
        expected = req.headers.get("x-amz-source-expected-bucket-owner")
        if expected is not None and expected != bucket.owner_id:
            raise AccessDenied
        version = self._read_recorded(req, bucket, source)
        if version.is_marker:
            raise InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by version id."
            )
        copy_conditions(req.headers).check_copy(
            etag=version.etag, modified_s=version.modified_us // 1_000_000, now_s=self._clock_s()
        )
        if version.extra or customer is not None:
            check_customer(version.extra, customer)
        if version.extra and req.principal.is_anonymous:
            refuse_unsigned(version.extra)
        return Source(bucket, version, customer)

    def _read_recorded(self, req: S3Request, bucket: Bucket, source: CopySource) -> Version:
        """The source's version; the access log of its bucket, if it has one, hears of it."""
        target = self._access.rules(bucket).log_target
        if target is None:
            return self._read(req, bucket, source)
        operation = "REST.COPY.PART_GET" if "partNumber" in req.query else "REST.COPY.OBJECT_GET"
        touched = Touched(operation, bucket, target, source.key, 200, version_id=source.version_id)
        try:
            version = self._read(req, bucket, source)
        except StoreError as error:
            row = find_row(error)
            touch(req, touched._replace(status=row.status, error_code=row.code))
            raise
        touch(req, touched._replace(size=version.size))
        return version

    def _read(self, req: S3Request, bucket: Bucket, source: CopySource) -> Version:
        """The source's version: the one that was judged, where its owner or its tags counted."""
        action = "s3:GetObject" if source.version_id is None else "s3:GetObjectVersion"
        context = req.context.beside(bucket, source.key, source.version_id, inline=True)
        self._access.check(req.principal, action, bucket, source.key, context=context)
        try:
            return context.judged or self._objects.get(bucket, source.key, source.version_id, inline=True)
        except (NoSuchKey, NoSuchVersion):
            if self._access.may_list(req.principal, bucket, source.key, context=context):
                raise
            raise AccessDenied from None

    def check_tags(self, req: S3Request, source: Source) -> None:
        """Check that the caller may read the source's tags and put them on the copy. Raises AccessDenied."""
        if not source.version.tags:
            return
        named = parse_copy_source(req.require_header("x-amz-copy-source"))
        action = "s3:GetObjectTagging" if named.version_id is None else "s3:GetObjectVersionTagging"
        context = req.context.beside(source.bucket, named.key, named.version_id)
        self._access.check(req.principal, action, source.bucket, named.key, context=context)
        self._access.check_own_object(
            req.principal, "s3:PutObjectTagging", req.bucket, req.key, context=req.context, must_be_given=True
        )

    def open_rename(self, req: S3Request, key: str) -> WriteCondition:
        """Check that the caller may take the key away, and the source's conditions; answer what must still hold inside.

        Raises AccessDenied, NoSuchKey, PreconditionFailed.
        """
        for action in ("s3:GetObject", "s3:DeleteObject"):
            self._access.check(req.principal, action, req.bucket, key, context=req.context.beside(req.bucket, key))
        conditions = rename_conditions(req.headers)
        if conditions is NO_CONDITIONS:
            return UNCONDITIONAL
        source = self._objects.get(req.bucket, key)
        modified_s = source.modified_us // 1_000_000
        if conditions.check(etag=source.etag, modified_s=modified_s, now_s=self._clock_s()):
            raise PreconditionFailed(condition="x-amz-rename-source-If-None-Match")
        return WriteCondition(if_match=source.etag)


class CopyingController(Controller):
    """Copies and renames."""

    def __init__(self, objects: Objects, sources: CopySources) -> None:
        self._objects = objects
        self._sources = sources

    @operation("CopyObject", "PUT /{bucket}/{key}", action="s3:PutObject", header="x-amz-copy-source")
    def copy_object(self, req: S3Request) -> Answer:
        """Make a copy of another object the key's current one."""
        opened = self._sources.open(req)
        bucket, source, customer = opened
        if source.size > COPY_SIZE_MAX:
            raise InvalidRequest(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {COPY_SIZE_MAX}"
            )
        spec = read_spec(req)
        if read_directive(req, "x-amz-metadata-directive") == COPY:
            self._refuse_copy_to_itself(req, bucket, source)
            spec = spec._replace(headers=_copied_headers(source, spec.headers))
        if read_directive(req, "x-amz-tagging-directive") == COPY:
            self._sources.check_tags(req, opened)
            spec = spec._replace(tags=source.tags)
        algorithm = req.header("x-amz-checksum-algorithm")
        copied = self._objects.copy(
            source,
            req.bucket,
            spec,
            algorithm=parse_algorithm(algorithm) if algorithm else "",
            condition=write_condition(req.headers),
            customer=customer,
            announce=announcement(req, COPY_EVENT),
        )
        headers = version_headers(copied, shown=req.bucket.versioning is Versioning.ENABLED)
        if copied.extra:
            headers.extend(written_headers(copied.extra, req.headers))
        if req.rules.lifecycle is not None:
            headers.extend(expiration_headers(req.rules.lifecycle, copied))
        if bucket.versioning is not Versioning.OFF:
            headers.append(("x-amz-copy-source-version-id", source.version_id))
        return xml_answer(
            200, render_copy("CopyObjectResult", copied.etag, copied.modified_us, copied.checksum), headers
        )

    def _refuse_copy_to_itself(self, req: S3Request, bucket: Bucket, source: Version) -> None:
        same = bucket.id == req.bucket.id and source.key == req.key
        changes = "x-amz-storage-class" in req.headers or "x-amz-website-redirect-location" in req.headers
        if same and source.is_latest and not changes and not asks_for_encryption(req.headers):
            raise InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )

    @operation("RenameObject", "PUT /{bucket}/{key}?renameObject", action="s3:PutObject", header="x-amz-rename-source")
    def rename_object(self, req: S3Request) -> Answer:
        """Give an object of this bucket another key, atomically; its bytes do not move."""
        source = parse_rename_source(req.require_header("x-amz-rename-source"), bucket=req.bucket_name)
        source_condition = self._sources.open_rename(req, source)
        renamed = self._objects.rename(
            req.bucket,
            source,
            req.key,
            source_condition=source_condition,
            condition=write_condition(req.headers),
            announce=announcement(req, RENAME),
        )
        shown = req.bucket.versioning is Versioning.ENABLED
        return empty_answer(200, [("ETag", f'"{renamed.etag}"'), *version_headers(renamed, shown=shown)])


def read_directive(req: S3Request, name: str) -> str:
    """COPY (the default) or REPLACE. Raises InvalidArgument."""
    directive = req.header(name, COPY)
    if directive not in (COPY, REPLACE):
        raise InvalidArgument(f"Unknown directive in {name}", argument_name=name, argument_value=directive)
    return directive


def _copied_headers(source: Version, given: Mapping[str, str]) -> Mapping[str, str]:
    """The source's headers; the redirect location is never copied (AWS: CopyObject), but may be given."""
    redirect = "x-amz-website-redirect-location"
    headers = {name: value for name, value in source.headers.items() if name != redirect}
    if redirect in given:
        headers[redirect] = given[redirect]
    return headers
